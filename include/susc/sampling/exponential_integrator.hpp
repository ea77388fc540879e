#pragma once
/// The exponential (Ornstein-Uhlenbeck) integrator: the priors are integrated exactly, the gradient of the loss is held
/// for a step. With κ = γ + λ, their mean μ = γ w*/κ and a = exp(-κ ε/2):
///   w' = μ + a (w - μ) - (nβ/κ) (1 - a) ĝ + √((1 - a²)/κ) ξ,   ξ ~ N(0, I)
/// As ε → 0 it is SGLD, and for κ = 0 it is SGLD at any ε. Along an eigenvalue c of the loss's curvature, with
/// m = nβ c + κ and r = nβ c/κ, the stationary variance is (1/m) (1 + a) / (1 + a - (1 - a) r), stable iff
/// r < (1 + a)/(1 - a): exact in flat directions at any step, and no better than SGLD where r is large.
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
struct exponential_integrator {
  double step_size = 1e-3;  ///< ε

  static void settings(auto& self, auto&& each) { each("step_size", self.step_size); }

  /// All that the next step needs: a checkpoint is a copy of it.
  template <std::floating_point T>
  struct state {
    aligned_vector<T> w;      ///< the moving weights
    std::uint64_t steps = 0;  ///< taken so far
    friend bool operator==(state const&, state const&) = default;
    static void members(auto& self, auto&& each) { each(self.w, self.steps); }
  };

  /// Throws susc::error if the step size is unusable; no localization makes it unstable.
  void check(posterior_settings const&) const {
    require(std::isfinite(step_size) && step_size > 0, "step_size is ", step_size, ", must be positive and finite");
  }

  /// At w0 (dimension,).
  template <std::floating_point T>
  state<T> init(std::span<T const> w0) const {
    return {{w0.begin(), w0.end()}, 0};
  }

  /// g (dimension,): gradient of the mean loss at s.w.
  template <std::floating_point T>
  state<T> step(state<T> s, std::span<T const> g, posterior<T> const& target, random::key key) const {
    double const pull = target.settings.localization + target.settings.weight_decay;
    // (1 - a)/κ and (1 - a²)/κ, with their limits at κ = 0.
    double const drift = pull == 0 ? step_size / 2 : -std::expm1(-pull * step_size / 2) / pull;
    double const variance = pull == 0 ? step_size : -std::expm1(-pull * step_size) / pull;
    T const held = static_cast<T>(drift), amplitude = static_cast<T>(std::sqrt(variance));
    // μ + a (w - μ) - w = -(1 - a)/κ times the slope of the priors: the step of SGLD with (1 - a)/κ for ε/2.
    kernels::for_each_normal<T>(s.w.size(), key, s.steps, [&](std::size_t i, T xi) {
      s.w[i] += amplitude * xi - held * target.slope(i, s.w[i], g[i]);
    });
    target.reflect(s.w);
    ++s.steps;
    return s;
  }
};

}  // namespace susc
