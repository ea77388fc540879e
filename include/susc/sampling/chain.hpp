#pragma once
/// A chain: a sampler moving one component's weights on minibatch gradients, handing each draw to a visitor.
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"
#include "susc/sampling/draw.hpp"
#include "susc/sampling/posterior.hpp"

namespace susc {

namespace detail {
template <class S>
concept has_tuning = requires(S sampler, posterior_settings p) {
  { sampler.step_size } -> std::convertible_to<double>;
  sampler.check(p);
};
template <class S, class T>
concept has_state = requires(S sampler, std::span<T const> values) {
  { sampler.init(values).w[0] } -> std::convertible_to<T>;
};
template <class S, class T>
concept has_gradient_step = requires(S sampler, std::span<T const> values, posterior<T> const& target,
                                     random::key key) {
  { sampler.step(sampler.init(values), values, target, key) } -> std::same_as<decltype(sampler.init(values))>;
};
template <class T>
struct evaluation {
  T operator()(std::span<T const> w, std::span<T> gradient) const;
};
template <class S, class T>
concept has_corrected_step = requires(S sampler, std::span<T const> values, evaluation<T> evaluate,
                                      posterior<T> const& target, random::key key) {
  { sampler.step(sampler.init(values), evaluate, target, key) } -> std::same_as<decltype(sampler.init(values))>;
};
}  // namespace detail

/// Tuning, `check`, and two functions: init(w0) -> state and step(state, gradient, posterior, key) -> state, the state
/// with a member w. A sampler that accepts or rejects (mala) has step(state, evaluate, posterior, key) instead.
// clang-format off
template <class S, class T>
concept Sampler =
    (detail::has_tuning<S> ||
     detail::because<"a Sampler needs a member `step_size` and `void check(susc::posterior_settings) const`">) &&
    (detail::has_state<S, T> ||
     detail::because<"a Sampler needs `state init(std::span<T const> w0) const`, the state with a member `w`">) &&
    (detail::has_gradient_step<S, T> || detail::has_corrected_step<S, T> ||
     detail::because<"a Sampler needs `state step(state, std::span<T const> gradient, susc::posterior<T> const&, susc::random::key) const`">);
// clang-format on

/// Accepts or rejects by the loss itself, so sees the evaluation set at every step instead of minibatches.
template <class S, class T>
concept CorrectedSampler = Sampler<S, T> && detail::has_corrected_step<S, T>;

/// Gives minibatches as batch(batch_size, random::key), or refills one: void(batch_size, random::key, batch&).
template <class F, class Batch>
concept RefillsMinibatches = std::invocable<F, std::size_t, random::key, Batch&>;
template <class F, class Batch>
concept MinibatchSource = RefillsMinibatches<F, Batch> || std::invocable<F, std::size_t, random::key>;

/// The data distribution q: a fixed evaluation set, and where minibatches come from.
template <class Batch, MinibatchSource<Batch> Minibatch>
struct data_distribution {
  Batch evaluation;
  Minibatch minibatch;
};
template <class Batch, class Minibatch>
data_distribution(Batch, Minibatch) -> data_distribution<Batch, Minibatch>;  // which clang finds by itself from 17 on

struct chain_length {
  std::size_t draws = 200;
  std::size_t burn_in = 20;  ///< steps before the first draw
  std::size_t thinning = 1;  ///< steps a draw
  std::size_t batch_size = 32;
  std::size_t gradient_accumulation = 1;  ///< minibatches whose mean gradient makes a step

  std::size_t steps() const { return burn_in + draws * thinning; }
  friend bool operator==(chain_length const&, chain_length const&) = default;
};

/// Throws susc::error naming the count that is zero.
inline void check(chain_length const& length) {
  require(length.draws > 0, "draws is 0, must be at least 1");
  require(length.thinning > 0, "thinning is 0, must be at least 1");
  require(length.batch_size > 0, "batch_size is 0, must be at least 1");
  require(length.gradient_accumulation > 0, "gradient_accumulation is 0, must be at least 1");
}

/// Streams of random numbers: the noise is a chain's own, minibatches may be shared by many chains.
struct chain_keys {
  random::key noise;
  random::key minibatches;
};

/// How a chain ended. A chain whose loss or weights are no longer finite stops at that step.
struct chain_outcome {
  std::size_t steps = 0;
  std::size_t draws = 0;
  bool diverged = false;
  double step_seconds = 0;  ///< all steps together
  double draw_seconds = 0;  ///< evaluating and visiting all draws
};

namespace detail {
template <Model M>
typename M::scalar component_gradient(M const& model, std::span<typename M::scalar const> w,
                                      typename M::batch const& batch, component const& c,
                                      std::span<typename M::scalar> gradient,
                                      aligned_vector<typename M::scalar>& whole) {
  if constexpr (RestrictedModel<M>) {
    if (c.size() != w.size()) return model.loss_and_gradient(w, batch, c, gradient);
  }
  if (c.size() == w.size()) return model.loss_and_gradient(w, batch, gradient);
  whole.resize(w.size());
  auto const loss = model.loss_and_gradient(w, batch, std::span(whole));
  c.gather(std::span<typename M::scalar const>(whole), gradient);
  return loss;
}
}  // namespace detail

/// Runs one chain from `center` (parameter_count,), the weights outside `c` frozen there. After the burn-in, every
/// `thinning` steps, `at` is moved to the weights and given to `visit(draw const&)`. `progress(step)` is called after
/// each step. `minibatch` is that of a data_distribution: asked for a new batch for each gradient, by a corrected
/// sampler always for the first one.
template <Model M, class Minibatch, Sampler<typename M::scalar> S, class Visit, class Progress>
chain_outcome run_chain(M const& model, std::span<typename M::scalar const> center, component const& c,
                        posterior_settings const& settings, S const& sampler, Minibatch const& minibatch,
                        chain_length const& length, chain_keys keys, draw<M>& at, Visit&& visit, Progress&& progress) {
  using T = typename M::scalar;
  aligned_vector<T> w(center.begin(), center.end()), start(c.size()), gradient(c.size()), part, whole;
  c.gather(center, std::span<T>(start));
  posterior<T> const target{settings, start};
  auto state = sampler.init(std::span<T const>(start));
  // Mean loss and gradient at the component's weights v, over the minibatches of a step.
  std::size_t const parts = length.gradient_accumulation;
  part.resize(parts > 1 ? c.size() : 0);
  constexpr bool refills = RefillsMinibatches<Minibatch, typename M::batch>;
  [[maybe_unused]] std::conditional_t<refills, typename M::batch, char> refilled{};
  auto const batch_of = [&](random::key key) -> decltype(auto) {
    if constexpr (refills)
      return minibatch(length.batch_size, key, refilled), std::as_const(refilled);
    else
      return minibatch(length.batch_size, key);
  };
  auto const evaluate = [&](std::size_t step, std::span<T const> v, std::span<T> mean) {
    c.scatter(v, std::span<T>(w));
    T loss = 0;
    for (std::size_t k = 0; k != parts; ++k) {
      auto const& batch = batch_of(random::fold_in(keys.minibatches, step * parts + k));
      std::span<T> const to = k == 0 ? mean : std::span<T>(part);
      loss += detail::component_gradient(model, std::span<T const>(w), batch, c, to, whole);
      for (std::size_t i = 0; k != 0 && i != mean.size(); ++i) mean[i] += part[i];
    }
    if (parts == 1) return loss;
    for (T& g : mean) g /= static_cast<T>(parts);
    return loss / static_cast<T>(parts);
  };
  auto const advance = [&](std::size_t step) {
    if constexpr (CorrectedSampler<S, T>) {
      auto const same = [&](std::span<T const> v, std::span<T> mean) { return evaluate(0, v, mean); };
      state = sampler.step(std::move(state), same, target, keys.noise);
      return true;  // a proposal without a finite loss was rejected
    } else {
      T const loss = evaluate(step, std::span<T const>(state.w), std::span<T>(gradient));
      state = sampler.step(std::move(state), std::span<T const>(gradient), target, keys.noise);
      return std::isfinite(loss);
    }
  };

  chain_outcome outcome;
  auto mark = std::chrono::steady_clock::now();
  auto const lap = [&](double& seconds) {
    auto const now = std::chrono::steady_clock::now();
    seconds += std::chrono::duration<double>(now - std::exchange(mark, now)).count();
  };
  for (std::size_t step = 0; step != length.steps(); ++step) {
    bool finite = advance(step);
    ++outcome.steps;
    lap(outcome.step_seconds);
    bool const drawn = step >= length.burn_in && (step + 1 - length.burn_in) % length.thinning == 0;
    if (drawn) {
      c.scatter(std::span<T const>(state.w), std::span<T>(w));
      at.move_to(w);
      finite = finite && std::isfinite(at.evaluation_loss());
    }
    if (!finite) {
      outcome.diverged = true;
      return outcome;
    }
    if (drawn) {
      visit(std::as_const(at));
      ++outcome.draws;
      lap(outcome.draw_seconds);
    }
    progress(step);
  }
  return outcome;
}

}  // namespace susc
