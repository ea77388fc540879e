#pragma once
/// AdamW (Loshchilov & Hutter 2019), with warm-up and a linear decay at the end: enough to make the models that the
/// examples need. Same bits for every number of threads.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/minibatch_source.hpp"
#include "susc/core/random.hpp"

namespace susc {

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
  friend bool operator==(training_options const&, training_options const&) = default;
};

/// The rate of step t = 0, 1, ...
inline double learning_rate(training_options const& o, std::size_t t) {
  double const rise = o.warm_up == 0 ? 1 : std::min(1., static_cast<double>(t + 1) / static_cast<double>(o.warm_up));
  double const tail = o.decay_fraction * static_cast<double>(o.steps);
  double const left = static_cast<double>(o.steps - t);
  return o.learning_rate * rise * (tail > 0 ? std::min(1., left / tail) : 1.);
}

namespace detail {
/// Minibatches are made of this many parts with a gradient each, whatever the number of threads: sums keep their order.
inline constexpr std::size_t gradient_parts = 4;
}  // namespace detail

/// Trains w (parameter_count,) in place. `minibatch(size, key)` draws a batch of the model's data; `decayed` are the
/// coordinates with weight decay; `run` an executor; `report(step, loss)` is called after each step.
/// Throws susc::error if the loss is no longer finite, or if there are no steps or the batch size is no multiple of 4.
template <Model M, GivesMinibatches<typename M::batch> Minibatch, Executor E>
void train_adamw(M const& model, std::span<detail::scalar_of<M>> w, Minibatch const& minibatch,
                 std::span<index_range const> decayed, training_options const& options, E const& run,
                 std::function<void(std::size_t step, double loss)> const& report = {}) {
  using T = typename M::scalar;
  constexpr std::size_t parts = detail::gradient_parts, pieces = 16;
  require(options.steps > 0, "training steps is 0, must be at least 1");
  require(options.batch_size > 0 && options.batch_size % parts == 0, "training batch_size is ", options.batch_size,
          ", must be a multiple of ", parts);
  require(w.size() == model.parameter_count(), "training: ", w.size(), " weights given, the model has ",
          model.parameter_count());

  std::size_t const n = w.size();
  aligned_vector<T> gradients(parts * n), first(n), second(n);
  std::vector<char> decays(n, 0);
  for (index_range const r : decayed) std::fill(decays.begin() + r.begin, decays.begin() + r.end, 1);
  auto const piece = [&](std::size_t i) { return index_range{i * n / pieces, (i + 1) * n / pieces}; };
  random::key const data = random::fold_in(random::key{options.seed}, "training");

  for (std::size_t step = 0; step != options.steps; ++step) {
    double losses[parts], squares[pieces];
    random::key const key = random::fold_in(data, step);
    run(parts, [&](std::size_t part) {
      auto const batch = minibatch(options.batch_size / parts, random::fold_in(key, part));
      losses[part] = static_cast<double>(model.loss_and_gradient(w, batch, std::span(gradients.data() + part * n, n)));
    });
    double loss = 0;
    for (double const l : losses) loss += l / parts;
    require(std::isfinite(loss), "training: the loss is ", loss, " at step ", step,
            "; a smaller learning rate would help");

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
    if (report) report(step, loss);
  }
}

}  // namespace susc
