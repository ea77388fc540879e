#pragma once
/// Checkpoints of chains in a run directory: what a run must share with the one it resumes, and when chains are kept.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/io/archive.hpp"
#include "susc/io/run_directory.hpp"
#include "susc/sampling/chain.hpp"
#include "susc/sampling/draw.hpp"
#include "susc/sampling/posterior.hpp"
#include "susc/sampling/visitor.hpp"

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

/// What chains see: probes by their losses at the center, and a visitor by what it is there.
struct seen_by_chains {
  std::vector<run_setting> probes;
  std::string visitor;
  static void members(auto& self, auto&& each) { each(self.probes, self.visitor); }
};
template <Model M, class Data, class V>
seen_by_chains seen_at_center(M const& model, std::span<typename M::scalar const> center, Data const& data,
                              std::span<probe<typename M::batch> const> probes, V visitor) {
  component const everything = full_component(center.size());
  draw<M> const at(model, center, everything, data.evaluation, probes);
  seen_by_chains seen;
  for (std::size_t p = 0; p != probes.size(); ++p) {
    index_range const range = at.probe_ranges()[p];
    seen.probes.push_back({"losses of probe '" + probes[p].name + "' at w*",
                           fingerprint(at.probe_losses().subspan(range.begin, range.size()))});
  }
  visitor.start(at, draw_counts{1, 1, 0});
  archive_writer started;
  started(visitor);
  seen.visitor = fingerprint(std::span<char const>(started.bytes()));
  return seen;
}

/// What chains see of the probes [first, first + count), once for all that ask.
struct seen_probes {
  std::size_t probes = 0;
  std::function<seen_by_chains(std::size_t first, std::size_t count)> look;
  std::map<std::pair<std::size_t, std::size_t>, seen_by_chains> found;

  seen_by_chains const& of(std::size_t first, std::size_t count) {
    auto const [at, fresh] = found.try_emplace({first, count});
    if (fresh) at->second = look(first, count);
    return at->second;
  }
  /// Of those from `first` on, which were asked for before: for several threads.
  seen_by_chains const& from(std::size_t first) const { return found.at({first, probes - first}); }
};

/// What all chains of a run share: model, weights and data by what they are at the center, and how long the chains are.
template <Model M, class Data, class Options, class V>
std::vector<run_setting> run_settings(M const& model, std::span<typename M::scalar const> center, Data const& data,
                                      Options const& options, V const&) {
  using T = typename M::scalar;
  auto const seen = [&](typename M::batch const& batch) {
    aligned_vector<T> losses(model.example_count(batch));
    model.losses(center, batch, std::span<T>(losses));
    return fingerprint(std::span<T const>(losses));
  };
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
  return {{"susc", library_version()},
          {"model", typeid(M).name()},
          {"weights", fingerprint(center)},
          {"losses of the evaluation set at w*", seen(data.evaluation)},
          {"losses of a minibatch at w*", minibatch()},
          {"visitor", typeid(V).name()},
          {"seed", exact_text(options.seed)},
          {"burn_in", exact_text(options.burn_in)},
          {"thinning", exact_text(options.thinning)},
          {"batch_size", exact_text(options.batch_size)},
          {"gradient_accumulation", exact_text(options.gradient_accumulation)},
          {"common_minibatches", exact_text(options.common_minibatches)}};
}

/// All that processes of one run must have been given alike, as bytes.
template <class Plan, class Options>
std::string settings_to_share(std::vector<run_setting> all, seen_by_chains const& seen, Plan const& plan,
                              Options const& options) {
  all.insert(all.end(), seen.probes.begin(), seen.probes.end());
  all.push_back({"visitor at w*", seen.visitor});
  all.push_back({"chains", exact_text(options.chains)});
  all.push_back({"draws", exact_text(options.draws)});
  all.push_back({"run_directory", options.run_directory.empty() ? "no" : "yes"});
  for (auto const& p : plan)
    for (run_setting& s : settings_of(p.moving, p.settings.posterior, p.settings.sampler))
      all.push_back({"component '" + p.moving.name() + "': " + s.name, std::move(s.value)});
  archive_writer to;
  to(all);
  return to.bytes();
}

/// Throws susc::error with what differs between these bytes of the first process and of this one.
inline void require_shared(std::string const& first, std::string const& here) {
  std::vector<run_setting> there, own;
  archive_reader(first, "settings of the first process: ")(there);
  archive_reader(here, "settings: ")(own);
  std::string const differences = differences_of(there, own);
  require(differences.empty(), "not the run of the first process: ", differences,
          ". All processes of a run must make the same calls");
}

/// A chain as it is kept, but for state and visitor, which follow.
struct kept_chain {
  std::vector<run_setting> settings;
  seen_by_chains seen;
  std::size_t draws = 0;  ///< planned
  chain_outcome outcome;
  static void members(auto& self, auto&& each) { each(self.settings, self.seen, self.draws, self.outcome); }

  bool ended(std::size_t wanted) const { return outcome.diverged || (outcome.draws == draws && draws == wanted); }
};

/// Throws susc::error if what was seen is not what is wanted.
inline void require_seen(seen_by_chains const& kept, seen_by_chains const& wanted, std::string const& where) {
  require_same(kept.probes, wanted.probes, where);
  require(kept.probes == wanted.probes, where, "has the probes in another order");
  require_same({{"visitor at w*", kept.visitor}}, {{"visitor at w*", wanted.visitor}}, where);
}

/// Reads the head of what was kept. Throws susc::error if the chain is not one of this run, whatever it has seen.
inline kept_chain read_kept_chain(archive_reader& from, std::vector<run_setting> const& settings,
                                  chain_length const& length, std::string const& where) {
  kept_chain kept;
  from(kept);
  require_same(kept.settings, settings, where);
  require(kept.draws <= length.draws, where, "has ", kept.draws, " draws, ", length.draws,
          " are wanted: draws can be added, not taken away");
  require(kept.outcome.draws <= kept.draws && kept.outcome.steps <= length.steps(), where, "is damaged: it has ",
          kept.outcome.steps, " steps and ", kept.outcome.draws, " draws, at most ", length.steps(), " and ",
          kept.draws, " are wanted");
  require(kept.draws == length.draws || kept.outcome.diverged || kept.outcome.draws == kept.draws, where, "has ",
          kept.outcome.draws, " of ", kept.draws, " draws, ", length.draws, " are wanted: resume with ", kept.draws,
          " before more are added");
  return kept;
}

inline std::string where_of(run_directory const& directory, std::string const& component, std::size_t chain,
                            std::string_view kind = run_directory::kept_chains) {
  return "file '" + directory.file_of(component, chain, kind).string() + "': ";
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
  seen_by_chains seen;
  double seconds_between = 60;
  std::atomic<bool> const* stop = nullptr;
  std::atomic<bool> const* failed = nullptr;  ///< another task of the run did
  std::string_view kind = run_directory::kept_chains;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();

  template <class State>
  void restore(std::size_t chain, State& state, chain_outcome& outcome) const {
    if constexpr (Archivable<State> && Archivable<V>) {
      if (directory == nullptr) return;
      auto const bytes = directory->load(*component, first + chain, kind);
      if (!bytes) return;
      std::string const where = where_of(*directory, *component, first + chain, kind);
      archive_reader from(*bytes, where);
      kept_chain const kept = read_kept_chain(from, settings, length, where);
      require_seen(kept.seen, seen, where);
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
    bool const stopping = !ended && (set(stop) || set(failed));
    auto const now = std::chrono::steady_clock::now();
    bool const due = std::chrono::duration<double>(now - last).count() >= seconds_between;
    if (directory != nullptr && (ended || stopping || due)) {
      keep(state_of, outcomes);
      last = now;
    }
    if (stopping) throw_interrupted(directory);
  }

  /// What the chains had done before the failure is kept. That fails too where memory or disk are full; the first
  /// failure is the one to tell.
  template <class StateOf>
  void after_failure(StateOf&& state_of, std::span<chain_outcome const> outcomes) const {
    if (directory == nullptr) return;
    try {
      keep(state_of, outcomes);
    } catch (std::exception const&) {
    }
  }

  static bool set(std::atomic<bool> const* flag) { return flag != nullptr && flag->load(std::memory_order_relaxed); }
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
        to(kept_chain{settings, seen, length.draws, outcomes[chain]}, state_of(chain), visitors[chain]);
        directory->save(*component, first + chain, to.bytes(), kind);
      }
  }
};

/// What is left of `tasks`: chains that have ended are put into `result`, others go on in step with those that stopped
/// at the same step, or ended with the same probes and lack the others. `resumed(parameters)` is told of the steps
/// done before.
template <class T, class Task, class Chains, class Resumed>
std::vector<Task> remaining_tasks(std::vector<Task> const& tasks, std::vector<Chains>& result,
                                  run_directory const& directory, chain_length const& length, seen_probes& seen,
                                  Resumed const& resumed) {
  std::vector<Task> left;
  std::size_t const probes = seen.probes;
  seen.of(0, probes);
  for (Task const& task : tasks) {
    Chains& of = result[task.component];
    component const& c = of.plan.moving;
    auto const settings = settings_of(c, of.plan.settings.posterior, of.plan.settings.sampler);
    bool joins = false;  // the task of the chain before, if that stopped at the same step with the same probes
    std::size_t step = 0;
    for (std::size_t chain = task.first; chain != task.first + task.count; ++chain) {
      kept_chain kept;
      Task next{task.component, chain, 1};
      if (auto const bytes = directory.load(c.name(), chain)) {
        std::string const where = where_of(directory, c.name(), chain);
        archive_reader from(*bytes, where);
        kept = read_kept_chain(from, settings, length, where);
        std::size_t const had = std::min(kept.seen.probes.size(), probes);
        require_seen(kept.seen, seen.of(0, had), where);
        if (had == probes)
          for (std::size_t s = 0; resumed && s != kept.outcome.steps; ++s) resumed(c.size());
        if (kept.ended(length.draws)) {
          sampler_state<decltype(of.plan.settings.sampler), T> state{};
          from(state, of.chains[chain]);
          from.finish();
          of.outcomes[chain] = kept.outcome;
          if (had == probes) {
            directory.forget_added_probes(c.name(), chain);
            joins = false;
            continue;
          }
        }
        if (had != probes) {
          require(kept.ended(length.draws), where, "has ", had, " of ", probes, " probes and ", kept.outcome.draws,
                  " of ", length.draws, " draws: end the run with these probes before others are added");
          next.known_probes = had;
          seen.of(had, probes - had);
        }
      }
      if (joins && step == kept.outcome.steps && left.back().known_probes == next.known_probes)
        ++left.back().count;
      else
        left.push_back(next);
      joins = true;
      step = kept.outcome.steps;
    }
  }
  return left;
}

/// A chain that has ended takes in `more`, what one that followed it saw of further probes, and is kept with them.
template <Model M, class S, JoinsProbes<M> V>
void join_added_probes(run_directory const& directory, std::string const& component, std::size_t chain, V& had,
                       chain_outcome& outcome, V const& more, seen_by_chains const& seen, draw<M> const& all) {
  using state = sampler_state<S, typename M::scalar>;
  std::string const where = where_of(directory, component, chain);
  // Both the head and the sampler's state, of what was kept and of what followed it.
  auto const read = [&](std::string_view kind, kept_chain& kept) {
    std::string const bytes = directory.load(component, chain, kind).value();
    archive_reader from(bytes, where_of(directory, component, chain, kind));
    state at{};
    from(kept, at);
    archive_writer to;
    to(at);
    return to.bytes();
  };
  kept_chain kept, followed;
  std::string const end = read(run_directory::kept_chains, kept);
  require(read(run_directory::added_probes, followed) == end && kept.outcome.steps == followed.outcome.steps, where,
          "followed again for its new probes, the chain came to another end; was it made on another machine? Name "
          "another run directory");
  had.join_probes(more, all);
  outcome.draw_seconds += followed.outcome.draw_seconds;
  kept.seen = seen;
  kept.outcome = outcome;
  archive_writer head, visitor;
  head(kept);
  visitor(had);
  directory.save(component, chain, head.bytes() + end + visitor.bytes());
  directory.forget_added_probes(component, chain);
}
}  // namespace detail

}  // namespace susc
