#pragma once
/// Standard normals in bulk, from the counter-based generator.
// The numbers are random::normal<T>(key, step, index) for index = 0, 1, ...: that function is the plain reference.
// float: SIMD, within langevin_error * eps of the reference; double: the reference itself.
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>

#include "susc/core/random.hpp"
#include "susc/kernels/ops.hpp"

namespace susc::kernels {

inline constexpr double langevin_error = 4;  ///< the last digit of the largest normals

namespace detail {
/// log u for 2^-25 <= u < 1: u = 2^e m with sqrt(1/2) < m < sqrt(2), and log m by the polynomial of Cephes' logf.
inline lanes<float> log_of_uniform(lanes<float> u) {
  constexpr std::uint32_t root_half = 0x3F3504F3;  // sqrt(1/2)
  words const exponent = (as_words(u) - words(root_half)) & words(0xFF800000u);
  lanes<float> const x = as_floats(as_words(u) - exponent) - lanes<float>(1.0f), square = x * x;
  // The exponent is 0 or negative: its bits, negated, are a number that the signed conversion takes.
  lanes<float> const minus_e = to_floats((words(0u) - exponent) >> 23);
  lanes<float> const p =
      polynomial(x, 7.0376836292e-2f, -1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                 -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f);
  lanes<float> const low = multiply_add(minus_e, lanes<float>(2.12194440e-4f), p * x * square);
  return multiply_add(minus_e, lanes<float>(-0.693359375f), x + multiply_add(lanes<float>(-0.5f), square, low));
}

struct sine_and_cosine {
  lanes<float> sine, cosine;
};
/// Of the angle 2 pi turns/2^24: the quadrant is exact, and within pi/4 of an axis the polynomials of Cephes' sinf and
/// cosf serve.
inline sine_and_cosine of_turn(words turns) {
  words const quarter = (turns + words(1u << 21)) >> 22;  // the nearest, 0 .. 4
  lanes<float> const rest = to_floats(turns) - to_floats(quarter << 22);
  lanes<float> const x = rest * lanes<float>(2 * std::numbers::pi_v<float> * 0x1p-24f), square = x * x;
  lanes<float> const s =
      multiply_add(polynomial(square, -1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f), square * x, x);
  lanes<float> const c =
      polynomial(square, 2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f, -0.5f, 1.0f);
  // Odd quarters exchange the two; the sign bits follow from the quarter's.
  words const swap = words(0u) - (quarter & words(1u)), exchanged = (as_words(s) ^ as_words(c)) & swap;
  words const negative_sine = (quarter & words(2u)) << 30, negative_cosine = ((quarter + words(1u)) & words(2u)) << 30;
  return {as_floats(as_words(s) ^ exchanged ^ negative_sine), as_floats(as_words(c) ^ exchanged ^ negative_cosine)};
}

/// Normals from the words a and b of lane_count<float> counters.
inline void box_muller(float* cosines, float* sines, words a, words b) {
  lanes<float> const u = (to_floats(a >> 8) + lanes<float>(0.5f)) * lanes<float>(0x1p-24f);
  lanes<float> const radius = xsimd::sqrt(lanes<float>(-2.0f) * log_of_uniform(u));
  auto const [sine, cosine] = of_turn(b >> 8);
  store(cosines, radius * cosine);
  store(sines, radius * sine);
}

/// Philox on several counters: a 64-bit lane holds a word in its low half and rubbish in the other.
struct philox_lanes {
  long_words x0, x1, x2, x3;

  void round(std::uint32_t k0, std::uint32_t k1) {
    long_words const p0 = multiply_low_halves(x0, long_words(std::uint64_t{0xD2511F53u}));
    long_words const p1 = multiply_low_halves(x2, long_words(std::uint64_t{0xCD9E8D57u}));
    x0 = (p1 >> 32) ^ x1 ^ long_words(std::uint64_t{k0});
    x2 = (p0 >> 32) ^ x3 ^ long_words(std::uint64_t{k1});
    x1 = p1;
    x3 = p0;
  }
};

/// One group of 64 normals from 16 Philox counters, even and odd ones apart so that their words interleave in order.
inline void normal_group(float* to, random::key key, std::uint64_t step, std::uint64_t group) {
  constexpr std::size_t width = lane_count<float>;
  static_assert(16 % width == 0);
  alignas(64) static constexpr std::uint64_t twice[]{0, 2, 4, 6, 8, 10, 12, 14};
  for (std::size_t first = 0; first != 16; first += width) {
    // A group never crosses 2^32: 16 counters differ in their last four bits.
    std::uint64_t const base = group * 16 + first;
    long_words const low = long_words::load_aligned(twice) + long_words(base & 0xFFFFFFFF), high(base >> 32),
                     when(step & 0xFFFFFFFF), zero(std::uint64_t{0});
    philox_lanes even{low, high, when, zero}, odd{low + long_words(std::uint64_t{1}), high, when, zero};
    std::uint32_t k0 = static_cast<std::uint32_t>(key.bits), k1 = static_cast<std::uint32_t>(key.bits >> 32);
    for (int round = 0; round != 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
      even.round(k0, k1);
      odd.round(k0, k1);
    }
    box_muller(to + first, to + 16 + first, interleave_low_halves(even.x0, odd.x0),
               interleave_low_halves(even.x1, odd.x1));
    box_muller(to + 32 + first, to + 48 + first, interleave_low_halves(even.x2, odd.x2),
               interleave_low_halves(even.x3, odd.x3));
  }
}
}  // namespace detail

/// Calls use(i, xi) for i = 0 .. count - 1 with the standard normals of one step of one chain: what becomes of them is
/// computed while they are in the first cache, and vectorised with the loop.
template <std::floating_point T, class F>
void for_each_normal(std::size_t count, random::key key, std::uint64_t step, F&& use) {
  alignas(64) T group[random::normal_group];
  for (std::size_t first = 0; first < count; first += random::normal_group) {
    std::size_t const size = std::min(random::normal_group, count - first);
    if constexpr (std::same_as<T, float>)
      detail::normal_group(group, key, step, first / random::normal_group);
    else
      for (std::size_t i = 0; i != size; ++i) group[i] = random::normal<T>(key, step, first + i);
    for (std::size_t i = 0; i != size; ++i) use(first + i, group[i]);
  }
}

/// Standard normals of one step of one chain.
template <std::floating_point T>
void normals(std::span<T> to, random::key key, std::uint64_t step) {
  for_each_normal<T>(to.size(), key, step, [&](std::size_t i, T xi) { to[i] = xi; });
}

}  // namespace susc::kernels
