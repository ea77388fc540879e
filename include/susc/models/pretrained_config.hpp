#pragma once
/// The shape of a pretrained transformer of the families GPT-2, GPT-NeoX (Pythia) and Llama.
#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/models/transformer_config.hpp"

namespace susc {

/// Says which tensors there are, what they are called and how they lie.
///   gpt2      LayerNorm, learned positions, fused Q K V, matrices (inputs, outputs), biases
///   gpt_neox  LayerNorm, rotary positions on part of each head, Q K V interleaved head by head, biases
///   llama     RMSNorm, rotary positions, grouped-query attention, SwiGLU
enum class pretrained_family { gpt2, gpt_neox, llama };

/// How Llama 3.1 slows the rotary frequencies of long wavelengths (rope_type "llama3"); factor 1: not at all.
struct rotary_scaling {
  double factor = 1;                 ///< of the slowest
  double low_frequency_factor = 1;   ///< wavelengths above original_context / this are slowed by the whole factor
  double high_frequency_factor = 4;  ///< those below original_context / this are not
  double original_context = 8192;    ///< of the model before its context was made longer
  friend constexpr bool operator==(rotary_scaling const&, rotary_scaling const&) = default;
};

/// A decoder-only transformer with a norm before each sublayer and after the last layer.
struct pretrained_config {
  pretrained_family family = pretrained_family::gpt2;              ///< of the checkpoint
  std::size_t vocabulary = 0;                                      ///< rows of the embedding
  std::size_t context = 0;                                         ///< longest input in tokens
  std::size_t width = 0;                                           ///< of the residual stream
  std::size_t layers = 0;                                          ///< number of blocks
  std::size_t heads = 0;                                           ///< a layer
  std::size_t key_value_heads = 0;                                 ///< a layer: each shared by heads / this
  std::size_t head_width = 0;                                      ///< of queries, keys and values
  std::size_t mlp_width = 0;                                       ///< hidden units of the MLP
  activation_function activation = activation_function::gelu_new;  ///< of the MLP; Llama's is SwiGLU in any case
  double norm_epsilon = 1e-5;                                      ///< of every norm
  std::size_t rotary_width = 0;                                    ///< columns of each head that are turned; 0: none
  double rotary_base = 10000;                                      ///< of the frequencies
  rotary_scaling scaling = {};                                     ///< of the frequencies
  bool parallel = false;        ///< the MLP reads the stream before the attention, not after it
  bool attention_bias = false;  ///< of Q, K, V and the output
  bool mlp_bias = false;        ///< of the MLP's matrices
  bool tied = false;            ///< the unembedding is the embedding

  bool rms() const { return family == pretrained_family::llama; }                  ///< RMSNorm instead of LayerNorm
  bool gated() const { return family == pretrained_family::llama; }                ///< SwiGLU instead of `activation`
  bool learned_positions() const { return family == pretrained_family::gpt2; }     ///< added to the embedding
  std::size_t query_width() const { return heads * head_width; }                   ///< of all heads
  std::size_t key_width() const { return key_value_heads * head_width; }           ///< of all key/value heads
  std::size_t projected_width() const { return query_width() + 2 * key_width(); }  ///< Q, K and V
  std::size_t heads_of_group() const { return heads / key_value_heads; }           ///< that share a key/value head

  /// Radians a position, (rotary_width / 2): base^(-2i / rotary_width), scaled.
  std::vector<double> rotary_frequencies() const {
    std::vector<double> frequencies(rotary_width / 2);
    for (std::size_t i = 0; i != frequencies.size(); ++i) {
      double const plain = std::pow(rotary_base, -2 * static_cast<double>(i) / static_cast<double>(rotary_width));
      double const turns = scaling.original_context * plain / (2 * std::numbers::pi);  // in the original context
      double const low = scaling.low_frequency_factor, high = scaling.high_frequency_factor;
      double const kept = turns <= low ? 0 : turns >= high ? 1 : (turns - low) / (high - low);
      frequencies[i] = scaling.factor == 1 ? plain : plain * (kept + (1 - kept) / scaling.factor);
    }
    return frequencies;
  }
  friend bool operator==(pretrained_config const&, pretrained_config const&) = default;
};

/// Throws susc::error naming the first field that makes no transformer.
inline void check(pretrained_config const& c) {
  auto const positive = [](std::size_t value, char const* field) {
    require(value > 0, "pretrained_config: ", field, " is 0, must be at least 1");
  };
  positive(c.vocabulary, "vocabulary");
  positive(c.context, "context");
  positive(c.width, "width");
  positive(c.layers, "layers");
  positive(c.heads, "heads");
  positive(c.key_value_heads, "key_value_heads");
  positive(c.head_width, "head_width");
  positive(c.mlp_width, "mlp_width");
  require(c.heads % c.key_value_heads == 0, "pretrained_config: heads ", c.heads,
          " is not a multiple of key_value_heads ", c.key_value_heads);
  require(c.rms() || c.key_value_heads == c.heads, "pretrained_config: key_value_heads ", c.key_value_heads,
          " is not heads ", c.heads, ": of these families only Llama shares them");
  require(c.rms() || c.head_width * c.heads == c.width, "pretrained_config: head_width ", c.head_width,
          " is not width / heads, ", c.width, " / ", c.heads);
  require(c.rotary_width % 2 == 0 && c.rotary_width <= c.head_width, "pretrained_config: rotary_width ", c.rotary_width,
          " must be even and at most head_width ", c.head_width);
  require(c.norm_epsilon > 0, "pretrained_config: norm_epsilon ", c.norm_epsilon, " must be above 0");
  require(c.rotary_base > 0, "pretrained_config: rotary_base ", c.rotary_base, " must be above 0");
  auto const& s = c.scaling;
  require(s.factor == 1 || (s.factor > 0 && s.high_frequency_factor > s.low_frequency_factor && s.original_context > 0),
          "pretrained_config: scaling needs a positive factor and original_context, and a high_frequency_factor above "
          "low_frequency_factor");
}

}  // namespace susc
