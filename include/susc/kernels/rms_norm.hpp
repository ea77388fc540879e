#pragma once
/// Root-mean-square normalisation (Zhang & Sennrich 2019), forward and backward: LayerNorm without mean and bias.
//   y[t,:] = gain * x[t,:] * scale[t],  scale = 1 / sqrt(mean of x[t,:]² + epsilon)
//   x, y, dx, dy  (tokens, width) row-major     gain, dgain  (width)     scale  (tokens)
// Error vs. double, in units of rms_norm_error * eps * (1 + n / 8), n = width / lanes (tokens for dgain):
//   y: |y|     scale: scale     dx, dgain, as functions of the scale given: their formula with all terms replaced by
//   their absolutes
#include <cmath>
#include <cstddef>

#include "susc/kernels/layer_norm.hpp"
#include "susc/kernels/ops.hpp"

namespace susc::kernels {

/// Bound of the error against double: see the top of the file.
inline constexpr double rms_norm_error = 4;

/// The forward pass. y may be x.
template <class T>
void rms_norm(T* y, T* scale, T const* x, T const* gain, std::size_t tokens, std::size_t width, double epsilon) {
  constexpr std::size_t step = lane_count<T>;
  std::size_t const whole = width / step * step;
  for (std::size_t t = 0; t != tokens; ++t, x += width, y += width) {
    T square = sum_of_lanes(detail::sum_in_chains<T>(whole, [&](lanes<T> so_far, std::size_t i) {
      lanes<T> const at = load(x + i);
      return multiply_add(at, at, so_far);
    }));
    for (std::size_t i = whole; i != width; ++i) square += x[i] * x[i];
    T const s = 1 / std::sqrt(square / static_cast<T>(width) + static_cast<T>(epsilon));
    for (std::size_t i = 0; i != whole; i += step) store(y + i, load(x + i) * lanes<T>(s) * load(gain + i));
    for (std::size_t i = whole; i != width; ++i) y[i] = x[i] * s * gain[i];
    scale[t] = s;
  }
}

/// dx is added to; dgain is added to, or may be null.
template <class T>
void rms_norm_backward(T* dx, T* dgain, T const* dy, T const* x, T const* scale, T const* gain, std::size_t tokens,
                       std::size_t width) {
  constexpr std::size_t step = lane_count<T>;
  std::size_t const whole = width / step * step;
  for (std::size_t t = 0; t != tokens; ++t, x += width, dx += width, dy += width) {
    T const s = scale[t];
    T product = sum_of_lanes(detail::sum_in_chains<T>(whole, [&](lanes<T> so_far, std::size_t i) {
      return multiply_add(load(dy + i) * load(gain + i), load(x + i) * lanes<T>(s), so_far);
    }));
    for (std::size_t i = whole; i != width; ++i) product += dy[i] * gain[i] * (x[i] * s);
    product /= static_cast<T>(width);
    for (std::size_t i = 0; i != whole; i += step) {
      lanes<T> const normalised = load(x + i) * lanes<T>(s), slope = load(dy + i);
      store(dx + i, multiply_add(lanes<T>(s), slope * load(gain + i) - normalised * lanes<T>(product), load(dx + i)));
      if (dgain != nullptr) store(dgain + i, multiply_add(slope, normalised, load(dgain + i)));
    }
    for (std::size_t i = whole; i != width; ++i) {
      T const normalised = x[i] * s;
      dx[i] += s * (dy[i] * gain[i] - normalised * product);
      if (dgain != nullptr) dgain[i] += dy[i] * normalised;
    }
  }
}

}  // namespace susc::kernels
