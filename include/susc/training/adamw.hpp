#pragma once
/// AdamW (Loshchilov & Hutter 2019), with warm-up and a linear decay at the end: enough to make the models that the
/// examples need. Same bits for every number of threads, interrupted and resumed or not.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/minibatch_source.hpp"
#include "susc/core/random.hpp"
#include "susc/training/checkpoint.hpp"

namespace susc {

namespace detail {
/// Minibatches are made of this many parts with a gradient each, whatever the number of threads: sums keep their order.
inline constexpr std::size_t gradient_parts = 4;
}  // namespace detail

/// AdamW's, under their customary names.
struct training_options {
  std::size_t steps = 2000;     ///< one minibatch each
  std::size_t batch_size = 32;  ///< a multiple of 4
  double learning_rate = 5e-3;  ///< the highest
  double beta1 = .9;            ///< memory of the gradient
  double beta2 = .98;           ///< memory of its square
  double epsilon = 1e-8;        ///< added to the root of the square
  double weight_decay = .3;     ///< on the coordinates in `decayed` only
  double clip = 1;              ///< largest norm of the gradient
  std::size_t warm_up = 100;    ///< steps of linear increase
  double decay_fraction = .3;   ///< part of the steps, at the end, over which the rate falls linearly to 0
  std::uint64_t seed = 1;       ///< of the minibatches
  /// After so many steps, ascending, the weights are handed to `on_snapshot`; 0 is before the first. See log_spaced.
  std::vector<std::size_t> snapshot_steps = {};
  /// Where the training is kept, so that one that ends early can be resumed, by the same call with the same weights to
  /// begin with, and ends with the bits of one that did not. Empty: nowhere.
  std::filesystem::path run_directory = {};
  double seconds_between_checkpoints = 60;  ///< at least
  /// Set to true from anywhere, it ends the training after the step under way: it is kept, susc::interrupted is thrown.
  std::atomic<bool> const* stop = nullptr;
  friend bool operator==(training_options const&, training_options const&) = default;
  /// Names what two trainings must share to have the same bits; snapshot_steps apart, which are compared too.
  static void settings(auto& self, auto&& each) {
    each("steps", self.steps);
    each("batch_size", self.batch_size);
    each("learning_rate", self.learning_rate);
    each("beta1", self.beta1);
    each("beta2", self.beta2);
    each("epsilon", self.epsilon);
    each("weight_decay", self.weight_decay);
    each("clip", self.clip);
    each("warm_up", self.warm_up);
    each("decay_fraction", self.decay_fraction);
    each("seed", self.seed);
  }
};

/// Thrown where the loss is no longer finite. Resumed, such a training ends at the same step.
class training_diverged : public error {
 public:
  using error::error;
};

/// Throws susc::error naming the first option that no training can have.
inline void check(training_options const& o) {
  require(o.steps > 0, "training steps is 0, must be at least 1");
  require(o.batch_size > 0 && o.batch_size % detail::gradient_parts == 0, "training batch_size is ", o.batch_size,
          ", must be a multiple of ", detail::gradient_parts);
  auto const within = [](char const* name, double value, bool right, char const* wanted) {
    require(right, "training ", name, " is ", value, ", must be ", wanted);
  };
  auto const finite = [](double x) { return std::isfinite(x); };
  within("learning_rate", o.learning_rate, o.learning_rate > 0 && finite(o.learning_rate), "positive and finite");
  within("beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "at least 0 and below 1");
  within("beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "at least 0 and below 1");
  within("epsilon", o.epsilon, o.epsilon > 0 && finite(o.epsilon), "positive and finite");
  within("weight_decay", o.weight_decay, o.weight_decay >= 0 && finite(o.weight_decay), "finite and not negative");
  within("clip", o.clip, o.clip > 0, "positive");  // infinite: none
  within("decay_fraction", o.decay_fraction, o.decay_fraction >= 0 && o.decay_fraction <= 1, "from 0 to 1");
  require(o.seconds_between_checkpoints >= 0, "training seconds_between_checkpoints is ", o.seconds_between_checkpoints,
          ", must not be negative");
  auto const& snapshots = o.snapshot_steps;
  require(std::adjacent_find(snapshots.begin(), snapshots.end(), std::greater_equal<>()) == snapshots.end(),
          "training: snapshot_steps must ascend, each given once");
  require(snapshots.empty() || snapshots.back() <= o.steps, "training: a snapshot is wanted after step ",
          snapshots.empty() ? 0 : snapshots.back(), ", there are ", o.steps);
}

/// The rate of step t = 0, 1, ...
inline double learning_rate(training_options const& o, std::size_t t) {
  double const rise = o.warm_up == 0 ? 1 : std::min(1., static_cast<double>(t + 1) / static_cast<double>(o.warm_up));
  double const tail = o.decay_fraction * static_cast<double>(o.steps);
  double const left = static_cast<double>(o.steps - t);
  return o.learning_rate * rise * (tail > 0 ? std::min(1., left / tail) : 1.);
}

/// Trains w (parameter_count,) in place. `minibatch(size, key)` draws a batch of the model's data; `decayed` are the
/// coordinates with weight decay; `run` an executor; `report(step, loss)` is called after each step; and
/// `on_snapshot(steps, weights)` where options.snapshot_steps say so, before the training is kept: where the process
/// was killed in between it is called again, with the same bits, and no snapshot is left out. Throws susc::error on
/// options that `check` refuses, weights or decayed coordinates that are not the model's, or a run directory of another
/// training; susc::training_diverged; susc::interrupted where options.stop was set.
template <Model M, GivesMinibatches<typename M::batch> Minibatch, Executor E>
void train_adamw(
    M const& model, std::span<detail::scalar_of<M>> w, Minibatch const& minibatch, std::span<index_range const> decayed,
    training_options const& options, E const& run,
    std::function<void(std::size_t step, double loss)> const& report = {},
    std::function<void(std::size_t steps, std::span<detail::scalar_of<M> const> weights)> const& on_snapshot = {}) {
  using T = typename M::scalar;
  constexpr std::size_t parts = detail::gradient_parts, pieces = 16;
  check(options);
  require(w.size() == model.parameter_count(), "training: ", w.size(), " weights given, the model has ",
          model.parameter_count());
  auto const& snapshots = options.snapshot_steps;
  require(snapshots.empty() || on_snapshot, "training: snapshot_steps are given, but no on_snapshot to take them");

  std::size_t const n = w.size();
  aligned_vector<T> gradients(parts * n);
  detail::training_state<T> state{0, aligned_vector<T>(n), aligned_vector<T>(n)};
  auto &first = state.first, &second = state.second;
  std::size_t& steps = state.steps;
  std::vector<char> decays(n, 0);
  for (index_range const r : decayed) {
    require(r.begin <= r.end && r.end <= n, "training: decayed range [", r.begin, ", ", r.end,
            ") is not within the model's ", n, " weights");
    std::fill(decays.data() + r.begin, decays.data() + r.end, 1);
  }
  auto const piece = [&](std::size_t i) { return index_range{i * n / pieces, (i + 1) * n / pieces}; };
  random::key const data = random::fold_in(random::key{options.seed}, "training");

  detail::training_keeper keeper{.seconds_between = options.seconds_between_checkpoints, .stop = options.stop};
  if (!options.run_directory.empty())
    keeper.directory.emplace(options.run_directory,
                             detail::training_settings(model, std::span<T const>(w), minibatch, decayed, options));
  keeper.restore(w, state);
  auto const snapshot = [&] {
    if (std::binary_search(snapshots.begin(), snapshots.end(), steps)) on_snapshot(steps, w);
  };
  if (steps == 0) snapshot();

  while (steps < options.steps) {
    std::size_t const step = steps;
    double losses[parts], squares[pieces];
    random::key const key = random::fold_in(data, step);
    run(parts, [&](std::size_t part) {
      auto const batch = minibatch(options.batch_size / parts, random::fold_in(key, part));
      losses[part] = static_cast<double>(model.loss_and_gradient(w, batch, std::span(gradients.data() + part * n, n)));
    });
    double loss = 0;
    for (double const l : losses) loss += l / parts;
    if (!std::isfinite(loss))
      throw training_diverged(detail::concatenate("training: the loss is ", loss, " at step ", step,
                                                  "; a smaller learning rate would help"));

    run(pieces, [&](std::size_t p) {
      index_range const r = piece(p);
      double sum = 0;
      for (std::size_t i = r.begin; i != r.end; ++i) {
        T g = gradients[i];
        for (std::size_t part = 1; part != parts; ++part) g += gradients[part * n + i];
        gradients[i] = g / T(parts);
        sum += static_cast<double>(gradients[i]) * static_cast<double>(gradients[i]);
      }
      squares[p] = sum;
    });
    double norm = 0;
    for (double const s : squares) norm += s;
    norm = std::sqrt(norm);

    T const shrink = static_cast<T>(norm > options.clip ? options.clip / norm : 1.);
    double const rate = learning_rate(options, step), t = static_cast<double>(step + 1);
    T const b1 = static_cast<T>(options.beta1), b2 = static_cast<T>(options.beta2);
    T const move = static_cast<T>(rate / (1 - std::pow(options.beta1, t)));
    T const second_scale = static_cast<T>(1 / (1 - std::pow(options.beta2, t)));
    T const epsilon = static_cast<T>(options.epsilon), keep = static_cast<T>(1 - rate * options.weight_decay);
    run(pieces, [&](std::size_t p) {
      index_range const r = piece(p);
      for (std::size_t i = r.begin; i != r.end; ++i) {
        T const g = shrink * gradients[i];
        first[i] = b1 * first[i] + (1 - b1) * g;
        second[i] = b2 * second[i] + (1 - b2) * g * g;
        w[i] = (decays[i] ? keep : T(1)) * w[i] - move * first[i] / (std::sqrt(second[i] * second_scale) + epsilon);
      }
    });
    ++steps;
    if (report) report(step, loss);
    snapshot();
    keeper.after_step(w, state, steps == options.steps);
  }
}

}  // namespace susc
