#pragma once
/// The shape of a decoder-only transformer: usable at compile time (a template argument) and at run time.
#include <cstddef>

#include "susc/core/error.hpp"

namespace susc {

/// gelu is the exact one (erf), gelu_new the tanh approximation: TransformerLens's names.
enum class activation_function { gelu, gelu_new, relu };

/// Pre-LayerNorm decoder with learned positions; layer = attention, then an MLP if mlp_width > 0.
struct transformer_config {
  std::size_t vocabulary = 0;                                  ///< number of tokens
  std::size_t context = 0;                                     ///< longest input in tokens
  std::size_t width = 0;                                       ///< of the residual stream
  std::size_t layers = 0;                                      ///< may be 0
  std::size_t heads = 0;                                       ///< a layer
  std::size_t head_width = 0;                                  ///< 0: width / heads
  std::size_t mlp_width = 0;                                   ///< 0: attention only
  activation_function activation = activation_function::gelu;  ///< of the MLP
  bool biases = true;  ///< of Q, K, V, O, the MLP and the unembedding; LayerNorm always has its own
  bool tied = false;   ///< the unembedding is the transposed embedding

  /// Head_width, resolved.
  constexpr std::size_t width_of_head() const { return head_width != 0 ? head_width : width / heads; }
  friend constexpr bool operator==(transformer_config const&, transformer_config const&) = default;
};

/// Throws susc::error naming the first field that makes no transformer, or all if its weights cannot be counted.
inline void check(transformer_config const& c) {
  auto const positive = [](std::size_t value, char const* field) {
    require(value > 0, "transformer_config: ", field, " is 0, must be at least 1");
  };
  positive(c.vocabulary, "vocabulary");
  positive(c.context, "context");
  positive(c.width, "width");
  positive(c.heads, "heads");
  require(c.head_width != 0 || c.width % c.heads == 0, "transformer_config: width ", c.width,
          " is not a multiple of heads ", c.heads, "; set head_width");
  auto const number = [](std::size_t n) { return static_cast<double>(n); };
  double const d = number(c.width) + 1;  // and a bias
  double const weights =
      d * (2 * number(c.vocabulary) + number(c.context)) + 2 * d +
      number(c.layers) * d *
          (4 * number(c.heads) * (number(c.width_of_head()) + 1) + 2 * (number(c.mlp_width) + 1) + 4);
  require(weights < 0x1p60, "transformer_config: vocabulary ", c.vocabulary, ", context ", c.context, ", width ",
          c.width, ", layers ", c.layers, ", heads ", c.heads, ", head_width ", c.width_of_head(), ", mlp_width ",
          c.mlp_width, " make about ", weights, " weights, must be fewer than 2^60");
}

}  // namespace susc
