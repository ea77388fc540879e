#pragma once
// Causal attention of one head in plain loops, query by query.
#include <algorithm>
#include <cmath>
#include <vector>

#include "problem.hpp"

namespace bench {

struct looped_head {
  row_major<float> const& qkv;  ///< (T, ...)
  Index q, width;               ///< its queries begin at column q, its keys and values follow
  std::vector<float> p, dp;     ///< of the query at hand

  float& at(std::vector<float>& values, Index j) const { return values[static_cast<std::size_t>(j)]; }
  float scale() const { return 1 / std::sqrt(static_cast<float>(width)); }

  void pattern(Index i) {
    p.assign(static_cast<std::size_t>(i) + 1, 0);
    for (Index j = 0; j <= i; ++j)
      for (Index d = 0; d != width; ++d) at(p, j) += scale() * qkv(i, q + d) * qkv(j, q + width + d);
    float const largest = *std::max_element(p.begin(), p.end());
    float sum = 0;
    for (float& value : p) sum += value = std::exp(value - largest);
    for (float& value : p) value /= sum;
  }
  /// Row i of z, whose columns of this head begin at `first`.
  void forward(row_major<float>& z, Index first, Index i) {
    pattern(i);
    for (Index d = 0; d != width; ++d) z(i, first + d) = 0;
    for (Index j = 0; j <= i; ++j)
      for (Index d = 0; d != width; ++d) z(i, first + d) += at(p, j) * qkv(j, q + 2 * width + d);
  }
  /// Adds what row i of dz contributes to all rows of dqkv.
  void backward(row_major<float>& dqkv, row_major<float> const& dz, Index first, Index i) {
    pattern(i);
    dp.assign(p.size(), 0);
    float inner = 0;
    for (Index j = 0; j <= i; ++j) {
      for (Index d = 0; d != width; ++d) {
        at(dp, j) += dz(i, first + d) * qkv(j, q + 2 * width + d);
        dqkv(j, q + 2 * width + d) += at(p, j) * dz(i, first + d);
      }
      inner += at(p, j) * at(dp, j);
    }
    for (Index j = 0; j <= i; ++j) {
      float const ds = at(p, j) * (at(dp, j) - inner) * scale();
      for (Index d = 0; d != width; ++d) {
        dqkv(i, q + d) += ds * qkv(j, q + width + d);
        dqkv(j, q + width + d) += ds * qkv(i, q + d);
      }
    }
  }
};

}  // namespace bench
