#pragma once
/// Unembedding and cross-entropy together, one block of tokens at a time: the (tokens, vocabulary) logits are never
/// held.
//   logits[t,:] = x[t,:] W + bias       loss[t] = logsumexp(logits[t,:]) - logits[t, target[t]]   (nats)
//   x, dx (tokens, width)    W, dW (width, vocabulary)    bias, dbias (vocabulary) or null    target, loss (tokens)
//   scratch: cross_entropy_scratch(vocabulary)
// Error vs. double, in units of cross_entropy_error * eps,
// m = 1 + (vocabulary + tokens) / 16 + width * max|x| max|W| + |largest logit of the token|:
//   loss: m + |loss|     dx, dW, dbias: their formula with all terms replaced by their absolutes, each times its m
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "susc/kernels/gemm.hpp"
#include "susc/kernels/ops.hpp"

namespace susc::kernels {

inline constexpr std::size_t cross_entropy_block = 64;  ///< tokens a block: 64 x 1024 floats stay in the L2 cache
inline constexpr double cross_entropy_error = 8;

namespace detail {
/// From one row of logits to the next: not a power of two, whose rows would compete for the same lines of the cache.
constexpr std::size_t logit_stride(std::size_t vocabulary) {
  return (vocabulary + 15) / 16 * 16 + 16;
}
}  // namespace detail

/// Elements of scratch that the kernels need.
constexpr std::size_t cross_entropy_scratch(std::size_t vocabulary) {
  return cross_entropy_block * detail::logit_stride(vocabulary);
}

namespace detail {
/// Replaces a row of logits by exp(logit + bias - max), returns {max, sum of the exponentials}. `bias` may be null.
template <class T>
std::pair<T, T> exponentials(T* row, T const* bias, std::size_t count) {
  constexpr std::size_t step = lane_count<T>;
  std::size_t const whole = count / step * step;
  lanes<T> largest_lanes(std::numeric_limits<T>::lowest());
  if (bias == nullptr) {
    for (std::size_t i = 0; i != whole; i += step) largest_lanes = maximum(largest_lanes, load(row + i));
  } else {
    for (std::size_t i = 0; i != whole; i += step) {
      lanes<T> const logit = load(row + i) + load(bias + i);
      store(row + i, logit);
      largest_lanes = maximum(largest_lanes, logit);
    }
    for (std::size_t i = whole; i != count; ++i) row[i] += bias[i];
  }
  T largest = maximum_of_lanes(largest_lanes);
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

/// Loss of one token; its row of logits is replaced by exponentials, whose sum is returned too.
template <class T>
std::pair<T, T> token_loss(T* row, T const* bias, std::size_t count, std::size_t target) {
  T const correct = row[target] + (bias == nullptr ? T(0) : bias[target]);
  auto const [largest, sum] = exponentials(row, bias, count);
  return {std::log(sum) + (largest - correct), sum};
}
}  // namespace detail

/// Per-token losses.
template <class T>
void cross_entropy(T* loss, matrix<T const> x, matrix<T const> w, T const* bias, std::int32_t const* target,
                   T* scratch) {
  std::size_t const stride = detail::logit_stride(w.columns);
  static thread_local packed_matrix<T> packed;
  packed.pack(w);
  for (std::size_t begin = 0; begin < x.rows; begin += cross_entropy_block) {
    std::size_t const count = std::min(cross_entropy_block, x.rows - begin);
    multiply<T>({scratch, count, w.columns, stride}, {x.data + begin * x.stride, count, x.columns, x.stride}, packed);
    for (std::size_t t = 0; t != count; ++t)
      loss[begin + t] =
          detail::token_loss(scratch + t * stride, bias, w.columns, static_cast<std::size_t>(target[begin + t])).first;
  }
}

/// Per-token losses and the gradient of `weight` times their sum: dx is overwritten; dw and dbias are added to, or
/// null.
template <class T>
void cross_entropy_gradient(T* loss, T* dx, T* dw, T* dbias, T weight, matrix<T const> x, matrix<T const> w,
                            T const* bias, std::int32_t const* target, T* scratch) {
  std::size_t const stride = detail::logit_stride(w.columns);
  static thread_local packed_matrix<T> packed, transposed;
  packed.pack(w);
  transposed.pack_transposed(w);
  for (std::size_t begin = 0; begin < x.rows; begin += cross_entropy_block) {
    std::size_t const count = std::min(cross_entropy_block, x.rows - begin);
    matrix<T const> const block{x.data + begin * x.stride, count, x.columns, x.stride};
    matrix<T> const logits{scratch, count, w.columns, stride};
    multiply<T>(logits, block, packed);
    for (std::size_t t = 0; t != count; ++t) {
      T* const row = scratch + t * stride;
      std::size_t const correct = static_cast<std::size_t>(target[begin + t]);
      auto const [nats, sum] = detail::token_loss(row, bias, w.columns, correct);
      loss[begin + t] = nats;
      T const scale = weight / sum;
      for (std::size_t v = 0; v != w.columns; ++v) row[v] *= scale;
      row[correct] -= weight;
      if (dbias != nullptr)
        for (std::size_t v = 0; v != w.columns; ++v) dbias[v] += row[v];
    }
    multiply<T>({dx + begin * x.columns, count, x.columns}, logits, transposed);
    if (dw != nullptr) transposed_multiply<T>({dw, w.rows, w.columns}, block, logits, output::add);
  }
}

}  // namespace susc::kernels
