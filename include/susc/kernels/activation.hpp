#pragma once
/// The nonlinearities of the MLP and their derivatives, elementwise.
//   y, x, dy (count)
// Error vs. double: <= activation_error * eps * (1 + |x|), of the derivatives too, |x| <= 1e4.
#include <cmath>
#include <cstddef>
#include <numbers>

#include "susc/kernels/ops.hpp"

namespace susc::kernels {

/// Bound of the error against double, in units of eps (1 + |x|).
inline constexpr double activation_error = 16;

/// max(x, 0), of slope 0 at 0.
struct relu {
  /// Lane by lane.
  template <class V>
  static V value(V x) {
    return xsimd::max(x, V(0));
  }
  /// Its derivative.
  template <class V>
  static V slope(V x) {
    return xsimd::select(x > V(0), V(1), V(0));
  }
};

/// x Φ(x), Φ the normal distribution function.
struct gelu {
  /// Lane by lane.
  template <class V>
  static V value(V x) {
    using T = typename V::value_type;
    return V(T(0.5)) * x * (V(T(1)) + xsimd::erf(x * V(T(1) / std::numbers::sqrt2_v<T>)));
  }
  /// Its derivative.
  template <class V>
  static V slope(V x) {
    using T = typename V::value_type;
    V const below = V(T(0.5)) * (V(T(1)) + xsimd::erf(x * V(T(1) / std::numbers::sqrt2_v<T>)));
    T const density = std::numbers::inv_sqrtpi_v<T> / std::numbers::sqrt2_v<T>;
    return below + x * V(density) * xsimd::exp(V(T(-0.5)) * x * x);
  }
};

/// x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), GPT-2's approximation: x times the logistic function of twice the
/// argument of tanh, which takes one exponential.
struct gelu_new {
  /// 1 / (1 + exp(-2 y)) of tanh's argument y.
  template <class V>
  static V logistic(V x) {
    using T = typename V::value_type;
    T const factor = -2 * std::numbers::sqrt2_v<T> * std::numbers::inv_sqrtpi_v<T>;
    V const argument = V(factor) * x * (V(T(1)) + V(T(0.044715)) * x * x);
    return V(T(1)) / (V(T(1)) + xsimd::exp(xsimd::min(argument, V(T(80)))));  // beyond, the result is 0 in any case
  }
  /// Lane by lane.
  template <class V>
  static V value(V x) {
    return x * logistic(x);
  }
  /// Its derivative.
  template <class V>
  static V slope(V x) {
    using T = typename V::value_type;
    T const factor = 2 * std::numbers::sqrt2_v<T> * std::numbers::inv_sqrtpi_v<T>;
    V const s = logistic(x);
    return s + x * s * (V(T(1)) - s) * V(factor) * (V(T(1)) + V(T(3 * 0.044715)) * x * x);
  }
};

namespace detail {
/// to[i] = f(x[i]) * (factor[i] or 1); the tail goes through a padded copy, so that every element sees the same code.
template <class T, class F>
void map_lanes(T* to, T const* x, T const* factor, std::size_t count, F f) {
  constexpr std::size_t step = lane_count<T>;
  std::size_t i = 0;
  for (; i + step <= count; i += step)
    store(to + i, factor == nullptr ? f(load(x + i)) : f(load(x + i)) * load(factor + i));
  T tail[step]{};
  std::copy(x + i, x + count, tail);
  store(tail, f(load(tail)));
  for (std::size_t j = 0; i + j != count; ++j) to[i + j] = factor == nullptr ? tail[j] : tail[j] * factor[i + j];
}
}  // namespace detail

/// y = f(x).
template <class Activation, class T>
void activate(T* y, T const* x, std::size_t count) {
  detail::map_lanes<T>(y, x, nullptr, count, [](auto v) { return Activation::value(v); });
}
/// dy *= f'(x), in place.
template <class Activation, class T>
void activate_backward(T* dy, T const* x, std::size_t count) {
  detail::map_lanes<T>(dy, x, dy, count, [](auto v) { return Activation::slope(v); });
}

}  // namespace susc::kernels
