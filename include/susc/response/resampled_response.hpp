#pragma once
/// What several probes' shifts of the data do together: chains on the shifted data beside the prediction of χ.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/response/component_response.hpp"
#include "susc/response/estimate.hpp"
#include "susc/response/shifted_model.hpp"

namespace susc {

namespace detail {
/// (⟨φ⟩_h - ⟨φ⟩_{-h}) / (2 `unit` nβ) of every component of the plan, both sides with the same noise and minibatches.
/// Chains of which either side diverges are left out.
template <Model M, class Data, class S, class E, class O>
std::vector<estimate> central_differences(M const& model, std::span<scalar_of<M> const> center, Data const& data,
                                          std::vector<typename shifted_model<M>::shift> const& shifts, double unit,
                                          std::vector<component_plan<S>> const& plan, sampling_options<S> options,
                                          E const& run, O const& observable) {
  options.run_directory.clear();  // a run is known by its losses, which are the same for every h
  auto backwards = shifts;
  for (auto& s : backwards) s.amount = -s.amount;
  susceptibility_moments<O> const visitor{observable};
  shifted_model<M> const back(model, backwards), forth(model, shifts);
  auto const before = run_chains(back, center, data, {}, plan, options, visitor, run);
  auto const after = run_chains(forth, center, data, {}, plan, options, visitor, run);
  std::vector<estimate> all;
  for (std::size_t c = 0; c != plan.size(); ++c) {
    double const scale = 1 / (2 * unit * plan[c].settings.posterior.n_beta);
    std::vector<std::vector<double>> differences;
    for (std::size_t chain = 0; chain != options.chains; ++chain) {
      if (before[c].outcomes[chain].diverged || after[c].outcomes[chain].diverged) continue;
      differences.push_back(after[c].chains[chain].observable_traces[0]);
      for (std::size_t t = 0; t != differences.back().size(); ++t)
        differences.back()[t] = scale * (differences.back()[t] - before[c].chains[chain].observable_traces[0][t]);
    }
    all.push_back(mean_of_traces(differences));
  }
  return all;
}
}  // namespace detail

/// The response of one component to the shift h, in units of χ: nβ times it is a change of E[φ].
struct resampled_response {
  std::string component;  ///< its name
  estimate resampled;     ///< (⟨φ⟩_h - ⟨φ⟩_{-h}) / (2 nβ), of chains on the shifted data
  estimate predicted;     ///< Σ h_p χ_p, `restricted` centring

  /// Of the difference between the two, in standard errors. The two share their noise, so it is conservative.
  double z() const { return (resampled.value - predicted.value) / std::hypot(resampled.error, predicted.error); }
};

/// For every component of the options: chains on (1 - Σ h_p) q + Σ h_p q_p, q_p being probe p, and on the same with -h,
/// beside the prediction of `at_zero`, what estimate_susceptibilities found with the same model, data, probes, options
/// and observable. The difference of both signs has no term of even order in h; what it differs by from the prediction
/// is of third order, and the sampler's bias (see check_fluctuation_dissipation). The minibatch's gradient is scaled by
/// 1 - Σ h_p, and its noise with it: with noisy minibatches take h that sum to 0, as the shift from one mixture to
/// another can. A step costs one gradient of the
/// minibatch and one of each probe with h_p ≠ 0. Nothing is kept in a run directory.
/// Throws susc::error on unusable settings, shifts (probes,) that are not finite, all 0, or above 1 in the sum of their
/// sizes, or an `at_zero` of other probes, without one of the components, or of another posterior or step size.
template <Model M, MinibatchSource<typename M::batch> Minibatch, Sampler<typename M::scalar> S = sgld,
          Executor E = threads, Observable<M> O = component_loss>
std::vector<resampled_response> resample_response(M const& model,
                                                  std::type_identity_t<std::span<detail::scalar_of<M> const>> center,
                                                  data_distribution<detail::batch_of<M>, Minibatch> const& data,
                                                  std::vector<probe<detail::batch_of<M>>> const& probes,
                                                  std::type_identity_t<std::span<double const>> h,
                                                  susceptibility_result const& at_zero,
                                                  sampling_options<S> const& options, E const& run = {},
                                                  O const& observable = {}) {
  require(h.size() == probes.size(), h.size(), " shifts h, must be one for each of the ", probes.size(), " probes");
  require(at_zero.probes.size() == probes.size(), "the susceptibilities are of ", at_zero.probes.size(),
          " probes, the shift is towards ", probes.size());
  std::vector<typename shifted_model<M>::shift> shifts;
  double sum = 0;
  for (std::size_t p = 0; p != h.size(); ++p) {
    require(std::isfinite(h[p]), "shift ", p, " is ", h[p], ", must be finite");
    require(at_zero.probes[p] == probes[p].name, "probe ", p, " is '", probes[p].name,
            "', that of the susceptibilities is '", at_zero.probes[p], "'");
    shifts.push_back({&probes[p].batch, h[p]});
    sum += std::abs(h[p]);
  }
  require(sum > 0 && sum <= 1, "the sizes of the shifts h sum to ", sum, ", must be above 0 and at most 1");
  auto const plan = plan_sampling(model, options).components;
  auto const names = at_zero.component_names();
  for (auto const& c : plan) {
    auto const found = std::find(names.begin(), names.end(), c.moving.name());
    require(found != names.end(), "component '", c.moving.name(),
            "' has no susceptibilities, must be among those estimated");
    auto const& then = at_zero.components[static_cast<std::size_t>(found - names.begin())];
    require(then.posterior == c.settings.posterior && then.step_size == c.settings.sampler.step_size, "component '",
            c.moving.name(), "': the susceptibilities are of another posterior or step size than the options");
  }

  estimates const predicted = at_zero.predicted_response(h, centring::restricted);
  auto const resampled = detail::central_differences(model, center, data, shifts, 1, plan, options, run, observable);
  std::vector<resampled_response> all;
  for (std::size_t c = 0; c != plan.size(); ++c) {
    auto const found = std::find(names.begin(), names.end(), plan[c].moving.name());
    auto const i = static_cast<std::size_t>(found - names.begin());
    all.push_back({names[i], resampled[c], {predicted.value[i], predicted.error[i]}});
  }
  return all;
}

}  // namespace susc
