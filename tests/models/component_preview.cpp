#include "susc/models/component_preview.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "configurations.hpp"
#include "pretrained_configurations.hpp"

namespace {
std::string text(susc::pretrained_layout const& layout, std::string const& name) {
  return susc::preview(layout, susc::find_component(susc::pretrained_components(layout), name));
}
}  // namespace

TEST_CASE("preview: a head of each family, and a union") {
  auto const all = pretrained_configurations();
  CHECK(text(susc::pretrained_layout(all[0].config), "l1h1") ==
        "l1h1: 204 of 2108 weights, in 3 tensors\n"
        "  transformer.h.1.attn.c_attn.weight (12, 36) [:, 4:8] + [:, 16:20] + [:, 28:32] 144\n"
        "  transformer.h.1.attn.c_attn.bias (36) [4:8] + [16:20] + [28:32] 12\n"
        "  transformer.h.1.attn.c_proj.weight (12, 12) [4:8, :] 48\n");
  CHECK(text(susc::pretrained_layout(all[2].config), "l0h0+l0h2+ln_final") ==
        "l0h0+l0h2+ln_final: 432 of 2156 weights, in 5 tensors\n"
        "  gpt_neox.layers.0.attention.query_key_value.weight (36, 12) [0:12, :] + [24:36, :] 288\n"
        "  gpt_neox.layers.0.attention.query_key_value.bias (36) [0:12] + [24:36] 24\n"
        "  gpt_neox.layers.0.attention.dense.weight (12, 12) [:, 0:4] + [:, 8:12] 96\n"
        "  gpt_neox.final_layer_norm.weight (12) [:] 12\n"
        "  gpt_neox.final_layer_norm.bias (12) [:] 12\n");
  CHECK(text(susc::pretrained_layout(all[4].config), "l0kv1") ==
        "l0kv1: 96 of 2580 weights, in 2 tensors\n"
        "  model.layers.0.self_attn.k_proj.weight (8, 12) [4:8, :] 48\n"
        "  model.layers.0.self_attn.v_proj.weight (8, 12) [4:8, :] 48\n");
}

TEST_CASE("preview: tensors of TransformerLens's names, in which heads lie beside each other") {
  susc::transformer_layout const layout{
      {.vocabulary = 11, .context = 7, .width = 8, .layers = 2, .heads = 4, .mlp_width = 12}};
  auto const known = susc::transformer_components(layout);
  CHECK(susc::preview(layout, susc::find_component(known, "l1h0+l1h2+l1h3")) ==
        "l1h0+l1h2+l1h3: 210 of 1323 weights, in 7 tensors\n"
        "  blocks.1.attn.W_Q (4, 8, 2) [0:1, :, :] + [2:4, :, :] 48\n"
        "  blocks.1.attn.b_Q (4, 2) [0:1, :] + [2:4, :] 6\n"
        "  blocks.1.attn.W_K (4, 8, 2) [0:1, :, :] + [2:4, :, :] 48\n"
        "  blocks.1.attn.b_K (4, 2) [0:1, :] + [2:4, :] 6\n"
        "  blocks.1.attn.W_V (4, 8, 2) [0:1, :, :] + [2:4, :, :] 48\n"
        "  blocks.1.attn.b_V (4, 2) [0:1, :] + [2:4, :] 6\n"
        "  blocks.1.attn.W_O (4, 2, 8) [0:1, :, :] + [2:4, :, :] 48\n");
  CHECK(
      susc::preview(layout, susc::find_component(known, "l0attn")).find("blocks.0.attn.W_O (4, 2, 8) [:, :, :] 64\n") !=
      std::string::npos);
  // A part of one head: the last of row 6 and the first of row 7 of its W_Q.
  std::size_t const at = layout.head(1, 2).begin + 6 * 2 + 1;
  CHECK(susc::selected_parameters(layout, {"some", {{at, at + 2}}}).at(0).slice == "[2:3, 7:8, 0:1] + [2:3, 6:7, 1:2]");
}

TEST_CASE("preview: counts of every component sum to its size") {
  for (auto const& kind : pretrained_configurations()) {
    CAPTURE(kind.name);
    susc::pretrained_layout const layout(kind.config);
    for (auto const& c : components_to_try(layout)) {
      CAPTURE(c.name());
      std::size_t count = 0;
      for (auto const& p : susc::selected_parameters(layout, c)) count += p.count;
      CHECK(count == c.size());
    }
  }
  for (auto const& kind : configurations()) {
    CAPTURE(kind.name);
    susc::transformer_layout const layout{kind.config};
    for (auto const& c : susc::transformer_components(layout)) {
      CAPTURE(c.name());
      std::size_t count = 0;
      for (auto const& p : susc::selected_parameters(layout, c)) count += p.count;
      CHECK(count == c.size());
    }
  }
}

TEST_CASE("preview: ragged selections") {
  susc::pretrained_layout const layout(pretrained_configurations()[4].config);
  std::size_t const begin = layout.embedding.begin;  // (11, 12)
  auto const slice = [&](std::vector<susc::index_range> ranges) {
    return susc::selected_parameters(layout, {"some", ranges}).at(0).slice;
  };
  CHECK(slice({{begin + 3, begin + 5}}) == "[0:1, 3:5]");
  CHECK(slice({{begin + 3, begin + 41}}) == "[3:4, 0:5] + [1:3, :] + [0:1, 3:12]");
  CHECK(slice({{begin, begin + 132}}) == "[:, :]");
  std::vector<susc::index_range> many;
  for (std::size_t i = 0; i != 11; ++i) many.push_back({begin + 12 * i + i, begin + 12 * i + i + 1});
  CHECK(slice(many).ends_with("[7:8, 7:8] + 3 more"));
}
