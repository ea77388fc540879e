#pragma once
/// A small decoder-only transformer with a hand-written backward pass: losses, gradients, gradients of one component,
/// and losses with everything upstream of a component frozen. Conventions and parameter names are TransformerLens's.
#include <algorithm>
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
#include "susc/models/transformer_cost.hpp"
#include "susc/models/transformer_low_rank.hpp"
#include "susc/models/transformer_pass.hpp"

namespace susc {

/// A configuration known at compile time.
template <transformer_config Config>
struct fixed_config {
  constexpr operator transformer_config() const { return Config; }  ///< the same at run time
};

/// Satisfies Model, HasComponents, RestrictedModel, FreezableGradientModel, CountsOperations, CountsBytes, HasLogits
/// and HasInputGradient. An example is a token in its context; a sequence of `length` tokens feeds its first length - 1
/// and has length - 1 losses. Throws susc::error on weights, tokens, losses or gradient entries of another number, on a
/// token id outside the vocabulary, on no sequence, and on sequences longer than context + 1.
template <std::floating_point T = float, class Config = transformer_config>
class basic_transformer {
 public:
  using scalar = T;                    ///< of weights and losses
  using batch = token_batch;           ///< sequences of one length
  using weights = std::span<T const>;  ///< (parameter_count,), in the order of transformer_layout

  /// A batch with all that does not depend on one component computed: `residual` is the residual stream that enters the
  /// start (with stage::heads: the layer's output without the component's heads), `normal` the normalised input of
  /// those heads. Where the next layer, or the unembedding, can read them at their rank, it keeps what that needs too.
  struct frozen {
    token_batch tokens;                  ///< the batch
    component moving;                    ///< what is not frozen
    transformer_start start;             ///< where passes begin
    bool has_reader = false;             ///< see has_low_rank_reader
    bool low_rank = false;               ///< and its base fits frozen_base_limit
    aligned_vector<T> residual, normal;  ///< (tokens, width)
    aligned_vector<T> base, bias;        ///< of low_rank_frozen
  };
  /// Largest base that one frozen batch keeps, in bytes; batches of more tokens do without.
  static constexpr std::size_t frozen_base_limit = std::size_t{256} << 20;

  /// `how`: of every matrix product but those of attention patterns; of a transformer of doubles without effect.
  explicit basic_transformer(Config config = {}, kernels::precision how = kernels::precision::single)
      : how_(how), config_(config) {
    check(this->config());
    everything_ = full_component(parameter_count());
  }

  transformer_config config() const { return config_; }                                ///< the shape
  transformer_layout layout() const { return {config_}; }                              ///< where each weight lies
  std::size_t parameter_count() const { return layout().size(); }                      ///< number of weights
  std::size_t example_count(token_batch const& b) const { return b.example_count(); }  ///< sequences * (length - 1)
  /// As transformer_components names them.
  std::vector<component> components() const { return transformer_components(layout()); }
  std::vector<std::string> heads() const { return head_names(config()); }  ///< as head_names names them

  /// losses (sequences * (length - 1),) in nats.
  void losses(weights w, token_batch const& b, std::span<T> losses) const {
    require_size("losses", losses.size(), b.example_count());
    for_each_chunk(w, b, false, everywhere, [&](transformer_pass<T>& pass, std::size_t first) {
      pass.embed(b.sequence(first).data());
      pass.layers_from(0);
      pass.losses(losses.data() + first * pass.positions);
    });
  }

  /// gradient (parameter_count,). Returns the mean loss in nats.
  T loss_and_gradient(weights w, token_batch const& b, std::span<T> gradient) const {
    require_size("gradient entries", gradient.size(), parameter_count());
    return gradient_of(w, b, everything_, gradient, transformer_start{}, from_tokens(b));
  }

  /// gradient (c.size(),). Computes no gradient but the component's and goes back no further than its lowest layer.
  T loss_and_gradient(weights w, token_batch const& b, component const& c, std::span<T> gradient) const {
    require_size("gradient entries", gradient.size(), c.size());
    return gradients_.borrow([&](aligned_vector<T>& whole) {
      whole.resize(parameter_count());
      T const loss = gradient_of(w, b, c, whole, transformer_start{}, from_tokens(b));
      c.gather(std::span<T const>(whole), gradient);
      return loss;
    });
  }

  /// Computes what lies upstream of the component.
  frozen freeze(weights w, component const& c, token_batch const& b) const {
    frozen result;
    freeze(w, c, b, result);
    return result;
  }
  /// The same into `to`, whose memory is used again.
  void freeze(weights w, component const& c, token_batch const& b, frozen& to) const {
    using stage = transformer_start::stage;
    check_length(w);
    check_batch(b);
    to.tokens.tokens.assign(b.tokens.begin(), b.tokens.end());
    to.tokens.sequences = b.sequences;
    to.tokens.length = b.length;
    if (to.moving != c) {
      transformer_plan const plan(layout(), c);
      to.moving = c;
      to.start = transformer_start::of(plan);
      to.has_reader = has_low_rank_reader(layout(), plan, to.start);
    }
    transformer_start const& start = to.start;
    if (start.at == stage::tokens) return;
    std::size_t const width = config().width;
    to.residual.resize(b.example_count() * width);
    if (start.at == stage::heads) to.normal.resize(b.example_count() * width);
    std::size_t const columns = columns_read(layout(), start);
    to.low_rank = to.has_reader && b.example_count() * columns <= frozen_base_limit / sizeof(T);
    if (to.low_rank) {
      to.base.resize(b.example_count() * columns);
      to.bias.resize(columns);
    }
    auto const upstream = [&](std::size_t l, std::size_t h) {
      return !start.moves(l, h) || (to.low_rank && l == start.layer + 1);
    };
    for_each_chunk(w, b, false, upstream, [&](transformer_pass<T>& pass, std::size_t first) {
      std::size_t const offset = first * pass.positions * width, count = pass.n() * width;
      pass.embed(b.sequence(first).data());
      for (std::size_t l = 0; l != start.layer; ++l) {
        pass.attention(l);
        pass.mlp(l);
      }
      std::size_t stage_index = start.layer * pass.stages_per_layer();
      if (start.at == stage::mlp) {
        pass.attention(start.layer);
        ++stage_index;
      }
      T* const stream = pass.stream(stage_index);
      if (start.at == stage::heads) {
        pass.normalise_attention(start.layer);
        T* const normal = pass.activations(start.layer).normal.data();
        std::copy_n(normal, count, to.normal.data() + offset);
        if (config().biases) pass.add_row(stream, w.data() + layout().output_bias(start.layer).begin);
        for_each_frozen_run(start, [&](std::size_t head, std::size_t heads) {
          pass.project(start.layer, normal, head, heads);
          pass.attend(start.layer, head, heads);
          pass.add_heads(start.layer, head, heads, stream, stream);
        });
      }
      std::copy_n(stream, count, to.residual.data() + offset);
      if (!to.low_rank) return;
      low_rank_map<T> const reader = pass.reader_of(start.layer, start.heads.size());
      reader.freeze(to.base.data() + first * pass.positions * columns, stream, pass.space.final_normal.data(),
                    pass.n());
      if (first == 0) reader.freeze_bias(to.bias.data(), own_bias(pass, start.layer + 1));
    });
  }

  /// Losses at a w that differs from the frozen one in the frozen component only.
  void losses(weights w, frozen const& f, std::span<T> losses) const {
    require_size("losses", losses.size(), f.tokens.example_count());
    if (f.start.at == transformer_start::stage::tokens) return this->losses(w, f.tokens, losses);
    for_each_chunk(w, f.tokens, false, downstream(f.start), [&](transformer_pass<T>& pass, std::size_t first) {
      resume(pass, f, first);
      pass.losses(losses.data() + first * pass.positions);
    });
  }

  /// The gradient (c.size(),) of the frozen component c, equal to the plain one up to rounding.
  T loss_and_gradient(weights w, frozen const& f, component const& c, std::span<T> gradient) const {
    require_size("gradient entries", gradient.size(), c.size());
    if (f.start.at == transformer_start::stage::tokens) return loss_and_gradient(w, f.tokens, c, gradient);
    return gradients_.borrow([&](aligned_vector<T>& whole) {
      whole.resize(parameter_count());
      T const loss = gradient_of(w, f.tokens, c, whole, f.start,
                                 [&](transformer_pass<T>& pass, std::size_t first) { resume(pass, f, first); });
      c.gather(std::span<T const>(whole), gradient);
      return loss;
    });
  }

  /// Of matrix products and attention (transformer_cost.hpp). Of the batch only the shape is looked at.
  double operations(pass what, component const& c, token_batch const& b) const {
    return cost_of(c, b).operations(what);
  }
  /// Of what freeze returns for a batch of this shape.
  std::size_t frozen_bytes(component const& c, token_batch const& b) const {
    return cost_of(c, b).template frozen_bytes<T>();
  }
  /// Of one thread, for batches of this shape, gradients among what was asked for.
  std::size_t workspace_bytes(token_batch const& b) const {
    return transformer_workspace_bytes<T>(layout(), sequences_of_chunk(b) * (b.length - 1), b.length - 1);
  }

  std::size_t class_count() const { return config().vocabulary; }  ///< tokens of the vocabulary
  /// logits (vocabulary,) of the token that example `example` is about, by a forward pass over what precedes it. Throws
  /// susc::error if the batch has no such example.
  void logits(weights w, token_batch const& b, std::size_t example, std::span<T> logits) const {
    require(example < b.example_count(), "transformer: logits of example ", example, " of a batch of ",
            b.example_count());
    std::size_t const position = example % (b.length - 1), width = config().width;
    auto const seen = b.sequence(example / (b.length - 1)).first(position + 2);  // later tokens do not matter
    token_batch const one{{seen.begin(), seen.end()}, 1, seen.size()};
    for_each_chunk(w, one, false, everywhere, [&](transformer_pass<T>& pass, std::size_t first) {
      from_tokens(one)(pass, first);
      pass.normalise_final();
      pass.multiply({logits.data(), 1, config().vocabulary},
                    {pass.space.final_normal.data() + position * width, 1, width}, pass.unembedding());
      if (T const* const bias = pass.bias_after(layout().unembedding_bias().begin))
        for (std::size_t v = 0; v != config().vocabulary; ++v) logits[v] += bias[v];
    });
  }

  /// Coordinates of the residual stream that enters the first layer, examples * width.
  std::size_t input_count(token_batch const& b) const { return b.example_count() * config().width; }
  /// gradient (sequences, length - 1, width): of the mean loss by the embedded tokens, positions added, that enter the
  /// first layer. Returns the mean loss.
  T input_gradient(weights w, token_batch const& b, std::span<T> gradient) const {
    // The positions' gradient needs that of the whole stream, and of no other weights.
    transformer_plan const plan(layout(), component("positions", {layout().positions()}));
    T const weight = 1 / static_cast<T>(b.example_count());
    double sum = 0;
    gradients_.borrow([&](aligned_vector<T>& whole) {
      whole.resize(parameter_count());
      for_each_chunk(w, b, true, everywhere, [&](transformer_pass<T>& pass, std::size_t first) {
        from_tokens(b)(pass, first);
        pass.backward(plan, weight, whole, pass.space.losses.data());
        std::copy_n(pass.space.d_stream.data(), pass.n() * config().width,
                    gradient.data() + first * pass.positions * config().width);
        for (std::size_t t = 0; t != pass.n(); ++t) sum += static_cast<double>(pass.space.losses[t]);
      });
    });
    return static_cast<T>(sum / static_cast<double>(b.example_count()));
  }

  /// Calls f(layer, head, sequence, pattern) with each head's attention probabilities, pattern (positions, positions)
  /// row-major, rows queries.
  template <class F>
  void for_each_attention_pattern(weights w, token_batch const& b, F f) const {
    std::vector<T> pattern;
    for_each_chunk(w, b, true, everywhere, [&](transformer_pass<T>& pass, std::size_t first) {
      pass.embed(b.sequence(first).data());
      pass.layers_from(0);
      std::size_t const t = pass.positions, k = pass.k(), columns = 3 * config().heads * k;
      pattern.resize(t * t);
      for (std::size_t l = 0; l != config().layers; ++l)
        for (std::size_t h = 0; h != config().heads; ++h)
          for (std::size_t s = 0; s != pass.sequences; ++s) {
            auto const& a = pass.activations(l);
            T const* const q = a.qkv.data() + s * t * columns + 3 * h * k;
            for (std::size_t i = 0; i != t; ++i)
              for (std::size_t j = 0; j != t; ++j) {
                T score = 0;
                for (std::size_t d = 0; d != k; ++d) score += q[i * columns + d] * q[j * columns + k + d];
                score /= std::sqrt(static_cast<T>(k));
                pattern[i * t + j] = j > i ? T(0) : std::exp(score - a.log_sum[h * pass.n() + s * t + i]);
              }
            f(l, h, first + s, std::span<T const>(pattern));
          }
    });
  }

 private:
  /// Tokens worked on at a time: activations of a chunk stay in the caches, and memory does not grow with the batch.
  static constexpr std::size_t chunk_tokens = 512;

  transformer_cost cost_of(component const& c, token_batch const& b) const {
    return {layout(), c, b.sequences, b.length - 1, frozen_base_limit / sizeof(T)};
  }
  static std::size_t sequences_of_chunk(token_batch const& b) {
    return std::min(b.sequences, std::max<std::size_t>(1, chunk_tokens / (b.length - 1)));
  }

  static void require_size(char const* what, std::size_t given, std::size_t needed) {
    require(given == needed, "transformer: ", given, " ", what, ", must have ", needed);
  }
  void check_length(weights w) const { require_size("weights", w.size(), everything_.size()); }
  void check_batch(token_batch const& b) const {
    require(b.length >= 2, "sequences of ", b.length, " tokens: at least 2 are needed, to predict the second");
    require(b.length <= config().context + 1, "sequences of ", b.length, " tokens, the model's context allows ",
            config().context + 1, " (", config().context, " inputs and the last target)");
    require(b.sequences != 0, "a batch of 0 sequences, must have at least 1");
    require(b.tokens.size() == b.sequences * b.length, "a batch of ", b.tokens.size(), " tokens, must have ",
            b.sequences, " x ", b.length);
    for (std::size_t i = 0; i != b.tokens.size(); ++i)
      require(b.tokens[i] >= 0 && static_cast<std::size_t>(b.tokens[i]) < config().vocabulary, "token id ", b.tokens[i],
              " at sequence ", i / b.length, ", position ", i % b.length, ": the vocabulary has ", config().vocabulary);
  }

  /// Which heads a pass needs the weights of.
  static constexpr auto everywhere = [](std::size_t, std::size_t) { return true; };
  static auto downstream(transformer_start const& start) {
    return [&start](std::size_t l, std::size_t h) { return start.moves(l, h); };
  }

  template <class Uses, class F>
  void for_each_chunk(weights w, token_batch const& b, bool keep, Uses uses, F f) const {
    check_length(w);
    check_batch(b);
    workspaces_.borrow([&](transformer_workspace<T>& space) {
      std::size_t const positions = b.length - 1, most = sequences_of_chunk(b);
      space.pack(layout(), w, uses);
      space.reserve(layout(), most * positions, keep);
      for (std::size_t first = 0; first < b.sequences; first += most) {
        transformer_pass<T> pass{layout(), w, space, std::min(most, b.sequences - first), positions, keep, how_};
        for (std::size_t s = 0; s != pass.sequences; ++s)
          std::copy_n(b.sequence(first + s).data() + 1, positions, space.targets.data() + s * positions);
        f(pass, first);
      }
    });
  }

  /// Calls f(head, heads) for every run of neighbouring heads of the start's layer that are frozen.
  template <class F>
  void for_each_frozen_run(transformer_start const& start, F f) const {
    for (std::size_t head = 0, end; head < config().heads; head = end + 1) {
      auto const next = std::lower_bound(start.heads.begin(), start.heads.end(), head);
      end = next == start.heads.end() ? config().heads : *next;
      if (end != head) f(head, end - head);
    }
  }

  static T const* own_bias(transformer_pass<T> const& pass, std::size_t reader) {
    if (reader == pass.c().layers) return pass.bias_after(pass.layout.unembedding_bias().begin);
    return pass.c().biases ? pass.space.weights[reader].qkv_bias.data() : nullptr;
  }

  /// The stream before the final norm, from what was frozen.
  void resume(transformer_pass<T>& pass, frozen const& f, std::size_t first) const {
    using stage = transformer_start::stage;
    std::size_t const width = config().width, offset = first * pass.positions * width, count = pass.n() * width;
    std::size_t const l = f.start.layer, stage_index = l * pass.stages_per_layer();
    auto const stream_at = [&](std::size_t at) { std::copy_n(f.residual.data() + offset, count, pass.stream(at)); };
    if (f.start.at == stage::heads) {
      stream_at(stage_index + 1);
      T const* normal = f.normal.data() + offset;
      if (pass.keep) normal = std::copy_n(normal, count, pass.activations(l).normal.data()) - count;
      for (std::size_t const h : f.start.heads) {
        pass.project(l, normal, h, 1);
        pass.attend(l, h, 1);
        pass.add_heads(l, h, 1, pass.stream(stage_index + 1), pass.stream(stage_index + 1));
      }
      if (f.low_rank) {
        T const* const base = f.base.data() + first * pass.positions * columns_read(layout(), f.start);
        pass.low_rank = {&f.start.heads, l, base, f.bias.data()};
        pass.gather_low_rank();
        if (first == 0) pass.map_low_rank();
      }
    } else {
      stream_at(f.start.at == stage::mlp ? stage_index + 1 : stage_index);
      if (f.start.at == stage::attention) pass.attention(l);
    }
    if (f.start.at == stage::final) return;
    pass.mlp(l);
    pass.layers_from(l + 1);
  }

  /// The forward pass from the tokens of b, a chunk at a time.
  auto from_tokens(token_batch const& b) const {
    return [&b](transformer_pass<T>& pass, std::size_t first) {
      pass.embed(b.sequence(first).data());
      pass.layers_from(0);
    };
  }

  /// The gradient of the parts that c touches, in `whole` (parameter_count,); the rest of it is left undefined.
  template <class Forward>
  T gradient_of(weights w, token_batch const& b, component const& c, std::span<T> whole, transformer_start const& start,
                Forward forward) const {
    T const weight = 1 / static_cast<T>(b.example_count());
    double sum = 0;
    for_each_chunk(w, b, true, downstream(start), [&](transformer_pass<T>& pass, std::size_t first) {
      auto& space = pass.space;
      transformer_plan const& plan = space.plan_of(layout(), c);
      if (first == 0) clear(plan, whole, space);
      forward(pass, first);
      if (first == 0 && pass.low_rank)
        space.low_rank.d_mapped.assign(pass.reader().rank * pass.reader().columns(), T(0));
      pass.backward(plan, weight, whole, space.losses.data());
      if (plan.embedding || plan.positions) pass.embed_backward(plan, b.sequence(first).data(), whole);
      for (std::size_t t = 0; t != pass.n(); ++t) sum += static_cast<double>(space.losses[t]);
      if (first + pass.sequences != b.sequences) return;
      if (pass.low_rank) pass.finish_low_rank();
      unpack(plan, whole, space);
    });
    return static_cast<T>(sum / static_cast<double>(b.example_count()));
  }

  /// Zeroes what the backward pass adds to.
  void clear(transformer_plan const& plan, std::span<T> whole, transformer_workspace<T>& space) const {
    transformer_layout const where = layout();
    auto const zero = [&](bool needed, index_range r) {
      if (needed) std::fill_n(whole.begin() + static_cast<std::ptrdiff_t>(r.begin), r.size(), T(0));
    };
    zero(plan.embedding, where.embedding());
    zero(plan.positions, where.positions());
    zero(plan.final_norm, where.final_norm());
    zero(plan.unembedding, where.unembedding());
    zero(plan.unembedding_bias, where.unembedding_bias());
    if (where.config.tied && plan.unembedding)
      space.unembedding_gradient.assign(where.config.width * where.config.vocabulary, T(0));
    space.gradients.resize(where.config.layers);
    for (std::size_t l = 0; l != where.config.layers; ++l) {
      auto const& part = plan.layers[l];
      zero(part.attention_norm, where.attention_norm(l));
      zero(part.output_bias, where.output_bias(l));
      zero(part.mlp_norm, where.mlp_norm(l));
      zero(part.mlp_in, where.mlp_in(l));
      zero(part.mlp_out, where.mlp_out(l));
      if (!part.any_head()) continue;
      auto& heads = space.gradients[l];
      heads.resize(where.config);
      for (auto* piece : {&heads.qkv, &heads.qkv_bias, &heads.out}) std::fill(piece->begin(), piece->end(), T(0));
    }
  }

  /// Copies the packed gradients of heads, and of a tied unembedding, to their place.
  void unpack(transformer_plan const& plan, std::span<T> whole, transformer_workspace<T>& space) const {
    transformer_layout const where = layout();
    for (std::size_t l = 0; l != where.config.layers; ++l)
      for (std::size_t h = 0; h != where.config.heads; ++h)
        if (plan.layers[l].heads[h])
          space.gradients[l].for_each_piece(where, l, h, [&](std::size_t flat, T const* packed, std::size_t count) {
            std::copy_n(packed, count, whole.data() + flat);
          });
    if (!where.config.tied || !plan.unembedding) return;
    std::size_t const vocabulary = where.config.vocabulary, width = where.config.width;
    for (std::size_t v = 0; v != vocabulary; ++v)
      for (std::size_t d = 0; d != width; ++d) whole[v * width + d] += space.unembedding_gradient[d * vocabulary + v];
  }

  mutable pool<transformer_workspace<T>> workspaces_;
  mutable pool<aligned_vector<T>> gradients_;
  component everything_;
  kernels::precision how_;
  [[no_unique_address]] Config config_;
};

/// Experiments configured at compile time.
template <transformer_config Config, std::floating_point T = float>
using transformer = basic_transformer<T, fixed_config<Config>>;

/// Weights loaded from a file, extents at run time: the same code.
using dynamic_transformer = basic_transformer<>;

}  // namespace susc
