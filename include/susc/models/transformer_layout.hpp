#pragma once
/// Where each weight of a transformer lies in the flat vector. Each attention head is one contiguous span, so a chain
/// restricted to a head touches one piece of memory.
#include <cstddef>
#include <string>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/models/transformer_config.hpp"

namespace susc {

/// Offsets in the flat vector; W_E (vocabulary, width), W_pos (context, width), then the layers, the final LayerNorm
/// and W_U (width, vocabulary) with its bias. Matrices are row-major, (inputs, outputs).
struct transformer_layout {
  transformer_config config;  ///< whose weights are laid out

  /// Numbers in one of W_Q, W_K, W_V, W_O of a head.
  constexpr std::size_t head_matrix() const { return config.width * config.width_of_head(); }
  /// One head: W_Q, W_K, W_V (width, head_width), W_O (head_width, width), b_Q, b_K, b_V (head_width).
  constexpr std::size_t head_size() const { return 4 * head_matrix() + bias(3 * config.width_of_head()); }
  /// W_in, b_in, W_out and b_out; 0 without an MLP.
  constexpr std::size_t mlp_size() const {
    return config.mlp_width == 0 ? 0 : 2 * config.width * config.mlp_width + bias(config.mlp_width + config.width);
  }
  /// All heads and b_O.
  constexpr std::size_t attention_size() const { return config.heads * head_size() + bias(config.width); }
  /// Norms, attention and MLP.
  constexpr std::size_t layer_size() const {
    return 2 * config.width + attention_size() + (config.mlp_width == 0 ? 0 : 2 * config.width + mlp_size());
  }

  constexpr index_range embedding() const { return at(0, config.vocabulary * config.width); }             ///< W_E
  constexpr index_range positions() const { return at(embedding().end, config.context * config.width); }  ///< W_pos
  /// All of layer l.
  constexpr index_range layer(std::size_t l) const { return at(positions().end + l * layer_size(), layer_size()); }
  /// Gain, then bias (width) each.
  constexpr index_range attention_norm(std::size_t l) const { return at(layer(l).begin, 2 * config.width); }
  /// All of head h of layer l: see head_size().
  constexpr index_range head(std::size_t l, std::size_t h) const {
    return at(attention_norm(l).end + h * head_size(), head_size());
  }
  /// b_O of layer l (width); empty without biases.
  constexpr index_range output_bias(std::size_t l) const {
    return at(attention_norm(l).end + config.heads * head_size(), bias(config.width));
  }
  /// Gain, then bias (width) each; empty without an MLP.
  constexpr index_range mlp_norm(std::size_t l) const {
    return at(output_bias(l).end, config.mlp_width == 0 ? 0 : 2 * config.width);
  }
  /// W_in (width, mlp_width), b_in, W_out (mlp_width, width), b_out.
  constexpr index_range mlp(std::size_t l) const { return at(mlp_norm(l).end, mlp_size()); }
  /// W_in and b_in.
  constexpr index_range mlp_in(std::size_t l) const {
    return at(mlp(l).begin, config.width * config.mlp_width + bias(config.mlp_width));
  }
  /// W_out and b_out.
  constexpr index_range mlp_out(std::size_t l) const { return {mlp_in(l).end, mlp(l).end}; }
  /// Gain, then bias.
  constexpr index_range final_norm() const { return at(layer(config.layers).begin, 2 * config.width); }
  /// W_U; empty where it is tied.
  constexpr index_range unembedding() const {
    return at(final_norm().end, config.tied ? 0 : config.width * config.vocabulary);
  }
  /// B_U; empty without biases.
  constexpr index_range unembedding_bias() const { return at(unembedding().end, bias(config.vocabulary)); }
  constexpr std::size_t size() const { return unembedding_bias().end; }  ///< number of weights

 private:
  static constexpr index_range at(std::size_t begin, std::size_t size) { return {begin, begin + size}; }
  constexpr std::size_t bias(std::size_t size) const { return config.biases ? size : 0; }
};

/// "l0h3" of layer 0 and head 3.
inline std::string head_name(std::size_t layer, std::size_t head) {
  return "l" + std::to_string(layer) + "h" + std::to_string(head);
}

/// "full", "embed", "pos_embed", "unembed", "ln_final", and for each layer l: "l<l>" (all of it), "l<l>attn" (all heads
/// and the output bias), "l<l>h<h>", and with an MLP "l<l>mlp". Of a tied model, "unembed" selects what "embed" does.
inline std::vector<component> transformer_components(transformer_layout const& layout) {
  transformer_config const& c = layout.config;
  std::vector<component> all{
      full_component(layout.size()),
      {"embed", {layout.embedding()}},
      {"pos_embed", {layout.positions()}},
      {"unembed", {c.tied ? layout.embedding() : layout.unembedding(), layout.unembedding_bias()}},
      {"ln_final", {layout.final_norm()}}};
  for (std::size_t l = 0; l != c.layers; ++l) {
    std::string const name = "l" + std::to_string(l);
    all.push_back({name, {layout.layer(l)}});
    all.push_back({name + "attn", {{layout.head(l, 0).begin, layout.output_bias(l).end}}});
    if (c.mlp_width != 0) all.push_back({name + "mlp", {layout.mlp(l)}});
    for (std::size_t h = 0; h != c.heads; ++h) all.push_back({head_name(l, h), {layout.head(l, h)}});
  }
  return all;
}

/// The names of all attention heads, layer by layer.
inline std::vector<std::string> head_names(transformer_config const& config) {
  std::vector<std::string> names;
  for (std::size_t l = 0; l != config.layers; ++l)
    for (std::size_t h = 0; h != config.heads; ++h) names.push_back(head_name(l, h));
  return names;
}

}  // namespace susc
