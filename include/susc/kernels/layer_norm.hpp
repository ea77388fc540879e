#pragma once
/// Layer normalisation, forward and backward.
//   y[t,:] = gain * (x[t,:] - mean[t]) * rstd[t] + bias,  rstd = 1 / sqrt(variance + epsilon)
//   x, y, dx, dy  (tokens, width) row-major     gain, bias, dgain, dbias  (width)     mean, rstd  (tokens)
// Error vs. double, in units of layer_norm_error * eps * (1 + n / 8), n = width / lanes (tokens for dgain and dbias);
// xhat = (x - mean) rstd:
//   y: |gain| (1 + |xhat| + |mean| rstd) + |y|     mean: |mean| + 1 / rstd     rstd: rstd (1 + |mean| rstd)
//   dx, dgain, dbias, as functions of the mean and rstd given: their formula with all terms replaced by their absolutes
#include <cmath>
#include <cstddef>

#include "susc/kernels/ops.hpp"

namespace susc::kernels {

inline constexpr double layer_norm_epsilon = 1e-5;  ///< PyTorch's and TransformerLens's default
/// Bound of the error against double: see the top of the file.
inline constexpr double layer_norm_error = 4;

namespace detail {
/// A sum over [0, whole) to which add(sum, i) adds the register at i; four chains, which the processor follows at once.
template <class T, class F>
lanes<T> sum_in_chains(std::size_t whole, F add) {
  constexpr std::size_t step = lane_count<T>;
  lanes<T> a(T(0)), b(T(0)), c(T(0)), d(T(0));
  std::size_t i = 0;
  for (; i + 4 * step <= whole; i += 4 * step) {
    a = add(a, i);
    b = add(b, i + step);
    c = add(c, i + 2 * step);
    d = add(d, i + 3 * step);
  }
  for (; i != whole; i += step) a = add(a, i);
  return (a + b) + (c + d);
}
}  // namespace detail

/// The forward pass. y may be x.
template <class T>
void layer_norm(T* y, T* mean, T* rstd, T const* x, T const* gain, T const* bias, std::size_t tokens, std::size_t width,
                double epsilon = layer_norm_epsilon) {
  constexpr std::size_t step = lane_count<T>;
  std::size_t const whole = width / step * step;
  for (std::size_t t = 0; t != tokens; ++t, x += width, y += width) {
    T sum = sum_of_lanes(
        detail::sum_in_chains<T>(whole, [&](lanes<T> so_far, std::size_t i) { return so_far + load(x + i); }));
    for (std::size_t i = whole; i != width; ++i) sum += x[i];
    T const m = sum / static_cast<T>(width);
    lanes<T> const ms(m);
    T square = sum_of_lanes(detail::sum_in_chains<T>(whole, [&](lanes<T> so_far, std::size_t i) {
      lanes<T> const d = load(x + i) - ms;
      return multiply_add(d, d, so_far);
    }));
    for (std::size_t i = whole; i != width; ++i) square += (x[i] - m) * (x[i] - m);
    T const r = 1 / std::sqrt(square / static_cast<T>(width) + static_cast<T>(epsilon));
    lanes<T> const rs(r);
    for (std::size_t i = 0; i != whole; i += step)
      store(y + i, multiply_add((load(x + i) - ms) * rs, load(gain + i), load(bias + i)));
    for (std::size_t i = whole; i != width; ++i) y[i] = (x[i] - m) * r * gain[i] + bias[i];
    mean[t] = m;
    rstd[t] = r;
  }
}

/// dx is added to; dgain and dbias are added to, or may both be null.
template <class T>
void layer_norm_backward(T* dx, T* dgain, T* dbias, T const* dy, T const* x, T const* mean, T const* rstd,
                         T const* gain, std::size_t tokens, std::size_t width) {
  constexpr std::size_t step = lane_count<T>;
  std::size_t const whole = width / step * step;
  for (std::size_t t = 0; t != tokens; ++t, x += width, dx += width, dy += width) {
    T const m = mean[t], r = rstd[t];
    lanes<T> const ms(m), rs(r);
    lanes<T> sums(T(0)), products(T(0));
    for (std::size_t i = 0; i != whole; i += step) {
      lanes<T> const scaled = load(dy + i) * load(gain + i);
      sums = sums + scaled;
      products = multiply_add(scaled, (load(x + i) - ms) * rs, products);
    }
    T sum = sum_of_lanes(sums), product = sum_of_lanes(products);
    for (std::size_t i = whole; i != width; ++i) {
      sum += dy[i] * gain[i];
      product += dy[i] * gain[i] * (x[i] - m) * r;
    }
    sum /= static_cast<T>(width);
    product /= static_cast<T>(width);
    lanes<T> const sum_lanes(sum), product_lanes(product);
    for (std::size_t i = 0; i != whole; i += step) {
      lanes<T> const normalised = (load(x + i) - ms) * rs, slope = load(dy + i);
      store(dx + i, multiply_add(rs, slope * load(gain + i) - sum_lanes - normalised * product_lanes, load(dx + i)));
      if (dgain == nullptr) continue;
      store(dgain + i, multiply_add(slope, normalised, load(dgain + i)));
      store(dbias + i, load(dbias + i) + slope);
    }
    for (std::size_t i = whole; i != width; ++i) {
      T const normalised = (x[i] - m) * r;
      dx[i] += r * (dy[i] * gain[i] - sum - normalised * product);
      if (dgain == nullptr) continue;
      dgain[i] += dy[i] * normalised;
      dbias[i] += dy[i];
    }
  }
}

}  // namespace susc::kernels
