#pragma once
/// A chain: a sampler moving one component's weights on minibatch gradients, handing each draw to a visitor.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/error.hpp"
#include "susc/core/minibatch_source.hpp"
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
// clang-format off
template <class S, class T>
concept CorrectedSampler = Sampler<S, T> &&
    (detail::has_corrected_step<S, T> ||
     detail::because<"a CorrectedSampler needs `state step(state, evaluate, susc::posterior<T> const&, susc::random::key) const`, evaluate(std::span<T const> w, std::span<T> gradient) being the loss">);
// clang-format on

/// The data distribution q: a fixed evaluation set, and where minibatches come from, a MinibatchSource.
template <class Batch, class Minibatch>
struct data_distribution {
  Batch evaluation;     ///< on which L(w) is measured
  Minibatch minibatch;  ///< as above
};
template <class Batch, class Minibatch>
data_distribution(Batch, Minibatch) -> data_distribution<Batch, Minibatch>;  ///< which clang finds by itself from 17 on

/// How long a chain is, and on what it moves.
struct chain_length {
  std::size_t draws = 200;                ///< at which visitors are called
  std::size_t burn_in = 20;               ///< steps before the first draw
  std::size_t thinning = 1;               ///< steps a draw
  std::size_t batch_size = 32;            ///< in what the source of minibatches counts
  std::size_t gradient_accumulation = 1;  ///< minibatches whose mean gradient makes a step

  std::size_t steps() const { return burn_in + draws * thinning; }  ///< burn-in included
  friend bool operator==(chain_length const&, chain_length const&) = default;
};

/// No run has this many steps: at a microsecond each they would take nine years.
inline constexpr std::uint64_t most_steps = std::uint64_t{1} << 48;

/// Throws susc::error naming the count that is zero, or those that make more steps than any run takes.
inline void check(chain_length const& length) {
  require(length.draws > 0, "draws is 0, must be at least 1");
  require(length.thinning > 0, "thinning is 0, must be at least 1");
  require(length.batch_size > 0, "batch_size is 0, must be at least 1");
  require(length.gradient_accumulation > 0, "gradient_accumulation is 0, must be at least 1");
  std::uint64_t steps = 0;
  require(!__builtin_mul_overflow(length.draws, length.thinning, &steps) &&
              !__builtin_add_overflow(steps, length.burn_in, &steps) && steps < most_steps,
          "burn_in ", length.burn_in, " and draws ", length.draws, " x thinning ", length.thinning,
          ", must make fewer than 2^48 steps");
}

/// Streams of random numbers: the noise is a chain's own, minibatches may be shared by many chains.
struct chain_keys {
  random::key noise;        ///< of one chain
  random::key minibatches;  ///< shared or not
};

/// How a chain ended. A chain whose loss is no longer finite stops at that step; at a draw, also one whose weights are
/// not, or whose losses of the probes, where a visitor asks for them.
struct chain_outcome {
  std::size_t steps = 0;    ///< taken, the one at which it diverged among them
  std::size_t draws = 0;    ///< visited
  bool diverged = false;    ///< not finite, and stopped
  double step_seconds = 0;  ///< all steps together
  double draw_seconds = 0;  ///< evaluating and visiting all draws
  static void members(auto& self, auto&& each) {
    each(self.steps, self.draws, self.diverged, self.step_seconds, self.draw_seconds);
  }
};

/// The state of a sampler's chain in T.
template <class S, class T>
using sampler_state = decltype(std::declval<S const&>().init(std::span<T const>()));

/// Of chains whose interruption costs all of them.
struct keep_nothing {
  /// Puts `state` and `outcome` where the chain was when it was last kept, if it was.
  template <class State>
  void restore(std::size_t /*chain*/, State& /*state*/, chain_outcome& /*outcome*/) const {}
  /// Called after a step of all chains, after the last one too; state_of(chain) is the state.
  template <class StateOf>
  void after_step(StateOf&& /*state_of*/, std::span<chain_outcome const> /*outcomes*/, bool /*ended*/) const {}
  /// Called where a step cannot be taken, as the model throws: all chains are as they were after the step before.
  template <class StateOf>
  void after_failure(StateOf&& /*state_of*/, std::span<chain_outcome const> /*outcomes*/) const {}
  /// The number of the first chain within its component, for messages.
  static constexpr std::size_t first = 0;
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

namespace detail {
/// The component's gradient of one minibatch at the weights of several chains; upstream of it, once for all.
template <Model M>
class minibatch_gradient {
 public:
  using scalar = typename M::scalar;
  minibatch_gradient(M const& model, std::span<scalar const> center, component const& c)
      : model_(&model), center_(center), component_(&c) {}

  void take(typename M::batch const& batch) {
    batch_ = &batch;
    if constexpr (FreezableGradientModel<M>) {
      if (component_->size() != center_.size()) model_->freeze(center_, *component_, batch, frozen_);
    }
  }
  scalar operator()(std::span<scalar const> w, std::span<scalar> gradient) {
    if constexpr (FreezableGradientModel<M>) {
      if (component_->size() != w.size()) return model_->loss_and_gradient(w, frozen_, *component_, gradient);
    }
    return component_gradient(*model_, w, *batch_, *component_, gradient, whole_);
  }

 private:
  template <class Model_>
  struct frozen_of {
    using type = char;
  };
  template <FreezableGradientModel Model_>
  struct frozen_of<Model_> {
    using type = typename Model_::frozen;
  };
  M const* model_;
  std::span<scalar const> center_;
  component const* component_;
  typename M::batch const* batch_ = nullptr;
  typename frozen_of<M>::type frozen_{};
  aligned_vector<scalar> whole_;
};

/// f(); what it throws is thrown as a susc::error that says where, with what was thrown nested in it. A lack of memory
/// and an interruption stay what they are.
template <class F>
decltype(auto) located(F&& f, component const& c, std::size_t step, std::optional<std::size_t> chain = {}) {
  try {
    return std::forward<F>(f)();
  } catch (interrupted const&) {
    throw;
  } catch (std::bad_alloc const&) {
    throw;
  } catch (std::exception const& reason) {
    std::string const whose = chain ? concatenate("chain ", *chain, ",") : "minibatch of";
    std::throw_with_nested(
        error(concatenate("component '", c.name(), "', ", whose, " step ", step, ": ", reason.what())));
  }
}

/// One chain on its way.
template <Model M, Sampler<typename M::scalar> S>
class walker {
 public:
  using scalar = typename M::scalar;
  walker(std::span<scalar const> center, component const& c, posterior_settings const& settings, S const& sampler,
         random::key noise)
      : component_(&c),
        sampler_(sampler),
        noise_(noise),
        w_(center.begin(), center.end()),
        start_(gathered(center, c)),
        gradient_(c.size()),
        target_{settings, start_},
        state_(sampler.init(std::span<scalar const>(start_))) {}
  walker(walker&&) = default;  // what target_ points to moves along
  walker(walker const&) = delete;

  sampler_state<S, scalar>& state() { return state_; }
  /// All of w, the moving coordinates those of the chain's state.
  std::span<scalar const> weights() {
    component_->scatter(std::span<scalar const>(state_.w), std::span<scalar>(w_));
    return w_;
  }
  bool finite_weights() const {
    bool finite = true;
    for (scalar const w : state_.w) finite &= std::abs(w) <= std::numeric_limits<scalar>::max();
    return finite;
  }
  /// Adds the k-th minibatch's loss and gradient, of(w, gradient) -> loss, to those of this step.
  template <class Of>
  void accumulate(std::size_t k, Of&& of) {
    if (k == 0) {
      loss_ = of(weights(), std::span<scalar>(gradient_));
      return;
    }
    part_.resize(gradient_.size());
    loss_ += of(std::span<scalar const>(w_), std::span<scalar>(part_));
    for (std::size_t i = 0; i != part_.size(); ++i) gradient_[i] += part_[i];
  }
  /// A step with the mean of what was accumulated; false if its loss is not finite.
  bool step(std::size_t parts) {
    if (parts > 1) {
      loss_ /= static_cast<scalar>(parts);
      for (scalar& g : gradient_) g /= static_cast<scalar>(parts);
    }
    state_ = sampler_.step(std::move(state_), std::span<scalar const>(gradient_), target_, noise_);
    return std::isfinite(loss_);
  }
  /// A step that accepts or rejects by of(w, gradient).
  template <class Of>
  void corrected_step(Of&& of) {
    auto const evaluate = [&](std::span<scalar const> v, std::span<scalar> gradient) {
      component_->scatter(v, std::span<scalar>(w_));
      return of(std::span<scalar const>(w_), gradient);
    };
    state_ = sampler_.step(std::move(state_), evaluate, target_, noise_);
  }

 private:
  static aligned_vector<scalar> gathered(std::span<scalar const> from, component const& c) {
    aligned_vector<scalar> to(c.size());
    c.gather(from, std::span<scalar>(to));
    return to;
  }

  component const* component_;
  S sampler_;
  random::key noise_;
  aligned_vector<scalar> w_, start_, gradient_, part_;
  posterior<scalar> target_;
  sampler_state<S, scalar> state_;
  scalar loss_ = 0;
};
}  // namespace detail

/// Runs chains of one component in step, one for each key of `noise`, from `center` (parameter_count,), the weights
/// outside `c` frozen there. All see the minibatches of the key `minibatches`. After the burn-in, every `thinning`
/// steps, `at` is moved to the weights of each chain and given to `visit(chain, draw const&)`. `progress()` is called
/// after each step of each chain. `minibatch` is that of a data_distribution: asked for a new batch for each gradient,
/// by a corrected sampler always for the first one. What one chain does never depends on the others. `keep` is like
/// keep_nothing: chains go on from where it restores them, all those that go on from the same step. What the model, the
/// source of minibatches or a visitor throws ends all chains, as a susc::error that names component, chain and step.
template <Model M, MinibatchSource<typename M::batch> Minibatch, Sampler<typename M::scalar> S, class Visit,
          class Progress, class Keep = keep_nothing>
std::vector<chain_outcome> run_chains_in_step(M const& model, std::span<typename M::scalar const> center,
                                              component const& c, posterior_settings const& settings, S const& sampler,
                                              Minibatch const& minibatch, chain_length const& length,
                                              std::span<random::key const> noise, random::key minibatches, draw<M>& at,
                                              Visit&& visit, Progress&& progress, Keep&& keep = {}) {
  detail::check_refinements<M>();
  using T = typename M::scalar;
  constexpr bool refills = RefillsMinibatches<Minibatch, typename M::batch>;
  [[maybe_unused]] std::conditional_t<refills, typename M::batch, char> refilled{};
  auto const batch_of = [&](std::size_t number) -> decltype(auto) {
    random::key const key = random::fold_in(minibatches, number);
    if constexpr (refills)
      return minibatch(length.batch_size, key, refilled), std::as_const(refilled);
    else
      return minibatch(length.batch_size, key);
  };
  detail::minibatch_gradient<M> gradient(model, center, c);
  std::vector<detail::walker<M, S>> walkers;
  walkers.reserve(noise.size());
  for (random::key const key : noise) walkers.emplace_back(center, c, settings, sampler, key);
  std::vector<chain_outcome> outcomes(noise.size());
  std::size_t first_step = 0;
  for (std::size_t chain = 0; chain != walkers.size(); ++chain) {
    keep.restore(chain, walkers[chain].state(), outcomes[chain]);
    first_step = std::max(first_step, outcomes[chain].steps);
  }

  auto mark = std::chrono::steady_clock::now();
  auto const lap = [&] {
    auto const now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(mark, now)).count();
  };
  constexpr bool corrected = CorrectedSampler<S, T>;
  std::size_t const parts = corrected ? 1 : length.gradient_accumulation;
  std::vector<char> finite(walkers.size(), true);
  auto const each_alive = [&](auto&& act) {
    for (std::size_t chain = 0; chain != walkers.size(); ++chain)
      if (!outcomes[chain].diverged) act(chain);
  };
  auto const state_of = [&](std::size_t chain) -> auto const& {
    return walkers[chain].state();
  };
  std::size_t step = first_step;
  auto const of_chain = [&](std::size_t chain, auto&& act) { detail::located(act, c, step + 1, keep.first + chain); };
  auto const of_minibatch = [&](auto&& act) -> decltype(auto) { return detail::located(act, c, step + 1); };
  auto const take_gradients = [&] {
    for (std::size_t k = 0; k != parts; ++k) {
      auto const& batch = of_minibatch([&]() -> decltype(auto) { return batch_of(corrected ? 0 : step * parts + k); });
      of_minibatch([&] { gradient.take(batch); });
      each_alive([&](std::size_t chain) {
        of_chain(chain, [&] {
          if constexpr (corrected)
            walkers[chain].corrected_step(gradient);  // a proposal without a finite loss is rejected
          else
            walkers[chain].accumulate(k, gradient);
        });
      });
    }
  };
  for (; step < length.steps(); ++step) {
    try {
      take_gradients();
    } catch (...) {
      if constexpr (!corrected) keep.after_failure(state_of, std::span<chain_outcome const>(outcomes));
      throw;
    }
    std::size_t alive = 0;
    each_alive([&](std::size_t chain) {
      if constexpr (!corrected) finite[chain] = walkers[chain].step(parts);
      ++outcomes[chain].steps;
      ++alive;
    });
    if (alive == 0) break;
    double const seconds = lap() / static_cast<double>(alive);
    bool const drawn = step >= length.burn_in && (step + 1 - length.burn_in) % length.thinning == 0;
    each_alive([&](std::size_t chain) {
      outcomes[chain].step_seconds += seconds;
      if (drawn) {
        at.move_to(walkers[chain].weights());
        of_chain(chain, [&] {
          finite[chain] = finite[chain] && walkers[chain].finite_weights() && std::isfinite(at.evaluation_loss());
        });
      }
      outcomes[chain].diverged = !finite[chain];
      if (outcomes[chain].diverged) return;
      if (drawn) {
        of_chain(chain, [&] { visit(chain, std::as_const(at)); });
        ++outcomes[chain].draws;
        outcomes[chain].draw_seconds += lap();
        outcomes[chain].diverged = !at.finite();
      }
      if (!outcomes[chain].diverged) progress();
    });
    keep.after_step(state_of, std::span<chain_outcome const>(outcomes),
                    step + 1 == length.steps() ||
                        std::all_of(outcomes.begin(), outcomes.end(), [](auto const& o) { return o.diverged; }));
  }
  return outcomes;
}

/// One chain alone; `visit(draw const&)` and `progress(step)`.
template <Model M, MinibatchSource<typename M::batch> Minibatch, Sampler<typename M::scalar> S, class Visit,
          class Progress>
chain_outcome run_chain(M const& model, std::span<typename M::scalar const> center, component const& c,
                        posterior_settings const& settings, S const& sampler, Minibatch const& minibatch,
                        chain_length const& length, chain_keys keys, draw<M>& at, Visit&& visit, Progress&& progress) {
  std::size_t step = 0;
  return run_chains_in_step(
      model, center, c, settings, sampler, minibatch, length, std::span<random::key const>(&keys.noise, 1),
      keys.minibatches, at, [&](std::size_t, draw<M> const& here) { visit(here); }, [&] { progress(step++); })[0];
}

}  // namespace susc
