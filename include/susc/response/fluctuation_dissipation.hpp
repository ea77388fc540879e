#pragma once
/// Does the susceptibility predict what happens when the data is really shifted? χ from fluctuations beside the
/// difference of two runs, on q_h = (1 - h) q + h q′ and on q_{-h}, with the same noise and minibatches.
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/response/component_response.hpp"
#include "susc/response/estimate.hpp"
#include "susc/response/resampled_response.hpp"

namespace susc {

/// The two sides of d⟨φ⟩/dh = nβ χ for one component and one probe.
struct fluctuation_dissipation {
  std::string component;    ///< its name
  std::string probe;        ///< its name
  estimate difference;      ///< (⟨φ⟩_h - ⟨φ⟩_{-h}) / (2 h nβ)
  estimate susceptibility;  ///< χ from the fluctuations at h = 0, `restricted` centring

  /// Of the difference between the two sides, in standard errors. The two share their noise, so it is conservative.
  double z() const {
    return (difference.value - susceptibility.value) / std::hypot(difference.error, susceptibility.error);
  }
};

/// For every component of the options and every probe. At a finite step size the two sides differ by the sampler's
/// bias, along an eigenvalue m of a Gaussian posterior's precision by a factor 1 - ε m/2 for SGLD, and not at all for
/// `leimkuhler_matthews`. h should be small enough for the response to be linear; the shared noise keeps the
/// difference precise: its error does not grow as h falls. Chains that diverge are left out. Those of the shifted data
/// are not kept in a run directory. Throws susc::error on unusable settings, without probes, or if h is not in (0, 1].
template <Model M, MinibatchSource<typename M::batch> Minibatch, Sampler<typename M::scalar> S = sgld,
          Executor E = threads, Observable<M> O = component_loss>
std::vector<fluctuation_dissipation> check_fluctuation_dissipation(
    M const& model, std::type_identity_t<std::span<detail::scalar_of<M> const>> center,
    data_distribution<detail::batch_of<M>, Minibatch> const& data,
    std::vector<probe<detail::batch_of<M>>> const& probes, sampling_options<S> const& options, double h,
    E const& run = {}, O const& observable = {}) {
  require(h > 0 && h <= 1, "the shift h is ", h, ", must be above 0 and at most 1");
  require(!probes.empty(), "no probes to shift the data towards, must have at least 1");
  auto const plan = plan_sampling(model, options).components;
  susceptibility_moments<O> const visitor{observable};
  auto const fluctuations = run_chains(model, center, data, probes, plan, options, visitor, run);
  std::vector<fluctuation_dissipation> all;
  for (std::size_t p = 0; p != probes.size(); ++p) {
    auto const differences =
        detail::central_differences(model, center, data, {{&probes[p].batch, h}}, h, plan, options, run, observable);
    for (std::size_t c = 0; c != plan.size(); ++c) {
      std::vector<moments> batches;
      for (std::size_t chain = 0; chain != options.chains; ++chain) {
        auto const& seen = fluctuations[c].chains[chain];
        if (fluctuations[c].outcomes[chain].diverged) continue;
        for (moments const& batch : seen.batches)
          batches.push_back(batch.grouped(std::span(seen.groups).subspan(p, 1)));
      }
      estimate chi;
      if (!batches.empty()) {
        auto const of = susceptibilities(batches, {}, centring::restricted);
        chi = {of.value[0], of.error[0]};
      }
      all.push_back({plan[c].moving.name(), probes[p].name, differences[c], chi});
    }
  }
  return all;
}

}  // namespace susc
