#pragma once
/// The gated nonlinearity of Llama's MLP (Shazeer 2020, "GLU variants improve transformer"), elementwise.
//   y = silu(gate) * up        y, gate, up, dy, dgate, dup (count)
// Error vs. double, in units of swiglu_error * eps * (1 + |gate|):
//   y: |up|     dup: |dy|     dgate: |dy up|
#include <cstddef>

#include "susc/kernels/activation.hpp"

namespace susc::kernels {

/// Bound of the error against double: see the top of the file.
inline constexpr double swiglu_error = activation_error + 2;

/// x / (1 + exp(-x)).
struct silu {
  /// 1 / (1 + exp(-x)).
  template <class V>
  static V logistic(V x) {
    using T = typename V::value_type;
    return V(T(1)) / (V(T(1)) + xsimd::exp(xsimd::min(V(T(0)) - x, V(T(80)))));  // beyond, the result is 0 in any case
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
    V const s = logistic(x);
    return s + x * s * (V(T(1)) - s);
  }
};

/// The forward pass. y may be gate or up.
template <class T>
void swiglu(T* y, T const* gate, T const* up, std::size_t count) {
  detail::map_lanes<T>(y, gate, up, count, [](auto v) { return silu::value(v); });
}
/// dgate and dup are overwritten; none may be another argument.
template <class T>
void swiglu_backward(T* dgate, T* dup, T const* dy, T const* gate, T const* up, std::size_t count) {
  detail::map_lanes<T>(dup, gate, dy, count, [](auto v) { return silu::value(v); });
  detail::map_lanes<T>(dgate, gate, up, count, [](auto v) { return silu::slope(v); });
  for (std::size_t i = 0; i != count; ++i) dgate[i] *= dy[i];
}

}  // namespace susc::kernels
