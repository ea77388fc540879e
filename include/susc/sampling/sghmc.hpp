#pragma once
/// Stochastic gradient Hamiltonian Monte Carlo (Chen, Fox & Guestrin 2014, arXiv 1402.4102, eq. 15), localised, in the
/// step size of SGLD:
///   v' = (1 - α) v - ε/2 [ nβ ĝ + γ (w - w*) + λ w ] + √(α ε) ξ,   ξ ~ N(0, I),   v = 0 at first
///   w' = w + v'
/// α = 1 is SGLD; a smaller friction carries the chain further along flat directions at the same step. On a Gaussian
/// target, the stationary variance along an eigenvalue m of the precision is 1 / (m (1 - ε m / (8 - 4α))), and gradient
/// noise of variance S multiplies it by 1 + ε nβ² S / (4α): the price of a small friction.
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
struct sghmc {
  double step_size = 1e-3;  ///< ε
  double friction = .1;     ///< α, the share of the momentum lost in a step

  static void settings(auto& self, auto&& each) {
    each("step_size", self.step_size);
    each("friction", self.friction);
  }

  /// All that the next step needs: a checkpoint is a copy of it.
  template <std::floating_point T>
  struct state {
    aligned_vector<T> w;         ///< the moving weights
    aligned_vector<T> momentum;  ///< v
    std::uint64_t steps = 0;     ///< taken so far
    friend bool operator==(state const&, state const&) = default;
    static void members(auto& self, auto&& each) { each(self.w, self.momentum, self.steps); }
  };

  /// Throws susc::error if a setting is unusable: the dynamics of the localization alone is stable iff
  /// ε (γ + λ) < 8 - 4α.
  void check(posterior_settings const& p) const {
    require(std::isfinite(step_size) && step_size > 0, "step_size is ", step_size, ", must be positive and finite");
    require(friction > 0 && friction <= 1, "friction is ", friction, ", must be above 0 and at most 1");
    require(step_size * (p.localization + p.weight_decay) < 8 - 4 * friction, "step_size ", step_size,
            " is unstable with localization ", p.localization, ": their product must be below ", 8 - 4 * friction);
  }

  /// At rest at w0 (dimension,).
  template <std::floating_point T>
  state<T> init(std::span<T const> w0) const {
    return {{w0.begin(), w0.end()}, aligned_vector<T>(w0.size()), 0};
  }

  /// g (dimension,): gradient of the mean loss at s.w.
  template <std::floating_point T>
  state<T> step(state<T> s, std::span<T const> g, posterior<T> const& target, random::key key) const {
    T const half_step = static_cast<T>(step_size / 2), kept = static_cast<T>(1 - friction),
            amplitude = static_cast<T>(std::sqrt(friction * step_size));
    kernels::for_each_normal<T>(s.w.size(), key, s.steps, [&](std::size_t i, T xi) {
      s.momentum[i] = kept * s.momentum[i] - half_step * target.slope(i, s.w[i], g[i]) + amplitude * xi;
      s.w[i] += s.momentum[i];
    });
    target.reflect(s.w, s.momentum);
    ++s.steps;
    return s;
  }
};

}  // namespace susc
