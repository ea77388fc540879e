#pragma once
/// The perturbation that puts counterfactual examples in the place of examples.
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/core/error.hpp"
#include "susc/sampling/draw.hpp"

namespace susc {

/// Perturbation. Mass moves from each example z_i of one probe to example z'_i of another of equal length:
///   ΔL_i = l(z'_i) - l(z_i),
/// the mean over i, ΔL = mean_i ΔL_i, being the row of the response matrix of this pair of probes. Its χ is that of the
/// second probe less that of the first; its error knows that the two are of the same draws, that of a difference of
/// rows would not.
class counterfactual_pairs {
 public:
  /// Two probes by their numbers.
  struct pair {
    std::size_t from = 0;  ///< the given one
    std::size_t to = 1;    ///< its counterfactuals
  };

  /// Throws susc::error if there is no pair.
  explicit counterfactual_pairs(std::vector<pair> pairs = {{0, 1}}) : pairs_(std::move(pairs)) {
    require(!pairs_.empty(), "counterfactual_pairs: no pairs of probes, must have at least 1");
  }

  /// Examples of all pairs. Throws susc::error where a pair's probes are missing or of unequal size.
  template <Model M>
  std::size_t count(draw<M> const& at) const {
    return groups(at).back().end;
  }
  /// ΔL of each example of each pair, shifts (count,), nats.
  template <Model M>
  void loss_shifts(draw<M> const& at, std::span<double> shifts) const {
    auto const losses = at.probe_losses();
    std::size_t j = 0;
    for (pair const p : pairs_) {
      index_range const from = at.probe_ranges()[p.from], to = at.probe_ranges()[p.to];
      for (std::size_t i = 0; i != from.size(); ++i)
        shifts[j++] = static_cast<double>(losses[to.begin + i]) - static_cast<double>(losses[from.begin + i]);
    }
  }
  /// Throws susc::error on a probe that does not exist or is empty, and on a pair of unequal length.
  template <Model M>
  std::vector<index_range> groups(draw<M> const& at) const {
    auto const& ranges = at.probe_ranges();
    std::vector<index_range> rows;
    std::size_t end = 0;
    for (pair const p : pairs_) {
      for (std::size_t const each : {p.from, p.to})
        require(each < ranges.size(), "counterfactual_pairs: probe ", each, ", must be below the ", ranges.size(),
                " probes");
      require(ranges[p.from].size() == ranges[p.to].size() && ranges[p.from].size() != 0,
              "counterfactual_pairs: probe '", at.probes()[p.from].name, "' has ", ranges[p.from].size(),
              " examples, '", at.probes()[p.to].name, "' ", ranges[p.to].size(),
              "; both must have one for each pair, at least 1");
      rows.push_back({end, end + ranges[p.from].size()});
      end = rows.back().end;
    }
    return rows;
  }

 private:
  std::vector<pair> pairs_;
};

}  // namespace susc
