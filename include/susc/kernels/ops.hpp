#pragma once
/// The dozen SIMD operations that the kernels use, so that xsimd's names appear in one place (they change between
/// majors).
#include <algorithm>
#include <cstddef>
#include <cstdint>
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
/// Lanes of a where `condition`, a comparison of lanes, holds, of b elsewhere.
template <class Condition, class T>
lanes<T> choose(Condition condition, lanes<T> a, lanes<T> b) {
  return xsimd::select(condition, a, b);
}
template <class T>
lanes<T> absolute(lanes<T> x) {
  return xsimd::abs(x);
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
/// Lanes of 32-bit words, as many as of float.
using words = xsimd::batch<std::uint32_t>;
using long_words = xsimd::batch<std::uint64_t>;
inline words as_words(lanes<float> x) {
  return xsimd::bitwise_cast<words>(x);
}
inline lanes<float> as_floats(words x) {
  return xsimd::bitwise_cast<lanes<float>>(x);
}
/// The numbers that the words are, which must be below 2^31: signed conversion is one instruction everywhere.
inline lanes<float> to_floats(words x) {
  return xsimd::to_float(xsimd::bitwise_cast<xsimd::batch<std::int32_t>>(x));
}
/// 64-bit products of the low halves of the lanes.
inline long_words multiply_low_halves(long_words a, long_words b) {
#if defined(__AVX512F__)
  return _mm512_mul_epu32(a, b);
#elif defined(__AVX2__)
  return _mm256_mul_epu32(a, b);
#elif defined(__SSE2__)
  return _mm_mul_epu32(a, b);
#else
  constexpr std::uint64_t low = 0xFFFFFFFF;
  return (a & long_words(low)) * (b & long_words(low));
#endif
}
/// Words 2i from the low halves of `even`, 2i + 1 from those of `odd`.
inline words interleave_low_halves(long_words even, long_words odd) {
  return xsimd::bitwise_cast<words>((even & long_words(std::uint64_t{0xFFFFFFFF})) | (odd << 32));
}

/// The smallest multiple of the lane count that is not below `count`.
template <class T>
constexpr std::size_t padded(std::size_t count) {
  return (count + lane_count<T> - 1) / lane_count<T> * lane_count<T>;
}

}  // namespace susc::kernels
