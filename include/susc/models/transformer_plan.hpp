#pragma once
/// Which parts of a transformer a component touches: what a restricted gradient must compute, and where a frozen pass
/// may start.
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/models/transformer_layout.hpp"

namespace susc {

/// Which parts of the weights a component has coordinates in.
struct transformer_plan {
  /// Which parts of one layer.
  struct layer {
    bool attention_norm = false, output_bias = false;        ///< of the attention
    bool mlp_norm = false, mlp_in = false, mlp_out = false;  ///< of the MLP
    std::vector<bool> heads;                                 ///< (heads,)
    /// Some head is touched.
    bool any_head() const { return std::find(heads.begin(), heads.end(), true) != heads.end(); }
    /// No head is left alone.
    bool every_head() const { return std::find(heads.begin(), heads.end(), false) == heads.end(); }
    bool attention() const { return attention_norm || output_bias || any_head(); }  ///< anything of the attention
    bool mlp() const { return mlp_norm || mlp_in || mlp_out; }                      ///< anything of the MLP
  };
  bool embedding = false, positions = false, final_norm = false;  ///< outside of the layers
  bool unembedding = false, unembedding_bias = false;             ///< the same; tied, unembedding is embedding
  std::vector<layer> layers;                                      ///< from below

  /// Of a component's ranges.
  transformer_plan(transformer_layout const& layout, component const& c) {
    auto const touches = [&](index_range part) {
      return std::any_of(c.ranges().begin(), c.ranges().end(),
                         [&](index_range r) { return r.begin < part.end && part.begin < r.end; });
    };
    embedding = touches(layout.embedding());
    positions = touches(layout.positions());
    final_norm = touches(layout.final_norm());
    unembedding = layout.config.tied ? embedding : touches(layout.unembedding());
    unembedding_bias = touches(layout.unembedding_bias());
    for (std::size_t l = 0; l != layout.config.layers; ++l) {
      layer part{touches(layout.attention_norm(l)), touches(layout.output_bias(l)), touches(layout.mlp_norm(l)),
                 touches(layout.mlp_in(l)),         touches(layout.mlp_out(l)),     {}};
      for (std::size_t h = 0; h != layout.config.heads; ++h) part.heads.push_back(touches(layout.head(l, h)));
      layers.push_back(std::move(part));
    }
  }

  /// Whether anything before the attention of layer l is touched.
  bool before(std::size_t l) const {
    return embedding || positions ||
           std::any_of(layers.begin(), layers.begin() + static_cast<std::ptrdiff_t>(l),
                       [](layer const& below) { return below.attention() || below.mlp(); });
  }
  /// Whether anything before the MLP of layer l is touched.
  bool before_mlp(std::size_t l) const { return before(l) || layers[l].attention(); }
};

/// The first computation that depends on a component; what lies before it can be frozen.
struct transformer_start {
  /// From the tokens; attention or MLP of a layer; some heads of a layer; the final norm.
  enum class stage { tokens, attention, heads, mlp, final };
  stage at = stage::tokens;        ///< where the pass starts
  std::size_t layer = 0;           ///< of the stage
  std::vector<std::size_t> heads;  ///< with stage::heads: those of the component; the layer's others are frozen

  /// Whether head h of layer l is computed after the start; the others are before it.
  bool moves(std::size_t l, std::size_t h) const {
    if (l != layer) return l > layer;
    if (at == stage::heads) return std::find(heads.begin(), heads.end(), h) != heads.end();
    return at == stage::tokens || at == stage::attention;
  }

  /// The start of a plan's component.
  static transformer_start of(transformer_plan const& plan) {
    if (plan.embedding || plan.positions) return {};
    for (std::size_t l = 0; l != plan.layers.size(); ++l) {
      auto const& part = plan.layers[l];
      if (part.attention_norm || part.output_bias || (part.any_head() && part.every_head()))
        return {stage::attention, l, {}};
      if (part.any_head()) {
        transformer_start start{stage::heads, l, {}};
        for (std::size_t h = 0; h != part.heads.size(); ++h)
          if (part.heads[h]) start.heads.push_back(h);
        return start;
      }
      if (part.mlp()) return {stage::mlp, l, {}};
    }
    return {stage::final, plan.layers.size(), {}};
  }
};

}  // namespace susc
