#pragma once
/// Unembedding and cross-entropy together: W passes by in blocks of the vocabulary, so the (tokens, vocabulary) logits
/// are never held.
//   logits[t,:] = x[t,:] W + bias       loss[t] = logsumexp(logits[t,:]) - logits[t, target[t]]   (nats)
//   x, dx (tokens, width)    W, dW (width, vocabulary)    bias, dbias (vocabulary) or null    target, loss (tokens)
// Error vs. double at precision::single, in units of cross_entropy_error * eps,
// m = 1 + (vocabulary + tokens) / 16 + width * max|x| max|W| + |largest logit of the token|:
//   loss: m + |loss|     dx, dW, dbias: their formula with all terms replaced by their absolutes, each times its m
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/kernels/gemm.hpp"
#include "susc/kernels/ops.hpp"

namespace susc::kernels {

/// Bound of the error against double: see the top of the file.
inline constexpr double cross_entropy_error = 8;

namespace detail {
inline constexpr std::size_t token_block = 64;  ///< with a block of the vocabulary: logits that stay in the L2 cache
/// Tokens whose logits are kept for dW, which needs the final sums: enough that dW is seldom loaded and stored.
inline constexpr std::size_t token_strip = 256;

/// Columns of W worked on at a time: their panels, those of the transpose and a block of logits stay in the L2 cache.
constexpr std::size_t vocabulary_block(std::size_t width) {
  return std::clamp<std::size_t>(32768 / std::max<std::size_t>(width, 1) / 64 * 64, 64, 512);
}
/// From one row of logits to the next: not a power of two, whose rows would compete for the same lines of the cache.
constexpr std::size_t logit_stride(std::size_t columns) {
  return (columns + 15) / 16 * 16 + 16;
}

/// log Σ exp of a token's logits so far: largest + log sum.
template <class T>
struct running_sum {
  T largest = std::numeric_limits<T>::lowest();
  T sum = 0;
  T correct = 0;  ///< the target's logit, once seen

  T loss() const { return std::log(sum) + (largest - correct); }

  /// Takes in more logits, replaced by exp(logit - largest) where Keep; returns the factor of what was summed before.
  template <bool Keep>
  T take(T* row, std::size_t count) {
    constexpr std::size_t step = lane_count<T>;
    std::size_t const whole = count / step * step;
    lanes<T> most(largest);
    for (std::size_t i = 0; i != whole; i += step) most = maximum(most, load(row + i));
    T now = maximum_of_lanes(most);
    for (std::size_t i = whole; i != count; ++i) now = std::max(now, row[i]);
    T const factor = now == largest ? T(1) : std::exp(largest - now);
    lanes<T> const shift(now);
    lanes<T> sums(T(0));
    for (std::size_t i = 0; i != whole; i += step) {
      lanes<T> const e = exponential(load(row + i) - shift);
      if constexpr (Keep) store(row + i, e);
      sums = sums + e;
    }
    T more = sum_of_lanes(sums);
    for (std::size_t i = whole; i != count; ++i) {
      T const e = std::exp(row[i] - now);
      if constexpr (Keep) row[i] = e;
      more += e;
    }
    largest = now;
    sum = sum * factor + more;
    return factor;
  }
};

template <class T>
void add_row(T* row, T const* other, std::size_t count) {
  for (std::size_t i = 0; i != count; ++i) row[i] += other[i];
}
}  // namespace detail

/// Reusable memory of the kernels; grows to the largest problem seen.
template <class T>
struct cross_entropy_scratch {
  packed_matrix<T> w, transposed;              ///< a block of W, or W, and its transpose
  aligned_vector<T> logits, target_rows;       ///< of the tokens worked on; columns of W of their targets
  std::vector<detail::running_sum<T>> tokens;  ///< (tokens)
};

/// Elements of T that the scratch grows to in losses and gradients, those by W among them.
template <class T>
constexpr std::size_t cross_entropy_scratch_size(std::size_t tokens, std::size_t width, std::size_t vocabulary) {
  std::size_t const block =
      detail::token_block * detail::logit_stride(std::min(detail::vocabulary_block(width), vocabulary));
  std::size_t const strip = std::min(detail::token_strip, tokens) * detail::logit_stride(vocabulary);
  return packed_matrix<T>::size(width, vocabulary) + packed_matrix<T>::size(vocabulary, width) +
         std::max(block, strip) + tokens * width;
}

namespace detail {
/// Losses, and where dx is not null the gradient by x; sums and gradients are rescaled where a larger logit appears.
template <class T>
void blocked_cross_entropy(T* loss, T* dx, T weight, matrix<T const> x, matrix<T const> w, T const* bias,
                           std::int32_t const* target, cross_entropy_scratch<T>& scratch, precision how) {
  std::size_t const most = std::min(vocabulary_block(x.columns), w.columns), stride = logit_stride(most);
  scratch.tokens.assign(x.rows, {});
  grow(scratch.logits, token_block * stride);
  if (dx != nullptr) grow(scratch.target_rows, x.rows * x.columns);
  for (std::size_t first = 0; first < w.columns; first += most) {
    std::size_t const columns = std::min(most, w.columns - first);
    matrix<T const> const part{w.data + first, w.rows, columns, w.stride};
    scratch.w.pack(part, how);
    if (dx != nullptr) scratch.transposed.pack_transposed(part, how);
    for (std::size_t begin = 0; begin < x.rows; begin += token_block) {
      std::size_t const count = std::min(token_block, x.rows - begin);
      matrix<T> const logits{scratch.logits.data(), count, columns, stride};
      multiply<T>(logits, {x.data + begin * x.stride, count, x.columns, x.stride}, scratch.w);
      for (std::size_t t = begin; t != begin + count; ++t) {
        T* const row = logits.data + (t - begin) * stride;
        if (bias != nullptr) add_row(row, bias + first, columns);
        auto& token = scratch.tokens[t];
        std::size_t const correct = static_cast<std::size_t>(target[t]);
        bool const here = correct >= first && correct < first + columns;
        if (here) token.correct = row[correct - first];
        if (dx == nullptr) {
          token.template take<false>(row, columns);
          continue;
        }
        T const factor = token.template take<true>(row, columns);
        if (here) scratch.transposed.copy_row(correct - first, scratch.target_rows.data() + t * x.columns);
        if (T* const to = dx + t * x.columns; first != 0 && factor != 1)
          for (std::size_t d = 0; d != x.columns; ++d) to[d] *= factor;
      }
      if (dx != nullptr)
        multiply<T>({dx + begin * x.columns, count, x.columns}, logits, scratch.transposed,
                    first == 0 ? output::overwrite : output::add);
    }
  }
  for (std::size_t t = 0; t != x.rows; ++t) {
    loss[t] = scratch.tokens[t].loss();
    if (dx == nullptr) continue;
    T const scale = weight / scratch.tokens[t].sum;
    T* const to = dx + t * x.columns;
    T const* const correct = scratch.target_rows.data() + t * x.columns;
    for (std::size_t d = 0; d != x.columns; ++d) to[d] = scale * to[d] - weight * correct[d];
  }
}
}  // namespace detail

/// Per-token losses.
template <class T>
void cross_entropy(T* loss, matrix<T const> x, matrix<T const> w, T const* bias, std::int32_t const* target,
                   cross_entropy_scratch<T>& scratch, precision how = precision::single) {
  detail::blocked_cross_entropy<T>(loss, nullptr, T(0), x, w, bias, target, scratch, how);
}

/// Per-token losses and the gradient of `weight` times their sum: dx is overwritten; dw and dbias are added to, or
/// null.
template <class T>
void cross_entropy_gradient(T* loss, T* dx, T* dw, T* dbias, T weight, matrix<T const> x, matrix<T const> w,
                            T const* bias, std::int32_t const* target, cross_entropy_scratch<T>& scratch,
                            precision how = precision::single) {
  if (dw == nullptr && dbias == nullptr)
    return detail::blocked_cross_entropy<T>(loss, dx, weight, x, w, bias, target, scratch, how);
  std::size_t const most = std::min(detail::token_strip, x.rows), stride = detail::logit_stride(w.columns);
  grow(scratch.logits, most * stride);
  scratch.w.pack(w, how);
  scratch.transposed.pack_transposed(w, how);
  for (std::size_t begin = 0; begin < x.rows; begin += most) {
    std::size_t const count = std::min(most, x.rows - begin);
    matrix<T const> const block{x.data + begin * x.stride, count, x.columns, x.stride};
    matrix<T> const logits{scratch.logits.data(), count, w.columns, stride};
    multiply<T>(logits, block, scratch.w);
    for (std::size_t t = 0; t != count; ++t) {
      T* const row = logits.data + t * stride;
      std::size_t const correct = static_cast<std::size_t>(target[begin + t]);
      if (bias != nullptr) detail::add_row(row, bias, w.columns);
      detail::running_sum<T> token{.correct = row[correct]};
      token.template take<true>(row, w.columns);
      loss[begin + t] = token.loss();
      T const scale = weight / token.sum;
      for (std::size_t v = 0; v != w.columns; ++v) row[v] *= scale;
      row[correct] -= weight;
      if (dbias != nullptr) detail::add_row(dbias, row, w.columns);
    }
    multiply<T>({dx + begin * x.columns, count, x.columns}, logits, scratch.transposed);
    if (dw != nullptr) transposed_multiply<T>({dw, w.rows, w.columns}, block, logits, output::add, how);
  }
}

}  // namespace susc::kernels
