#pragma once
/// Unembedding and cross-entropy together, one block of tokens at a time: the (tokens, vocabulary) logits are never
/// held.
//   logits[t,:] = x[t,:] W + bias       loss[t] = logsumexp(logits[t,:]) - logits[t, target[t]]   (nats)
//   x, dx (tokens, width)    W, dW (width, vocabulary)    bias, dbias (vocabulary) or null    target, loss (tokens)
//   scratch: at least cross_entropy_block * vocabulary
// Error vs. double, in units of cross_entropy_error * eps,
// m = 1 + (vocabulary + tokens) / 16 + width * max|x| max|W| + |largest logit of the token|:
//   loss: m + |loss|     dx, dW, dbias: their formula with all terms replaced by their absolutes, each times its m
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "susc/kernels/gemm.hpp"
#include "susc/kernels/ops.hpp"

namespace susc::kernels {

inline constexpr std::size_t cross_entropy_block = 128;  ///< tokens a block: 128 x 1024 floats stay in the L2 cache
inline constexpr double cross_entropy_error = 8;

namespace detail {
/// Replaces a row of logits by exp(logit - max), returns {max, sum of the exponentials}.
template <class T>
std::pair<T, T> exponentials(T* row, std::size_t count) {
  constexpr std::size_t step = lane_count<T>;
  std::size_t const whole = count / step * step;
  T largest = row[0];
  if (whole != 0) {
    lanes<T> largest_lanes = load(row);
    for (std::size_t i = step; i != whole; i += step) largest_lanes = maximum(largest_lanes, load(row + i));
    largest = maximum_of_lanes(largest_lanes);
  }
  for (std::size_t i = whole; i != count; ++i) largest = std::max(largest, row[i]);
  lanes<T> const shift(largest);
  lanes<T> sums(T(0));
  for (std::size_t i = 0; i != whole; i += step) {
    lanes<T> const e = exponential(load(row + i) - shift);
    store(row + i, e);
    sums = sums + e;
  }
  T sum = sum_of_lanes(sums);
  for (std::size_t i = whole; i != count; ++i) {
    row[i] = std::exp(row[i] - largest);
    sum += row[i];
  }
  return {largest, sum};
}

template <class T>
void block_logits(matrix<T> logits, matrix<T const> x, matrix<T const> w, T const* bias) {
  multiply(logits, x, w);
  if (bias == nullptr) return;
  for (std::size_t t = 0; t != logits.rows; ++t)
    for (std::size_t v = 0; v != logits.columns; ++v) logits.data[t * logits.stride + v] += bias[v];
}
}  // namespace detail

/// Per-token losses.
template <class T>
void cross_entropy(T* loss, matrix<T const> x, matrix<T const> w, T const* bias, std::int32_t const* target,
                   T* scratch) {
  for (std::size_t begin = 0; begin < x.rows; begin += cross_entropy_block) {
    std::size_t const count = std::min(cross_entropy_block, x.rows - begin);
    detail::block_logits<T>({scratch, count, w.columns}, {x.data + begin * x.stride, count, x.columns, x.stride}, w,
                            bias);
    for (std::size_t t = 0; t != count; ++t) {
      T* const row = scratch + t * w.columns;
      T const correct = row[target[begin + t]];
      auto const [largest, sum] = detail::exponentials(row, w.columns);
      loss[begin + t] = std::log(sum) + (largest - correct);
    }
  }
}

/// Per-token losses and the gradient of `weight` times their sum: dx is overwritten; dw and dbias are added to, or
/// null.
template <class T>
void cross_entropy_gradient(T* loss, T* dx, T* dw, T* dbias, T weight, matrix<T const> x, matrix<T const> w,
                            T const* bias, std::int32_t const* target, T* scratch) {
  for (std::size_t begin = 0; begin < x.rows; begin += cross_entropy_block) {
    std::size_t const count = std::min(cross_entropy_block, x.rows - begin);
    matrix<T const> const block{x.data + begin * x.stride, count, x.columns, x.stride};
    matrix<T> const logits{scratch, count, w.columns};
    detail::block_logits<T>(logits, block, w, bias);
    for (std::size_t t = 0; t != count; ++t) {
      T* const row = scratch + t * w.columns;
      T const correct = row[target[begin + t]];
      auto const [largest, sum] = detail::exponentials(row, w.columns);
      loss[begin + t] = std::log(sum) + (largest - correct);
      T const scale = weight / sum;
      for (std::size_t v = 0; v != w.columns; ++v) row[v] *= scale;
      row[target[begin + t]] -= weight;
      if (dbias != nullptr)
        for (std::size_t v = 0; v != w.columns; ++v) dbias[v] += row[v];
    }
    multiply_transposed<T>({dx + begin * x.columns, count, x.columns}, logits, w);
    if (dw != nullptr) transposed_multiply<T>({dw, w.rows, w.columns}, block, logits, output::add);
  }
}

}  // namespace susc::kernels
