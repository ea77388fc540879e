#include "susc/models/pretrained_layout.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "pretrained_configurations.hpp"

namespace {

/// Names of tensors with the indices that a component selects of each.
std::map<std::string, std::set<std::size_t>> selected(susc::pretrained_layout const& layout, susc::component const& c) {
  std::map<std::string, std::set<std::size_t>> all;
  for (susc::index_range const r : c.ranges())
    for (std::size_t i = r.begin; i != r.end; ++i)
      for (auto const& p : layout.parameters)
        if (p.range.begin <= i && i < p.range.end) all[p.name].insert(i - p.range.begin);
  return all;
}

/// Rows and columns of a matrix of `width` columns.
std::set<std::size_t> block(std::size_t width, susc::index_range rows, susc::index_range columns) {
  std::set<std::size_t> all;
  for (std::size_t r = rows.begin; r != rows.end; ++r)
    for (std::size_t c = columns.begin; c != columns.end; ++c) all.insert(r * width + c);
  return all;
}
std::set<std::size_t> joined(std::vector<std::set<std::size_t>> const& parts) {
  std::set<std::size_t> all;
  for (auto const& part : parts) all.insert(part.begin(), part.end());
  return all;
}

susc::component find(susc::pretrained_layout const& layout, std::string const& name) {
  return susc::find_component(susc::pretrained_components(layout), name);
}

}  // namespace

TEST_CASE("pretrained layout: tensors lie one after the other and cover the vector") {
  for (auto const& kind : pretrained_configurations()) {
    CAPTURE(kind.name);
    susc::pretrained_layout const layout(kind.config);
    std::size_t position = 0;
    std::set<std::string> names;
    for (auto const& p : layout.parameters) {
      CHECK(p.range.begin == position);
      std::size_t count = 1;
      for (std::size_t const extent : p.shape) count *= extent;
      CHECK(p.range.size() == count);
      position = p.range.end;
      names.insert(p.name);
    }
    CHECK(layout.size() == position);
    CHECK(names.size() == layout.parameters.size());
  }
}

TEST_CASE("pretrained components: heads, attention and MLP share nothing, and make up a layer with its norms") {
  for (auto const& kind : pretrained_configurations()) {
    CAPTURE(kind.name);
    susc::pretrained_layout const layout(kind.config);
    auto const& c = kind.config;
    std::vector<int> in_heads(layout.size()), in_layers(layout.size());
    auto const add = [](std::vector<int>& to, susc::component const& part) {
      for (susc::index_range const r : part.ranges())
        for (std::size_t i = r.begin; i != r.end; ++i) ++to[i];
    };
    std::size_t groups = 0;
    for (auto const& part : susc::pretrained_components(layout)) {
      bool const head = part.name().find('h') != std::string::npos && part.name()[0] == 'l';
      bool const group = part.name().find("kv") != std::string::npos;
      groups += group;
      if (head || group) add(in_heads, part);
    }
    CHECK(groups == (c.key_value_heads == c.heads ? 0 : c.layers * c.key_value_heads));
    for (std::size_t l = 0; l != c.layers; ++l) {
      std::string const name = "l" + std::to_string(l);
      auto const attention = find(layout, name + "attn"), mlp = find(layout, name + "mlp"), all = find(layout, name);
      // Of the attention all but the output bias lies in heads, once.
      std::vector<int> of_attention(layout.size());
      add(of_attention, attention);
      auto const bias = layout.layers[l].output.bias;
      for (std::size_t i = all.ranges()[0].begin; i != all.ranges()[0].end; ++i)
        CHECK(in_heads[i] == (of_attention[i] != 0 && !(bias.begin <= i && i < bias.end)));
      std::size_t const norms = 2 * c.width * (c.rms() ? 1 : 2);
      CHECK(attention.size() + mlp.size() + norms == all.size());
      add(in_layers, all);
    }
    for (char const* name : {"embed", "ln_final"}) add(in_layers, find(layout, name));
    if (c.learned_positions()) add(in_layers, find(layout, "pos_embed"));
    if (!c.tied) add(in_layers, find(layout, "unembed"));
    CHECK(std::all_of(in_layers.begin(), in_layers.end(), [](int times) { return times == 1; }));
    CHECK((find(layout, "unembed").ranges()[0] == find(layout, "embed").ranges()[0]) == c.tied);
  }
}

TEST_CASE("pretrained components: a head's slices of the tensors of each family") {
  auto const all = pretrained_configurations();
  {
    // width 12, 3 heads of 4: head 1 has columns 4..8 of Q, 16..20 of K, 28..32 of V, and rows 4..8 of the output.
    susc::pretrained_layout const layout(all[0].config);
    auto const head = selected(layout, find(layout, "l1h1"));
    REQUIRE(head.size() == 3);
    std::string const attn = "transformer.h.1.attn.";
    CHECK(head.at(attn + "c_attn.weight") ==
          joined({block(36, {0, 12}, {4, 8}), block(36, {0, 12}, {16, 20}), block(36, {0, 12}, {28, 32})}));
    CHECK(head.at(attn + "c_attn.bias") ==
          joined({block(36, {0, 1}, {4, 8}), block(36, {0, 1}, {16, 20}), block(36, {0, 1}, {28, 32})}));
    CHECK(head.at(attn + "c_proj.weight") == block(12, {4, 8}, {0, 12}));
  }
  {
    // Rows 12..24 of the fused matrix, columns 4..8 of the output.
    susc::pretrained_layout const layout(all[2].config);
    auto const head = selected(layout, find(layout, "l1h1"));
    REQUIRE(head.size() == 3);
    std::string const attention = "gpt_neox.layers.1.attention.";
    CHECK(head.at(attention + "query_key_value.weight") == block(12, {12, 24}, {0, 12}));
    CHECK(head.at(attention + "query_key_value.bias") == block(36, {0, 1}, {12, 24}));
    CHECK(head.at(attention + "dense.weight") == block(12, {0, 12}, {4, 8}));
  }
  {
    // 6 heads, 2 groups: head 4 has its query and its columns of the output; key and value are the group's.
    susc::pretrained_layout const layout(all[4].config);
    auto const head = selected(layout, find(layout, "l1h4"));
    REQUIRE(head.size() == 2);
    std::string const attention = "model.layers.1.self_attn.";
    CHECK(head.at(attention + "q_proj.weight") == block(12, {16, 20}, {0, 12}));
    CHECK(head.at(attention + "o_proj.weight") == block(24, {0, 12}, {16, 20}));
    auto const group = selected(layout, find(layout, "l1kv1"));
    REQUIRE(group.size() == 2);
    CHECK(group.at(attention + "k_proj.weight") == block(12, {4, 8}, {0, 12}));
    CHECK(group.at(attention + "v_proj.weight") == block(12, {4, 8}, {0, 12}));
  }
}
