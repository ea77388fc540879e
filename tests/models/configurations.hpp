#pragma once
// One transformer of every kind, for the tests of its parts.
#include <string>
#include <vector>

#include "susc/core/random.hpp"
#include "susc/models/transformer_config.hpp"

/// No pair: clang 14 lets no lambda, such as doctest's, capture a structured binding.
struct named_configuration {
  std::string name;
  susc::transformer_config config;
};

inline std::vector<named_configuration> configurations() {
  using susc::activation_function;
  using susc::transformer_config;
  transformer_config const plain{.vocabulary = 11, .context = 7, .width = 8, .layers = 2, .heads = 2};
  auto with = [&](auto change) {
    transformer_config c = plain;
    change(c);
    return c;
  };
  return {{"attention only", plain},
          {"mlp gelu, odd head width", with([](auto& c) { c.head_width = 3, c.mlp_width = 12; })},
          {"mlp gelu_new, tied",
           with([](auto& c) { c.mlp_width = 9, c.tied = true, c.activation = activation_function::gelu_new; })},
          {"mlp relu, no biases",
           with([](auto& c) { c.mlp_width = 16, c.biases = false, c.activation = activation_function::relu; })},
          {"tied, no biases, one layer", with([](auto& c) { c.tied = true, c.biases = false, c.layers = 1; })},
          {"no layers", with([](auto& c) { c.layers = 0; })},
          {"context beyond one block of queries", with([](auto& c) { c.context = 70; })}};
}

/// Normals of deviation .3: attention is then neither uniform nor one-hot.
inline std::vector<double> random_weights(std::size_t count, std::uint64_t seed) {
  susc::random::stream stream({seed});
  std::vector<double> w(count);
  for (double& x : w) x = 0.3 * stream.normal();
  return w;
}
