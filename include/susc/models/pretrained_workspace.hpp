#pragma once
/// Working memory of a pass of a pretrained transformer.
#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/data/token_batch.hpp"
#include "susc/kernels/attention.hpp"
#include "susc/kernels/cross_entropy.hpp"
#include "susc/kernels/rotary.hpp"
#include "susc/models/pretrained_plan.hpp"

namespace susc {

/// Activations that the backward pass of one layer needs; n = tokens of a chunk.
template <class T>
struct pretrained_activations {
  aligned_vector<T> attention_mean, attention_scale, normal;  ///< (n), (n), (n, width)
  aligned_vector<T> projected;                                ///< (n, projected_width): Q, K (turned) and V
  aligned_vector<T> z, log_sum;                               ///< (n, query_width), (heads, n)
  aligned_vector<T> mlp_mean, mlp_scale, mlp_normal;          ///< (n), (n), (n, width)
  aligned_vector<T> gate, up, hidden;                         ///< (n, mlp_width); gate of SwiGLU only
};

/// Everything one thread needs for a pass; grows to the largest chunk seen and allocates nothing after that.
template <class T>
struct pretrained_workspace {
  aligned_vector<T> unembedding, unembedding_gradient;      ///< (width, vocabulary)
  aligned_vector<T> cosine, sine;                           ///< (positions, rotary_width / 2)
  std::vector<aligned_vector<T>> streams;                   ///< (n, width): before each sublayer
  std::vector<pretrained_activations<T>> layers;            ///< (layers), or one where none are kept
  aligned_vector<T> final_mean, final_scale, final_normal;  ///< (n), (n), (n, width)
  aligned_vector<T> losses;                                 ///< (n)
  aligned_vector<T> d_stream, d_branch, d_normal;           ///< gradients of activations, (n, width)
  aligned_vector<T> d_projected, d_z, d_shared;             ///< (n, projected_width), (n, query_width), of a head
  aligned_vector<T> d_gate, d_up, d_hidden;                 ///< (n, mlp_width)
  std::vector<token> targets;                               ///< (n)
  kernels::attention_scratch<T> attention;                  ///< of the kernel
  kernels::cross_entropy_scratch<T> cross_entropy;          ///< of the kernel
  std::optional<pretrained_plan> last_plan;                 ///< chains ask for the same one step after step

  /// The plan of a component, made anew only where it is another one than last time.
  pretrained_plan const& plan_of(pretrained_layout const& layout, component const& c) {
    if (!last_plan || last_plan->moving != c) last_plan.emplace(layout, c);
    return *last_plan;
  }

  /// Turns the unembedding of w into (width, vocabulary).
  void transpose_unembedding(pretrained_layout const& layout, std::span<T const> w) {
    std::size_t const vocabulary = layout.config.vocabulary, width = layout.config.width;
    unembedding.resize(vocabulary * width);
    for_each_tile(vocabulary, width, [&](std::size_t v, std::size_t d) {
      unembedding[d * vocabulary + v] = w[layout.unembedding.begin + v * width + d];
    });
  }
  /// Adds the gradient by the unembedding to its place.
  void add_unembedding_gradient(pretrained_layout const& layout, std::span<T> gradient) const {
    std::size_t const vocabulary = layout.config.vocabulary, width = layout.config.width;
    for_each_tile(vocabulary, width, [&](std::size_t v, std::size_t d) {
      gradient[layout.unembedding.begin + v * width + d] += unembedding_gradient[d * vocabulary + v];
    });
  }

  /// Makes room for chunks of n tokens, `positions` a sequence. `keep`: activations of every layer are kept for a
  /// backward pass.
  void reserve(pretrained_layout const& layout, std::size_t n, std::size_t positions, bool keep) {
    pretrained_config const& c = layout.config;
    if (std::size_t const pairs = c.rotary_width / 2; cosine.size() < positions * pairs) {
      cosine.resize(positions * pairs), sine.resize(positions * pairs);
      kernels::rotary_table<T>(cosine.data(), sine.data(), c.rotary_frequencies(), positions);
    }
    if (std::size_t const count = keep ? 2 * c.layers + 1 : 2; streams.size() < count) streams.resize(count);
    if (std::size_t const count = keep ? c.layers : 1; layers.size() < count) layers.resize(count);
    for (auto& stream : streams) grow(stream, n * c.width);
    for (auto& layer : layers) {
      for (auto* rows : {&layer.attention_mean, &layer.attention_scale, &layer.mlp_mean, &layer.mlp_scale})
        grow(*rows, n);
      for (auto* rows : {&layer.normal, &layer.mlp_normal}) grow(*rows, n * c.width);
      grow(layer.projected, n * c.projected_width());
      grow(layer.z, n * c.query_width());
      grow(layer.log_sum, n * c.heads);
      if (c.gated()) grow(layer.gate, n * c.mlp_width);
      for (auto* rows : {&layer.up, &layer.hidden}) grow(*rows, n * c.mlp_width);
    }
    for (auto* rows : {&final_mean, &final_scale, &losses}) grow(*rows, n);
    grow(final_normal, n * c.width);
    if (targets.size() < n) targets.resize(n);
    if (!keep) return;
    for (auto* rows : {&d_stream, &d_normal}) grow(*rows, n * c.width);
    if (c.parallel) grow(d_branch, n * c.width);
    grow(d_projected, n * c.projected_width());
    grow(d_z, n * c.query_width());
    if (c.heads_of_group() != 1) grow(d_shared, 2 * positions * c.head_width);
    grow(d_hidden, n * c.mlp_width);
    if (c.gated())
      for (auto* rows : {&d_gate, &d_up}) grow(*rows, n * c.mlp_width);
  }

 private:
  /// Calls f(row, column) for every element, by squares that stay in the caches whichever way they are read.
  template <class F>
  static void for_each_tile(std::size_t rows, std::size_t columns, F f) {
    constexpr std::size_t side = 32;
    for (std::size_t i = 0; i < rows; i += side)
      for (std::size_t j = 0; j < columns; j += side)
        for (std::size_t r = i; r != std::min(rows, i + side); ++r)
          for (std::size_t c = j; c != std::min(columns, j + side); ++c) f(r, c);
  }
};

}  // namespace susc
