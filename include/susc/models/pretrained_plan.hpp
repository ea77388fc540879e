#pragma once
/// Which parts of a pretrained transformer a component touches: what a restricted gradient must compute, and where a
/// frozen pass may start.
#include <algorithm>
#include <cstddef>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/models/pretrained_layout.hpp"

namespace susc {

/// A component in a layout.
struct pretrained_plan {
  /// The first computation that depends on the component: from the tokens; attention of a layer; some of its heads; its
  /// MLP; the final norm.
  enum class stage { tokens, attention, heads, mlp, final };

  component moving;                  ///< the component
  stage start = stage::tokens;       ///< what lies before it can be frozen
  std::size_t layer = 0;             ///< of the start
  std::vector<std::size_t> groups;   ///< key/value heads of this layer that it touches, with the heads that share them
  std::vector<std::size_t> resting;  ///< the others

  /// Of a component's ranges.
  pretrained_plan(pretrained_layout const& layout, component const& c) : moving(c) {
    std::size_t const layers = layout.layers.size();
    while (layer != layers && !before(layout.layers[layer].all.end)) ++layer;
    if (layer == layers) {
      start = stage::final;
      return;
    }
    auto const& here = layout.layers[layer];
    for (std::size_t g = 0; g != layout.config.key_value_heads; ++g)
      (touches_group(layout, g) ? groups : resting).push_back(g);
    if (before(here.all.begin))
      start = stage::tokens;
    else if (touches(here.attention_norm) || touches(here.output.bias) || resting.empty())
      start = stage::attention;
    else if (!groups.empty())
      start = layout.config.parallel && touches_mlp(here) ? stage::attention : stage::heads;
    else
      start = stage::mlp;
  }

  /// Whether it has coordinates in a range.
  bool touches(index_range part) const {
    auto const r = std::partition_point(moving.ranges().begin(), moving.ranges().end(),
                                        [&](index_range range) { return range.end <= part.begin; });
    return part.size() != 0 && r != moving.ranges().end() && r->begin < part.end;
  }
  bool touches(linear_place const& p) const { return touches(p.weight) || touches(p.bias); }  ///< matrix or bias
  bool touches(norm_place const& p) const { return touches(p.gain) || touches(p.bias); }      ///< gain or bias
  /// Anything of the attention but its norm.
  bool touches_attention(pretrained_layout::layer const& layer) const {
    return touches(layer.output) || std::any_of(layer.projections.begin(), layer.projections.end(),
                                                [&](linear_place const& p) { return touches(p); });
  }
  /// Anything of the MLP, its norm included.
  bool touches_mlp(pretrained_layout::layer const& layer) const {
    return touches(layer.mlp_norm) || touches(layer.gate) || touches(layer.up) || touches(layer.down);
  }
  /// Whether it has coordinates before this one: weights lie in the order in which they are used.
  bool before(std::size_t coordinate) const { return moving.ranges().front().begin < coordinate; }

 private:
  bool touches_group(pretrained_layout const& layout, std::size_t g) const {
    std::vector<index_range> ranges;
    layout.add_projection(ranges, layer, layout.key(g));
    layout.add_projection(ranges, layer, layout.value(g));
    std::size_t const sharing = layout.config.heads_of_group();
    for (std::size_t h = g * sharing; h != (g + 1) * sharing; ++h) {
      layout.add_projection(ranges, layer, layout.query(h));
      layout.layers[layer].output.add_block(ranges, layout.given(h), {0, layout.config.width});
    }
    return std::any_of(ranges.begin(), ranges.end(), [&](index_range r) { return touches(r); });
  }
};

}  // namespace susc
