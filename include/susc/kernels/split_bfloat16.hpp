#pragma once
/// Matrix products of floats split into two bfloat16 each, which AMX multiplies much faster than float32:
///   x ≈ hi + lo,  hi = bf16(x),  lo = bf16(x - hi)      C (+)= Ah Bh + Ah Bl + Al Bh, added up in float32
/// (Henry, Tang & Heinecke 2019, "Leveraging the bfloat16 artificial intelligence datatype for higher-precision
/// computations"), or of floats rounded to one bfloat16: hi alone, C (+)= Ah Bh, which is `Parts` = 1 below.
/// AVX512_BF16 does so too, and is worth it for one part. On CPUs with neither, portable_tiles compute the same,
/// slowly: for checking the error only.
//   C (m, n)   A (m, k), B (k, n), one stride of each being 1
// Error vs. the exact product, elementwise: <= split_bfloat16_error |A| |B| + 2 k eps (|C| + |A| |B|), |C| when added
// to. bf16 has 8 bits, so |x - hi| <= 2^-8 |x| and |x - hi - lo| <= 2^-16 |x|: of a product the dropped lo lo is at
// most 2^-16, and so is what either factor lost; a sum of 3 k terms in float32 rounds less than 3 k times, by eps / 2
// each. rms error for normal factors: 4.4e-6 of rms(C). Of one part: bfloat16_error, 2.35e-3. Numbers below 2^-126
// count as zero; those above 3.39e38 and infinities give what is not finite. Every element of C is the same chain of
// additions whatever its neighbours.
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <utility>

#include "susc/core/aligned_vector.hpp"
#include "susc/kernels/matrix.hpp"
#include "susc/kernels/ops.hpp"
#include "susc/kernels/split_bfloat16_amx.hpp"
#include "susc/kernels/split_bfloat16_avx512.hpp"
#include "susc/kernels/split_bfloat16_tiles.hpp"

namespace susc::kernels {

/// 3 · 2⁻¹⁶, in units of |A| |B|: see the top of the file.
inline constexpr double split_bfloat16_error = 3.0 / 65536;
/// 2 · 2⁻⁸ + 2⁻¹⁶, the same of one part.
inline constexpr double bfloat16_error = 2.0 / 256 + 1.0 / 65536;

namespace detail {
/// Packed at a time: a block's panels stay in the L1 cache.
template <int Parts>
inline constexpr std::size_t split_depth = 512 / Parts;
inline constexpr std::size_t split_columns = 1024;  ///< of B, kept in the L2 cache while the panels of A pass by
inline constexpr std::size_t split_rows = 128;      ///< of A

constexpr std::size_t whole_blocks(std::size_t count) {
  return (count + block_side - 1) / block_side * block_side;
}

/// To the nearest bfloat16, ties to even; below the smallest normal number zero, as AMX takes it. NaN stays NaN.
inline lanes<float> to_bfloat16(lanes<float> x) {
  words const bits = as_words(x);
  words const rounded = (bits + words(0x7FFFU) + ((bits >> 16) & words(1U))) & words(0xFFFF0000U);
  lanes<float> const y = choose(x == x, as_floats(rounded), x + x);
  return choose(absolute(x) < lanes<float>(std::numeric_limits<float>::min()), lanes<float>(0.0f), y);
}

/// Words of two bfloat16, the first in the low half, each to_bfloat16 of a float.
inline words rounded_pairs(lanes<float> first, lanes<float> second) {
#if defined(__AVX512BF16__)
  // One instruction rounds all, the first below the second; another brings neighbours together.
  alignas(64) static constexpr std::uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                          8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  auto const both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
  return _mm512_permutexvar_epi16(_mm512_load_si512(order), both);
#else
  return (as_words(to_bfloat16(first)) >> 16) | (as_words(to_bfloat16(second)) & words(0xFFFF0000U));
#endif
}

/// The hi and, of two parts, the lo tile of up to 16 lines of up to 32 elements along the depth, the rest zero: words
/// [line][i], or transposed [i][line]. Elements i and i + 16 are neighbours, in A as in B: the sum is the same, and no
/// lanes move.
template <int Parts>
void split_tile(std::uint32_t* high, std::uint32_t* low, strided<float> x, std::size_t lines, std::size_t depth,
                bool transposed) {
  constexpr std::size_t side = tile_side;
  alignas(64) float block[2][side][side];
  bool const along_depth = x.column_stride == 1;
  float const* from[2] = {x.data, x.data + side * x.column_stride};
  std::size_t stride = along_depth ? x.row_stride : x.column_stride;
  if (bool const whole = lines == side && depth == tile_depth; !whole || along_depth == transposed) {
    if (!whole) std::fill(&block[0][0][0], &block[0][0][0] + 2 * side * side, 0.0f);
    for (std::size_t half = 0; half != 2; ++half) {
      if (whole)
        for (std::size_t u = 0; u != side; u += square<float>)
          for (std::size_t v = 0; v != side; v += square<float>)
            transpose_square(&block[half][v][u], side, from[half] + u * stride + v, stride);
      else
        for (std::size_t line = 0; line != lines; ++line)
          for (std::size_t i = 0; i != side && half * side + i < depth; ++i)
            (transposed ? block[half][i][line] : block[half][line][i]) =
                from[half][line * x.row_stride + i * x.column_stride];
      from[half] = block[half][0];
    }
    stride = side;
  }
  for (std::size_t u = 0; u != side; ++u)
    for (std::size_t l = 0; l != side; l += lane_count<float>) {
      lanes<float> const first = load(from[0] + u * stride + l), second = load(from[1] + u * stride + l);
      words const rounded = rounded_pairs(first, second);
      store(high + u * side + l, rounded);
      if constexpr (Parts == 2)
        store(low + u * side + l, rounded_pairs(first - low_halves(rounded), second - high_halves(rounded)));
    }
}

/// Words of `elements`, whole blocks of them.
template <int Parts>
constexpr std::size_t words_of(std::size_t elements) {
  return elements * Parts / 2;
}

/// Panels of 32 lines, each for every 32 of depth two tiles of hi, then, of two parts, two of lo. Both extents are
/// rounded up to 32.
template <int Parts>
void split_panels(std::uint32_t* to, strided<float> x, std::size_t lines, std::size_t depth, bool transposed) {
  for (std::size_t l = 0; l < lines; l += block_side)
    for (std::size_t p = 0; p < depth; p += tile_depth, to += std::size_t{2} * Parts * tile_words)
      for (std::size_t i = 0; i != 2; ++i) {
        std::size_t const line = l + i * tile_side;
        split_tile<Parts>(to + i * tile_words, Parts == 2 ? to + (2 + i) * tile_words : nullptr,
                          {x.data + line * x.row_stride + p * x.column_stride, x.row_stride, x.column_stride},
                          std::clamp(lines, line, line + tile_side) - line, std::min(tile_depth, depth - p),
                          transposed);
      }
}

/// C (32, 32), rows `stride` apart, (+)= a panel of A times one of B.
template <int Parts, class Tiles>
void block_product(Tiles& tiles, float* c, std::size_t stride, std::uint32_t const* a, std::uint32_t const* b,
                   std::size_t depth, bool add) {
  constexpr std::size_t low = 2 * tile_words, step = Parts * low;
  add ? tiles.load(c, stride) : tiles.zero();
  for (std::size_t p = 0; p < depth; p += tile_depth, a += step, b += step) {
    tiles.left(a);
    if constexpr (Parts == 2) {
      tiles.right(b + low);
      tiles.dot();
    }
    tiles.right(b);
    tiles.dot();
    if constexpr (Parts == 2) {
      tiles.left(a + low);
      tiles.dot();
    }
  }
  tiles.store(c, stride);
}

/// The same of C (rows, columns), up to 32 each.
template <int Parts, class Tiles>
void split_block(Tiles& tiles, matrix<float> c, std::uint32_t const* a, std::uint32_t const* b, std::size_t depth,
                 bool add) {
  if (c.rows == block_side && c.columns == block_side)
    return block_product<Parts>(tiles, c.data, c.stride, a, b, depth, add);
  alignas(64) float edge[block_side * block_side] = {};
  if (add)
    for (std::size_t i = 0; i != c.rows; ++i) std::copy_n(c.data + i * c.stride, c.columns, edge + i * block_side);
  block_product<Parts>(tiles, edge, block_side, a, b, depth, add);
  for (std::size_t i = 0; i != c.rows; ++i) std::copy_n(edge + i * block_side, c.columns, c.data + i * c.stride);
}

/// Where the panels of columns [jc, jc + columns) and rows [pc, ...) of B (k, n) lie, all of B being packed.
template <int Parts>
constexpr std::size_t split_panels_before(std::size_t k, std::size_t jc, std::size_t columns, std::size_t pc) {
  return words_of<Parts>(jc * whole_blocks(k) + pc * whole_blocks(columns));
}
/// B as lines along the depth.
inline strided<float> lines_of(strided<float> b, std::size_t pc, std::size_t jc) {
  return {b.data + pc * b.row_stride + jc * b.column_stride, b.column_stride, b.row_stride};
}

/// C (m, n) (+)= A (m, k) B (k, n). Packs the blocks of B as it goes, or finds all of them at `packed` (see split_all).
template <int Parts, class Tiles>
void split_product_on(matrix<float> c, strided<float> a, strided<float> b, std::size_t k, bool add,
                      std::uint32_t const* packed) {
  if (k == 0 && !add)
    for (std::size_t i = 0; i != c.rows; ++i) std::fill_n(c.data + i * c.stride, c.columns, 0.0f);
  // Buffers for the life of the thread: products come by the thousand and must not allocate.
  static thread_local aligned_vector<std::uint32_t> panels(words_of<Parts>(split_depth<Parts> * split_columns)),
      row_panels(words_of<Parts>(split_depth<Parts> * split_rows));
  Tiles tiles;
  for (std::size_t jc = 0; jc < c.columns; jc += split_columns) {
    std::size_t const columns = std::min(split_columns, c.columns - jc);
    for (std::size_t pc = 0; pc < k; pc += split_depth<Parts>) {
      std::size_t const depth = std::min(split_depth<Parts>, k - pc), deep = whole_blocks(depth);
      std::uint32_t const* block_of_b = panels.data();
      if (packed != nullptr)
        block_of_b = packed + split_panels_before<Parts>(k, jc, columns, pc);
      else
        split_panels<Parts>(panels.data(), lines_of(b, pc, jc), columns, depth, true);
      for (std::size_t ic = 0; ic < c.rows; ic += split_rows) {
        std::size_t const rows = std::min(split_rows, c.rows - ic);
        split_panels<Parts>(row_panels.data(),
                            {a.data + ic * a.row_stride + pc * a.column_stride, a.row_stride, a.column_stride}, rows,
                            depth, false);
        for (std::size_t j = 0; j < columns; j += block_side)
          for (std::size_t i = 0; i < rows; i += block_side)
            split_block<Parts>(tiles,
                               {c.data + (ic + i) * c.stride + jc + j, std::min(block_side, rows - i),
                                std::min(block_side, columns - j), c.stride},
                               row_panels.data() + words_of<Parts>(i * deep), block_of_b + words_of<Parts>(j * deep),
                               depth, add || pc != 0);
      }
    }
  }
}

template <int Parts>
void split_product(matrix<float> c, strided<float> a, strided<float> b, std::size_t k, bool add,
                   std::uint32_t const* packed = nullptr) {
#if defined(SUSC_HAS_AMX)
  if (amx_permitted()) return split_product_on<Parts, amx_tiles>(c, a, b, k, add, packed);
#endif
#if defined(__AVX512BF16__)
  split_product_on<Parts, avx512_tiles>(c, a, b, k, add, packed);
#else
  split_product_on<Parts, portable_tiles>(c, a, b, k, add, packed);
#endif
}

/// All blocks of B (k, n), one after the other, for many products with the same B.
template <int Parts>
void split_all(aligned_vector<std::uint32_t>& to, strided<float> b, std::size_t k, std::size_t n) {
  if (std::size_t const size = words_of<Parts>(whole_blocks(k) * whole_blocks(n)); to.size() < size) to.resize(size);
  for (std::size_t jc = 0; jc < n; jc += split_columns) {
    std::size_t const columns = std::min(split_columns, n - jc);
    for (std::size_t pc = 0; pc < k; pc += split_depth<Parts>)
      split_panels<Parts>(to.data() + split_panels_before<Parts>(k, jc, columns, pc), lines_of(b, pc, jc), columns,
                          std::min(split_depth<Parts>, k - pc), true);
  }
}

/// Row p of B, hi + lo of two parts, to `to` (n,), from all its blocks.
template <int Parts>
void copy_split_row(float* to, std::uint32_t const* packed, std::size_t k, std::size_t n, std::size_t p) {
  std::size_t const pc = p / split_depth<Parts> * split_depth<Parts>, within = p - pc,
                    deep = whole_blocks(std::min(split_depth<Parts>, k - pc));
  std::size_t const i = within % tile_depth % tile_side;
  bool const second = within % tile_depth >= tile_side;
  auto const part = [second](std::uint32_t word) {
    return std::bit_cast<float>(second ? word & 0xFFFF0000U : word << 16);
  };
  for (std::size_t j = 0; j != n; ++j) {
    std::size_t const jc = j / split_columns * split_columns, column = j - jc;
    std::uint32_t const* const tile = packed + split_panels_before<Parts>(k, jc, std::min(split_columns, n - jc), pc) +
                                      words_of<Parts>(column / block_side * block_side * deep) +
                                      within / tile_depth * 2 * Parts * tile_words +
                                      column / tile_side % 2 * tile_words;
    std::uint32_t const* const word = tile + i * tile_side + column % tile_side;
    to[j] = part(word[0]);
    if constexpr (Parts == 2) to[j] += part(word[2 * tile_words]);
  }
}
}  // namespace detail

}  // namespace susc::kernels
