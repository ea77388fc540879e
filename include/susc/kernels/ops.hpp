#pragma once
/// The dozen SIMD operations that the kernels use, so that xsimd's names appear in one place (they change between
/// majors).
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <xsimd/xsimd.hpp>

#include "susc/core/requirements.hpp"

SUSC_REQUIRE_VERSION("xsimd", XSIMD_VERSION_MAJOR, XSIMD_VERSION_MINOR, 8, 1);

namespace susc::kernels {

/// As many lanes of T as the compiler's target has.
template <class T>
using lanes = xsimd::batch<T>;

/// Lanes of T in a register.
template <class T>
inline constexpr std::size_t lane_count = xsimd::batch<T>::size;

/// lane_count values, aligned or not.
template <class T>
lanes<T> load(T const* from) {
  return lanes<T>::load_unaligned(from);
}
/// To lane_count values, aligned or not.
template <class T>
void store(T* to, lanes<T> value) {
  value.store_unaligned(to);
}
/// a * b + c, rounded once where the target has it.
template <class T>
lanes<T> multiply_add(lanes<T> a, lanes<T> b, lanes<T> c) {
#if defined(__AVX512F__)  // where xsimd 8.1 leaves it to the compiler, which may round another product of the sum
  if constexpr (std::same_as<T, float>)
    return _mm512_fmadd_ps(a, b, c);
  else
    return _mm512_fmadd_pd(a, b, c);
#elif defined(__FMA__)
  return xsimd::fma(a, b, c);
#else
  return a * b + c;
#endif
}
/// The larger of a and b, lane by lane.
template <class T>
lanes<T> maximum(lanes<T> a, lanes<T> b) {
  return xsimd::max(a, b);
}
/// Lanes of a where `condition`, a comparison of lanes, holds, of b elsewhere.
template <class Condition, class T>
lanes<T> choose(Condition condition, lanes<T> a, lanes<T> b) {
  return xsimd::select(condition, a, b);
}
/// Lane by lane.
template <class T>
lanes<T> absolute(lanes<T> x) {
  return xsimd::abs(x);
}
/// In an order that the target chooses.
template <class T>
T sum_of_lanes(lanes<T> x) {
  return xsimd::hadd(x);
}
/// The largest lane.
template <class T>
T maximum_of_lanes(lanes<T> x) {
  T values[lane_count<T>];
  store(values, x);
  return *std::max_element(values, values + lane_count<T>);
}
/// Lanes of 32-bit words, as many as of float.
using words = xsimd::batch<std::uint32_t>;
/// Lanes of 64-bit words, half as many.
using long_words = xsimd::batch<std::uint64_t>;
/// The same bits.
inline words as_words(lanes<float> x) {
  return xsimd::bitwise_cast<words>(x);
}
/// The same bits.
inline lanes<float> as_floats(words x) {
  return xsimd::bitwise_cast<lanes<float>>(x);
}
/// yes where the highest bit of x is set, else no.
inline words where_negative(words x, words yes, words no) {
  auto const is_signed = [](words w) { return xsimd::bitwise_cast<xsimd::batch<std::int32_t>>(w); };
#if defined(__AVX512BW__)  // where xsimd 8.1's select of integers does not compile
  return no ^ ((yes ^ no) & xsimd::bitwise_cast<words>(is_signed(x) >> 31));
#else
  return xsimd::bitwise_cast<words>(
      xsimd::select(is_signed(x) < xsimd::batch<std::int32_t>(0), is_signed(yes), is_signed(no)));
#endif
}
/// The numbers that the words are, which must be below 2^31: signed conversion is one instruction everywhere.
inline lanes<float> to_floats(words x) {
  return xsimd::to_float(xsimd::bitwise_cast<xsimd::batch<std::int32_t>>(x));
}
/// c0 x^n + ... + cn.
template <class... Rest>
lanes<float> polynomial(lanes<float> x, float c0, Rest... rest) {
  lanes<float> sum(c0);
  ((sum = multiply_add(sum, x, lanes<float>(rest))), ...);
  return sum;
}
/// Bound of the relative error of `exponential`, in eps.
inline constexpr double exponential_error = 2;
/// Relative error <= exponential_error * eps for x <= 88; results below the smallest normal number may be 0, so masked
/// scores (-1e30, -inf) give exactly 0.
template <class T>
lanes<T> exponential(lanes<T> x) {
  // exp turns x / log 2 into a whole number, which on some targets must be one of 64 bits.
  lanes<T> const lowest(-1000);
  return xsimd::exp(xsimd::select(x < lowest, lowest, x));
}
/// NaN gives NaN. x = n log 2 + f with |f| <= log(2) / 2, a polynomial for exp(f), and 2^n by its exponent bits.
template <>
inline lanes<float> exponential(lanes<float> x) {
  // Adding 1.5 * 2^23 rounds to a whole number, whose low bits are then those of n; 127 is the bias of the exponent.
  lanes<float> const shift(0x1.8p23f + 127);
  lanes<float> const shifted = multiply_add(x, lanes<float>(1.44269504f), shift), n = shifted - shift;
  lanes<float> const power_of_two = as_floats(as_words(shifted) << 23);
  // log 2 in two parts, the first so short that its product with n is exact.
  lanes<float> const f = multiply_add(n, lanes<float>(2.12194440e-4f), multiply_add(n, lanes<float>(-0.693359375f), x));
  lanes<float> const e =
      polynomial(f, 1.38144672e-3f, 8.36878084e-3f, 4.16683927e-2f, 1.66665196e-1f, 4.9999994e-1f, 1.0f, 1.0f) *
      power_of_two;
  constexpr float lowest = -87.3f;  // just above log 2^-126
  return choose(x < lanes<float>(lowest), lanes<float>(0.0f), e);
}

/// Natural, lane by lane.
template <class T>
lanes<T> logarithm(lanes<T> x) {
  return xsimd::log(x);
}
/// Rows and columns of the squares that transpose_square takes: registers of 128 bits, which every target has.
template <class T>
inline constexpr std::size_t square = 16 / sizeof(T);
/// to[j * to_stride + i] = from[i * from_stride + j].
template <class T>
void transpose_square(T* to, std::size_t to_stride, T const* from, std::size_t from_stride) {
  constexpr std::size_t n = square<T>;
  using row = xsimd::make_sized_batch_t<T, n>;
  row rows[n], next[n];
#pragma GCC unroll 4
  for (std::size_t i = 0; i != n; ++i) rows[i] = row::load_unaligned(from + i * from_stride);
#pragma GCC unroll 4
  for (std::size_t done = 1; done != n; done *= 2) {
#pragma GCC unroll 4
    for (std::size_t i = 0; i != n / 2; ++i) {
      next[2 * i] = xsimd::zip_lo(rows[i], rows[i + n / 2]);
      next[2 * i + 1] = xsimd::zip_hi(rows[i], rows[i + n / 2]);
    }
#pragma GCC unroll 4
    for (std::size_t i = 0; i != n; ++i) rows[i] = next[i];
  }
#pragma GCC unroll 4
  for (std::size_t i = 0; i != n; ++i) rows[i].store_unaligned(to + i * to_stride);
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
/// a ^ b, as bits of another type: g++ would regroup a chain of integer ^ so that it waits for the last operand.
inline long_words exclusive_or_first(long_words a, long_words b) {
  return xsimd::bitwise_cast<long_words>(xsimd::bitwise_cast<lanes<double>>(a) ^ xsimd::bitwise_cast<lanes<double>>(b));
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
