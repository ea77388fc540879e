#pragma once
/// Runs the chains of several components, each chain with its own copy of a visitor.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"
#include "susc/kernels/flush_denormals.hpp"
#include "susc/sampling/chain.hpp"
#include "susc/sampling/checkpoint.hpp"
#include "susc/sampling/executor.hpp"
#include "susc/sampling/sgld.hpp"
#include "susc/sampling/visitor.hpp"

namespace susc {

/// Posterior and sampler of one kind of chain.
template <class S = sgld>
struct chain_settings {
  posterior_settings posterior = {};  ///< what is sampled
  S sampler = {};                     ///< and how
};

/// What the estimators need to know besides model, weights and data.
template <class S = sgld>
struct sampling_options {
  std::vector<std::string> components = {};  ///< names, or unions joined by '+'; empty: all that the model offers
  posterior_settings posterior = {};         ///< of every component that is not all weights
  S sampler = {};                            ///< of the same
  /// Chains with all weights free. None: `scaled_to_all_weights` of the two above, from the mean size of the others.
  std::optional<chain_settings<S>> all_weights = {};
  /// Of single components that are not all weights, by name, instead of `posterior` and `sampler`: those that
  /// `choose_localization` found, say.
  std::map<std::string, chain_settings<S>> component_settings = {};
  std::size_t chains = 4;                 ///< a component
  std::size_t draws = 200;                ///< a chain
  std::size_t burn_in = 20;               ///< steps before the first draw
  std::size_t thinning = 1;               ///< steps a draw
  std::size_t batch_size = 32;            ///< of a minibatch, in what data_distribution::minibatch counts
  std::size_t gradient_accumulation = 1;  ///< minibatches whose mean gradient makes a step
  bool common_minibatches = true;         ///< all chains and components see the same minibatch at the same step
  std::uint64_t seed = 1;                 ///< of noise and minibatches
  /// Called after each step of each chain with its length in parameters, from any thread.
  std::function<void(std::size_t parameters)> progress = {};
  /// Called in place of `progress` for each step that an earlier process did, before any of this one; empty: `progress`
  /// is told of those too.
  std::function<void(std::size_t parameters)> resumed = {};
  /// Where chains are kept, so that a run that ends early can be resumed, with the bits of one that did not, and a
  /// finished one extended by components, chains and draws. Empty: nowhere.
  std::filesystem::path run_directory = {};
  double seconds_between_checkpoints = 60;  ///< at least, of each task
  /// Set to true from anywhere, it ends the run after the steps under way: chains are kept, susc::interrupted is
  /// thrown.
  std::atomic<bool> const* stop = nullptr;
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

/// A component, and what its chains are to sample.
template <class S>
struct component_plan {
  component moving;            ///< whose weights move
  chain_settings<S> settings;  ///< of its chains
};
/// Every component of a run, with its settings.
template <class S>
struct sampling_plan {
  std::vector<component_plan<S>> components;  ///< in the order of the options; all of w has the settings of all_weights
  component_plan<S> all_weights;              ///< for E_full
};

/// What the options ask for. Throws susc::error on an unknown name, one that is asked for twice, a component beyond the
/// model's weights, or an unusable setting.
template <Model M, Sampler<typename M::scalar> S>
sampling_plan<S> plan_sampling(M const& model, sampling_options<S> const& options) {
  auto known = components_of(model);
  auto everything = full_component(model.parameter_count());
  std::vector<component> components;
  if (options.components.empty()) components = known;
  // Every model has "full", named by its components() or not.
  if (std::none_of(known.begin(), known.end(), [](component const& c) { return c.name() == "full"; }))
    known.push_back(everything);
  for (std::string const& name : options.components) components.push_back(find_component(known, name));

  for (auto c = components.begin(); c != components.end(); ++c) {
    bool const again = std::any_of(components.begin(), c, [&](component const& b) { return b.name() == c->name(); });
    require(!again, "component '", c->name(), "' is asked for twice, wanted once");
    require(c->size() != 0 && c->ranges().back().end <= everything.size(), "component '", c->name(),
            "' is not within the model's ", everything.size(), " weights");
  }

  double size = 0, restricted = 0;
  for (component const& c : components)
    if (c.size() != everything.size()) size += static_cast<double>(c.size()), ++restricted;
  double const all = static_cast<double>(everything.size());
  chain_settings<S> const own{options.posterior, options.sampler};
  auto const free = options.all_weights.value_or(
      scaled_to_all_weights(own.posterior, own.sampler, all, restricted == 0 ? all : size / restricted));
  for (auto const& settings : {own, free}) {
    check(settings.posterior);
    settings.sampler.check(settings.posterior);
  }
  for (auto const& entry : options.component_settings) {
    std::string const& name = entry.first;
    chain_settings<S> const& settings = entry.second;
    auto const c =
        std::find_if(components.begin(), components.end(), [&](component const& x) { return x.name() == name; });
    require(c != components.end(), "component_settings has '", name, "', which is no component of this run");
    require(c->size() != everything.size(), "component_settings has '", name,
            "', which is all weights: their settings are all_weights");
    check(settings.posterior);
    settings.sampler.check(settings.posterior);
  }
  sampling_plan<S> plan{{}, {std::move(everything), free}};
  for (component& c : components) {
    bool const whole = c.size() == plan.all_weights.moving.size();
    auto const chosen = options.component_settings.find(c.name());
    auto const& settings = whole ? free : chosen != options.component_settings.end() ? chosen->second : own;
    plan.components.push_back({std::move(c), settings});
  }
  return plan;
}

/// Whose chains estimates are made of: those with all weights free first, which also serve a component that is all
/// weights.
template <class S>
std::vector<component_plan<S>> sampled_components(sampling_plan<S> const& plan) {
  std::vector<component_plan<S>> sampled{plan.all_weights};
  for (auto const& c : plan.components)
    if (c.moving.size() != plan.all_weights.moving.size()) sampled.push_back(c);
  return sampled;
}

/// The chains of one component.
template <class V, class S>
struct component_chains {
  component_plan<S> plan;               ///< what was run
  std::vector<V> chains;                ///< what each chain's visitor has seen
  std::vector<chain_outcome> outcomes;  ///< how each chain ended

  /// What the chains that did not diverge have seen; nothing where all did.
  std::optional<V> merged() const {
    std::optional<V> sum;
    for (std::size_t chain = 0; chain != chains.size(); ++chain) {
      if (outcomes[chain].diverged) continue;
      if (sum)
        sum->merge(chains[chain]);
      else
        sum = chains[chain];
    }
    return sum;
  }
  /// Chains that diverged.
  std::size_t dropped_chains() const {
    return static_cast<std::size_t>(
        std::count_if(outcomes.begin(), outcomes.end(), [](chain_outcome const& o) { return o.diverged; }));
  }
};

/// A task of a run: chains [first, first + count) of one planned component.
struct chain_task {
  std::size_t component = 0, first = 0, count = 0;  ///< number in the plan; chains
  /// Of chains that have ended with the first so many probes, and are followed again with the others.
  std::optional<std::size_t> known_probes = {};
};

/// The tasks of a run, in the order in which they are handed out. The longest come first, so that no worker is left
/// with one at the end; among equals those that hold most while they run, before what visitors hold has piled up.
/// Chains of a component that see the same minibatches are a task, while there remain enough tasks for every worker:
/// they go in step and share what is upstream.
template <Model M, class S>
std::vector<chain_task> tasks_of(M const& model, typename M::batch const& evaluation,
                                 std::vector<component_plan<S>> const& plan, sampling_options<S> const& options,
                                 std::size_t workers) {
  std::vector<std::size_t> order(plan.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  auto const size_and_memory = [&](std::size_t i) {
    std::size_t frozen = 0;
    if constexpr (CountsBytes<M>) frozen = model.frozen_bytes(plan[i].moving, evaluation);
    return std::pair(plan[i].moving.size(), frozen);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return size_and_memory(a) > size_and_memory(b); });
  std::size_t gang = options.common_minibatches ? options.chains : 1;
  std::size_t const wanted = workers == 1 ? 1 : 4 * workers;
  while (gang > 1 && plan.size() * options.chains / gang < wanted) gang = (gang + 1) / 2;
  std::vector<chain_task> tasks;
  for (std::size_t const component : order)
    for (std::size_t first = 0; first < options.chains; first += gang)
      tasks.push_back({component, first, std::min(gang, options.chains - first)});
  return tasks;
}

/// The length of the chains. Throws susc::error if no chains can have it.
template <class S>
chain_length checked_length(sampling_options<S> const& options) {
  chain_length const length{options.draws, options.burn_in, options.thinning, options.batch_size,
                            options.gradient_accumulation};
  check(length);
  require(options.chains > 0, "chains is 0, must be at least 1");
  require(options.chains < most_steps / length.steps(), "chains is ", options.chains, ", of ", length.steps(),
          " steps each, must make fewer than 2^48 steps");
  require(options.seconds_between_checkpoints >= 0, "seconds_between_checkpoints is ",
          options.seconds_between_checkpoints, ", must not be negative");
  return length;
}

/// The same; throws susc::error also if the center is not of the model or not finite.
template <Model M, class S>
chain_length checked_length(M const& model, std::span<typename M::scalar const> center,
                            sampling_options<S> const& options) {
  require(center.size() == model.parameter_count(), "the center has ", center.size(), " weights, the model ",
          model.parameter_count());
  for (std::size_t i = 0; i != center.size(); ++i)
    require(std::isfinite(center[i]), "weight ", i, " of the center is ", center[i], ", must be finite");
  return checked_length(options);
}

/// Throws susc::error if the evaluation set or a probe has no examples, or a probe no name or that of another.
template <Model M, class Minibatch>
void check_data(M const& model, data_distribution<typename M::batch, Minibatch> const& data,
                std::span<probe<typename M::batch> const> probes) {
  require(model.example_count(data.evaluation) != 0, "the evaluation set has 0 examples, must have at least 1");
  for (std::size_t p = 0; p != probes.size(); ++p) {
    std::string const& name = probes[p].name;
    require(!name.empty(), "probe ", p, " has no name");
    require(model.example_count(probes[p].batch) != 0, "probe '", name, "' has 0 examples, must have at least 1");
    for (std::size_t other = 0; other != p; ++other)
      require(probes[other].name != name, "probes ", other, " and ", p, " are both called '", name,
              "', each must have a name of its own");
  }
}

namespace detail {
/// One task, in the calling thread; what its chains see goes into `of`, which has room for options.chains chains.
/// `seen` tells of all probes where chains are kept.
template <Model M, class Minibatch, Sampler<typename M::scalar> S, Visitor<M> V>
void run_task(M const& model, std::span<typename M::scalar const> center,
              data_distribution<typename M::batch, Minibatch> const& data,
              std::span<probe<typename M::batch> const> probes, sampling_options<S> const& options,
              chain_length const& length, component_chains<V, S>& of, chain_task const& task,
              std::atomic<bool> const* stop = nullptr, std::atomic<bool> const* failed = nullptr,
              run_directory const* kept_in = nullptr, seen_probes const* seen = nullptr) {
  using T = typename M::scalar;
  kernels::flush_denormals const guard;
  if (chain_keeper<V>::set(stop) || chain_keeper<V>::set(failed)) chain_keeper<V>::throw_interrupted(kept_in);
  component const& c = of.plan.moving;
  random::key const seed{options.seed};
  random::key minibatches = random::fold_in(seed, "minibatches");
  if (!options.common_minibatches) minibatches = random::fold_in(random::fold_in(minibatches, c.name()), task.first);
  std::size_t const known = task.known_probes.value_or(0);
  draw<M> at(model, center, c, data.evaluation, probes.subspan(known));
  require(std::isfinite(at.center_loss()), "the loss of the evaluation set at the center is ", at.center_loss(),
          ", must be finite");
  auto const chains = std::span(of.chains).subspan(task.first, task.count);
  std::vector<V> followers;  // of chains that are followed again
  if (task.known_probes) followers.assign(chains.begin(), chains.end());
  auto const visiting = task.known_probes ? std::span(followers) : chains;
  std::vector<random::key> noise;
  for (std::size_t i = 0; i != task.count; ++i) {
    std::size_t const chain = task.first + i;
    noise.push_back(random::fold_in(random::fold_in(random::fold_in(seed, "noise"), c.name()), chain));
    visiting[i].start(at, draw_counts{length.draws, options.chains, chain});
    if constexpr (JoinsProbes<V, M>)
      if (task.known_probes) visiting[i].batch_like(chains[i]);
  }
  auto const chains_of = [&](auto const& minibatch) {
    return run_chains_in_step(
        model, center, c, of.plan.settings.posterior, of.plan.settings.sampler, minibatch, length, noise, minibatches,
        at, [&](std::size_t i, draw<M> const& here) { visiting[i].add(here); },
        [&] {
          if (options.progress) options.progress(c.size());
        },
        chain_keeper<V>{kept_in, visiting, &c.name(), task.first, length,
                        settings_of(c, of.plan.settings.posterior, of.plan.settings.sampler),
                        seen == nullptr ? seen_by_chains{} : seen->from(known), options.seconds_between_checkpoints,
                        stop, failed, task.known_probes ? run_directory::added_probes : run_directory::kept_chains});
  };
  std::vector<chain_outcome> outcomes;
  if constexpr (CorrectedSampler<S, T>)
    outcomes = chains_of([&](std::size_t, random::key) -> typename M::batch const& { return data.evaluation; });
  else
    outcomes = chains_of(data.minibatch);
  if (!task.known_probes)
    std::copy(outcomes.begin(), outcomes.end(), of.outcomes.begin() + static_cast<std::ptrdiff_t>(task.first));
  if constexpr (JoinsProbes<V, M> && can_be_kept<V, S, T>)
    if (task.known_probes) {
      draw<M> const all(model, center, c, data.evaluation, probes);
      for (std::size_t i = 0; i != task.count; ++i)
        join_added_probes<M, S>(*kept_in, c.name(), task.first + i, chains[i], of.outcomes[task.first + i],
                                followers[i], seen->from(0), all);
    }
}
}  // namespace detail

/// Runs the chains of every planned component at trained weights `center` (parameter_count,), each with a copy of
/// `visitor`. Same bits for every executor and number of threads, and for a component whatever others are planned.
/// In several processes (DistributedExecutor) each gives the same arguments and returns all chains.
/// Throws susc::error on unusable settings and data, susc::interrupted where options.stop was set; a chain that
/// diverges ends early and says so in its outcome. What the model or a visitor throws ends the run, as a susc::error
/// that names component, chain and step; the other chains are kept as they are then.
template <Model M, MinibatchSource<typename M::batch> Minibatch, Sampler<typename M::scalar> S, Visitor<M> V,
          Executor E = threads>
std::vector<component_chains<V, S>> run_chains(M const& model,
                                               std::type_identity_t<std::span<detail::scalar_of<M> const>> center,
                                               data_distribution<detail::batch_of<M>, Minibatch> const& data,
                                               std::type_identity_t<std::span<probe<detail::batch_of<M>> const>> probes,
                                               std::vector<component_plan<S>> const& plan,
                                               sampling_options<S> const& options, V const& visitor,
                                               E const& run = {}) {
  detail::check_refinements<M>();
  chain_length const length = checked_length(model, center, options);
  check_data(model, data, probes);
  std::vector<component_chains<V, S>> result;
  result.reserve(plan.size());
  for (auto const& p : plan)
    result.push_back({p, std::vector<V>(options.chains, visitor), std::vector<chain_outcome>(options.chains)});
  auto tasks = tasks_of(model, data.evaluation, plan, options, workers_of(run));
  std::optional<run_directory> directory;
  detail::seen_probes seen{probes.size(),
                           [&](std::size_t first, std::size_t count) {
                             if constexpr (Archivable<V>)
                               return detail::seen_at_center(model, center, data, probes.subspan(first, count),
                                                             visitor);
                             else
                               return detail::seen_by_chains{};
                           },
                           {}};
  bool const kept = !options.run_directory.empty();
  constexpr bool can_be_kept = detail::can_be_kept<V, S, typename M::scalar>;
  require(can_be_kept || !kept, "run_directory is '", options.run_directory.string(),
          "', but these chains cannot be kept: the visitor and the sampler's state need a `members` function, the "
          "sampler a `settings` function (io/archive.hpp, sampling/sgld.hpp)");
  auto const resume = [&] {
    if constexpr (can_be_kept)
      if (kept)
        tasks = detail::remaining_tasks<typename M::scalar>(tasks, result, *directory, length, seen,
                                                            options.resumed ? options.resumed : options.progress);
    for (chain_task const& task : tasks)
      require(JoinsProbes<V, M> || !task.known_probes, "run directory '", options.run_directory.string(),
              "': the probes of ended chains are other ones, and a visitor does not take more later: name another "
              "folder");
  };
  auto const described = [&] { return detail::run_settings(model, center, data, options, visitor); };
  if constexpr (DistributedExecutor<E>) {
    static_assert(Archivable<V>,
                  "the executor runs chains in other processes, from which what they have seen must come back: the "
                  "visitor needs `static void members(auto& self, auto&& each)` (io/archive.hpp)");
    auto const shared = [&](std::vector<run_setting> const& description) {
      return detail::settings_to_share(description, seen.of(0, probes.size()), plan, options);
    };
    run.prepare(
        [&] {
          auto const description = described();
          if (kept) directory.emplace(options.run_directory, description);
          resume();
          return shared(description);
        },
        [&](std::string const& first) {
          auto const description = described();
          detail::require_shared(first, shared(description));
          if (kept) directory = run_directory::joined(options.run_directory, description);
          resume();
        });
  } else if (kept) {
    directory.emplace(options.run_directory, described());
    resume();
  }
  detail::run_tasks(
      run, tasks.size(),
      [&](std::size_t i, std::atomic<bool> const* stop, std::atomic<bool> const* failed) {
        chain_task const& task = tasks[i];
        detail::run_task(model, center, data, probes, options, length, result[task.component], task, stop, failed,
                         directory ? &*directory : nullptr, directory ? &seen : nullptr);
      },
      [&](std::size_t i, auto&& each) {
        component_chains<V, S>& of = result[tasks[i].component];
        for (std::size_t chain = tasks[i].first; chain != tasks[i].first + tasks[i].count; ++chain)
          each(of.chains[chain], of.outcomes[chain]);
      },
      options.stop);
  return result;
}

}  // namespace susc
