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
#include <vector>

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

namespace detail {
/// Columns of W worked on at a time: their panels, those of the transpose and a block of logits stay in the L2 cache.
constexpr std::size_t vocabulary_block(std::size_t width) {
  return std::clamp<std::size_t>(32768 / std::max<std::size_t>(width, 1) / 64 * 64, 64, 512);
}

/// log Σ exp of a token's logits so far: largest + log sum.
template <class T>
struct running_sum {
  T largest = std::numeric_limits<T>::lowest();
  T sum = 0;
  T correct = 0;  ///< the target's logit, once seen

  /// Takes in more logits, replaced by exp(logit - largest); returns the factor of what was summed before.
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
      store(row + i, e);
      sums = sums + e;
    }
    T more = sum_of_lanes(sums);
    for (std::size_t i = whole; i != count; ++i) {
      row[i] = std::exp(row[i] - now);
      more += row[i];
    }
    largest = now;
    sum = sum * factor + more;
    return factor;
  }
};

/// Losses, and where dx is not null the gradient by x: W passes by in blocks of columns, sums and gradients are
/// rescaled where a larger logit appears, so no more than a block of logits exists.
template <class T>
void blocked_cross_entropy(T* loss, T* dx, T weight, matrix<T const> x, matrix<T const> w, T const* bias,
                           std::int32_t const* target) {
  static thread_local packed_matrix<T> packed, transposed;
  static thread_local aligned_vector<T> logits, correct_rows;
  static thread_local std::vector<running_sum<T>> tokens;
  std::size_t const most = std::min(vocabulary_block(x.columns), w.columns), stride = logit_stride(most);
  tokens.assign(x.rows, {});
  if (logits.size() < cross_entropy_block * stride) logits.resize(cross_entropy_block * stride);
  if (dx != nullptr && correct_rows.size() < x.rows * x.columns) correct_rows.resize(x.rows * x.columns);
  for (std::size_t first = 0; first < w.columns; first += most) {
    std::size_t const columns = std::min(most, w.columns - first);
    matrix<T const> const part{w.data + first, w.rows, columns, w.stride};
    packed.pack(part);
    if (dx != nullptr) transposed.pack_transposed(part);
    for (std::size_t begin = 0; begin < x.rows; begin += cross_entropy_block) {
      std::size_t const count = std::min(cross_entropy_block, x.rows - begin);
      matrix<T> const block{logits.data(), count, columns, stride};
      multiply<T>(block, {x.data + begin * x.stride, count, x.columns, x.stride}, packed);
      for (std::size_t t = 0; t != count; ++t) {
        T* const row = block.data + t * stride;
        if (bias != nullptr)
          for (std::size_t v = 0; v != columns; ++v) row[v] += bias[first + v];
        running_sum<T>& token = tokens[begin + t];
        std::size_t const correct = static_cast<std::size_t>(target[begin + t]);
        bool const here = correct >= first && correct < first + columns;
        if (here) token.correct = row[correct - first];
        T const factor = token.take(row, columns);
        if (dx == nullptr) continue;
        if (here) transposed.copy_row(correct - first, correct_rows.data() + (begin + t) * x.columns);
        if (T* const to = dx + (begin + t) * x.columns; first != 0 && factor != 1)
          for (std::size_t d = 0; d != x.columns; ++d) to[d] *= factor;
      }
      if (dx != nullptr)
        multiply<T>({dx + begin * x.columns, count, x.columns}, block, transposed,
                    first == 0 ? output::overwrite : output::add);
    }
  }
  for (std::size_t t = 0; t != x.rows; ++t) {
    running_sum<T> const& token = tokens[t];
    loss[t] = std::log(token.sum) + (token.largest - token.correct);
    if (dx == nullptr) continue;
    T const scale = weight / token.sum;
    T* const to = dx + t * x.columns;
    T const* const correct = correct_rows.data() + t * x.columns;
    for (std::size_t d = 0; d != x.columns; ++d) to[d] = scale * to[d] - weight * correct[d];
  }
}
}  // namespace detail

/// Per-token losses.
template <class T>
void cross_entropy(T* loss, matrix<T const> x, matrix<T const> w, T const* bias, std::int32_t const* target, T*) {
  detail::blocked_cross_entropy<T>(loss, nullptr, T(0), x, w, bias, target);
}

/// Per-token losses and the gradient of `weight` times their sum: dx is overwritten; dw and dbias are added to, or
/// null.
template <class T>
void cross_entropy_gradient(T* loss, T* dx, T* dw, T* dbias, T weight, matrix<T const> x, matrix<T const> w,
                            T const* bias, std::int32_t const* target, T* scratch) {
  if (dw == nullptr && dbias == nullptr) return detail::blocked_cross_entropy(loss, dx, weight, x, w, bias, target);
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
