#pragma once
// The two sizes that are measured, and what a pass through a transformer costs, in FLOP a token: those of matrix
// products and attention, a multiply-add counted as two, the masked half of the attention not counted.
#include "susc/models/transformer_config.hpp"

namespace bench {

inline constexpr susc::transformer_config demo{
    .vocabulary = 1024, .context = 64, .width = 128, .layers = 2, .heads = 8};
inline constexpr susc::transformer_config paper{
    .vocabulary = 5000, .context = 1024, .width = 256, .layers = 2, .heads = 8};
inline constexpr std::size_t demo_tokens = 512, paper_tokens = 2048;

/// A gradient of a product costs as much as the product: dx = dy Wᵀ, dW = xᵀ dy. Of attention: two products forward,
/// five backward, where the scores are computed again.
struct transformer_flop {
  susc::transformer_config c;

  static double number(std::size_t n) { return static_cast<double>(n); }
  double unembedding() const { return 2 * number(c.width * c.vocabulary); }
  double mlp() const { return 4 * number(c.width * c.mlp_width); }
  /// Q, K, V and O of so many heads of a layer.
  double projections(std::size_t heads) const { return 8 * number(c.width * heads * c.width_of_head()); }
  /// Scores and values of so many heads over sequences as long as the context.
  double attention(std::size_t heads) const { return 2 * number((c.context + 1) * heads * c.width_of_head()); }
  double heads(std::size_t count) const { return projections(count) + attention(count); }
  double layer() const { return heads(c.heads) + mlp(); }
  double layers(std::size_t count) const { return number(count) * layer(); }

  /// Losses from tokens: 4.7e6 for the paper's size.
  double forward() const { return layers(c.layers) + unembedding(); }
  /// Losses and the gradient of all weights: 14.5e6.
  double full_step() const {
    double const backward = 2 * projections(c.heads) + 2.5 * attention(c.heads) + 2 * mlp();
    return forward() + number(c.layers) * backward + 2 * unembedding();
  }

  /// Everything below a head of layer l and beside it, computed once for all draws or chains.
  double upstream(std::size_t l) const { return layers(l) + heads(c.heads - 1); }
  /// Losses from there.
  double downstream(std::size_t l) const { return forward() - upstream(l); }
  /// The gradient of one head of layer l: back through what is above it, and its own weights.
  double head_gradient(std::size_t l) const {
    double const layer_dx = projections(c.heads) + 2.5 * attention(c.heads) + mlp();
    double const head = projections(1) / 4 + 2.5 * attention(1) + projections(1);  // dz, attention, dW
    return unembedding() + number(c.layers - 1 - l) * layer_dx + mlp() + head;
  }
};

}  // namespace bench
