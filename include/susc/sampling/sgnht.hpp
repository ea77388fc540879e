#pragma once
/// Stochastic gradient Nosé-Hoover thermostat (Ding et al. 2014, "Bayesian sampling using stochastic gradient
/// thermostats"), localised, in the step size of SGLD:
///   v' = (1 - ζ) v - ε/2 [ nβ ĝ + γ (w - w*) + λ w ] + √(A ε) ξ,   ξ ~ N(0, I),   v = 0 at first
///   w' = w + v'
///   ζ' = ζ + |(v + v')/2|² / dimension - ε/2,   ζ = A at first
/// The friction ζ rises until the momentum has its thermal size: gradient noise of the same variance in every
/// coordinate is thus taken out without being known. Ding et al. measure |v'|², which in this discretisation is
/// 1/(1 - A/2) times too large even as ε → 0, and so cool w by about 1 - A/2 at every step size; the momentum halfway
/// through the kick has variance ε/2 exactly for `sghmc` on any Gaussian, so that with exact gradients the law is that
/// of `sghmc` with friction A but for the fluctuations of ζ: their variance is near ε/(2 dimension). Gradient noise of
/// variance S makes it that of friction ζ = A + ε nβ² S/4, reached in some 2ζ/ε steps.
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
struct sgnht {
  double step_size = 1e-3;  ///< ε
  double diffusion = .1;    ///< A: the friction where gradients are exact

  static void settings(auto& self, auto&& each) {
    each("step_size", self.step_size);
    each("diffusion", self.diffusion);
  }

  /// All that the next step needs: a checkpoint is a copy of it.
  template <std::floating_point T>
  struct state {
    aligned_vector<T> w;         ///< the moving weights
    aligned_vector<T> momentum;  ///< v
    double friction = 0;         ///< ζ
    std::uint64_t steps = 0;     ///< taken so far
    friend bool operator==(state const&, state const&) = default;
    static void members(auto& self, auto&& each) { each(self.w, self.momentum, self.friction, self.steps); }
  };

  /// Throws susc::error if a setting is unusable: at friction A the dynamics of the localization alone is stable iff
  /// ε (γ + λ) < 8 - 4A.
  void check(posterior_settings const& p) const {
    require(std::isfinite(step_size) && step_size > 0, "step_size is ", step_size, ", must be positive and finite");
    require(diffusion > 0 && diffusion <= 1, "diffusion is ", diffusion, ", must be above 0 and at most 1");
    require(step_size * (p.localization + p.weight_decay) < 8 - 4 * diffusion, "step_size ", step_size,
            " is unstable with localization ", p.localization, ": their product must be below ", 8 - 4 * diffusion);
  }

  /// At rest at w0 (dimension,).
  template <std::floating_point T>
  state<T> init(std::span<T const> w0) const {
    return {{w0.begin(), w0.end()}, aligned_vector<T>(w0.size()), diffusion, 0};
  }

  /// g (dimension,): gradient of the mean loss at s.w.
  template <std::floating_point T>
  state<T> step(state<T> s, std::span<T const> g, posterior<T> const& target, random::key key) const {
    T const half_step = static_cast<T>(step_size / 2), kept = static_cast<T>(1 - s.friction),
            amplitude = static_cast<T>(std::sqrt(diffusion * step_size));
    double square = 0;
    kernels::for_each_normal<T>(s.w.size(), key, s.steps, [&](std::size_t i, T xi) {
      T const before = s.momentum[i];
      s.momentum[i] = kept * before - half_step * target.slope(i, s.w[i], g[i]) + amplitude * xi;
      s.w[i] += s.momentum[i];
      double const halfway = .5 * (static_cast<double>(before) + static_cast<double>(s.momentum[i]));
      square += halfway * halfway;
    });
    target.reflect(s.w, s.momentum);
    s.friction += square / static_cast<double>(s.w.size()) - step_size / 2;
    ++s.steps;
    return s;
  }
};

}  // namespace susc
