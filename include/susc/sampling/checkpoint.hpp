#pragma once
/// Checkpoints of chains in a run directory: what a run must share with the one it resumes, and when chains are kept.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/io/archive.hpp"
#include "susc/sampling/chain.hpp"
#include "susc/sampling/draw.hpp"
#include "susc/sampling/posterior.hpp"
#include "susc/sampling/run_directory.hpp"
#include "susc/sampling/visitor.hpp"
#if __has_include("susc/version.hpp")
#include "susc/version.hpp"
#endif

namespace susc {

namespace detail {
/// settings(self, each) names a sampler's tuning: each("step_size", self.step_size); ...
template <class S>
concept has_settings = requires(S& sampler) {
  S::settings(sampler, [](char const*, auto const&) {});
};

/// Whether chains of sampler S in T with visitors V can be kept; where not, a run directory is refused.
template <class V, class S, class T>
concept can_be_kept = Archivable<V> && Archivable<sampler_state<S, T>> && has_settings<S>;

/// What a chain samples: the component's coordinates, posterior and sampler.
template <class S>
std::vector<run_setting> settings_of(component const& moving, posterior_settings const& p, S const& sampler) {
  archive_writer ranges;
  for (index_range const r : moving.ranges()) ranges(r);
  std::vector<run_setting> all{{"coordinates", fingerprint(std::span<char const>(ranges.bytes()))},
                               {"n_beta", exact_text(p.n_beta)},
                               {"localization", exact_text(p.localization)},
                               {"weight_decay", exact_text(p.weight_decay)},
                               {"bounding_box", exact_text(p.bounding_box)},
                               {"sampler", typeid(S).name()}};
  if constexpr (has_settings<S>)
    S::settings(sampler, [&](char const* name, auto const& value) { all.push_back({name, exact_text(value)}); });
  return all;
}

/// What all chains of a run share: model, weights, data and visitor by what they are at the center, and how long the
/// chains are.
template <Model M, class Data, class Options, class V>
std::vector<run_setting> run_settings(M const& model, std::span<typename M::scalar const> center, Data const& data,
                                      std::span<probe<typename M::batch> const> probes, Options const& options,
                                      V visitor) {
  using T = typename M::scalar;
#ifdef SUSC_VERSION_MAJOR
  std::string const library(version);
#else
  std::string const library = "of no version";
#endif
  auto const seen = [&](typename M::batch const& batch) {
    aligned_vector<T> losses(model.example_count(batch));
    model.losses(center, batch, std::span<T>(losses));
    return fingerprint(std::span<T const>(losses));
  };
  component const everything = full_component(center.size());
  draw<M> const at(model, center, everything, data.evaluation, probes);
  visitor.start(at, draw_counts{1, 1, 0});
  archive_writer started;
  started(visitor);
  auto const minibatch = [&] {
    random::key const key = random::fold_in({options.seed}, "checkpoint");
    if constexpr (RefillsMinibatches<decltype(data.minibatch), typename M::batch>) {
      typename M::batch batch{};
      data.minibatch(options.batch_size, key, batch);
      return seen(batch);
    } else {
      return seen(data.minibatch(options.batch_size, key));
    }
  };
  std::vector<run_setting> all{{"susc", library},
                               {"model", typeid(M).name()},
                               {"weights", fingerprint(center)},
                               {"losses of the evaluation set at w*", fingerprint(at.evaluation_losses())},
                               {"losses of a minibatch at w*", minibatch()},
                               {"visitor", typeid(V).name()},
                               {"visitor at w*", fingerprint(std::span<char const>(started.bytes()))},
                               {"seed", exact_text(options.seed)},
                               {"burn_in", exact_text(options.burn_in)},
                               {"thinning", exact_text(options.thinning)},
                               {"batch_size", exact_text(options.batch_size)},
                               {"gradient_accumulation", exact_text(options.gradient_accumulation)},
                               {"common_minibatches", exact_text(options.common_minibatches)}};
  for (std::size_t p = 0; p != probes.size(); ++p) {
    index_range const range = at.probe_ranges()[p];
    all.push_back({"losses of probe '" + probes[p].name + "' at w*",
                   fingerprint(at.probe_losses().subspan(range.begin, range.size()))});
  }
  return all;
}

/// A chain as it is kept, but for state and visitor, which follow.
struct kept_chain {
  std::vector<run_setting> settings;
  std::size_t draws = 0;  ///< planned
  chain_outcome outcome;
  static void members(auto& self, auto&& each) { each(self.settings, self.draws, self.outcome); }

  bool ended(chain_length const& length) const {
    return outcome.diverged || (outcome.draws == draws && draws == length.draws);
  }
};

/// Reads the head of what was kept. Throws susc::error if the chain is not one of this run.
inline kept_chain read_kept_chain(archive_reader& from, std::vector<run_setting> const& settings,
                                  chain_length const& length, std::string const& where) {
  kept_chain kept;
  from(kept);
  require_same(kept.settings, settings, where);
  require(kept.draws <= length.draws, where, "has ", kept.draws, " draws, ", length.draws,
          " are wanted: draws can be added, not taken away");
  require(kept.draws == length.draws || kept.outcome.diverged || kept.outcome.draws == kept.draws, where, "has ",
          kept.outcome.draws, " of ", kept.draws, " draws, ", length.draws, " are wanted: resume with ", kept.draws,
          " before more are added");
  return kept;
}

inline std::string where_of(run_directory const& directory, std::string const& component, std::size_t chain) {
  return "file '" + directory.file_of(component, chain).string() + "': ";
}

/// Keeps the chains [first, first + visitors.size()) of a component while they run in step.
template <class V>
struct chain_keeper {
  run_directory const* directory = nullptr;  ///< none: chains only stop when they are told to
  std::span<V> visitors;
  std::string const* component = nullptr;
  std::size_t first = 0;
  chain_length length;
  std::vector<run_setting> settings;
  double seconds_between = 60;
  std::atomic<bool> const* stop = nullptr;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();

  template <class State>
  void restore(std::size_t chain, State& state, chain_outcome& outcome) const {
    if constexpr (Archivable<State> && Archivable<V>) {
      if (directory == nullptr) return;
      auto const bytes = directory->load(*component, first + chain);
      if (!bytes) return;
      std::string const where = where_of(*directory, *component, first + chain);
      archive_reader from(*bytes, where);
      kept_chain const kept = read_kept_chain(from, settings, length, where);
      from(state, visitors[chain]);
      from.finish();
      outcome = kept.outcome;
      if (kept.draws == length.draws) return;
      if constexpr (ExtendableVisitor<V>)
        visitors[chain].extend(length.draws);
      else
        fail(where, "has ", kept.draws, " draws, ", length.draws,
             " are wanted: what this visitor holds cannot be extended");
    }
  }

  template <class StateOf>
  void after_step(StateOf&& state_of, std::span<chain_outcome const> outcomes, bool ended) {
    bool const stopping = !ended && stop != nullptr && stop->load(std::memory_order_relaxed);
    auto const now = std::chrono::steady_clock::now();
    bool const due = std::chrono::duration<double>(now - last).count() >= seconds_between;
    if (directory != nullptr && (ended || stopping || due)) {
      keep(state_of, outcomes);
      last = now;
    }
    if (stopping) throw_interrupted(directory);
  }

  static void throw_interrupted(run_directory const* directory) {
    if (directory == nullptr) throw interrupted("interrupted; nothing was kept, as there is no run directory");
    throw interrupted("interrupted; the chains are kept in '" + directory->path().string() +
                      "': the same run goes on from there");
  }

 private:
  template <class StateOf>
  void keep(StateOf&& state_of, std::span<chain_outcome const> outcomes) const {
    using state = std::remove_cvref_t<decltype(state_of(0))>;
    if constexpr (Archivable<state> && Archivable<V>)
      for (std::size_t chain = 0; chain != visitors.size(); ++chain) {
        archive_writer to;
        to(kept_chain{settings, length.draws, outcomes[chain]}, state_of(chain), visitors[chain]);
        directory->save(*component, first + chain, to.bytes());
      }
  }
};

/// What is left of `tasks`: chains that have ended are put into `result`, others go on in step with those that stopped
/// at the same step. `progress(parameters)` is told of the steps done before.
template <class T, class Task, class Chains, class Progress>
std::vector<Task> remaining_tasks(std::vector<Task> const& tasks, std::vector<Chains>& result,
                                  run_directory const& directory, chain_length const& length,
                                  Progress const& progress) {
  std::vector<Task> left;
  for (Task const& task : tasks) {
    Chains& of = result[task.component];
    component const& c = of.plan.moving;
    auto const settings = settings_of(c, of.plan.settings.posterior, of.plan.settings.sampler);
    bool joins = false;  // the task of the chain before, if that stopped at the same step
    std::size_t step = 0;
    for (std::size_t chain = task.first; chain != task.first + task.count; ++chain) {
      kept_chain kept;
      if (auto const bytes = directory.load(c.name(), chain)) {
        std::string const where = where_of(directory, c.name(), chain);
        archive_reader from(*bytes, where);
        kept = read_kept_chain(from, settings, length, where);
        for (std::size_t s = 0; progress && s != kept.outcome.steps; ++s) progress(c.size());
        if (kept.ended(length)) {
          sampler_state<decltype(of.plan.settings.sampler), T> state{};
          from(state, of.chains[chain]);
          from.finish();
          of.outcomes[chain] = kept.outcome;
          joins = false;
          continue;
        }
      }
      if (joins && step == kept.outcome.steps)
        ++left.back().count;
      else
        left.push_back({task.component, chain, 1});
      joins = true;
      step = kept.outcome.steps;
    }
  }
  return left;
}
}  // namespace detail

}  // namespace susc
