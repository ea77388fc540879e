#pragma once
/// Transformers of the families GPT-2, GPT-NeoX (Pythia) and Llama, with the weights of their files: losses, gradients,
/// gradients of one component, and both with everything upstream of a component frozen.
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/component.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/error.hpp"
#include "susc/core/pool.hpp"
#include "susc/data/token_batch.hpp"
#include "susc/models/pretrained_backward.hpp"

namespace susc {

/// Satisfies Model, HasComponents, RestrictedModel, FreezableGradientModel, HasLogits and HasAttentionPatterns. An
/// example is a token in its context; a sequence of `length` tokens feeds its first length - 1 and has length - 1
/// losses. Throws susc::error on weights of another number, on a token id outside the vocabulary, and on sequences
/// longer than context + 1.
template <std::floating_point T = float>
class pretrained_transformer {
 public:
  using scalar = T;                    ///< of weights and losses
  using batch = token_batch;           ///< sequences of one length
  using weights = std::span<T const>;  ///< (parameter_count,), in the order of pretrained_layout

  /// A batch with all that does not depend on one component computed.
  struct frozen {
    token_batch tokens;          ///< the batch
    component moving;            ///< what is not frozen
    aligned_vector<T> residual;  ///< (tokens, width): the stream that enters the start; without the heads that move
    aligned_vector<T> input;     ///< (tokens, width): normalised, of these heads; of a parallel MLP as it is
  };

  /// Throws susc::error if the configuration makes no transformer.
  explicit pretrained_transformer(pretrained_config const& config)
      : layout_(config), everything_(full_component(layout_.size())) {}

  pretrained_config const& config() const { return layout_.config; }                   ///< the shape
  pretrained_layout const& layout() const { return layout_; }                          ///< where each weight lies
  std::size_t parameter_count() const { return layout_.size(); }                       ///< number of weights
  std::size_t example_count(token_batch const& b) const { return b.example_count(); }  ///< sequences * (length - 1)
  /// As pretrained_components names them.
  std::vector<component> components() const { return pretrained_components(layout_); }

  /// losses (sequences * (length - 1),) in nats.
  void losses(weights w, token_batch const& b, std::span<T> losses) const {
    for_each_chunk(w, b, false, [&](pretrained_pass<T>& pass, std::size_t first) {
      from_tokens(b, pass, first);
      pass.losses(losses.data() + first * pass.positions);
    });
  }

  /// gradient (parameter_count,). Returns the mean loss in nats.
  T loss_and_gradient(weights w, token_batch const& b, std::span<T> gradient) const {
    return gradient_of(w, b, everything_, gradient,
                       [&](pretrained_pass<T>& pass, std::size_t first) { from_tokens(b, pass, first); });
  }

  /// gradient (c.size(),). Computes no gradient but that of the tensors that the component touches, of its lowest layer
  /// that of its heads, and goes back no further than this layer.
  T loss_and_gradient(weights w, token_batch const& b, component const& c, std::span<T> gradient) const {
    return restricted(w, b, c, gradient,
                      [&](pretrained_pass<T>& pass, std::size_t first) { from_tokens(b, pass, first); });
  }

  /// Computes what lies upstream of the component.
  frozen freeze(weights w, component const& c, token_batch const& b) const {
    frozen result;
    freeze(w, c, b, result);
    return result;
  }
  /// The same into `to`, whose memory is used again.
  void freeze(weights w, component const& c, token_batch const& b, frozen& to) const {
    using stage = pretrained_plan::stage;
    to.tokens.tokens.assign(b.tokens.begin(), b.tokens.end());
    to.tokens.sequences = b.sequences;
    to.tokens.length = b.length;
    if (to.moving != c) to.moving = c;
    for_each_chunk(w, b, false, [&](pretrained_pass<T>& pass, std::size_t first) {
      pretrained_plan const& plan = pass.space.plan_of(layout_, c);
      if (plan.start == stage::tokens) return;
      std::size_t const width = config().width, l = plan.layer;
      std::size_t const offset = first * pass.positions * width, count = pass.n() * width;
      to.residual.resize(b.example_count() * width);
      bool const has_input = plan.start == stage::heads || (plan.start == stage::mlp && config().parallel);
      if (has_input) to.input.resize(b.example_count() * width);
      pass.embed(b.sequence(first).data());
      for (std::size_t below = 0; below != l; ++below) {
        pass.attention(below);
        pass.mlp(below);
      }
      T* residual = pass.stream(2 * l);
      T const* input = residual;
      if (plan.start == stage::mlp) {
        pass.attention(l);
        residual = pass.stream(2 * l + 1);
      }
      if (plan.start == stage::heads) {
        pass.normalise_attention(l);
        input = pass.activations(l).normal.data();
        pass.attend(l, input, plan.resting);
        residual = std::copy_n(residual, count, pass.stream(2 * l + 1)) - count;
        pass.add_bias({residual, pass.n(), width}, layout_.layers[l].output, {0, width});
        pass.add_heads(l, plan.resting, residual);
        if (config().parallel) pass.add_mlp(l, pass.stream(2 * l), residual);
      }
      std::copy_n(residual, count, to.residual.data() + offset);
      if (has_input) std::copy_n(input, count, to.input.data() + offset);
    });
  }

  /// Losses at a w that differs from the frozen one in the frozen component only.
  void losses(weights w, frozen const& f, std::span<T> losses) const {
    for_each_chunk(w, f.tokens, false, [&](pretrained_pass<T>& pass, std::size_t first) {
      resume(pass, f, first);
      pass.losses(losses.data() + first * pass.positions);
    });
  }

  /// The gradient (c.size(),) of the frozen component c, equal to the plain one up to rounding.
  T loss_and_gradient(weights w, frozen const& f, component const& c, std::span<T> gradient) const {
    return restricted(w, f.tokens, c, gradient,
                      [&](pretrained_pass<T>& pass, std::size_t first) { resume(pass, f, first); });
  }

  std::size_t class_count() const { return config().vocabulary; }  ///< tokens of the vocabulary
  /// logits (vocabulary,) of the token that example `example` is about, by a forward pass over what precedes it. Throws
  /// susc::error if the batch has no such example.
  void logits(weights w, token_batch const& b, std::size_t example, std::span<T> logits) const {
    require(example < b.example_count(), "pretrained_transformer: logits of example ", example, " of a batch of ",
            b.example_count());
    std::size_t const position = example % (b.length - 1), width = config().width;
    auto const seen = b.sequence(example / (b.length - 1)).first(position + 2);  // later tokens do not matter
    token_batch const one{{seen.begin(), seen.end()}, 1, seen.size()};
    for_each_chunk(w, one, false, [&](pretrained_pass<T>& pass, std::size_t first) {
      from_tokens(one, pass, first);
      pass.normalise_final();
      kernels::multiply<T>({logits.data(), 1, config().vocabulary},
                           {pass.space.final_normal.data() + position * width, 1, width}, pass.unembedding());
    });
  }

  /// Calls f(layer, head, sequence, pattern) with each head's attention probabilities, pattern (positions, positions)
  /// row-major, rows queries.
  template <class F>
  void for_each_attention_pattern(weights w, token_batch const& b, F f) const {
    std::vector<T> pattern;
    for_each_chunk(w, b, false, [&](pretrained_pass<T>& pass, std::size_t first) {
      pass.embed(b.sequence(first).data());
      std::size_t const t = pass.positions, k = config().head_width, columns = config().projected_width();
      pattern.resize(t * t);
      for (std::size_t l = 0; l != config().layers; ++l) {
        pass.attention(l);
        auto const& a = pass.activations(l);
        for (std::size_t h = 0; h != config().heads; ++h)
          for (std::size_t s = 0; s != pass.sequences; ++s) {
            T const* const rows = a.projected.data() + s * t * columns;
            T const* const q = rows + layout_.query(h).begin;
            T const* const keys = rows + layout_.key(h / config().heads_of_group()).begin;
            for (std::size_t i = 0; i != t; ++i)
              for (std::size_t j = 0; j != t; ++j) {
                T score = 0;
                for (std::size_t d = 0; d != k; ++d) score += q[i * columns + d] * keys[j * columns + d];
                score /= std::sqrt(static_cast<T>(k));
                pattern[i * t + j] = j > i ? T(0) : std::exp(score - a.log_sum[h * pass.n() + s * t + i]);
              }
            f(l, h, first + s, std::span<T const>(pattern));
          }
        pass.mlp(l);
      }
    });
  }

 private:
  /// Tokens worked on at a time: activations of a chunk stay in the caches, and memory does not grow with the batch.
  static constexpr std::size_t chunk_tokens = 512;

  void check_batch(token_batch const& b) const {
    require(b.length >= 2, "sequences of ", b.length, " tokens: at least 2 are needed, to predict the second");
    require(b.length <= config().context + 1, "sequences of ", b.length, " tokens, the model's context allows ",
            config().context + 1, " (", config().context, " inputs and the last target)");
    for (std::size_t i = 0; i != b.tokens.size(); ++i)
      require(b.tokens[i] >= 0 && static_cast<std::size_t>(b.tokens[i]) < config().vocabulary, "token id ", b.tokens[i],
              " at sequence ", i / b.length, ", position ", i % b.length, ": the vocabulary has ", config().vocabulary);
  }

  template <class F>
  void for_each_chunk(weights w, token_batch const& b, bool keep, F f) const {
    require(w.size() == parameter_count(), "pretrained_transformer: ", w.size(), " weights, must have ",
            parameter_count());
    check_batch(b);
    workspaces_.borrow([&](pretrained_workspace<T>& space) {
      std::size_t const positions = b.length - 1;
      std::size_t const most = std::min(b.sequences, std::max<std::size_t>(1, chunk_tokens / positions));
      space.transpose_unembedding(layout_, w);
      space.reserve(layout_, most * positions, positions, keep);
      for (std::size_t first = 0; first < b.sequences; first += most) {
        pretrained_pass<T> pass{layout_, w, space, std::min(most, b.sequences - first), positions, keep};
        for (std::size_t s = 0; s != pass.sequences; ++s)
          std::copy_n(b.sequence(first + s).data() + 1, positions, space.targets.data() + s * positions);
        f(pass, first);
      }
    });
  }

  static void from_tokens(token_batch const& b, pretrained_pass<T>& pass, std::size_t first) {
    pass.embed(b.sequence(first).data());
    pass.layers_from(0);
  }

  /// The stream before the final norm, from what was frozen.
  void resume(pretrained_pass<T>& pass, frozen const& f, std::size_t first) const {
    using stage = pretrained_plan::stage;
    pretrained_plan const& plan = pass.space.plan_of(layout_, f.moving);
    if (plan.start == stage::tokens) return from_tokens(f.tokens, pass, first);
    std::size_t const width = config().width, offset = first * pass.positions * width, count = pass.n() * width;
    std::size_t const l = plan.layer;
    T const* const residual = f.residual.data() + offset;
    T const* const input = f.input.empty() ? nullptr : f.input.data() + offset;
    switch (plan.start) {
      case stage::heads: {
        T* const stream = std::copy_n(residual, count, pass.stream(2 * l + 1)) - count;
        std::copy_n(input, count, pass.activations(l).normal.data());
        pass.attend(l, pass.activations(l).normal.data(), plan.groups);
        pass.add_heads(l, plan.groups, stream);
        if (config().parallel)  // whose MLP is in the residual
          std::copy_n(stream, count, pass.stream(2 * l + 2));
        else
          pass.mlp(l);
        break;
      }
      case stage::mlp:
        if (config().parallel) std::copy_n(input, count, pass.stream(2 * l));
        std::copy_n(residual, count, pass.stream(2 * l + 1));
        pass.mlp(l);
        break;
      default:
        std::copy_n(residual, count, pass.stream(2 * l));
        if (plan.start == stage::final) return;
        pass.attention(l);
        pass.mlp(l);
    }
    pass.layers_from(l + 1);
  }

  template <class Forward>
  T restricted(weights w, token_batch const& b, component const& c, std::span<T> gradient, Forward forward) const {
    return gradients_.borrow([&](aligned_vector<T>& whole) {
      whole.resize(parameter_count());
      T const loss = gradient_of(w, b, c, whole, forward);
      c.gather(std::span<T const>(whole), gradient);
      return loss;
    });
  }

  /// The gradient of the parts that c touches, in `whole` (parameter_count,); the rest of it is left undefined.
  template <class Forward>
  T gradient_of(weights w, token_batch const& b, component const& c, std::span<T> whole, Forward forward) const {
    require(b.example_count() != 0, "pretrained_transformer: a gradient over 0 examples, must have at least 1");
    T const weight = 1 / static_cast<T>(b.example_count());
    double sum = 0;
    for_each_chunk(w, b, true, [&](pretrained_pass<T>& pass, std::size_t first) {
      auto& space = pass.space;
      pretrained_plan const& plan = space.plan_of(layout_, c);
      if (first == 0) {
        for (named_parameter const& p : layout_.parameters)
          if (plan.touches(p.range)) std::fill_n(whole.data() + p.range.begin, p.range.size(), T(0));
        if (plan.touches(layout_.unembedding)) space.unembedding_gradient.assign(layout_.unembedding.size(), T(0));
      }
      forward(pass, first);
      pretrained_backward<T> const backward{pass, plan, whole.data()};
      backward.run(weight, space.losses.data());
      backward.embed(b.sequence(first).data());
      for (std::size_t t = 0; t != pass.n(); ++t) sum += static_cast<double>(space.losses[t]);
      if (first + pass.sequences == b.sequences && plan.touches(layout_.unembedding))
        space.add_unembedding_gradient(layout_, whole);
    });
    return static_cast<T>(sum / static_cast<double>(b.example_count()));
  }

  pretrained_layout layout_;
  component everything_;
  mutable pool<pretrained_workspace<T>> workspaces_;
  mutable pool<aligned_vector<T>> gradients_;
};

}  // namespace susc
