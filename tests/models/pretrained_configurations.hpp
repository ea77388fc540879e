#pragma once
// One transformer of every kind that the families allow, for the tests of its parts.
#include <string>
#include <vector>

#include "susc/core/random.hpp"
#include "susc/models/pretrained_layout.hpp"

struct named_pretrained {
  std::string name;
  susc::pretrained_config config;
};

inline std::vector<named_pretrained> pretrained_configurations() {
  using susc::activation_function;
  using susc::pretrained_config;
  using susc::pretrained_family;
  pretrained_config const gpt2{.family = pretrained_family::gpt2,
                               .vocabulary = 11,
                               .context = 7,
                               .width = 12,
                               .layers = 2,
                               .heads = 3,
                               .key_value_heads = 3,
                               .head_width = 4,
                               .mlp_width = 10,
                               .activation = activation_function::gelu_new,
                               .attention_bias = true,
                               .mlp_bias = true,
                               .tied = true};
  auto const with = [](pretrained_config c, auto change) {
    change(c);
    return c;
  };
  pretrained_config const neox = with(gpt2, [](auto& c) {
    c.family = pretrained_family::gpt_neox, c.activation = activation_function::gelu, c.tied = false;
    c.rotary_width = 2, c.rotary_base = 100, c.parallel = true, c.norm_epsilon = 1e-3;
  });
  pretrained_config const llama = with(gpt2, [](auto& c) {
    c.family = pretrained_family::llama, c.heads = 6, c.key_value_heads = 2, c.rotary_width = 4, c.rotary_base = 50;
    c.attention_bias = c.mlp_bias = c.tied = false;
  });
  return {{"gpt2", gpt2},
          {"gpt2, untied, relu", with(gpt2, [](auto& c) { c.tied = false, c.activation = activation_function::relu; })},
          {"gpt_neox", neox},
          {"gpt_neox, sequential, no attention biases",
           with(neox, [](auto& c) { c.parallel = false, c.attention_bias = false; })},
          {"llama", llama},
          {"llama, biases, tied, one head a group", with(llama,
                                                         [](auto& c) {
                                                           c.attention_bias = c.mlp_bias = c.tied = true;
                                                           c.heads = 2;
                                                         })},
          {"llama, one layer, one group, long",
           with(llama, [](auto& c) { c.layers = 1, c.key_value_heads = 1, c.context = 70; })}};
}

/// Normals of deviation .4, gains around 1: attention is then neither uniform nor one-hot.
inline std::vector<double> pretrained_weights(susc::pretrained_layout const& layout, std::uint64_t seed) {
  susc::random::stream stream({seed});
  std::vector<double> w(layout.size());
  for (double& x : w) x = 0.4 * stream.normal();
  auto const shift = [&](susc::norm_place const& norm) {
    for (std::size_t i = norm.gain.begin; i != norm.gain.end; ++i) w[i] = 1 + w[i] / 2;
  };
  shift(layout.final_norm);
  for (auto const& layer : layout.layers) shift(layer.attention_norm), shift(layer.mlp_norm);
  return w;
}

/// All that have names, and some that do not.
inline std::vector<susc::component> components_to_try(susc::pretrained_layout const& layout) {
  auto all = susc::pretrained_components(layout);
  auto const known = all;
  std::string const last = "l" + std::to_string(layout.config.layers - 1);
  for (std::string const& name : {"l0h1+" + last + "h0", last + "h1+unembed", last + "h0+" + last + "mlp",
                                  last + "h1+ln_final", "l0mlp+" + last + "h1"})
    all.push_back(susc::find_component(known, name));
  auto const& top = layout.layers.back();
  all.push_back({"attention norm", {top.attention_norm.gain}});
  all.push_back({"MLP norm", {top.mlp_norm.gain}});
  all.push_back({"part of a matrix", {{top.down.weight.begin + 3, top.down.weight.end - 5}}});
  all.push_back({"part of a query", {{top.projections[0].weight.begin + 1, top.projections[0].weight.begin + 3}}});
  std::vector<susc::index_range> value;
  layout.add_projection(value, layout.config.layers - 1, layout.value(layout.config.key_value_heads - 1));
  all.push_back({"part of a value", {{value.front().begin + 1, value.front().begin + 3}}});
  all.push_back({"part of the output", {{top.output.weight.begin + 5, top.output.weight.begin + 6}}});
  if (top.output.bias.size() != 0) all.push_back({"output bias", {top.output.bias}});
  if (top.down.bias.size() != 0) all.push_back({"biases of the MLP", {top.down.bias, top.up.bias}});
  return all;
}
