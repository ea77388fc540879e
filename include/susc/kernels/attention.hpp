#pragma once
/// Causal self-attention of one head over one sequence, forward and backward, a block of queries at a time: the (T, T)
/// scores are never held and blocks above the diagonal are never computed.
//   scores[i,j] = q[i,:]·k[j,:] / sqrt(head_width), j <= i     P = softmax_j(scores)     z[i,:] = Σ_j P[i,j] v[j,:]
//   q, k, v, z, dq, dk, dv, dz  (T, head_width) row-major with leading dimensions
//   log_sum[i]  (T)  log Σ_j exp(scores[i,j]), kept for the backward pass, which recomputes P
// Queries are the SIMD lanes, so the softmax runs down columns and needs no horizontal sum.
// Error vs. double: each of z, dq, dk, dv <= attention_error * eps * (T + head_width * S) * its formula with all terms
// replaced by their absolutes, S = 1 + max_ij Σ_d |q[i,d] k[j,d]| / sqrt(head_width); log_sum the same with 1 for
// formula.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "susc/kernels/ops.hpp"

namespace susc::kernels {

inline constexpr std::size_t attention_block = 32;  ///< queries a block
inline constexpr double attention_error = 2;

/// Reusable memory of the attention kernels; grows to the longest sequence seen.
template <class T>
struct attention_scratch {
  std::vector<T> scores, slopes;        // (T, block): Pᵀ and dSᵀ, keys as rows, queries as lanes
  std::vector<T> queries, values, out;  // (head_width, block): Qᵀ, dZᵀ and Zᵀ (or dQᵀ) of the block
  std::vector<T> row_queries, row_dz;   // (block, padded head_width)
  std::vector<T> dk, dv;                // (T, padded head_width)

  void reserve(std::size_t length, std::size_t head_width) {
    std::size_t const wide = padded<T>(head_width);
    grow(scores, length * attention_block);
    grow(slopes, length * attention_block);
    for (auto* buffer : {&queries, &values, &out}) grow(*buffer, head_width * attention_block);
    for (auto* buffer : {&row_queries, &row_dz}) grow(*buffer, wide * attention_block);
    for (auto* buffer : {&dk, &dv}) grow(*buffer, length * wide);
  }

 private:
  static void grow(std::vector<T>& buffer, std::size_t size) {
    if (buffer.size() < size) buffer.resize(size);
  }
};

namespace detail {
/// c[r,:] (+)= Σ_s a(r,s) b[s,:] for r in [0, rows), s in [0, depth): Rows x Lanes accumulators stay in registers.
/// a(r,s) = a[r * row_stride + s * depth_stride]; b, c have `width` columns, a multiple of the lane count.
template <bool Add, class T, std::size_t Rows, std::size_t Columns>
void outer_product_tile(T* c, T const* a, std::size_t row_stride, std::size_t depth_stride, T const* b,
                        std::size_t depth, std::size_t width) {
  constexpr std::size_t step = lane_count<T>;
  lanes<T> sums[Rows][Columns];
  for (std::size_t r = 0; r != Rows; ++r)
    for (std::size_t l = 0; l != Columns; ++l) sums[r][l] = Add ? load(c + r * width + l * step) : lanes<T>(T(0));
  for (std::size_t s = 0; s != depth; ++s) {
    lanes<T> row[Columns];
    for (std::size_t l = 0; l != Columns; ++l) row[l] = load(b + s * width + l * step);
    for (std::size_t r = 0; r != Rows; ++r) {
      lanes<T> const factor(a[r * row_stride + s * depth_stride]);
      for (std::size_t l = 0; l != Columns; ++l) sums[r][l] = multiply_add(factor, row[l], sums[r][l]);
    }
  }
  for (std::size_t r = 0; r != Rows; ++r)
    for (std::size_t l = 0; l != Columns; ++l) store(c + r * width + l * step, sums[r][l]);
}

template <bool Add, class T>
void outer_product(T* c, T const* a, std::size_t row_stride, std::size_t depth_stride, T const* b, std::size_t rows,
                   std::size_t depth, std::size_t width) {
  constexpr std::size_t step = lane_count<T>;
  std::size_t column = 0;
  auto const rows_of = [&]<std::size_t Columns>() {
    std::size_t r = 0;
    for (; r + 4 <= rows; r += 4)
      outer_product_tile<Add, T, 4, Columns>(c + r * width + column, a + r * row_stride, row_stride, depth_stride,
                                             b + column, depth, width);
    for (; r != rows; ++r)
      outer_product_tile<Add, T, 1, Columns>(c + r * width + column, a + r * row_stride, row_stride, depth_stride,
                                             b + column, depth, width);
    column += Columns * step;
  };
  while (column + 2 * step <= width) rows_of.template operator()<2>();
  if (column != width) rows_of.template operator()<1>();
}

/// to (columns, block) = scale * fromᵀ, lanes beyond `rows` zero.
template <class T>
void transpose_block(T* to, T const* from, std::size_t stride, std::size_t rows, std::size_t columns, T scale) {
  for (std::size_t d = 0; d != columns; ++d)
    for (std::size_t i = 0; i != attention_block; ++i)
      to[d * attention_block + i] = i < rows ? scale * from[i * stride + d] : T(0);
}
/// to (rows, wide) = scale * from with columns padded by zeros.
template <class T>
void pad_rows(T* to, std::size_t wide, T const* from, std::size_t stride, std::size_t rows, std::size_t columns,
              T scale) {
  for (std::size_t i = 0; i != rows; ++i)
    for (std::size_t d = 0; d != wide; ++d) to[i * wide + d] = d < columns ? scale * from[i * stride + d] : T(0);
}

/// Scores of queries [begin, begin + 32) against keys [0, last), transposed; keys after a query get -1e30.
template <class T>
void masked_scores(T* scores, T const* k, std::size_t ldk, T const* queries, std::size_t begin, std::size_t last,
                   std::size_t head_width) {
  outer_product<false>(scores, k, ldk, 1, queries, last, head_width, attention_block);
  for (std::size_t j = begin; j < last; ++j)
    for (std::size_t i = 0; i != std::min(j - begin, attention_block); ++i) scores[j * attention_block + i] = T(-1e30);
}
}  // namespace detail

template <class T>
void causal_attention(T* z, std::size_t ldz, T* log_sum, T const* q, std::size_t ldq, T const* k, std::size_t ldk,
                      T const* v, std::size_t ldv, std::size_t length, std::size_t head_width,
                      attention_scratch<T>& scratch) {
  constexpr std::size_t block = attention_block, step = lane_count<T>;
  scratch.reserve(length, head_width);
  T const scale = 1 / std::sqrt(static_cast<T>(head_width));
  for (std::size_t begin = 0; begin < length; begin += block) {
    std::size_t const count = std::min(block, length - begin), last = begin + count;
    T* const scores = scratch.scores.data();
    detail::transpose_block(scratch.queries.data(), q + begin * ldq, ldq, count, head_width, scale);
    detail::masked_scores(scores, k, ldk, scratch.queries.data(), begin, last, head_width);
    T largest[block], sum[block];
    for (std::size_t i = 0; i != block; i += step) {
      lanes<T> m = load(scores + i);
      for (std::size_t j = 1; j != last; ++j) m = maximum(m, load(scores + j * block + i));
      lanes<T> s(T(0));
      for (std::size_t j = 0; j != last; ++j) {
        lanes<T> const e = exponential(load(scores + j * block + i) - m);
        store(scores + j * block + i, e);
        s = s + e;
      }
      store(largest + i, m);
      store(sum + i, s);
    }
    detail::outer_product<false>(scratch.out.data(), v, 1, ldv, scores, head_width, last, block);
    for (std::size_t i = 0; i != count; ++i) {
      log_sum[begin + i] = largest[i] + std::log(sum[i]);
      for (std::size_t d = 0; d != head_width; ++d) z[(begin + i) * ldz + d] = scratch.out[d * block + i] / sum[i];
    }
  }
}

/// dq, dk, dv are overwritten.
template <class T>
void causal_attention_backward(T* dq, std::size_t lddq, T* dk, std::size_t lddk, T* dv, std::size_t lddv, T const* dz,
                               std::size_t lddz, T const* z, std::size_t ldz, T const* log_sum, T const* q,
                               std::size_t ldq, T const* k, std::size_t ldk, T const* v, std::size_t ldv,
                               std::size_t length, std::size_t head_width, attention_scratch<T>& scratch) {
  constexpr std::size_t block = attention_block, step = lane_count<T>;
  scratch.reserve(length, head_width);
  std::size_t const wide = padded<T>(head_width);
  T const scale = 1 / std::sqrt(static_cast<T>(head_width));
  std::fill_n(scratch.dk.begin(), length * wide, T(0));
  std::fill_n(scratch.dv.begin(), length * wide, T(0));
  for (std::size_t begin = 0; begin < length; begin += block) {
    std::size_t const count = std::min(block, length - begin), last = begin + count;
    T *const p = scratch.scores.data(), *const ds = scratch.slopes.data();
    detail::transpose_block(scratch.queries.data(), q + begin * ldq, ldq, count, head_width, scale);
    detail::transpose_block(scratch.values.data(), dz + begin * lddz, lddz, count, head_width, T(1));
    detail::pad_rows(scratch.row_queries.data(), wide, q + begin * ldq, ldq, count, head_width, scale);
    detail::pad_rows(scratch.row_dz.data(), wide, dz + begin * lddz, lddz, count, head_width, T(1));
    detail::masked_scores(p, k, ldk, scratch.queries.data(), begin, last, head_width);
    detail::outer_product<false>(ds, v, ldv, 1, scratch.values.data(), last, head_width, block);
    T shift[block], inner[block];
    for (std::size_t i = 0; i != block; ++i) {
      shift[i] = i < count ? log_sum[begin + i] : T(0);
      inner[i] = 0;
      for (std::size_t d = 0; i < count && d != head_width; ++d)
        inner[i] += dz[(begin + i) * lddz + d] * z[(begin + i) * ldz + d];
    }
    for (std::size_t j = 0; j != last; ++j)
      for (std::size_t i = 0; i != block; i += step) {
        lanes<T> const probability = exponential(load(p + j * block + i) - load(shift + i));
        store(p + j * block + i, probability);
        store(ds + j * block + i, probability * (load(ds + j * block + i) - load(inner + i)));
      }
    detail::outer_product<false>(scratch.out.data(), k, 1, ldk, ds, head_width, last, block);
    for (std::size_t i = 0; i != count; ++i)
      for (std::size_t d = 0; d != head_width; ++d) dq[(begin + i) * lddq + d] = scale * scratch.out[d * block + i];
    detail::outer_product<true>(scratch.dv.data(), p, block, 1, scratch.row_dz.data(), last, count, wide);
    detail::outer_product<true>(scratch.dk.data(), ds, block, 1, scratch.row_queries.data(), last, count, wide);
  }
  for (std::size_t j = 0; j != length; ++j)
    for (std::size_t d = 0; d != head_width; ++d) {
      dk[j * lddk + d] = scratch.dk[j * wide + d];
      dv[j * lddv + d] = scratch.dv[j * wide + d];
    }
}

}  // namespace susc::kernels
