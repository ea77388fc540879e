#pragma once
/// The Metropolis-adjusted Langevin algorithm (Roberts & Tweedie 1996): a step of SGLD with the exact gradient is only
/// a proposal, accepted with probability min(1, p(w') q(w|w') / (p(w) q(w'|w))), which leaves the posterior invariant
/// at every step size. For small models, as the reference of the other samplers; and its acceptance probability tells
/// how far a step size is from exact.
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/random.hpp"
#include "susc/kernels/langevin.hpp"
#include "susc/sampling/posterior.hpp"

namespace susc {

/// log of p(w') q(w|w') / (p(w) q(w'|w)) for a Langevin proposal of step size ε. `energy` is -log p, `slope`
/// (dimension,) its gradient.
template <std::floating_point T>
double log_acceptance_ratio(double step_size, std::span<T const> from, double from_energy,
                            std::span<T const> from_slope, std::span<T const> to, double to_energy,
                            std::span<T const> to_slope) {
  if (!std::isfinite(to_energy)) return -std::numeric_limits<double>::infinity();
  double const half = step_size / 2;
  double forth = 0, back = 0;
  for (std::size_t i = 0; i != from.size(); ++i) {
    double const move = static_cast<double>(to[i]) - static_cast<double>(from[i]);
    double const there = move + half * static_cast<double>(from_slope[i]);
    double const returning = half * static_cast<double>(to_slope[i]) - move;
    forth += there * there;
    back += returning * returning;
  }
  return from_energy - to_energy + (forth - back) / (2 * step_size);
}

/// See the top of this file.
struct mala {
  double step_size = 1e-3;  ///< ε

  static void settings(auto& self, auto&& each) { each("step_size", self.step_size); }

  /// All that the next step needs: a checkpoint is a copy of it.
  template <std::floating_point T>
  struct state {
    aligned_vector<T> w;                         ///< the moving weights
    aligned_vector<T> slope;                     ///< of -log p at w, empty at first
    double energy = 0;                           ///< -log p at w
    aligned_vector<T> proposal, proposal_slope;  ///< of the last step: memory only
    std::uint64_t accepted = 0;                  ///< of the steps
    std::uint64_t steps = 0;                     ///< taken so far
    static void members(auto& self, auto&& each) {
      each(self.w, self.slope, self.energy, self.proposal, self.proposal_slope, self.accepted, self.steps);
    }
    /// Of all that the next step needs.
    friend bool operator==(state const& a, state const& b) {
      return a.w == b.w && a.slope == b.slope && a.energy == b.energy && a.accepted == b.accepted && a.steps == b.steps;
    }
  };

  /// Throws susc::error if the step size is unusable.
  void check(posterior_settings const&) const {
    require(std::isfinite(step_size) && step_size > 0, "step_size is ", step_size, ", must be positive and finite");
  }

  /// At w0 (dimension,).
  template <std::floating_point T>
  state<T> init(std::span<T const> w0) const {
    return {{w0.begin(), w0.end()}, {}, 0, aligned_vector<T>(w0.size()), aligned_vector<T>(w0.size()), 0, 0};
  }

  /// `evaluate(w, gradient)` is the mean loss at w (dimension,) and writes its gradient; the same function at every
  /// step, so the batch behind it must not change. The first step evaluates twice.
  template <std::floating_point T, std::invocable<std::span<T const>, std::span<T>> Evaluate>
  state<T> step(state<T> s, Evaluate&& evaluate, posterior<T> const& target, random::key key) const {
    auto const look = [&](std::span<T const> w, std::span<T> slope) {
      T const loss = evaluate(w, slope);
      for (std::size_t i = 0; i != w.size(); ++i) slope[i] = target.slope(i, w[i], slope[i]);
      return target.energy(w, loss);
    };
    if (s.slope.empty()) {
      s.slope.resize(s.w.size());
      s.energy = look(std::span<T const>(s.w), std::span<T>(s.slope));
    }
    T const half_step = static_cast<T>(step_size / 2), amplitude = static_cast<T>(std::sqrt(step_size));
    kernels::normals<T>(s.proposal, key, s.steps);
    for (std::size_t i = 0; i != s.w.size(); ++i)
      s.proposal[i] = s.w[i] + amplitude * s.proposal[i] - half_step * s.slope[i];
    double const energy = look(std::span<T const>(s.proposal), std::span<T>(s.proposal_slope));
    double const ratio =
        log_acceptance_ratio<T>(step_size, s.w, s.energy, s.slope, s.proposal, energy, s.proposal_slope);
    // Another key than the noise's, so that the decision is independent of the proposal.
    double const uniform = random::stream(random::fold_in(random::fold_in(key, "acceptance"), s.steps)).uniform();
    if (std::log(uniform) < ratio) {
      std::swap(s.w, s.proposal);
      std::swap(s.slope, s.proposal_slope);
      s.energy = energy;
      ++s.accepted;
    }
    ++s.steps;
    return s;
  }
};

}  // namespace susc
