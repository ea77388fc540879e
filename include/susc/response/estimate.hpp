#pragma once
/// Runs the chains of every component and collects moments and traces in one pass: the library's main entry.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"
#include "susc/response/moments.hpp"
#include "susc/response/observable.hpp"
#include "susc/response/perturbation.hpp"
#include "susc/response/result.hpp"
#include "susc/sampling/chain.hpp"
#include "susc/sampling/executor.hpp"
#include "susc/sampling/sgld.hpp"

namespace susc {

/// Posterior and sampler of one kind of chain.
template <class S>
struct chain_settings {
  posterior_settings posterior = {};
  S sampler = {};
};

template <class S = sgld>
struct susceptibility_options {
  std::vector<std::string> components = {};  ///< names, or unions joined by '+'; empty: all that the model offers
  posterior_settings posterior = {};
  S sampler = {};
  /// Chains with all weights free. None: `scaled_to_all_weights` of the two above, from the mean size of the others.
  std::optional<chain_settings<S>> all_weights = {};
  std::size_t chains = 4;  ///< a component
  std::size_t draws = 200;
  std::size_t burn_in = 20;  ///< steps before the first draw
  std::size_t thinning = 1;  ///< steps a draw
  std::size_t batch_size = 32;
  bool common_minibatches = true;  ///< all chains and components see the same minibatch at the same step
  std::uint64_t seed = 1;
  /// Called after each step of each chain with its length in parameters, from any thread.
  std::function<void(std::size_t parameters)> progress = {};
};

/// The localization of a chain that moves `all` weights, from one that moves `some`: the same expected squared
/// displacement, γ_all = γ all/some, and the same relaxation in steps, ε_all = ε some/all. With equal localization the
/// loss of the free chain would drown that of the components.
template <class S>
chain_settings<S> scaled_to_all_weights(posterior_settings posterior, S sampler, double all, double some) {
  posterior.localization *= all / some;
  sampler.step_size *= some / all;
  return {posterior, sampler};
}

namespace detail {
struct task_result {
  std::vector<moments> batches;
  std::vector<double> observable, loss;  // a value for each draw
  chain_outcome outcome;
};
}  // namespace detail

/// Susceptibilities of `model` at trained weights `center` (parameter_count,): the response of an observable in each
/// component's posterior to each perturbation. `data` is the distribution the model was trained on, `probes` the data
/// towards which it is shifted. Same bits for every executor and number of threads.
/// Throws susc::error on unusable settings; a chain that diverges is left out and counted in the result.
template <Model M, class Minibatch, class S = sgld, class Executor = threads, Observable<M> O = component_loss,
          Perturbation<M> P = example_reweighting>
susceptibility_result estimate_susceptibilities(M const& model,
                                                std::type_identity_t<std::span<typename M::scalar const>> center,
                                                data_distribution<typename M::batch, Minibatch> const& data,
                                                std::vector<probe<typename M::batch>> const& probes,
                                                std::type_identity_t<susceptibility_options<S>> const& options,
                                                Executor const& run = {}, O const& observable = {},
                                                P const& perturbation = {}) {
  using T = typename M::scalar;
  require(center.size() == model.parameter_count(), "the center has ", center.size(), " weights, the model ",
          model.parameter_count());
  chain_length const length{options.draws, options.burn_in, options.thinning, options.batch_size};
  check(length);
  check(options.posterior);
  options.sampler.check(options.posterior);
  require(options.chains > 0, "chains is 0, must be at least 1");

  component const everything = full_component(model.parameter_count());
  auto known = components_of(model);
  std::vector<component> components;
  if (options.components.empty()) components = known;
  // Every model has "full", named by its components() or not.
  if (std::none_of(known.begin(), known.end(), [](component const& c) { return c.name() == "full"; }))
    known.push_back(everything);
  for (std::string const& name : options.components) components.push_back(find_component(known, name));

  // Chains with all weights free come first, as the longest tasks; they also serve a component that is all weights.
  std::vector<component const*> sampled{&everything};
  double restricted_size = 0;
  for (component const& c : components) {
    if (c.size() == everything.size()) continue;
    sampled.push_back(&c);
    restricted_size += static_cast<double>(c.size());
  }
  double const all = static_cast<double>(everything.size());
  double const some = sampled.size() == 1 ? all : restricted_size / static_cast<double>(sampled.size() - 1);
  auto const free = options.all_weights.value_or(scaled_to_all_weights(options.posterior, options.sampler, all, some));
  check(free.posterior);
  free.sampler.check(free.posterior);

  random::key const seed{options.seed};
  std::size_t const batches = batches_per_chain(options.draws, options.chains);
  std::vector<detail::task_result> done(sampled.size() * options.chains);
  std::vector<index_range> groups;
  run(done.size(), [&](std::size_t task) {
    component const& c = *sampled[task / options.chains];
    std::uint64_t const chain = task % options.chains;
    auto const& settings = &c == &everything ? free : chain_settings<S>{options.posterior, options.sampler};
    random::key const noise = random::fold_in(random::fold_in(random::fold_in(seed, "noise"), c.name()), chain);
    random::key minibatches = random::fold_in(seed, "minibatches");
    if (!options.common_minibatches) minibatches = random::fold_in(random::fold_in(minibatches, c.name()), chain);

    draw<M> at(model, center, c, data.evaluation, probes);
    std::size_t const count = perturbation.count(at);
    std::vector<double> baseline(count), shifts(count);
    // A constant in ΔL changes no covariance; taking out its value at w* removes the cancellation in float32.
    perturbation.loss_shifts(at, baseline);
    detail::task_result& result = done[task];
    result.batches.assign(batches, moments(count));
    if (task == 0) groups = groups_of<M>(perturbation, at);
    auto const visit = [&](draw<M> const& here) {
      double const value = observable.value(here);
      perturbation.loss_shifts(here, shifts);
      for (std::size_t j = 0; j != count; ++j) shifts[j] -= baseline[j];
      result.batches[result.observable.size() * batches / options.draws].add(value, shifts);
      result.observable.push_back(value);
      result.loss.push_back(here.evaluation_loss() - here.center_loss());
    };
    result.outcome = run_chain(model, std::span<T const>(center), c, settings.posterior, settings.sampler,
                               data.minibatch, length, {noise, minibatches}, at, visit, [&](std::size_t) {
                                 if (options.progress) options.progress(c.size());
                               });
  });

  susceptibility_result result;
  result.groups = std::move(groups);
  for (auto const& p : probes) result.probes.push_back(p.name);
  auto const collect = [&](std::size_t index, component const& c, posterior_settings const& posterior,
                           double step_size) {
    component_response response{
        .name = c.name(), .parameters = c.size(), .posterior = posterior, .step_size = step_size};
    for (std::size_t chain = 0; chain != options.chains; ++chain) {
      auto& task = done[index * options.chains + chain];
      response.observable_traces.push_back(task.observable);
      response.loss_traces.push_back(task.loss);
      response.diverged.push_back(task.outcome.diverged);
      if (task.outcome.diverged) continue;
      for (moments& batch : task.batches) response.batches.push_back(std::move(batch));
    }
    return response;
  };
  std::size_t index = 1;
  result.all_weights = collect(0, everything, free.posterior, free.sampler.step_size);
  for (component const& c : components) {
    if (c.size() == everything.size()) {
      result.components.push_back(result.all_weights);
      result.components.back().name = c.name();
    } else {
      result.components.push_back(collect(index++, c, options.posterior, options.sampler.step_size));
    }
  }
  return result;
}

}  // namespace susc
