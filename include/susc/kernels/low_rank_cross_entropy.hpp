#pragma once
/// Cross-entropy of logits of which a part of low rank moves: losses and gradients at the cost of the rank, not of the
/// width.
//   u[t,:] = base[t,:] + z[t,:] M      logits[t,:] = scale[t] u[t,:] + bias      loss[t] as in cross_entropy.hpp
//   base (tokens, vocabulary)   z, dz (tokens, rank)   M, dM (rank, vocabulary)   bias (vocabulary)
//   scale, dscale, target, loss (tokens)
// Error vs. double at precision::single, in units of cross_entropy_error * eps,
// m = 1 + (vocabulary + tokens) / 16 + |scale| max_v (|base| + Σ |z M|)[t,v] + |largest logit of the token|:
//   loss: m + |loss|     dz, dM, dscale: their formula with all terms replaced by their absolutes, each times its m
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "susc/core/aligned_vector.hpp"
#include "susc/kernels/cross_entropy.hpp"
#include "susc/kernels/gemm.hpp"
#include "susc/kernels/ops.hpp"

namespace susc::kernels {

namespace detail {
/// Tokens worked on at a time: few enough that their u stays near, and enough that dm is seldom loaded and stored.
constexpr std::size_t low_rank_block(std::size_t vocabulary) {
  return std::clamp<std::size_t>(262144 / std::max<std::size_t>(vocabulary, 1) / 6 * 6, 12, 96);
}
}  // namespace detail

/// Reusable memory of the kernel; grows to the largest problem seen.
template <class T>
struct low_rank_scratch {
  packed_matrix<T> m, transposed;          ///< M and its transpose
  aligned_vector<T> u, scaled_z, factors;  ///< of the tokens worked on
};

/// Elements of T that the scratch grows to with gradients.
template <class T>
constexpr std::size_t low_rank_scratch_size(std::size_t tokens, std::size_t rank, std::size_t vocabulary) {
  std::size_t const most = std::min(detail::low_rank_block(vocabulary), tokens);
  return packed_matrix<T>::size(rank, vocabulary) + packed_matrix<T>::size(vocabulary, rank) +
         most * (detail::logit_stride(vocabulary) + rank + 1);
}

/// dz and dscale are overwritten, dm is added to: the gradient of `weight` times the sum of the losses.
template <class T>
struct low_rank_gradient {
  T* dz;      ///< (tokens, rank)
  T* dm;      ///< (rank, vocabulary)
  T* dscale;  ///< (tokens)
  T weight;   ///< of the sum
};

namespace detail {
template <class T>
struct exponential_sums {
  T largest;  ///< logit
  T sum;      ///< Σ exp(logit - largest)
  T of_u;     ///< Σ exp(logit - largest) u
};
/// Of the logits scale * u + bias; where Keep, u is replaced by exp(logit - largest).
template <bool Keep, class T>
exponential_sums<T> sum_exponentials(T* u, T scale, T const* bias, std::size_t count) {
  constexpr std::size_t step = lane_count<T>;
  std::size_t const whole = count / step * step;
  lanes<T> const scales(scale);
  auto const logit = [&](std::size_t i) { return multiply_add(scales, load(u + i), load(bias + i)); };
  lanes<T> most(std::numeric_limits<T>::lowest());
  for (std::size_t i = 0; i != whole; i += step) most = maximum(most, logit(i));
  T largest = maximum_of_lanes(most);
  for (std::size_t i = whole; i != count; ++i) largest = std::max(largest, scale * u[i] + bias[i]);
  lanes<T> const shift(largest);
  lanes<T> sums(T(0)), products(T(0));
  for (std::size_t i = 0; i != whole; i += step) {
    lanes<T> const e = exponential(logit(i) - shift);
    sums = sums + e;
    if constexpr (Keep) {
      products = multiply_add(e, load(u + i), products);
      store(u + i, e);
    }
  }
  T sum = sum_of_lanes(sums), of_u = sum_of_lanes(products);
  for (std::size_t i = whole; i != count; ++i) {
    T const e = std::exp(scale * u[i] + bias[i] - largest);
    sum += e;
    of_u += e * u[i];
    if constexpr (Keep) u[i] = e;
  }
  return {largest, sum, of_u};
}
}  // namespace detail

/// Per-token losses, and where `gradient` is not null their gradient.
template <class T>
void low_rank_cross_entropy(T* loss, matrix<T const> base, matrix<T const> z, matrix<T const> m, T const* scale,
                            T const* bias, std::int32_t const* target, low_rank_gradient<T> const* gradient,
                            low_rank_scratch<T>& scratch, precision how = precision::single) {
  std::size_t const rank = m.rows, vocabulary = m.columns, stride = detail::logit_stride(vocabulary),
                    most = std::min(detail::low_rank_block(vocabulary), base.rows);
  grow(scratch.u, most * stride);
  scratch.m.pack(m, how);
  if (gradient != nullptr) {
    scratch.transposed.pack_transposed(m, how);
    grow(scratch.scaled_z, most * rank);
    grow(scratch.factors, most);
  }
  for (std::size_t begin = 0; begin < base.rows; begin += most) {
    std::size_t const count = std::min(most, base.rows - begin);
    matrix<T> const u{scratch.u.data(), count, vocabulary, stride};
    multiply_onto<T>(u, {base.data + begin * base.stride, count, vocabulary, base.stride},
                     {z.data + begin * z.stride, count, rank, z.stride}, scratch.m);
    for (std::size_t t = begin; t != begin + count; ++t) {
      T* const row = u.data + (t - begin) * stride;
      std::size_t const correct = static_cast<std::size_t>(target[t]);
      T const u_correct = row[correct], logit = scale[t] * u_correct + bias[correct];
      auto const sums = gradient == nullptr ? detail::sum_exponentials<false>(row, scale[t], bias, vocabulary)
                                            : detail::sum_exponentials<true>(row, scale[t], bias, vocabulary);
      loss[t] = std::log(sums.sum) + (sums.largest - logit);
      if (gradient == nullptr) continue;
      gradient->dscale[t] = gradient->weight * (sums.of_u / sums.sum - u_correct);
      // With the target's term the row is the loss's slope along u, up to a factor.
      row[correct] -= sums.sum;
      T const factor = scratch.factors[t - begin] = gradient->weight * scale[t] / sums.sum;
      for (std::size_t r = 0; r != rank; ++r)
        scratch.scaled_z[(t - begin) * rank + r] = factor * z.data[t * z.stride + r];
    }
    if (gradient == nullptr) continue;
    T* const dz = gradient->dz + begin * rank;
    multiply<T>({dz, count, rank}, u, scratch.transposed);
    for (std::size_t t = 0; t != count; ++t)
      for (std::size_t r = 0; r != rank; ++r) dz[t * rank + r] *= scratch.factors[t];
    transposed_multiply<T>({gradient->dm, rank, vocabulary}, {scratch.scaled_z.data(), count, rank}, u, output::add,
                           how);
  }
}

}  // namespace susc::kernels
