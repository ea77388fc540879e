#pragma once
/// The dozen SIMD operations that the kernels use, so that xsimd's names appear in one place (they change between
/// majors).
#include <algorithm>
#include <cstddef>
#include <xsimd/xsimd.hpp>

namespace susc::kernels {

/// As many lanes of T as the compiler's target has.
template <class T>
using lanes = xsimd::batch<T>;

template <class T>
inline constexpr std::size_t lane_count = xsimd::batch<T>::size;

template <class T>
lanes<T> load(T const* from) {
  return lanes<T>::load_unaligned(from);
}
template <class T>
void store(T* to, lanes<T> value) {
  value.store_unaligned(to);
}
/// a * b + c, rounded once where the target has it.
template <class T>
lanes<T> multiply_add(lanes<T> a, lanes<T> b, lanes<T> c) {
#if defined(__FMA__)
  return xsimd::fma(a, b, c);
#else
  return a * b + c;
#endif
}
inline constexpr double exponential_error = 2;
/// Relative error <= exponential_error * eps; results below the smallest normal number may be 0, so masked scores
/// (-1e30) give exactly 0.
template <class T>
lanes<T> exponential(lanes<T> x) {
  return xsimd::exp(x);
}
template <class T>
lanes<T> maximum(lanes<T> a, lanes<T> b) {
  return xsimd::max(a, b);
}
template <class T>
T sum_of_lanes(lanes<T> x) {
  return xsimd::hadd(x);
}
template <class T>
T maximum_of_lanes(lanes<T> x) {
  T values[lane_count<T>];
  store(values, x);
  return *std::max_element(values, values + lane_count<T>);
}
/// The smallest multiple of the lane count that is not below `count`.
template <class T>
constexpr std::size_t padded(std::size_t count) {
  return (count + lane_count<T> - 1) / lane_count<T> * lane_count<T>;
}

}  // namespace susc::kernels
