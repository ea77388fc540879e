#pragma once
/// Working memory of a transformer pass, and the weights of a layer's heads packed side by side for the matrix
/// products.
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/data/token_batch.hpp"
#include "susc/kernels/attention.hpp"
#include "susc/kernels/cross_entropy.hpp"
#include "susc/models/transformer_low_rank.hpp"
#include "susc/models/transformer_plan.hpp"

namespace susc {

/// All heads of one layer: qkv (width, heads * 3 * head_width) with the columns Q, K, V of head 0, of head 1, ...;
/// qkv_bias (heads * 3 * head_width); out (heads * head_width, width).
template <class T>
struct packed_heads {
  aligned_vector<T> qkv, qkv_bias, out;  ///< as above

  /// Makes room for all heads.
  void resize(transformer_config const& c) {
    std::size_t const columns = 3 * c.heads * c.width_of_head();
    qkv.resize(c.width * columns);
    qkv_bias.resize(c.biases ? columns : 0);
    out.resize(c.heads * c.width_of_head() * c.width);
  }

  /// Calls f(flat, packed, count) for every contiguous piece of head h of layer l: flat an offset in the weight vector.
  template <class F>
  void for_each_piece(transformer_layout const& layout, std::size_t l, std::size_t h, F f) {
    transformer_config const& c = layout.config;
    std::size_t const k = c.width_of_head(), columns = 3 * c.heads * k, base = layout.head(l, h).begin;
    for (std::size_t m = 0; m != 3; ++m)
      for (std::size_t d = 0; d != c.width; ++d)
        f(base + m * layout.head_matrix() + d * k, qkv.data() + d * columns + (3 * h + m) * k, k);
    f(base + 3 * layout.head_matrix(), out.data() + h * layout.head_matrix(), layout.head_matrix());
    if (c.biases) f(base + 4 * layout.head_matrix(), qkv_bias.data() + 3 * h * k, 3 * k);
  }
  /// Makes room for all heads and copies head h of layer l from w.
  void pack(transformer_layout const& layout, std::size_t l, std::size_t h, std::span<T const> w) {
    resize(layout.config);
    for_each_piece(layout, l, h, [&](std::size_t flat, T* packed, std::size_t count) {
      std::copy_n(w.data() + flat, count, packed);
    });
  }
};

/// Activations that the backward pass of one layer needs; n = tokens of a chunk.
template <class T>
struct layer_activations {
  aligned_vector<T> attention_mean, attention_rstd, normal;  ///< (n), (n), (n, width)
  aligned_vector<T> qkv, z, log_sum;                 ///< (n, 3 heads head_width), (n, heads head_width), (heads, n)
  aligned_vector<T> mlp_mean, mlp_rstd, mlp_normal;  ///< (n), (n), (n, width)
  aligned_vector<T> hidden_input, hidden;            ///< (n, mlp_width)
};

/// Everything one thread needs for a pass; grows to the largest chunk seen and allocates nothing after that.
template <class T>
struct transformer_workspace {
  std::vector<packed_heads<T>> weights, gradients;      ///< (layers)
  aligned_vector<T> unembedding, unembedding_gradient;  ///< (width, vocabulary), tied models only
  std::vector<aligned_vector<T>> streams;               ///< (n, width): the residual stream before each sublayer
  std::vector<layer_activations<T>> layers;             ///< (layers), or one where none are kept
  aligned_vector<T> final_mean, final_rstd, final_normal, losses;  ///< (n), (n), (n, width), (n)
  aligned_vector<T> d_stream, d_normal, d_qkv, d_z, d_hidden;      ///< gradients of the activations
  std::vector<token> targets;                                      ///< (n)
  kernels::attention_scratch<T> attention;                         ///< of the kernel
  kernels::cross_entropy_scratch<T> cross_entropy;                 ///< of the kernel
  low_rank_space<T> low_rank;                                      ///< of readers of a few heads
  /// Of the component whose gradient was asked for last: chains ask for the same one step after step.
  std::optional<std::pair<component, transformer_plan>> last_plan;

  /// The plan of a component, made anew only where it is another one than last time.
  transformer_plan const& plan_of(transformer_layout const& layout, component const& c) {
    if (!last_plan || last_plan->first != c) last_plan.emplace(c, transformer_plan(layout, c));
    return last_plan->second;
  }

  /// Packs the heads for which `uses`(layer, head), and turns a tied unembedding into (width, vocabulary).
  template <class Uses>
  void pack(transformer_layout const& layout, std::span<T const> w, Uses uses) {
    transformer_config const& c = layout.config;
    weights.resize(c.layers);
    for (std::size_t l = 0; l != c.layers; ++l)
      for (std::size_t h = 0; h != c.heads; ++h)
        if (uses(l, h)) weights[l].pack(layout, l, h, w);
    if (!c.tied) return;
    unembedding.resize(c.width * c.vocabulary);
    for (std::size_t v = 0; v != c.vocabulary; ++v)
      for (std::size_t d = 0; d != c.width; ++d) unembedding[d * c.vocabulary + v] = w[v * c.width + d];
  }

  /// Makes room for chunks of n tokens. `keep`: activations of every layer are kept for a backward pass.
  void reserve(transformer_layout const& layout, std::size_t n, bool keep) {
    transformer_config const& c = layout.config;
    std::size_t const k = c.heads * c.width_of_head();
    std::size_t const sublayers = c.layers * (c.mlp_width == 0 ? 1 : 2);
    if (std::size_t const count = keep ? sublayers + 1 : 2; streams.size() < count) streams.resize(count);
    if (std::size_t const count = keep ? c.layers : 1; layers.size() < count) layers.resize(count);
    for (auto& stream : streams) grow(stream, n * c.width);
    for (auto& layer : layers) {
      for (auto* rows : {&layer.attention_mean, &layer.attention_rstd}) grow(*rows, n);
      grow(layer.normal, n * c.width);
      grow(layer.qkv, n * 3 * k);
      grow(layer.z, n * k);
      grow(layer.log_sum, n * c.heads);
      if (c.mlp_width == 0) continue;
      for (auto* rows : {&layer.mlp_mean, &layer.mlp_rstd}) grow(*rows, n);
      grow(layer.mlp_normal, n * c.width);
      for (auto* rows : {&layer.hidden_input, &layer.hidden}) grow(*rows, n * c.mlp_width);
    }
    for (auto* rows : {&final_mean, &final_rstd, &losses}) grow(*rows, n);
    grow(final_normal, n * c.width);
    if (targets.size() < n) targets.resize(n);
    if (!keep) return;
    for (auto* rows : {&d_stream, &d_normal}) grow(*rows, n * c.width);
    grow(d_qkv, n * 3 * k);
    grow(d_z, n * k);
    grow(d_hidden, n * c.mlp_width);
  }
};

}  // namespace susc
