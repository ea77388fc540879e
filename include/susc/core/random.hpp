#pragma once
/// Counter-based random streams: every number is a pure function of (key, counter), so results do not depend on which
/// thread asks first. Generator: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <string_view>

#include "susc/core/requirements.hpp"

namespace susc::random {

/// 128 random bits, or a counter.
using words = std::array<std::uint32_t, 4>;

/// Names one stream of random numbers.
struct key {
  std::uint64_t bits = 0;  ///< a seed, or what fold_in made of one
  friend constexpr bool operator==(key, key) = default;
};

/// One Philox4x32-10 block: 128 random bits for a 128-bit counter.
constexpr words philox(words counter, key k) {
  std::uint32_t k0 = static_cast<std::uint32_t>(k.bits), k1 = static_cast<std::uint32_t>(k.bits >> 32);
  for (int round = 0; round != 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    std::uint64_t const p0 = std::uint64_t{0xD2511F53u} * counter[0], p1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ k0, static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ k1, static_cast<std::uint32_t>(p0)};
  }
  return counter;
}

/// The key of a sub-stream: a new key from `k` and a number.
constexpr key fold_in(key k, std::uint64_t number) {
  // The last counter word keeps derived keys apart from the numbers drawn with the same key.
  words const w =
      philox({static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(number >> 32), 0u, 0xF01D1F01u}, k);
  return {w[0] | std::uint64_t{w[1]} << 32};
}

/// The key of a sub-stream named by text (FNV-1a hash), e.g. a component: independent of the order of components.
constexpr key fold_in(key k, std::string_view name) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (char const c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return fold_in(k, hash);
}

/// Number of normals made from neighbouring counters; fixes which counter serves which element for any vector width.
inline constexpr std::size_t normal_group = 64;

/// The random bits behind element `index` of step `step`: elements come in groups of 64 = 4 words x 16 counters.
struct normal_source {
  std::uint64_t counter;  ///< low counter words; the high words are the step
  unsigned word;          ///< 0 and 1: cosine and sine of the first Box-Muller pair; 2 and 3: of the second
};
/// Where element `index` of a step comes from.
constexpr normal_source locate_normal(std::uint64_t index) {
  std::uint64_t const lane = index % 16;
  return {index / normal_group * 16 + lane, static_cast<unsigned>(index % normal_group / 16)};
}

/// One standard normal, Box-Muller from 24-bit uniforms: the reference of kernels/langevin.hpp. The uniform is rounded
/// to T, all else is computed in double.
/// The step must be below 2^32 and the index below 2^34: both would take longer than a run can last.
template <std::floating_point T>
T normal(key k, std::uint64_t step, std::uint64_t index) {
  normal_source const source = locate_normal(index);
  words const w = philox({static_cast<std::uint32_t>(source.counter), static_cast<std::uint32_t>(source.counter >> 32),
                          static_cast<std::uint32_t>(step), 0u},
                         k);
  unsigned const pair = source.word / 2 * 2;
  double const u = static_cast<double>((static_cast<T>(w[pair] >> 8) + T(0.5)) * T(0x1p-24f));
  double const angle = static_cast<double>(w[pair + 1] >> 8) * 0x1p-24 * (2 * std::numbers::pi);
  return static_cast<T>(std::sqrt(-2 * std::log(u)) * (source.word % 2 == 0 ? std::cos(angle) : std::sin(angle)));
}

/// A sequential generator over one key, for choices made in order (minibatches, initial weights, shuffles).
/// Satisfies std::uniform_random_bit_generator.
class stream {
 public:
  using result_type = std::uint32_t;                ///< 32 random bits
  explicit constexpr stream(key k) : key_(k) {}     ///< Begins at counter 0 of the key.
  static constexpr result_type min() { return 0; }  ///< the least number
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }  ///< the largest number

  /// Uniform 32 bits.
  constexpr result_type operator()() {
    if (used_ == 4) {
      block_ = philox({static_cast<std::uint32_t>(next_), static_cast<std::uint32_t>(next_ >> 32), 0u, 1u}, key_);
      ++next_;
      used_ = 0;
    }
    return block_[used_++];
  }
  /// Uniform in [0, 1) with 53 random bits.
  constexpr double uniform() {
    std::uint64_t const high = (*this)();
    return static_cast<double>((high << 32 | (*this)()) >> 11) * 0x1p-53;
  }
  /// Uniform in {0, ..., count - 1}; count > 0. Unbiased (rejection).
  constexpr std::uint64_t below(std::uint64_t count) {
    for (std::uint64_t const limit = std::numeric_limits<std::uint64_t>::max() / count * count;;) {
      std::uint64_t const high = (*this)(), value = high << 32 | (*this)();
      if (value < limit) return value % count;
    }
  }
  /// Standard normal, Box-Muller from two uniforms.
  double normal() {
    double const u = 1 - uniform();
    return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  key key_;
  std::uint64_t next_ = 0;
  words block_{};
  unsigned used_ = 4;
};

}  // namespace susc::random
