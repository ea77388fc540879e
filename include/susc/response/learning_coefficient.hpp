#pragma once
/// The local learning coefficient λ̂ = nβ (E[L] - L(w*)) (Lau et al. 2023, arXiv 2308.12108). In a component's
/// posterior it is weight-refined, with another data distribution data-refined (Wang et al. 2024, arXiv 2410.02984).
#include <cmath>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

#include "susc/response/component_response.hpp"
#include "susc/sampling/chains.hpp"

namespace susc {

/// nβ = n / log n, the temperature at which E[n L] estimates the free energy of n examples (WBIC, Watanabe 2013).
/// Throws susc::error below two examples, or for a number that is not finite.
inline double wbic_n_beta(double examples) {
  require(examples >= 2 && std::isfinite(examples), "the WBIC temperature of ", examples,
          " examples: there must be at least 2");
  return examples / std::log(examples);
}

/// Visitor: L(w) - L(w*) at every draw.
struct loss_trace {
  std::vector<std::vector<double>> traces = {};  ///< (chains) x (draws)

  /// Begins one chain's trace.
  template <Model M>
  void start(draw<M> const&, draw_counts counts) {
    traces.assign(1, {});
    traces[0].reserve(counts.draws);
  }
  /// One more draw.
  template <Model M>
  void add(draw<M> const& at) {
    traces[0].push_back(at.evaluation_loss() - at.center_loss());
  }
  /// The chain gets more draws, `draws` in all.
  void extend(std::size_t draws) { traces[0].reserve(draws); }
  void batch_like(loss_trace const&) {}  ///< There are no batches.
  /// Sees no probes.
  template <Model M>
  void join_probes(loss_trace const&, draw<M> const&) {}
  static void members(auto& self, auto&& each) { each(self.traces); }
  /// Appends the other chains' traces.
  void merge(loss_trace const& other) { traces.insert(traces.end(), other.traces.begin(), other.traces.end()); }
};

/// The loss as the observable of its own posterior.
template <class S>
component_response response_of(component_chains<loss_trace, S> const& of, std::size_t thinning) {
  component_response response = described(of, thinning);
  for (loss_trace const& chain : of.chains) response.loss_traces.push_back(chain.traces.at(0));
  response.observable_traces = response.loss_traces;
  return response;
}

/// The learning coefficient of every component that the options name, "full" being that of the whole model, with
/// diagnostics of the loss. `data` is the distribution whose loss is meant.
/// Throws susc::error on unusable settings; a chain that diverges is left out and counted in the result.
template <Model M, MinibatchSource<typename M::batch> Minibatch, Sampler<typename M::scalar> S = sgld,
          Executor E = threads>
std::vector<component_diagnostics> estimate_learning_coefficients(
    M const& model, std::type_identity_t<std::span<detail::scalar_of<M> const>> center,
    data_distribution<detail::batch_of<M>, Minibatch> const& data, sampling_options<S> const& options,
    E const& run = {}) {
  auto const plan = plan_sampling(model, options);
  std::vector<component_diagnostics> all;
  for (auto const& of : run_chains(model, center, data, {}, plan.components, options, loss_trace{}, run))
    all.push_back(diagnose(response_of(of, options.thinning)));
  return all;
}

}  // namespace susc
