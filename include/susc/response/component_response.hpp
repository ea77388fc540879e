#pragma once
/// What the chains of one component yield, and whether to trust it.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "susc/response/diagnostics.hpp"
#include "susc/response/moments.hpp"
#include "susc/response/susceptibility.hpp"
#include "susc/sampling/chains.hpp"

namespace susc {

/// Measured times, in seconds of one thread.
struct sampling_costs {
  std::size_t steps = 0, draws = 0;           ///< of all its chains
  double step_seconds = 0, draw_seconds = 0;  ///< all together
};

/// The chains of one component. Traces are (chains) x (draws), relative to w*; a diverged chain's end early and are in
/// no estimate.
struct component_response {
  std::string name = {};              ///< of the component
  std::size_t parameters = 0;         ///< coordinates that moved
  posterior_settings posterior = {};  ///< that was sampled
  double step_size = 0;               ///< ε
  std::size_t thinning = 1;           ///< steps a draw
  std::vector<moments> batches = {};  ///< batches of consecutive draws of all chains that did not diverge
  std::vector<std::vector<double>> observable_traces = {}, loss_traces = {};  ///< φ, and L(w) - L(w*) in nats
  std::vector<bool> diverged = {};                                            ///< (chains,)
  std::vector<std::size_t> steps = {};  ///< (chains,) taken: a chain that diverged did so at the last of them
  sampling_costs costs = {};            ///< as measured

  /// Chains that diverged.
  std::size_t dropped_chains() const {
    return static_cast<std::size_t>(std::count(diverged.begin(), diverged.end(), true));
  }
};

/// Everything about a component's chains but what their visitors saw.
template <class V, class S>
component_response described(component_chains<V, S> const& of, std::size_t thinning) {
  component_response response{.name = of.plan.moving.name(),
                              .parameters = of.plan.moving.size(),
                              .posterior = of.plan.settings.posterior,
                              .step_size = of.plan.settings.sampler.step_size,
                              .thinning = thinning};
  for (chain_outcome const& chain : of.outcomes) {
    response.diverged.push_back(chain.diverged);
    response.steps.push_back(chain.steps);
    response.costs.steps += chain.steps;
    response.costs.draws += chain.draws;
    response.costs.step_seconds += chain.step_seconds;
    response.costs.draw_seconds += chain.draw_seconds;
  }
  return response;
}

/// Are a component's numbers trustworthy? NaN where it cannot be said (all chains dropped, too few draws).
struct component_diagnostics {
  std::string name = {};                                    ///< of the component
  estimate observable = {};                                 ///< E[φ]
  estimate learning_coefficient = {};                       ///< nβ (E[L] - L(w*)): restricted, the weight-refined LLC
  double r_hat = std::numeric_limits<double>::quiet_NaN();  ///< of φ: rank-normalised split R-hat
  double effective_sample_size = std::numeric_limits<double>::quiet_NaN();  ///< of φ, bulk
  double drift = std::numeric_limits<double>::quiet_NaN();                  ///< of the loss, in standard errors
  std::size_t draws = 0;                                                    ///< in the estimates, all chains
  std::size_t dropped_chains = 0;                                           ///< that diverged
  std::size_t recommended_thinning = 0;    ///< steps a draw that would be cheapest for the same errors; 0: unknown
  std::vector<std::string> warnings = {};  ///< one sentence each, beginning with the component's name
};

/// Which chains diverged, each with its step, in brackets; empty where the steps are not known.
inline std::string diverged_chains(component_response const& c) {
  if (c.steps.size() != c.diverged.size()) return {};
  std::string named;
  std::size_t left_out = 0;
  for (std::size_t chain = 0; chain != c.diverged.size(); ++chain) {
    if (!c.diverged[chain]) continue;
    if (std::size_t const most = 80; named.size() < most)
      named += detail::concatenate(named.empty() ? "" : ", ", "chain ", chain, " at step ", c.steps[chain]);
    else
      ++left_out;
  }
  return " (" + named + (left_out > 0 ? detail::concatenate(" and ", left_out, " more)") : ")");
}

/// Mean of traces (chains) x (draws), its error by the batches of `batches_per_chain`. NaN without traces.
inline estimate mean_of_traces(chains_view traces) {
  std::vector<moments> batches;
  for (auto const& trace : traces) {
    std::size_t const first = batches.size(), count = batches_per_chain(trace.size(), traces.size());
    batches.resize(first + count);
    for (std::size_t t = 0; t != trace.size(); ++t) batches[first + t * count / trace.size()].add(trace[t], {});
  }
  return mean_observable(batches);
}

/// Of the chains that did not diverge. R-hat and effective sample size need 4 draws a chain, drift 8.
inline component_diagnostics diagnose(component_response const& c) {
  component_diagnostics d{.name = c.name, .dropped_chains = c.dropped_chains()};
  std::vector<std::vector<double>> observable, loss;
  for (std::size_t chain = 0; chain != c.diverged.size(); ++chain) {
    if (c.diverged[chain]) continue;
    observable.push_back(c.observable_traces[chain]);
    loss.push_back(c.loss_traces[chain]);
    d.draws += loss.back().size();
  }
  d.observable = mean_of_traces(observable);
  estimate const mean_loss = mean_of_traces(loss);
  d.learning_coefficient = {c.posterior.n_beta * mean_loss.value, c.posterior.n_beta * mean_loss.error};
  if (!loss.empty() && loss.front().size() >= 4) {
    d.r_hat = split_r_hat(observable);
    d.effective_sample_size = bulk_effective_sample_size(observable);
  }
  if (!loss.empty() && loss.front().size() >= 8) d.drift = drift(loss);
  if (c.costs.draws > 0 && !std::isnan(d.effective_sample_size))
    d.recommended_thinning = recommended_thinning(c.costs.step_seconds / static_cast<double>(c.costs.steps),
                                                  c.costs.draw_seconds / static_cast<double>(c.costs.draws),
                                                  static_cast<double>(d.draws) / d.effective_sample_size, c.thinning);

  auto const warn = [&](auto const&... what) { d.warnings.push_back(detail::concatenate(c.name, ": ", what...)); };
  if (d.dropped_chains > 0)
    warn(d.dropped_chains, " of ", c.diverged.size(), " chains diverged", diverged_chains(c),
         " and are left out; a smaller step size or larger localization would help");
  if (d.dropped_chains != c.diverged.size() && std::isnan(d.r_hat))
    warn(d.draws, " draws cannot tell whether the chains agree: take at least 4 a chain");
  if (d.r_hat > 1.05) warn("R-hat of the observable is ", d.r_hat, ", above 1.05: the chains disagree");
  if (d.effective_sample_size < 100)
    warn("effective sample size of the observable is ", std::floor(d.effective_sample_size),
         ", below 100: take more draws");
  if (std::abs(d.drift) > 4)
    warn("the loss is still drifting, by ", d.drift,
         " standard errors from the first half of the draws to the second: ", "lengthen the burn-in");
  return d;
}

}  // namespace susc
