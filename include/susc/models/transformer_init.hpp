#pragma once
/// Initial weights of a transformer, and which of them decay.
#include <cmath>
#include <concepts>
#include <cstddef>
#include <numbers>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/random.hpp"
#include "susc/models/transformer_layout.hpp"

namespace susc {

/// How the positions start: as sinusoids, or as noise.
enum class position_init { sinusoidal, normal };

/// Token embedding N(0, .05²); W_Q, W_K, W_V, W_in, W_U N(0, 1/inputs); W_O N(0, 1/(2 layers width)), W_out N(0, 1/(2
/// layers inputs)), so that the residual stream keeps its scale; LayerNorm 1 and 0; biases 0. Positions start as
/// sinusoids of amplitude .3 √2 and wavelengths 3 .. 2 context, or as N(0, .05²), and are learned from there.
template <std::floating_point T>
aligned_vector<T> initial_weights(transformer_layout const& layout, random::key key,
                                  position_init positions = position_init::sinusoidal) {
  transformer_config const& c = layout.config;
  aligned_vector<T> w(layout.size());
  random::stream stream(random::fold_in(key, "initial weights"));
  auto const normal = [&](index_range r, double deviation) {
    for (std::size_t i = r.begin; i != r.end; ++i) w[i] = static_cast<T>(deviation * stream.normal());
  };
  auto const ones = [&](index_range norm) {
    std::fill_n(w.begin() + static_cast<std::ptrdiff_t>(norm.begin), norm.size() / 2, T(1));
  };
  double const width = static_cast<double>(c.width), depth = 2 * static_cast<double>(c.layers);
  normal(layout.embedding(), .05);
  if (positions == position_init::normal) {
    normal(layout.positions(), .05);
  } else {
    std::size_t const pairs = (c.width + 1) / 2;
    double const shortest = 3, longest = 2 * static_cast<double>(c.context);
    for (std::size_t t = 0; t != c.context; ++t)
      for (std::size_t d = 0; d != c.width; ++d) {
        double const place = pairs == 1 ? 0 : static_cast<double>(d / 2) / static_cast<double>(pairs - 1);
        double const wavelength = shortest * std::pow(longest / shortest, place);
        double const angle = 2 * std::numbers::pi * static_cast<double>(t) / wavelength;
        w[layout.positions().begin + t * c.width + d] =
            static_cast<T>(.3 * std::numbers::sqrt2 * (d % 2 == 0 ? std::sin(angle) : std::cos(angle)));
      }
  }
  for (std::size_t l = 0; l != c.layers; ++l) {
    ones(layout.attention_norm(l));
    for (std::size_t h = 0; h != c.heads; ++h) {
      std::size_t const begin = layout.head(l, h).begin, output = begin + 3 * layout.head_matrix();
      normal({begin, output}, 1 / std::sqrt(width));
      normal({output, output + layout.head_matrix()}, 1 / std::sqrt(depth * width));
    }
    if (c.mlp_width == 0) continue;
    ones(layout.mlp_norm(l));
    std::size_t const matrix = c.width * c.mlp_width;
    normal({layout.mlp_in(l).begin, layout.mlp_in(l).begin + matrix}, 1 / std::sqrt(width));
    normal({layout.mlp_out(l).begin, layout.mlp_out(l).begin + matrix},
           1 / std::sqrt(depth * static_cast<double>(c.mlp_width)));
  }
  ones(layout.final_norm());
  normal(layout.unembedding(), 1 / std::sqrt(width));
  return w;
}

/// The coordinates of the matrices that activations are multiplied by, what weight decay applies to: heads, MLP and an
/// untied unembedding, but not embedding, positions, LayerNorm and biases. Decayed positions blur previous-token heads.
inline std::vector<index_range> decayed_ranges(transformer_layout const& layout) {
  transformer_config const& c = layout.config;
  std::vector<index_range> ranges{layout.unembedding()};
  for (std::size_t l = 0; l != c.layers; ++l) {
    for (std::size_t h = 0; h != c.heads; ++h)
      ranges.push_back({layout.head(l, h).begin, layout.head(l, h).begin + 4 * layout.head_matrix()});
    if (c.mlp_width == 0) continue;
    std::size_t const matrix = c.width * c.mlp_width;
    ranges.push_back({layout.mlp_in(l).begin, layout.mlp_in(l).begin + matrix});
    ranges.push_back({layout.mlp_out(l).begin, layout.mlp_out(l).begin + matrix});
  }
  return ranges;
}

}  // namespace susc
