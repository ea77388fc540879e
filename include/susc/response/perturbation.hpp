#pragma once
/// Perturbations: directions in which the data distribution is shifted, seen through ΔL(w), the change of the mean loss
/// per unit of shift.
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include "susc/sampling/draw.hpp"

namespace susc {

/// A family of count(draw) perturbations, ΔL_j(w) written by loss_shifts. Constants in w do not matter.
/// groups(draw) names ranges whose mean is a row of the response matrix.
// clang-format off
template <class P, class M>
concept Perturbation = Model<M> &&
    (requires(P const& p, draw<M> const& at, std::span<double> shifts) {
       { p.count(at) } -> std::same_as<std::size_t>;
       p.loss_shifts(at, shifts);
     } || detail::because<"a Perturbation needs `std::size_t count(susc::draw<M> const&) const` and `void loss_shifts(susc::draw<M> const&, std::span<double>) const`">) &&
    (!requires(P& p, draw<M>& at) { p.groups(at); } ||
     requires(P const& p, draw<M> const& at) { { p.groups(at) } -> std::convertible_to<std::vector<index_range>>; } ||
     detail::because<"the groups of a Perturbation must be `std::vector<susc::index_range> groups(susc::draw<M> const&) const`">);
// clang-format on

/// One perturbation for each example (x, y) of each probe: towards that example alone, ΔL_xy(w) = l(w; x, y) - L(w).
/// The mean over a probe's examples is the perturbation towards the probe, L_q′ - L_q.
struct example_reweighting {
  /// Examples of all probes.
  template <Model M>
  std::size_t count(draw<M> const& at) const {
    return at.probe_example_count();
  }
  /// ΔL of each, nats; shifts (count,).
  template <Model M>
  void loss_shifts(draw<M> const& at, std::span<double> shifts) const {
    auto const losses = at.probe_losses();
    double const mean = at.evaluation_loss();
    for (std::size_t j = 0; j != shifts.size(); ++j) shifts[j] = static_cast<double>(losses[j]) - mean;
  }
  /// The examples of each probe.
  template <Model M>
  std::vector<index_range> groups(draw<M> const& at) const {
    return at.probe_ranges();
  }
};

/// The rows of the response matrix: the perturbation's groups, or each perturbation its own row.
template <Model M, Perturbation<M> P>
std::vector<index_range> groups_of(P const& p, draw<M> const& at) {
  if constexpr (requires { p.groups(at); }) {
    return p.groups(at);
  } else {
    std::vector<index_range> each(p.count(at));
    for (std::size_t j = 0; j != each.size(); ++j) each[j] = {j, j + 1};
    return each;
  }
}

}  // namespace susc
