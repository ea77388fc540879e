#pragma once
/// A chain: a sampler moving one component's weights on minibatch gradients, handing each draw to a visitor.
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"
#include "susc/sampling/draw.hpp"
#include "susc/sampling/posterior.hpp"

namespace susc {

/// Tuning, `check`, and two functions: init(w0) -> state and step(state, gradient, posterior, key) -> state, the state
/// with a member w.
template <class S, class T>
concept Sampler = requires(S sampler, std::span<T const> values, posterior<T> const& target, posterior_settings p,
                           random::key key) {
  { sampler.step_size } -> std::convertible_to<double>;
  sampler.check(p);
  { sampler.step(sampler.init(values), values, target, key) } -> std::same_as<decltype(sampler.init(values))>;
  { sampler.init(values).w[0] } -> std::convertible_to<T>;
};

/// The data distribution q: a fixed evaluation set, and minibatches as a function minibatch(batch_size, random::key).
template <class Batch, std::invocable<std::size_t, random::key> Minibatch>
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

  std::size_t steps() const { return burn_in + draws * thinning; }
  friend bool operator==(chain_length const&, chain_length const&) = default;
};

/// Throws susc::error naming the count that is zero.
inline void check(chain_length const& length) {
  require(length.draws > 0, "draws is 0, must be at least 1");
  require(length.thinning > 0, "thinning is 0, must be at least 1");
  require(length.batch_size > 0, "batch_size is 0, must be at least 1");
}

/// Streams of random numbers: the noise is a chain's own, minibatches may be shared by many chains.
struct chain_keys {
  random::key noise;
  random::key minibatches;
};

/// How a chain ended. A chain whose loss or weights are no longer finite stops at that step.
struct chain_outcome {
  std::size_t steps = 0;
  bool diverged = false;
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
/// each step.
template <Model M, class Minibatch, Sampler<typename M::scalar> S, class Visit, class Progress>
chain_outcome run_chain(M const& model, std::span<typename M::scalar const> center, component const& c,
                        posterior_settings const& settings, S const& sampler, Minibatch const& minibatch,
                        chain_length const& length, chain_keys keys, draw<M>& at, Visit&& visit, Progress&& progress) {
  using T = typename M::scalar;
  aligned_vector<T> w(center.begin(), center.end()), start(c.size()), gradient(c.size()), whole;
  c.gather(center, std::span<T>(start));
  posterior<T> const target{settings, start};
  auto state = sampler.init(std::span<T const>(start));
  chain_outcome outcome;
  for (std::size_t step = 0; step != length.steps(); ++step) {
    auto const batch = minibatch(length.batch_size, random::fold_in(keys.minibatches, step));
    T const loss = detail::component_gradient(model, std::span<T const>(w), batch, c, std::span<T>(gradient), whole);
    state = sampler.step(std::move(state), std::span<T const>(gradient), target, keys.noise);
    c.scatter(std::span<T const>(state.w), std::span<T>(w));
    ++outcome.steps;
    bool const drawn = step >= length.burn_in && (step + 1 - length.burn_in) % length.thinning == 0;
    if (drawn) at.move_to(w);
    if (!std::isfinite(loss) || (drawn && !std::isfinite(at.evaluation_loss()))) {
      outcome.diverged = true;
      return outcome;
    }
    if (drawn) visit(std::as_const(at));
    progress(step);
  }
  return outcome;
}

}  // namespace susc
