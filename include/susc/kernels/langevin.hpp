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
/// -2 log u for 2^-25 <= u <= 1: u = 2^n (1 + x) with sqrt(1/2) < 1 + x < sqrt(2), and a polynomial for log(1 + x) / x.
inline lanes<float> minus_two_log(lanes<float> u) {
  constexpr std::uint32_t root_half = 0x3F3504F3;  // sqrt(1/2)
  words const exponent = (as_words(u) - words(root_half)) & words(0xFF800000u);
  lanes<float> const x = as_floats(as_words(u) - exponent) - lanes<float>(1.0f);
  // The exponent's bits are n 2^23, a number like others.
  lanes<float> const two_n_log_2 = to_floats(exponent) * lanes<float>(-2 * std::numbers::ln2_v<float> * 0x1p-23f);
  // Even and odd powers apart: half the latency.
  lanes<float> const square = x * x;
  lanes<float> const even =
      polynomial(square, -1.744471938e-1f, -2.99045324e-1f, -3.99136662e-1f, -6.66683734e-1f, -2.0f);
  lanes<float> const odd = polynomial(square, 2.87336916e-1f, 3.31247866e-1f, 5.00041484e-1f, 9.99999762e-1f);
  return multiply_add(x, multiply_add(x, odd, even), two_n_log_2);
}

struct sine_and_cosine {
  lanes<float> sine, cosine;
};
/// Of the angle 2 pi turns/2^24, turns the upper bits of the word: the quadrant is exact, and within pi/4 of an axis
/// polynomials serve.
inline sine_and_cosine of_turn(words turns) {
  // Two bits to the left, the word is the signed distance to the nearest axis.
  lanes<float> const x =
      to_floats((turns << 2) & words(0xFFFFFC00u)) * lanes<float>(2 * std::numbers::pi_v<float> * 0x1p-34f);
  lanes<float> const square = x * x;
  lanes<float> const s =
      multiply_add(polynomial(square, -1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f), square * x, x);
  lanes<float> const c =
      polynomial(square, 2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f, -0.5f, 1.0f);
  // The upper two bits count the quarters: odd ones exchange the two, and each changes sign after two quarters.
  words const quarter = turns + words(1u << 29), odd = quarter << 1, sign(0x80000000u);
  return {as_floats(where_negative(odd, as_words(c), as_words(s)) ^ (quarter & sign)),
          as_floats(where_negative(odd, as_words(s), as_words(c)) ^ ((quarter ^ odd) & sign))};
}

/// Replaces the bits at a and b by normals.
inline void box_muller(float* a, float* b) {
  lanes<float> const u =
      multiply_add(to_floats(as_words(load(a)) >> 8), lanes<float>(0x1p-24f), lanes<float>(0x1p-25f));
  lanes<float> const radius = xsimd::sqrt(minus_two_log(u));
  auto const [sine, cosine] = of_turn(as_words(load(b)));
  store(a, radius * cosine);
  store(b, radius * sine);
}

/// The keys of the ten rounds, each in every lane.
struct round_keys {
  long_words k0[10], k1[10];

  explicit round_keys(random::key key) {
    std::uint32_t low = static_cast<std::uint32_t>(key.bits), high = static_cast<std::uint32_t>(key.bits >> 32);
    for (int round = 0; round != 10; ++round, low += 0x9E3779B9u, high += 0xBB67AE85u) {
      k0[round] = long_words(std::uint64_t{low});
      k1[round] = long_words(std::uint64_t{high});
    }
  }
};

/// Philox on several counters: a 64-bit lane holds a word in its low half and rubbish in the other.
struct philox_lanes {
  long_words x0, x1, x2, x3;

  void round(long_words k0, long_words k1) {
    long_words const p0 = multiply_low_halves(x0, long_words(std::uint64_t{0xD2511F53u}));
    long_words const p1 = multiply_low_halves(x2, long_words(std::uint64_t{0xCD9E8D57u}));
    x0 = (p1 >> 32) ^ exclusive_or_first(x1, k0);
    x2 = (p0 >> 32) ^ exclusive_or_first(x3, k1);
    x1 = p1;
    x3 = p0;
  }
};

/// `count` groups of 64 normals from 16 Philox counters each, even and odd ones apart so that their words interleave in
/// order. The groups' counters must not cross a multiple of 2^32.
inline void normal_groups(float* to, round_keys const& keys, std::uint64_t step, std::uint64_t group,
                          std::size_t count) {
  constexpr std::size_t width = lane_count<float>, size = random::normal_group;
  static_assert(16 % width == 0);
  alignas(64) static constexpr std::uint64_t twice[]{0, 2, 4, 6, 8, 10, 12, 14};
  long_words const one(std::uint64_t{1}), high(group * 16 >> 32), when(step & 0xFFFFFFFF), zero(std::uint64_t{0});
  long_words low = long_words::load_aligned(twice) + long_words(group * 16 & 0xFFFFFFFF);
  for (float* at = to; at != to + count * size; at += size)
    for (std::size_t i = 0; i != 16; i += width, low = low + long_words(std::uint64_t{width})) {
      philox_lanes even{low, high, when, zero}, odd{low + one, high, when, zero};
      for (int round = 0; round != 10; ++round) {
        even.round(keys.k0[round], keys.k1[round]);
        odd.round(keys.k0[round], keys.k1[round]);
      }
      store(at + i, as_floats(interleave_low_halves(even.x0, odd.x0)));
      store(at + i + 16, as_floats(interleave_low_halves(even.x1, odd.x1)));
      store(at + i + 32, as_floats(interleave_low_halves(even.x2, odd.x2)));
      store(at + i + 48, as_floats(interleave_low_halves(even.x3, odd.x3)));
    }
  // A loop of its own: the processor can then overlap several steps of either.
  for (float* at = to; at != to + count * size; at += 32)
    for (std::size_t i = 0; i != 16; i += width) box_muller(at + i, at + i + 16);
}
}  // namespace detail

/// Calls use(i, xi) for i = 0 .. count - 1 with the standard normals of one step of one chain: what becomes of them is
/// computed while they are in the first cache, and vectorised with the loop.
template <std::floating_point T, class F>
void for_each_normal(std::size_t count, random::key key, std::uint64_t step, F&& use) {
  constexpr std::size_t group = random::normal_group, most = 8 * group;
  alignas(64) T some[most];
  [[maybe_unused]] detail::round_keys const keys(key);
  for (std::size_t first = 0; first < count; first += most) {
    std::size_t const size = std::min(most, count - first);
    if constexpr (std::same_as<T, float>)
      detail::normal_groups(some, keys, step, first / group, (size + group - 1) / group);
    else
      for (std::size_t i = 0; i != size; ++i) some[i] = random::normal<T>(key, step, first + i);
    for (std::size_t i = 0; i != size; ++i) use(first + i, some[i]);
  }
}

/// Standard normals of one step of one chain.
template <std::floating_point T>
void normals(std::span<T> to, random::key key, std::uint64_t step) {
  for_each_normal<T>(to.size(), key, step, [&](std::size_t i, T xi) { to[i] = xi; });
}

}  // namespace susc::kernels
