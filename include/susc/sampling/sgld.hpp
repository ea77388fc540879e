#pragma once
/// Stochastic gradient Langevin dynamics (Welling & Teh 2011), localised (Lau et al. 2023, arXiv 2308.12108):
///   w' = w - ε/2 [ nβ ĝ + γ (w - w*) + λ w ] + √ε σ ξ,   ξ ~ N(0, I)
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
struct sgld {
  double step_size = 1e-3;  ///< ε
  double noise = 1;         ///< σ

  static void settings(auto& self, auto&& each) {
    each("step_size", self.step_size);
    each("noise", self.noise);
  }

  /// All that the next step needs: a checkpoint is a copy of it.
  template <std::floating_point T>
  struct state {
    aligned_vector<T> w;      ///< the moving weights
    std::uint64_t steps = 0;  ///< taken so far
    friend bool operator==(state const&, state const&) = default;
    static void members(auto& self, auto&& each) { each(self.w, self.steps); }
  };

  /// Throws susc::error if a setting is unusable: the dynamics of the localization alone is stable iff ε (γ + λ) < 4.
  void check(posterior_settings const& p) const {
    require(std::isfinite(step_size) && step_size > 0, "step_size is ", step_size, ", must be positive and finite");
    require(std::isfinite(noise) && noise >= 0, "noise is ", noise, ", must not be negative or infinite");
    require(step_size * (p.localization + p.weight_decay) < 4, "step_size ", step_size,
            " is unstable with localization ", p.localization, ": their product must be below 4, and is best near 1");
  }

  /// At w0 (dimension,).
  template <std::floating_point T>
  state<T> init(std::span<T const> w0) const {
    return {{w0.begin(), w0.end()}, 0};
  }

  /// g (dimension,): gradient of the mean loss at s.w.
  template <std::floating_point T>
  state<T> step(state<T> s, std::span<T const> g, posterior<T> const& target, random::key key) const {
    T const half_step = static_cast<T>(step_size / 2), amplitude = static_cast<T>(std::sqrt(step_size) * noise);
    kernels::for_each_normal<T>(s.w.size(), key, s.steps, [&](std::size_t i, T xi) {
      s.w[i] += amplitude * xi - half_step * target.slope(i, s.w[i], g[i]);
    });
    target.reflect(s.w);
    ++s.steps;
    return s;
  }
};

}  // namespace susc
