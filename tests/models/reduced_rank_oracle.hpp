#pragma once
// Exact expectations at finite nβ for susc::reduced_rank with one hidden unit and the true map 0.
#include <cmath>
#include <cstddef>

/// nβ E[K] under p(w) ∝ exp(-nβ K(w) - weight_decay/2 ‖w‖²), hidden = 1, true map 0: what a sampler's learning
/// coefficient must be at this nβ, not in the limit only. Then K = ½ |a|² |b|², a (inputs,), b (outputs,).
///
/// Integrating b out, and with s = |a|², γ = weight_decay, each of the N outputs leaves a factor (γ + nβ s)^{-½}:
///   Z(nβ) ∝ ∫ s^{M/2 - 1} exp(-γ s/2) (γ + nβ s)^{-N/2} ds,   nβ E[K] = -nβ d log Z/dnβ = N/2 ⟨nβ s / (γ + nβ s)⟩.
/// (M independent normals a make s a chi-squared of M degrees of freedom.) In u = log s the integrand is smooth and
/// vanishes at both ends, exponentially or faster, so the trapezoidal rule has no error but rounding: about 1e-14.
inline double reduced_rank_learning_coefficient(std::size_t inputs, std::size_t outputs, double n_beta,
                                                double weight_decay) {
  double const m = static_cast<double>(inputs), n = static_cast<double>(outputs);
  // Left of the bend at s = γ/nβ it falls as exp(m u/2), right of s = m/γ as exp(-γ s/2): e^-40 and less is left out.
  double const left = std::log(weight_decay / n_beta) - 80 / m - 1;
  double const right = std::log((100 + 4 * (m + n)) / weight_decay), step = 1. / 16;
  auto const logarithm = [&](double u) {
    double const s = std::exp(u);
    return m / 2 * u - weight_decay * s / 2 - n / 2 * std::log(weight_decay + n_beta * s);
  };
  double largest = logarithm(left);
  for (double u = left; u < right; u += step) largest = std::fmax(largest, logarithm(u));
  double sum = 0, weighted = 0;
  for (double u = left; u < right; u += step) {
    double const density = std::exp(logarithm(u) - largest), s = std::exp(u);
    sum += density;
    weighted += density * n_beta * s / (weight_decay + n_beta * s);
  }
  return n / 2 * weighted / sum;
}
