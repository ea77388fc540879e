#pragma once
/// A slope by central differences, with a bound on its error: of truncation, of kinks, and of rounding.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include "susc/core/requirements.hpp"

namespace susc {

/// Points at equal distances from whose values `rounding_noise` is taken.
inline constexpr std::size_t noise_points = 9;

/// The standard deviation of the rounding errors of a function from its values at `noise_points` equal, small
/// distances: the fourth differences of what is smooth vanish, those of independent errors of variance σ² have variance
/// 70 σ² (Moré & Wild 2011, "Estimating computational noise").
inline double rounding_noise(std::span<double const, noise_points> values) {
  double sum = 0;
  for (std::size_t i = 0; i != noise_points - 4; ++i) {
    double const fourth = values[i] - 4 * values[i + 1] + 6 * values[i + 2] - 4 * values[i + 3] + values[i + 4];
    sum += fourth * fourth;
  }
  return std::sqrt(sum / static_cast<double>(noise_points - 4) / 70);
}

/// A slope, and a bound on its error; infinite where the function was finite at too few points.
struct slope_estimate {
  double value = 0;  ///< the estimate
  /// At least |value - slope|.
  double error = std::numeric_limits<double>::infinity();
};

/// The slope at 0 of `f`, a function of one number, by Richardson's extrapolation of central differences at steps of
/// scale/8, scale/32, ..., scale/2^19; of these the one with the least bound. `scale` is a length over which f may
/// change its shape, `noise` the standard deviation of its rounding errors. Where f has a kink at 0 the error covers
/// the slopes of both sides.
template <class F>
slope_estimate central_difference(F f, double scale, double noise) {
  constexpr std::size_t steps = 9;
  std::array<double, steps> step, slope, bend;  // f', and f'' times the step
  double const middle = f(0.);
  for (std::size_t k = 0; k != steps; ++k) {
    step[k] = std::ldexp(scale, -3 - 2 * static_cast<int>(k));
    double const above = f(step[k]), below = f(-step[k]);
    slope[k] = (above - below) / (2 * step[k]);
    bend[k] = (above - 2 * middle + below) / step[k];
  }
  // The error of a central difference falls with the square of the step: by 16.
  auto const extrapolated = [&](std::size_t k) { return (16 * slope[k + 1] - slope[k]) / 15; };
  // Of a smooth function the bend falls by 4 with the step; what does not is a jump of the slope at 0,
  // of which either side's slope is half away.
  auto const jump = [&](std::size_t k) { return std::abs(4 * bend[k + 1] - bend[k]) / 3; };
  slope_estimate best;
  for (std::size_t k = 0; k + 3 != steps; ++k) {
    double const differ =
        std::max(std::abs(extrapolated(k) - extrapolated(k + 1)), std::abs(extrapolated(k + 1) - extrapolated(k + 2)));
    double const error = 3 * differ + .6 * std::min(jump(k), jump(k + 1)) + 8 * noise / step[k + 1];
    if (error < best.error) best = {extrapolated(k), error};
  }
  return best;
}

}  // namespace susc
