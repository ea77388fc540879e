#pragma once
/// What passes of a transformer take: floating-point operations and bytes, from the shape alone.
// Counted are the matrix products and causal attention, multiply and add apart; of the T x T scores those computed,
// T (T + 1) / 2. LayerNorm, softmax, activations, biases and packing are not: each is a few operations for what counts
// at least head_width of them.
#include <algorithm>
#include <cstddef>

#include "susc/core/concepts.hpp"
#include "susc/data/token_batch.hpp"
#include "susc/kernels/attention.hpp"
#include "susc/kernels/cross_entropy.hpp"
#include "susc/models/transformer_low_rank.hpp"
#include "susc/models/transformer_plan.hpp"

namespace susc {

/// Passes of one component over a batch of `sequences` of `positions` inputs.
class transformer_cost {
 public:
  /// `base_limit`: of what a frozen batch keeps for the reader of a few heads (see transformer_low_rank.hpp), in
  /// scalars.
  transformer_cost(transformer_layout const& layout, component const& c, std::size_t sequences, std::size_t positions,
                   std::size_t base_limit)
      : config_(layout.config),
        plan_(layout, c),
        start_(transformer_start::of(plan_)),
        sequences_(sequences),
        positions_(positions),
        low_rank_(has_low_rank_reader(layout, plan_, start_) &&
                  sequences * positions * columns_read(layout, start_) <= base_limit),
        columns_(low_rank_ ? columns_read(layout, start_) : 0) {}

  /// Floating-point operations of one pass over the batch, multiply and add apart.
  double operations(pass what) const {
    bool const backwards = what == pass::gradient || what == pass::frozen_gradient;
    double const tokens = number(sequences_ * positions_);
    // What reads a few heads is a product with the width's rows of W once, and with the rank's for every pass.
    double const whole = 2 * width() * number(columns_), low = 2 * rank() * number(columns_);
    if (what == pass::freeze) return tokens * upstream() + (tokens + 1) * whole;
    bool const frozen = what == pass::frozen_losses || what == pass::frozen_gradient;
    double sum = tokens * ((frozen ? downstream() : layers_from(0) + unembed()) + (backwards ? backward() : 0));
    if (frozen) sum += tokens * (low - whole) + width() * low;
    if (frozen && backwards) sum += tokens * (2 * low - whole) + width() * low;
    return sum;
  }

  /// Of a frozen batch.
  template <class T>
  std::size_t frozen_bytes() const {
    std::size_t const tokens = sequences_ * positions_;
    std::size_t rows = start_.at == stage::tokens ? 0 : config_.width;
    if (start_.at == stage::heads) rows += config_.width;
    return (tokens * (rows + columns_) + columns_) * sizeof(T) + sequences_ * (positions_ + 1) * sizeof(token);
  }

 private:
  using stage = transformer_start::stage;

  static double number(std::size_t count) { return static_cast<double>(count); }
  double width() const { return number(config_.width); }
  double heads() const { return number(config_.heads); }
  double head_width() const { return number(config_.width_of_head()); }
  double vocabulary() const { return number(config_.vocabulary); }
  double rank() const { return moving_heads() * head_width(); }
  double moving_heads() const { return number(start_.heads.size()); }

  // Of one token.
  double pairs() const { return (number(positions_) + 1) / 2; }  // with itself and those before it, on average
  double attend(double count) const { return count * head_width() * (6 * width() + 4 * pairs()); }
  double attend_backward(double count) const { return count * head_width() * 10 * pairs(); }
  double add_heads(double count) const { return 2 * count * head_width() * width(); }
  double attention() const { return attend(heads()) + add_heads(heads()); }
  double mlp_product() const { return 2 * width() * number(config_.mlp_width); }
  double layers_from(std::size_t first) const {
    return number(config_.layers - first) * (attention() + 2 * mlp_product());
  }
  double unembed() const { return 2 * width() * vocabulary(); }

  double upstream() const {
    if (start_.at == stage::tokens) return 0;
    double const below = layers_from(0) - layers_from(start_.layer);
    if (start_.at == stage::mlp) return below + attention();
    if (start_.at != stage::heads) return below;
    double const others = heads() - moving_heads();
    return below + attend(others) + add_heads(others);
  }
  double downstream() const {
    if (start_.at == stage::tokens) return layers_from(0) + unembed();
    double const from = layers_from(start_.layer) + unembed();
    if (start_.at == stage::mlp) return from - attention();
    if (start_.at != stage::heads) return from;
    return from - attention() + attend(moving_heads()) + add_heads(moving_heads());
  }

  /// The backward pass: that of transformer_pass, no further down than the plan's lowest part.
  double backward() const {
    double sum = unembed() * (plan_.unembedding ? 2 : 1);
    for (std::size_t l = config_.layers; l-- != 0;) {
      auto const& part = plan_.layers[l];
      if (!plan_.before_mlp(l) && !part.mlp()) return sum;
      bool const through_mlp = plan_.before_mlp(l) || part.mlp_norm;
      sum += mlp_product() * (part.mlp_out + (through_mlp || part.mlp_in) + part.mlp_in + through_mlp);
      if (!plan_.before_mlp(l)) return sum;
      bool const through = plan_.before(l) || part.attention_norm;
      double const count =
          through ? heads() : number(static_cast<std::size_t>(std::count(part.heads.begin(), part.heads.end(), true)));
      sum += add_heads(count) + attend_backward(count);
      if (part.any_head()) sum += add_heads(count) + 6 * width() * count * head_width();
      if (through) sum += 6 * width() * heads() * head_width();
    }
    return sum;
  }

  transformer_config config_;
  transformer_plan plan_;
  transformer_start start_;
  std::size_t sequences_, positions_;
  bool low_rank_;
  std::size_t columns_;  ///< of the reader, 0 without
};

/// Of the working memory of one thread for chunks of n tokens in sequences of `positions`, gradients of all weights and
/// of single heads among what was asked for.
template <class T>
std::size_t transformer_workspace_bytes(transformer_layout const& layout, std::size_t n, std::size_t positions) {
  transformer_config const& c = layout.config;
  std::size_t const k = c.width_of_head(), all = c.heads * k, sublayers = c.layers * (c.mlp_width == 0 ? 1 : 2);
  std::size_t const packed = 4 * c.width * all + (c.biases ? 3 * all : 0);
  std::size_t const activations =
      2 + c.width + 4 * all + c.heads + (c.mlp_width == 0 ? 0 : 2 + c.width + 2 * c.mlp_width);
  std::size_t const row = (sublayers + 1) * c.width + c.layers * activations + 3 + c.width +  // forward
                          2 * c.width + 4 * all + c.mlp_width;                                // backward
  std::size_t const tied = c.tied ? 2 * c.width * c.vocabulary : 0;
  std::size_t const low_rank = c.mlp_width != 0
                                   ? 0
                                   : 2 * k * (c.width + c.vocabulary + n) + n * k +
                                         kernels::low_rank_scratch_size<T>(n, k, std::max(c.vocabulary, 3 * all));
  return n * sizeof(token) + sizeof(T) * (2 * c.layers * packed + n * row + tied + low_rank + layout.size() +
                                          kernels::attention_scratch_size<T>(positions, k) +
                                          kernels::cross_entropy_scratch_size<T>(n, c.width, c.vocabulary));
}

}  // namespace susc
