#pragma once
/// The integrator of Leimkuhler & Matthews (2013, "Rational construction of stochastic numerical methods for molecular
/// sampling"): SGLD whose noise is the mean of two consecutive normals,
///   w' = w - ε/2 [ nβ ĝ + γ (w - w*) + λ w ] + √ε (ξ_t + ξ_{t+1}) / 2,   ξ ~ N(0, I)
/// at the same cost. On a Gaussian target of precision M, with exact gradients, its stationary covariance is M⁻¹ at
/// every stable ε, where SGLD's is M⁻¹ (I - ε M/4)⁻¹. Gradient noise adds to it what it adds to SGLD's.
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
struct leimkuhler_matthews {
  double step_size = 1e-3;  ///< ε

  static void settings(auto& self, auto&& each) { each("step_size", self.step_size); }

  /// All that the next step needs: a checkpoint is a copy of it.
  template <std::floating_point T>
  struct state {
    aligned_vector<T> w;      ///< the moving weights
    aligned_vector<T> noise;  ///< ξ of the step before, empty at first
    std::uint64_t steps = 0;  ///< taken so far
    friend bool operator==(state const&, state const&) = default;
    static void members(auto& self, auto&& each) { each(self.w, self.noise, self.steps); }
  };

  /// Throws susc::error if a setting is unusable: the dynamics of the localization alone is stable iff ε (γ + λ) < 4.
  void check(posterior_settings const& p) const {
    require(std::isfinite(step_size) && step_size > 0, "step_size is ", step_size, ", must be positive and finite");
    require(step_size * (p.localization + p.weight_decay) < 4, "step_size ", step_size,
            " is unstable with localization ", p.localization, ": their product must be below 4, and is best near 1");
  }

  /// At w0 (dimension,).
  template <std::floating_point T>
  state<T> init(std::span<T const> w0) const {
    return {{w0.begin(), w0.end()}, {}, 0};
  }

  /// g (dimension,): gradient of the mean loss at s.w.
  template <std::floating_point T>
  state<T> step(state<T> s, std::span<T const> g, posterior<T> const& target, random::key key) const {
    T const half_step = static_cast<T>(step_size / 2), amplitude = static_cast<T>(std::sqrt(step_size) / 2);
    if (s.noise.empty()) {
      s.noise.resize(s.w.size());
      kernels::normals<T>(s.noise, key, s.steps);
    }
    kernels::for_each_normal<T>(s.w.size(), key, s.steps + 1, [&](std::size_t i, T xi) {
      s.w[i] += amplitude * (s.noise[i] + xi) - half_step * target.slope(i, s.w[i], g[i]);
      s.noise[i] = xi;
    });
    target.reflect(s.w, s.noise);  // a wall turns the half of the noise that is still to come, too
    ++s.steps;
    return s;
  }
};

}  // namespace susc
