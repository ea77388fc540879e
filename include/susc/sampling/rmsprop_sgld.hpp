#pragma once
/// SGLD preconditioned by RMSprop (Li et al. 2016, arXiv 1512.07666, without the term in the preconditioner's
/// derivative, as is customary):
///   V' = α V + (1 - α) ĝ²,   G = 1 / (√V' + δ),   V = 0 at first
///   w' = w - ε/2 G [ nβ ĝ + γ (w - w*) + λ w ] + √(ε G) σ ξ,   ξ ~ N(0, I)
/// While G is constant the stationary covariance X on a Gaussian target of precision M solves X = F X Fᵀ + ε σ² G,
/// F = I - ε/2 G M. That G follows the gradients biases the law by an amount that does not vanish with ε.
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/random.hpp"
#include "susc/kernels/langevin.hpp"
#include "susc/sampling/posterior.hpp"

namespace susc {

/// See the top of this file.
struct rmsprop_sgld {
  double step_size = 1e-3;  ///< ε
  double noise = 1;         ///< σ
  double decay = .99;       ///< α: memory of the squared gradients
  double stability = .1;    ///< δ: G is at most 1/δ

  static void settings(auto& self, auto&& each) {
    each("step_size", self.step_size);
    each("noise", self.noise);
    each("decay", self.decay);
    each("stability", self.stability);
  }

  /// All that the next step needs: a checkpoint is a copy of it.
  template <std::floating_point T>
  struct state {
    aligned_vector<T> w;       ///< the moving weights
    aligned_vector<T> square;  ///< V
    std::uint64_t steps = 0;   ///< taken so far
    friend bool operator==(state const&, state const&) = default;
    static void members(auto& self, auto&& each) { each(self.w, self.square, self.steps); }
  };

  /// Throws susc::error if a setting is unusable: where gradients vanish, ε (γ + λ) / δ must be below 4.
  void check(posterior_settings const& p) const {
    require(std::isfinite(step_size) && step_size > 0, "step_size is ", step_size, ", must be positive and finite");
    require(std::isfinite(noise) && noise >= 0, "noise is ", noise, ", must not be negative or infinite");
    require(decay >= 0 && decay <= 1, "decay is ", decay, ", must be from 0 to 1");
    require(std::isfinite(stability) && stability > 0, "stability is ", stability, ", must be positive and finite");
    require(step_size * (p.localization + p.weight_decay) / stability < 4, "step_size ", step_size,
            " is unstable with localization ", p.localization, " and stability ", stability,
            ": step_size localization / stability must be below 4");
  }

  /// At w0 (dimension,), V = 0.
  template <std::floating_point T>
  state<T> init(std::span<T const> w0) const {
    return {{w0.begin(), w0.end()}, aligned_vector<T>(w0.size()), 0};
  }

  /// g (dimension,): gradient of the mean loss at s.w.
  template <std::floating_point T>
  state<T> step(state<T> s, std::span<T const> g, posterior<T> const& target, random::key key) const {
    T const half_step = static_cast<T>(step_size / 2), amplitude = static_cast<T>(std::sqrt(step_size) * noise);
    T const old = static_cast<T>(decay), fresh = static_cast<T>(1 - decay), delta = static_cast<T>(stability);
    kernels::for_each_normal<T>(s.w.size(), key, s.steps, [&](std::size_t i, T xi) {
      s.square[i] = old * s.square[i] + fresh * g[i] * g[i];
      T const scale = 1 / (std::sqrt(s.square[i]) + delta);
      s.w[i] += amplitude * std::sqrt(scale) * xi - half_step * scale * target.slope(i, s.w[i], g[i]);
    });
    target.reflect(s.w);
    ++s.steps;
    return s;
  }
};

}  // namespace susc
