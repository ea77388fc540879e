#pragma once
/// What a run of chains will take, told before it: floating-point operations, memory and time.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/sampling/chains.hpp"

namespace susc {

/// The three parts of a task: set-up (what is frozen, losses at w*), and a step and a draw of one of its chains.
struct task_parts {
  double setup = 0, step = 0, draw = 0;  ///< of one task, one step, one draw
  friend bool operator==(task_parts const&, task_parts const&) = default;
  /// Of so many of each.
  double of(double tasks, double steps, double draws) const { return tasks * setup + steps * step + draws * draw; }
  static void members(auto& self, auto&& each) { each(self.setup, self.step, self.draw); }
};

/// What all chains of one component will take.
struct component_cost {
  std::string name = {};                        ///< of the component
  std::size_t tasks = 0, steps = 0, draws = 0;  ///< of all its chains
  std::optional<task_parts> operations = {};    ///< floating-point; nothing if the model does not count them
  task_parts seconds = {};                      ///< of one worker
  double task_bytes = 0;     ///< held while a task runs: states of its chains, frozen batches, losses
  double visitor_bytes = 0;  ///< held to the end of the run
  double total_seconds() const { return total(seconds); }  ///< of one worker, for all its chains
  /// Of all its chains.
  std::optional<double> total_operations() const {
    return operations ? std::optional(total(*operations)) : std::nullopt;
  }

 private:
  double total(task_parts const& of) const {
    return of.of(static_cast<double>(tasks), static_cast<double>(steps), static_cast<double>(draws));
  }
};

/// What a run will take: see estimate_cost.
struct cost {
  std::vector<component_cost> components = {};  ///< in the order of the plan
  std::size_t chains = 0;                       ///< of all components
  std::size_t workers = 0;                      ///< tasks at a time
  std::optional<double> operations = {};        ///< floating-point; nothing if the model does not count them
  double bytes = 0;                             ///< at the peak, beyond what the process holds before the run
  double workspace_bytes = 0;                   ///< of it, the model's working memory for all workers
  double seconds = 0;                           ///< from beginning to end, on that many workers
  double pilot_seconds = 0;                     ///< spent on this estimate
};

namespace detail {
/// A visitor, and what its like will hold in the run itself.
template <class V>
struct pilot_visitor {
  V visitor;
  draw_counts in_the_run = {};
  std::size_t bytes = 0;

  template <Model M>
  void start(draw<M> const& center, draw_counts counts) {
    V whole = visitor;
    whole.start(center, in_the_run);
    bytes = bytes_of(whole);
    visitor.start(center, counts);
  }
  template <Model M>
  void add(draw<M> const& at) {
    visitor.add(at);
  }
  void merge(pilot_visitor const& other) { visitor.merge(other.visitor); }
};

/// What one task of a component does and holds, counted.
template <Model M, class S>
struct task_count {
  using scalar = typename M::scalar;
  using batch = typename M::batch;
  M const& model;
  component const& moving;
  batch const& minibatch;
  batch const& evaluation;
  std::span<probe<batch> const> probes;
  std::size_t gang, accumulation;

  bool whole() const { return moving.size() == model.parameter_count(); }

  template <class F>
  double of_fixed_batches(F&& f) const {
    double sum = f(evaluation);
    for (auto const& p : probes) sum += f(p.batch);
    return sum;
  }

  std::optional<task_parts> operations() const {
    if constexpr (CountsOperations<M>) {
      component const everything = full_component(model.parameter_count());
      constexpr bool frozen_gradient = FreezableGradientModel<M>;
      bool const upstream = frozen_gradient && !whole();
      auto const gradient = model.operations(upstream ? pass::frozen_gradient : pass::gradient,
                                             upstream || RestrictedModel<M> ? moving : everything, minibatch);
      double const shared = upstream ? model.operations(pass::freeze, moving, minibatch) : 0;
      double const draw = of_fixed_batches([&](batch const& b) {
        return model.operations(FreezableModel<M> ? pass::frozen_losses : pass::losses, moving, b);
      });
      double const freeze = of_fixed_batches(
          [&](batch const& b) { return FreezableModel<M> ? model.operations(pass::freeze, moving, b) : 0; });
      return task_parts{freeze + draw,
                        static_cast<double>(accumulation) * (gradient + shared / static_cast<double>(gang)), draw};
    } else {
      return std::nullopt;
    }
  }

  /// A chain holds all weights, and of its component the start, the gradient and as many vectors as fit into its state.
  double bytes() const {
    using state = decltype(std::declval<S const&>().init(std::span<scalar const>()));
    constexpr std::size_t state_vectors = sizeof(state) / sizeof(std::vector<scalar>);
    double const all = static_cast<double>(model.parameter_count()), part = static_cast<double>(moving.size());
    double const vectors = static_cast<double>(2 + state_vectors + (accumulation > 1 ? 1 : 0));
    double numbers = static_cast<double>(gang) * (all + vectors * part);
    numbers += of_fixed_batches([&](batch const& b) { return static_cast<double>(model.example_count(b)); });
    if (!RestrictedModel<M> && !whole()) numbers += all;
    double sum = numbers * sizeof(scalar);
    if constexpr (CountsBytes<M>) {
      auto const frozen = [&](batch const& b) { return static_cast<double>(model.frozen_bytes(moving, b)); };
      if (FreezableModel<M>) sum += of_fixed_batches(frozen);
      if (FreezableGradientModel<M> && !whole()) sum += frozen(minibatch);
    }
    return sum;
  }
};

inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct tried_task {
  task_parts seconds;
  std::size_t visitor_bytes = 0;
  static void members(auto& self, auto&& each) { each(self.seconds, self.visitor_bytes); }
};

/// Runs a task of `gang` chains of some steps and draws. `options` are those of the run.
template <Model M, class Minibatch, Sampler<typename M::scalar> S, Visitor<M> V>
tried_task try_task(M const& model, std::span<typename M::scalar const> center,
                    data_distribution<typename M::batch, Minibatch> const& data,
                    std::span<probe<typename M::batch> const> probes, component_plan<S> plan,
                    sampling_options<S> options, V const& visitor, chain_length const& length, std::size_t gang) {
  pilot_visitor<V> const seeing{visitor, {options.draws, options.chains, 0}};
  component_chains<pilot_visitor<V>, S> of{std::move(plan), std::vector(options.chains, seeing),
                                           std::vector<chain_outcome>(options.chains)};
  of.plan.settings.sampler.step_size *= 1e-6;  // none diverges
  of.plan.settings.posterior.n_beta = std::min(1., of.plan.settings.posterior.n_beta);
  options.progress = {};
  double const begin = seconds_now();
  run_task(model, center, data, probes, options, length, of, chain_task{0, 0, gang}, options.stop);
  tried_task result{{.setup = seconds_now() - begin}, of.chains[0].bytes};
  double steps = 0, draws = 0;
  for (std::size_t chain = 0; chain != gang; ++chain) {
    chain_outcome const& o = of.outcomes[chain];
    require(!o.diverged, "component '", of.plan.moving.name(), "': the loss at the center is not finite");
    result.seconds.step += o.step_seconds;
    result.seconds.draw += o.draw_seconds;
    steps += static_cast<double>(o.steps);
    draws += static_cast<double>(o.draws);
  }
  result.seconds.setup = std::max(0., result.seconds.setup - result.seconds.step - result.seconds.draw);
  result.seconds.step /= steps;
  result.seconds.draw /= draws;
  return result;
}

struct schedule {
  double seconds = 0;  ///< until the last task is done
  double bytes = 0;    ///< of running tasks and of visitors begun, at the most
};

/// Tasks as an executor runs them: each worker takes the next one when it is free.
inline schedule schedule_of(std::span<chain_task const> tasks, std::vector<component_cost> const& components,
                            std::size_t workers) {
  struct worker {
    double free_at = 0, bytes = 0;
  };
  std::vector<worker> all(workers);
  schedule result;
  double visitors = 0;
  for (chain_task const& task : tasks) {
    component_cost const& of = components[task.component];
    auto const share = [&](std::size_t count) { return static_cast<double>(count) / static_cast<double>(of.tasks); };
    auto next = std::min_element(all.begin(), all.end(), [](auto& a, auto& b) { return a.free_at < b.free_at; });
    next->free_at += of.seconds.of(1, share(of.steps), share(of.draws));
    next->bytes = of.task_bytes;
    visitors += of.visitor_bytes / static_cast<double>(of.tasks);
    result.seconds = std::max(result.seconds, next->free_at);
    double running = visitors;
    for (worker const& w : all) running += w.bytes;
    result.bytes = std::max(result.bytes, running);
  }
  return result;
}
}  // namespace detail

/// What `run_chains` with these arguments will take. Operations are the model's count (CountsOperations) of every pass
/// over a batch, all probes being evaluated at every draw. Bytes are those of chains, frozen batches, working memory
/// and visitors; what model and visitor do not tell (CountsBytes, bytes_of) is missing, and what the allocator keeps of
/// freed memory. Seconds are those of a pilot: on as many workers at once as the run will have, tasks of each kind of
/// component take a few steps and draws, by the chains' own code, at a step size so small that none diverges. That
/// takes about 2 % of the run's time, of a short run more; of a long one a hundred steps or two draws, whichever is
/// more. On `options.stop` it ends by susc::interrupted. A visitor that works on many draws at a time seems dearer in
/// it than it is.
/// Throws susc::error as run_chains and the visitor would, and if the loss at the center is not finite.
template <Model M, MinibatchSource<typename M::batch> Minibatch, Sampler<typename M::scalar> S, Visitor<M> V,
          Executor E = threads>
cost estimate_cost(M const& model, std::type_identity_t<std::span<detail::scalar_of<M> const>> center,
                   data_distribution<detail::batch_of<M>, Minibatch> const& data,
                   std::type_identity_t<std::span<probe<detail::batch_of<M>> const>> probes,
                   std::vector<component_plan<S>> const& plan, sampling_options<S> const& options, V const& visitor,
                   E const& run = {}) {
  detail::check_refinements<M>();
  using batch = typename M::batch;
  constexpr bool corrected = CorrectedSampler<S, typename M::scalar>;
  double const begin = detail::seconds_now();
  chain_length const length = checked_length(model, center, options);
  check_data(model, data, probes);
  cost result{.chains = plan.size() * options.chains, .workers = workers_of(run)};
  auto const tasks = tasks_of(model, data.evaluation, plan, options, result.workers);
  if (tasks.empty()) return result;
  std::size_t const active = std::min(tasks.size(), result.workers), gang = tasks.front().count;

  batch minibatch;
  if constexpr (corrected)
    minibatch = data.evaluation;
  else if constexpr (RefillsMinibatches<Minibatch, batch>)
    data.minibatch(options.batch_size, random::key{options.seed}, minibatch);
  else
    minibatch = data.minibatch(options.batch_size, random::key{options.seed});
  std::vector<detail::task_count<M, S>> counts;
  for (auto const& c : plan)
    counts.push_back(
        {model, c.moving, minibatch, data.evaluation, probes, gang, corrected ? 1 : options.gradient_accumulation});

  // One component of each kind is tried: those of a kind take the same. Where the model does not count, all are.
  std::vector<std::size_t> tried, kind(plan.size());
  for (std::size_t c = 0; c != plan.size(); ++c) {
    auto const same = std::find_if(tried.begin(), tried.end(), [&](std::size_t other) {
      return CountsOperations<M> && counts[c].bytes() == counts[other].bytes() &&
             counts[c].operations() == counts[other].operations();
    });
    kind[c] = static_cast<std::size_t>(same - tried.begin());
    if (same == tried.end()) tried.push_back(c);
  }
  // Of each kind as many tasks as will run at a time, in the order of the run; then some more, so that none that is
  // measured has the machine to itself at the end.
  std::vector<std::size_t> trials, count(tried.size());
  for (chain_task const& task : tasks)
    if (count[kind[task.component]]++ < active) trials.push_back(kind[task.component]);
  std::size_t const counted = trials.size();
  trials.resize(counted + active - 1, trials.back());
  double const rounds = std::ceil(static_cast<double>(tasks.size()) / static_cast<double>(active));
  double const share = .02 * static_cast<double>(options.draws) * rounds / static_cast<double>(tried.size());
  constexpr double enough = 100;  // steps of a chain: 2 % of a run of days would be hours
  chain_length pilot = length;
  pilot.burn_in = 0;
  pilot.draws = std::clamp(static_cast<std::size_t>(std::min(share, enough / static_cast<double>(length.thinning))),
                           std::min<std::size_t>(2, options.draws), options.draws);
  chain_length const first{.draws = 1, .burn_in = 0, .thinning = 1, .batch_size = length.batch_size};
  std::vector<detail::tried_task> measured(trials.size());
  auto const try_out = [&](std::size_t i, std::atomic<bool> const* stop, std::atomic<bool> const*) {
    auto stopped_too = options;
    stopped_too.stop = stop;
    // Once to reserve this thread's working memory, then by the clock.
    for (auto const& [chains, steps] : {std::pair{std::size_t{1}, first}, {gang, pilot}})
      measured[i] =
          detail::try_task(model, center, data, probes, plan[tried[trials[i]]], stopped_too, visitor, steps, chains);
  };
  try {
    detail::run_tasks(
        run, trials.size(), try_out, [&](std::size_t i, auto&& each) { each(measured[i]); }, options.stop);
  } catch (interrupted const&) {
    throw interrupted("interrupted in the trial before the run; chains that are kept are as they were");
  }
  std::vector<detail::tried_task> mean(tried.size());
  for (std::size_t i = 0; i != counted; ++i) {
    auto& [seconds, visitor_bytes] = mean[trials[i]];
    double const part = 1 / static_cast<double>(std::min(active, count[trials[i]]));
    seconds.setup += part * measured[i].seconds.setup;
    seconds.step += part * measured[i].seconds.step;
    seconds.draw += part * measured[i].seconds.draw;
    visitor_bytes = measured[i].visitor_bytes;
  }

  for (std::size_t c = 0; c != plan.size(); ++c)
    result.components.push_back({.name = plan[c].moving.name(),
                                 .tasks = tasks.size() / plan.size(),
                                 .steps = options.chains * length.steps(),
                                 .draws = options.chains * options.draws,
                                 .operations = counts[c].operations(),
                                 .seconds = mean[kind[c]].seconds,
                                 .task_bytes = counts[c].bytes(),
                                 .visitor_bytes = static_cast<double>(options.chains * mean[kind[c]].visitor_bytes)});
  if constexpr (CountsOperations<M>) {
    result.operations = 0;
    for (component_cost const& c : result.components) *result.operations += *c.total_operations();
  }
  if constexpr (CountsBytes<M>) {
    std::size_t largest = std::max(model.workspace_bytes(minibatch), model.workspace_bytes(data.evaluation));
    for (auto const& p : probes) largest = std::max(largest, model.workspace_bytes(p.batch));
    result.workspace_bytes = static_cast<double>(active * largest);
  }
  auto const [seconds, bytes] = detail::schedule_of(tasks, result.components, active);
  result.seconds = seconds;
  result.bytes = result.workspace_bytes + bytes;
  result.pilot_seconds = detail::seconds_now() - begin;
  return result;
}

}  // namespace susc
