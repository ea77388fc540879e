#pragma once
/// Blocks of bfloat16 by the vector instructions of x86 CPUs with AVX512_BF16, which multiply twice as many numbers as
/// those for float32. Tiles are those of split_bfloat16_tiles.hpp; VDPBF16PS takes denormals as zero, and adds each
/// pair of products to the sum one after the other.
#include <cstddef>
#include <cstdint>

#include "susc/kernels/split_bfloat16_tiles.hpp"
#if defined(__AVX512BF16__)
#include <immintrin.h>

namespace susc::kernels::detail {

/// Stands where tiles do: it has no state.
struct avx512_tiles {};

/// C (32, 32), rows `stride` apart, (+)= a panel of A times one of B, of `Parts` tiles for every 32 of depth each.
template <int Parts>
void block_product(avx512_tiles&, float* c, std::size_t stride, std::uint32_t const* a, std::uint32_t const* b,
                   std::size_t depth, bool add) {
  constexpr std::size_t rows = 8;  // two registers of sums each
  constexpr std::size_t low = 2 * tile_words;
  auto const pairs = [](__m512i x) { return reinterpret_cast<__m512bh>(x); };
  for (std::size_t m = 0; m != block_side; m += rows) {
    __m512 first[rows], second[rows];
    for (std::size_t r = 0; r != rows; ++r) {
      float const* const row = c + (m + r) * stride;
      first[r] = add ? _mm512_loadu_ps(row) : _mm512_setzero_ps();
      second[r] = add ? _mm512_loadu_ps(row + tile_side) : _mm512_setzero_ps();
    }
    auto const multiply = [&](std::uint32_t const* left, std::uint32_t const* right) {
      for (std::size_t i = 0; i != tile_side; ++i) {
        __m512bh const one = pairs(_mm512_loadu_si512(right + i * tile_side)),
                       other = pairs(_mm512_loadu_si512(right + tile_words + i * tile_side));
        for (std::size_t r = 0; r != rows; ++r) {
          __m512bh const factor = pairs(_mm512_set1_epi32(static_cast<int>(left[(m + r) * tile_side + i])));
          first[r] = _mm512_dpbf16_ps(first[r], factor, one);
          second[r] = _mm512_dpbf16_ps(second[r], factor, other);
        }
      }
    };
    for (std::size_t p = 0; p < depth; p += tile_depth) {
      std::uint32_t const *const left = a + p / tile_depth * Parts * low, *const right =
                                                                              b + p / tile_depth * Parts * low;
      if constexpr (Parts == 2) multiply(left, right + low);
      multiply(left, right);
      if constexpr (Parts == 2) multiply(left + low, right);
    }
    for (std::size_t r = 0; r != rows; ++r) {
      _mm512_storeu_ps(c + (m + r) * stride, first[r]);
      _mm512_storeu_ps(c + (m + r) * stride + tile_side, second[r]);
    }
  }
}

}  // namespace susc::kernels::detail
#endif
