#pragma once
/// Checkpoints of a training in a run directory: what it must share with the one that it resumes, and when it is kept.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/component.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"
#include "susc/io/archive.hpp"
#include "susc/io/run_directory.hpp"

namespace susc::detail {

/// Model, weights before the first step, data by the losses of a minibatch there, and every option that moves a bit.
template <Model M, class Minibatch, class Options>
std::vector<run_setting> training_settings(M const& model, std::span<scalar_of<M> const> w, Minibatch const& minibatch,
                                           std::span<index_range const> decayed, Options const& options) {
  auto const batch = minibatch(options.batch_size, random::fold_in({options.seed}, "checkpoint"));
  aligned_vector<scalar_of<M>> losses(model.example_count(batch));
  model.losses(w, batch, std::span(losses));
  std::vector<std::size_t> bounds;
  for (index_range const r : decayed) bounds.insert(bounds.end(), {r.begin, r.end});
  std::vector<run_setting> all{{"susc", library_version()},
                               {"model", typeid(M).name()},
                               {"weights before training", fingerprint(w)},
                               {"losses of a minibatch at these", fingerprint(std::span<scalar_of<M> const>(losses))},
                               {"decayed coordinates", fingerprint(std::span<std::size_t const>(bounds))}};
  Options::settings(options, [&](char const* name, auto const& value) { all.push_back({name, exact_text(value)}); });
  std::string steps;
  for (std::size_t const step : options.snapshot_steps) steps += (steps.empty() ? "" : ",") + exact_text(step);
  all.push_back({"snapshot_steps", steps.empty() ? "none" : steps});
  return all;
}

/// What training carries from one step to the next, beside the weights.
template <class T>
struct training_state {
  std::size_t steps = 0;            ///< done
  aligned_vector<T> first, second;  ///< moving means of the gradient and of its square
};

/// Keeps a training while it runs; without a directory it only stops when it is told to.
struct training_keeper {
  std::optional<run_directory> directory = {};
  double seconds_between = 60;
  std::atomic<bool> const* stop = nullptr;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
  static constexpr char const* name = "training";

  /// Puts what was last kept, if anything, into weights and state.
  template <class T>
  void restore(std::span<T> w, training_state<T>& state) const {
    if (!directory) return;
    auto const bytes = directory->load(name);
    if (!bytes) return;
    std::string const where = "file '" + directory->file_of(name).string() + "': ";
    archive_reader from(*bytes, where);
    training_state<T> kept;
    aligned_vector<T> weights;
    from(kept.steps, weights, kept.first, kept.second);
    from.finish();
    for (std::size_t const size : {weights.size(), kept.first.size(), kept.second.size()})
      require(size == w.size(), where, "holds ", size, " numbers for ", w.size(), " weights");
    std::copy(weights.begin(), weights.end(), w.begin());
    state = std::move(kept);
  }

  /// Keeps what is due, and throws susc::interrupted where the training was told to stop.
  template <class T>
  void after_step(std::span<T> w, training_state<T> const& state, bool ended) {
    bool const stopping = !ended && stop != nullptr && stop->load(std::memory_order_relaxed);
    auto const now = std::chrono::steady_clock::now();
    bool const due = std::chrono::duration<double>(now - last).count() >= seconds_between;
    if (directory && (ended || stopping || due)) {
      archive_writer to;
      to(state.steps, aligned_vector<T>(w.begin(), w.end()), state.first, state.second);
      directory->save(name, to.bytes());
      last = now;
    }
    if (!stopping) return;
    if (!directory) throw interrupted("interrupted; nothing was kept, as there is no run directory");
    throw interrupted("interrupted; the training is kept in '" + directory->path().string() +
                      "': the same run goes on from there");
  }
};

}  // namespace susc::detail
