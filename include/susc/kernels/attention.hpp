#pragma once
/// Causal self-attention of one head over one sequence, forward and backward, a tile of scores at a time: the (T, T)
/// scores are never held, tiles above the diagonal never computed (Dao et al. 2022, "FlashAttention").
//   scores[i,j] = q[i,:]·k[j,:] / sqrt(head_width), j <= i     P = softmax_j(scores)     z[i,:] = Σ_j P[i,j] v[j,:]
//   q, k, v, z, dq, dk, dv, dz  (T, head_width) row-major with leading dimensions
//   log_sum[i]  (T)  log Σ_j exp(scores[i,j]), kept for the backward pass, which recomputes P
// A block of keys stays in the L1 cache while panels of queries pass by. The queries of a panel are the SIMD lanes of
// its score tile, so the softmax runs down columns and needs no horizontal sum. Error vs. double: each of z, dq, dk, dv
// <= attention_error * eps * (T + head_width * S) * its formula with all terms replaced by their absolutes, S = 1 +
// max_ij Σ_d |q[i,d] k[j,d]| / sqrt(head_width); log_sum the same with 1 for formula.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

#include "susc/core/aligned_vector.hpp"
#include "susc/kernels/gemm.hpp"
#include "susc/kernels/ops.hpp"

namespace susc::kernels {

inline constexpr std::size_t attention_block = 128;  ///< keys a block: a multiple of every panel
template <class T>
inline constexpr std::size_t attention_panel = 2 * lane_count<T>;  ///< queries a panel
/// Bound of the error against double: see the top of the file.
inline constexpr double attention_error = 2;

namespace detail {
template <class T>
constexpr std::size_t padded_length(std::size_t length) {
  return (length + attention_panel<T> - 1) / attention_panel<T> * attention_panel<T>;
}
}  // namespace detail

/// Reusable memory of the attention kernels; grows to the longest sequence seen. T: the length, padded to panels; wide:
/// the head_width, padded to registers.
template <class T>
struct attention_scratch {
  aligned_vector<T> keys, values, dk, dv;     ///< (block, wide)
  aligned_vector<T> scores, slopes;           ///< (block, panel): Pᵀ and dSᵀ, keys as rows, queries as lanes
  aligned_vector<T> queries, dz;              ///< (T, wide)
  aligned_vector<T> query_panels, dz_panels;  ///< (T / panel, wide, panel): each panel transposed
  aligned_vector<T> sums;                     ///< (T, wide): Σ_j exp(score - largest) v[j,:]; backward: dq
  aligned_vector<T> largest, sum;             ///< (T): of the softmax so far; backward: log_sum and dz[i,:]·z[i,:]

  /// Makes room for sequences of `length`.
  void reserve(std::size_t length, std::size_t head_width) {
    std::size_t const wide = padded<T>(head_width), rows = detail::padded_length<T>(length);
    for (auto* buffer : {&keys, &values, &dk, &dv}) grow(*buffer, attention_block * wide);
    for (auto* buffer : {&scores, &slopes}) grow(*buffer, attention_block * attention_panel<T>);
    for (auto* buffer : {&queries, &dz, &query_panels, &dz_panels, &sums}) grow(*buffer, rows * wide);
    for (auto* buffer : {&largest, &sum}) grow(*buffer, rows);
  }
};
/// Elements of T that the scratch grows to.
template <class T>
constexpr std::size_t attention_scratch_size(std::size_t length, std::size_t head_width) {
  std::size_t const wide = padded<T>(head_width), rows = detail::padded_length<T>(length);
  return attention_block * (4 * wide + 2 * attention_panel<T>)+rows * (5 * wide + 2);
}

namespace detail {
/// A tile of C (Rows x Columns lanes) (+)= A (Rows x depth) B.
template <bool Add, std::size_t Columns, std::size_t Rows, class T>
[[gnu::always_inline]] inline void small_tile(T* c, std::size_t ldc, strided<T> a, T const* b, std::size_t ldb,
                                              std::size_t depth) {
  constexpr std::size_t step = lane_count<T>;
  // Unrolled by request: over a short depth the sums must not take a way through memory.
  lanes<T> sums[Rows][Columns];
#pragma GCC unroll 16
  for (std::size_t r = 0; r != Rows; ++r)
#pragma GCC unroll 2
    for (std::size_t l = 0; l != Columns; ++l) sums[r][l] = Add ? load(c + r * ldc + l * step) : lanes<T>(T(0));
#pragma GCC unroll 1
  for (std::size_t p = 0; p != depth; ++p) {
    lanes<T> row[Columns];
#pragma GCC unroll 2
    for (std::size_t l = 0; l != Columns; ++l) row[l] = load(b + p * ldb + l * step);
#pragma GCC unroll 16
    for (std::size_t r = 0; r != Rows; ++r) {
      lanes<T> const factor(a.data[r * a.row_stride + p * a.column_stride]);
#pragma GCC unroll 2
      for (std::size_t l = 0; l != Columns; ++l) sums[r][l] = multiply_add(factor, row[l], sums[r][l]);
    }
  }
#pragma GCC unroll 16
  for (std::size_t r = 0; r != Rows; ++r)
#pragma GCC unroll 2
    for (std::size_t l = 0; l != Columns; ++l) store(c + r * ldc + l * step, sums[r][l]);
}

/// A tile of `rows` <= tile_rows rows.
template <bool Add, std::size_t Columns, class T, std::size_t... Fewer>
[[gnu::always_inline]] inline void small_tile_of(std::size_t rows, std::index_sequence<Fewer...>, T* c, std::size_t ldc,
                                                 strided<T> a, T const* b, std::size_t ldb, std::size_t depth) {
  constexpr std::size_t most = sizeof...(Fewer);
  (void)((rows == most - Fewer && (small_tile<Add, Columns, most - Fewer>(c, ldc, a, b, ldb, depth), true)) || ...);
}

/// Columns of C from the given one.
template <bool Add, std::size_t Columns, class T>
void small_panel(matrix<T> c, strided<T> a, matrix<T const> b, std::size_t column) {
  // Tiles of nearly equal height: a low one at the end would not hide the latency of the multiply-adds.
  std::size_t tiles = (c.rows + tile_rows<T> - 1) / tile_rows<T>;
  for (std::size_t i = 0, rows; tiles != 0; --tiles, i += rows) {
    rows = (c.rows - i + tiles - 1) / tiles;
    small_tile_of<Add, Columns>(rows, std::make_index_sequence<tile_rows<T>>{}, c.data + i * c.stride + column,
                                c.stride, strided<T>{a.data + i * a.row_stride, a.row_stride, a.column_stride},
                                b.data + column, b.stride, b.rows);
  }
}

/// C (m, n) (+)= A (m, depth) B (depth, n), n a multiple of the lane count; all of it lies in the nearest caches.
template <bool Add, class T>
void small_product(matrix<T> c, strided<T> a, matrix<T const> b) {
  std::size_t column = 0;
  for (; column + 2 * lane_count<T> <= c.columns; column += 2 * lane_count<T>) small_panel<Add, 2>(c, a, b, column);
  if (column != c.columns) small_panel<Add, 1>(c, a, b, column);
}

/// to (rows, to_columns) = scale * from (rows, columns), padded by zeros where to_columns > columns.
template <class T>
void copy_rows(T* to, std::size_t to_stride, std::size_t to_columns, T const* from, std::size_t stride,
               std::size_t columns, std::size_t rows, T scale) {
  std::size_t const whole = columns / lane_count<T> * lane_count<T>;
  for (; rows != 0; --rows, to += to_stride, from += stride) {
    for (std::size_t d = 0; d != whole; d += lane_count<T>) store(to + d, lanes<T>(scale) * load(from + d));
    for (std::size_t d = whole; d != columns; ++d) to[d] = scale * from[d];
    for (std::size_t d = columns; d < to_columns; ++d) to[d] = T(0);
  }
}

/// rows (T, wide) = scale * from; panels: the same transposed a panel at a time. Rows beyond `length` are zero.
template <class T>
void make_panels(T* panels, T* rows, std::size_t wide, T const* from, std::size_t stride, std::size_t columns,
                 std::size_t length, T scale) {
  constexpr std::size_t panel = attention_panel<T>;
  copy_rows(rows, wide, wide, from, stride, columns, length, scale);
  std::size_t const all = padded_length<T>(length);
  std::fill(rows + length * wide, rows + all * wide, T(0));
  for (std::size_t begin = 0; begin != all; begin += panel, rows += panel * wide, panels += panel * wide)
    for (std::size_t i = 0; i != panel; i += square<T>)
      for (std::size_t d = 0; d < columns; d += square<T>)
        transpose_square(panels + d * panel + i, panel, rows + i * wide + d, wide);
}

template <class T>
T inner_product(T const* a, T const* b, std::size_t count) {
  std::size_t const whole = count / lane_count<T> * lane_count<T>;
  lanes<T> sums(T(0));
  for (std::size_t i = 0; i != whole; i += lane_count<T>) sums = multiply_add(load(a + i), load(b + i), sums);
  T sum = sum_of_lanes(sums);
  for (std::size_t i = whole; i != count; ++i) sum += a[i] * b[i];
  return sum;
}

inline constexpr double masked_score = -1e30;

/// Scores of a panel of queries against keys [0, count), transposed; keys after a query, whose number among the keys is
/// `before` + its number in the panel, get masked_score.
template <class T>
void causal_scores(T* scores, T const* keys, T const* queries, std::size_t wide, std::size_t head_width,
                   std::size_t count, std::size_t before) {
  constexpr std::size_t panel = attention_panel<T>;
  alignas(64) static constexpr auto numbers = [] {
    std::array<T, panel> all{};
    for (std::size_t i = 0; i != panel; ++i) all[i] = static_cast<T>(i);
    return all;
  }();
  small_product<false, T>({scores, count, panel}, {keys, wide, 1}, {queries, head_width, panel});
  for (std::size_t j = before + 1; j < count; ++j)
    for (std::size_t i = 0; i != panel; i += lane_count<T>) {
      T* const at = scores + j * panel + i;
      lanes<T> const key(static_cast<T>(j - before));
      store(at, choose(load(numbers.data() + i) < key, lanes<T>(T(masked_score)), load(at)));
    }
}

/// Replaces scores by exp(score - the largest so far), updates `largest` and `sum`; keep: the factors that bring sums
/// of earlier exponentials down to the new largest.
template <class T>
void softmax_panel(T* scores, std::size_t count, T* largest, T* sum, T* keep) {
  constexpr std::size_t panel = attention_panel<T>;
  for (std::size_t i = 0; i != panel; i += lane_count<T>) {
    lanes<T> const before = load(largest + i);
    lanes<T> now = before;
    for (std::size_t j = 0; j != count; ++j) now = maximum(now, load(scores + j * panel + i));
    lanes<T> const factor = exponential(before - now);
    lanes<T> total = load(sum + i) * factor;
    for (std::size_t j = 0; j != count; ++j) {
      lanes<T> const e = exponential(load(scores + j * panel + i) - now);
      store(scores + j * panel + i, e);
      total = total + e;
    }
    store(largest + i, now);
    store(sum + i, total);
    store(keep + i, factor);
  }
}
}  // namespace detail

/// The forward pass: z and log_sum are overwritten.
template <class T>
void causal_attention(T* z, std::size_t ldz, T* log_sum, T const* q, std::size_t ldq, T const* k, std::size_t ldk,
                      T const* v, std::size_t ldv, std::size_t length, std::size_t head_width,
                      attention_scratch<T>& scratch) {
  constexpr std::size_t panel = attention_panel<T>;
  scratch.reserve(length, head_width);
  std::size_t const wide = padded<T>(head_width);
  T const scale = 1 / std::sqrt(static_cast<T>(head_width));
  T *const keys = scratch.keys.data(), *const values = scratch.values.data(), *const scores = scratch.scores.data();
  detail::make_panels(scratch.query_panels.data(), scratch.queries.data(), wide, q, ldq, head_width, length, scale);
  std::fill(scratch.largest.begin(), scratch.largest.end(), T(detail::masked_score));
  std::fill(scratch.sum.begin(), scratch.sum.end(), T(0));
  for (std::size_t first = 0; first < length; first += attention_block) {
    std::size_t const count = std::min(attention_block, length - first);
    detail::copy_rows(keys, wide, wide, k + first * ldk, ldk, head_width, count, T(1));
    detail::copy_rows(values, wide, wide, v + first * ldv, ldv, head_width, count, T(1));
    for (std::size_t begin = first; begin < length; begin += panel) {
      std::size_t const seen = std::min(count, begin + panel - first);
      detail::causal_scores(scores, keys, scratch.query_panels.data() + begin * wide, wide, head_width, seen,
                            begin - first);
      T keep[panel];
      detail::softmax_panel(scores, seen, scratch.largest.data() + begin, scratch.sum.data() + begin, keep);
      matrix<T> const sums(scratch.sums.data() + begin * wide, panel, wide);
      if (first == 0) {
        detail::small_product<false, T>(sums, {scores, 1, panel}, {values, seen, wide});
        continue;
      }
      for (std::size_t i = 0; i != panel; ++i)
        detail::copy_rows(sums.data + i * wide, wide, wide, sums.data + i * wide, wide, wide, 1, keep[i]);
      detail::small_product<true, T>(sums, {scores, 1, panel}, {values, seen, wide});
    }
  }
  for (std::size_t i = 0; i != length; ++i)
    detail::copy_rows(z + i * ldz, ldz, head_width, scratch.sums.data() + i * wide, wide, head_width, 1,
                      1 / scratch.sum[i]);
  for (std::size_t i = 0; i < length; i += lane_count<T>)
    store(scratch.sum.data() + i, load(scratch.largest.data() + i) + logarithm(load(scratch.sum.data() + i)));
  std::copy_n(scratch.sum.begin(), length, log_sum);
}

/// dq, dk, dv are overwritten.
template <class T>
void causal_attention_backward(T* dq, std::size_t lddq, T* dk, std::size_t lddk, T* dv, std::size_t lddv, T const* dz,
                               std::size_t lddz, T const* z, std::size_t ldz, T const* log_sum, T const* q,
                               std::size_t ldq, T const* k, std::size_t ldk, T const* v, std::size_t ldv,
                               std::size_t length, std::size_t head_width, attention_scratch<T>& scratch) {
  constexpr std::size_t panel = attention_panel<T>;
  scratch.reserve(length, head_width);
  std::size_t const wide = padded<T>(head_width), rows = detail::padded_length<T>(length);
  T const scale = 1 / std::sqrt(static_cast<T>(head_width));
  T *const keys = scratch.keys.data(), *const values = scratch.values.data();
  T *const p = scratch.scores.data(), *const ds = scratch.slopes.data();
  T *const shifts = scratch.largest.data(), *const inner = scratch.sum.data();
  detail::make_panels(scratch.query_panels.data(), scratch.queries.data(), wide, q, ldq, head_width, length, scale);
  detail::make_panels(scratch.dz_panels.data(), scratch.dz.data(), wide, dz, lddz, head_width, length, T(1));
  for (std::size_t i = 0; i != rows; ++i) {
    shifts[i] = i < length ? log_sum[i] : T(0);
    inner[i] = i < length ? detail::inner_product(dz + i * lddz, z + i * ldz, head_width) : T(0);
  }
  std::fill_n(scratch.sums.begin(), rows * wide, T(0));
  for (std::size_t first = 0; first < length; first += attention_block) {
    std::size_t const count = std::min(attention_block, length - first);
    detail::copy_rows(keys, wide, wide, k + first * ldk, ldk, head_width, count, T(1));
    detail::copy_rows(values, wide, wide, v + first * ldv, ldv, head_width, count, T(1));
    std::fill_n(scratch.dk.begin(), count * wide, T(0));
    std::fill_n(scratch.dv.begin(), count * wide, T(0));
    for (std::size_t begin = first; begin < length; begin += panel) {
      std::size_t const seen = std::min(count, begin + panel - first), row = begin * wide;
      detail::causal_scores(p, keys, scratch.query_panels.data() + row, wide, head_width, seen, begin - first);
      detail::small_product<false, T>({ds, seen, panel}, {values, wide, 1},
                                      {scratch.dz_panels.data() + row, head_width, panel});
      for (std::size_t i = 0; i != panel; i += lane_count<T>) {
        lanes<T> const shift = load(shifts + begin + i), mean = load(inner + begin + i);
        for (std::size_t at = i; at < seen * panel; at += panel) {
          lanes<T> const probability = exponential(load(p + at) - shift);
          store(p + at, probability);
          store(ds + at, probability * (load(ds + at) - mean));
        }
      }
      detail::small_product<true, T>({scratch.sums.data() + row, panel, wide}, {ds, 1, panel}, {keys, seen, wide});
      detail::small_product<true, T>({scratch.dv.data(), seen, wide}, {p, panel, 1},
                                     {scratch.dz.data() + row, panel, wide});
      detail::small_product<true, T>({scratch.dk.data(), seen, wide}, {ds, panel, 1},
                                     {scratch.queries.data() + row, panel, wide});
    }
    detail::copy_rows(dk + first * lddk, lddk, head_width, scratch.dk.data(), wide, head_width, count, T(1));
    detail::copy_rows(dv + first * lddv, lddv, head_width, scratch.dv.data(), wide, head_width, count, T(1));
  }
  detail::copy_rows(dq, lddq, head_width, scratch.sums.data(), wide, head_width, length, scale);
}

}  // namespace susc::kernels
