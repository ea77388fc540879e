#pragma once
/// Products of small blocks of bfloat16 in float32, by plain SIMD on any CPU: what AMX does in hardware (see
/// split_bfloat16_amx.hpp), for checking it and its error, not for speed.
//   sums (32, 32) float      left, right: two tiles each, one after the other
// A tile is 16 x 16 words of two bfloat16, a pair of neighbours along the depth: row m of A (16, 32) has the words
// (A[m,2i], A[m,2i+1]), row i of B (32, 16) the words (B[2i,n], B[2i+1,n]), the first in the low half. `dot` is
//   sums[m,n] += Σ_i A[m,2i] B[2i,n] + Σ_i A[m,2i+1] B[2i+1,n]
// in the order of Intel's definition of TDPBF16PS (Software Developer's Manual, volume 2): both sums by multiply-adds
// from i = 0, added to each other, then to sums[m,n].
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "susc/kernels/ops.hpp"

namespace susc::kernels::detail {

inline constexpr std::size_t tile_side = 16, tile_words = tile_side * tile_side, tile_depth = 32, block_side = 32;

inline lanes<float> low_halves(words x) {
  return as_floats(x << 16);
}
inline lanes<float> high_halves(words x) {
  return as_floats(x & words(0xFFFF0000U));
}

/// Unlike AMX, these treat products below the smallest normal number as the calling thread does everywhere.
class portable_tiles {
 public:
  void zero() { std::fill(&sums_[0][0], &sums_[0][0] + block_side * block_side, 0.0f); }
  void load(float const* c, std::size_t ldc) {
    for (std::size_t m = 0; m != block_side; ++m) std::copy_n(c + m * ldc, block_side, sums_[m]);
  }
  void store(float* c, std::size_t ldc) const {
    for (std::size_t m = 0; m != block_side; ++m) std::copy_n(sums_[m], block_side, c + m * ldc);
  }
  /// The tiles must outlive the next `dot`.
  void left(std::uint32_t const* tiles) { left_ = tiles; }
  void right(std::uint32_t const* tiles) { right_ = tiles; }

  void dot() {
    for (std::size_t m = 0; m != block_side; ++m)
      for (std::size_t j = 0; j != block_side; j += tile_side)
        dot(sums_[m] + j, left_ + m * tile_side, right_ + j * tile_side);
  }

 private:
  /// One row of a tile of sums: the words of a row of A, and a tile of B.
  static void dot(float* sums, std::uint32_t const* row, std::uint32_t const* tile) {
    constexpr std::size_t step = lane_count<float>, count = tile_side / step;
    lanes<float> first[count], second[count];
    for (std::size_t l = 0; l != count; ++l) first[l] = second[l] = lanes<float>(0.0f);
    for (std::size_t i = 0; i != tile_side; ++i) {
      lanes<float> const a = low_halves(words(row[i])), b = high_halves(words(row[i]));
      for (std::size_t l = 0; l != count; ++l) {
        words const pair = kernels::load(tile + i * tile_side + l * step);
        first[l] = multiply_add(a, low_halves(pair), first[l]);
        second[l] = multiply_add(b, high_halves(pair), second[l]);
      }
    }
    for (std::size_t l = 0; l != count; ++l) {
      float* const to = sums + l * step;
      kernels::store(to, kernels::load(to) + (first[l] + second[l]));
    }
  }

  alignas(64) float sums_[block_side][block_side];
  std::uint32_t const* left_ = nullptr;
  std::uint32_t const* right_ = nullptr;
};

}  // namespace susc::kernels::detail
