#pragma once
/// Standard normals in bulk, from the counter-based generator.
//   to (count)
// The numbers are random::normal<T>(key, step, index) for index = 0 .. count - 1: that function is the plain reference.
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

inline constexpr double langevin_error = 8;

namespace detail {
/// One group of 64 normals: 16 Philox counters side by side, so that the compiler vectorises over them.
inline void normal_group(float* to, random::key key, std::uint64_t step, std::uint64_t group) {
  constexpr std::size_t width = 16;
  std::uint32_t x0[width], x1[width], x2[width], x3[width];
  for (std::size_t i = 0; i != width; ++i) {
    std::uint64_t const counter = group * width + i;
    x0[i] = static_cast<std::uint32_t>(counter);
    x1[i] = static_cast<std::uint32_t>(counter >> 32);
    x2[i] = static_cast<std::uint32_t>(step);
    x3[i] = 0;
  }
  std::uint32_t k0 = static_cast<std::uint32_t>(key.bits), k1 = static_cast<std::uint32_t>(key.bits >> 32);
  for (int round = 0; round != 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
    for (std::size_t i = 0; i != width; ++i) {
      std::uint64_t const p0 = std::uint64_t{0xD2511F53u} * x0[i], p1 = std::uint64_t{0xCD9E8D57u} * x2[i];
      x0[i] = static_cast<std::uint32_t>(p1 >> 32) ^ x1[i] ^ k0;
      x1[i] = static_cast<std::uint32_t>(p1);
      x2[i] = static_cast<std::uint32_t>(p0 >> 32) ^ x3[i] ^ k1;
      x3[i] = static_cast<std::uint32_t>(p0);
    }
  auto const box_muller = [](float* pair, std::uint32_t const* a, std::uint32_t const* b) {
    float u[width], angle[width];
    for (std::size_t i = 0; i != width; ++i) {
      u[i] = (static_cast<float>(static_cast<std::int32_t>(a[i] >> 8)) + 0.5f) * 0x1p-24f;
      angle[i] = static_cast<float>(static_cast<std::int32_t>(b[i] >> 8)) * 0x1p-24f * (2 * std::numbers::pi_v<float>);
    }
    for (std::size_t i = 0; i != width; i += lane_count<float>) {
      lanes<float> const radius = xsimd::sqrt(lanes<float>(-2.0f) * xsimd::log(load(u + i)));
      store(pair + i, radius * xsimd::cos(load(angle + i)));
      store(pair + width + i, radius * xsimd::sin(load(angle + i)));
    }
  };
  box_muller(to, x0, x1);
  box_muller(to + 2 * width, x2, x3);
}
}  // namespace detail

/// Standard normals of one step of one chain.
template <std::floating_point T>
void normals(std::span<T> to, random::key key, std::uint64_t step) {
  if constexpr (std::same_as<T, float>) {
    std::size_t i = 0;
    for (; i + random::normal_group <= to.size(); i += random::normal_group)
      detail::normal_group(to.data() + i, key, step, i / random::normal_group);
    if (i == to.size()) return;
    float rest[random::normal_group];
    detail::normal_group(rest, key, step, i / random::normal_group);
    std::copy_n(rest, to.size() - i, to.data() + i);
  } else {
    for (std::size_t i = 0; i != to.size(); ++i) to[i] = random::normal<T>(key, step, i);
  }
}

}  // namespace susc::kernels
