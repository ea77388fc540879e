#include "susc/models/transformer_layout.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "configurations.hpp"

TEST_CASE("transformer layout: its parts cover every coordinate exactly once") {
  for (auto const& kind : configurations()) {
    CAPTURE(kind.name);
    susc::transformer_config const& config = kind.config;
    susc::transformer_layout const layout{config};
    std::vector<int> covered(layout.size());
    auto const cover = [&](susc::index_range r) {
      REQUIRE(r.end <= covered.size());
      for (std::size_t i = r.begin; i != r.end; ++i) ++covered[i];
    };
    for (susc::index_range const r :
         {layout.embedding(), layout.positions(), layout.final_norm(), layout.unembedding(), layout.unembedding_bias()})
      cover(r);
    for (std::size_t l = 0; l != config.layers; ++l) {
      cover(layout.attention_norm(l));
      for (std::size_t h = 0; h != config.heads; ++h) cover(layout.head(l, h));
      for (susc::index_range const r : {layout.output_bias(l), layout.mlp_norm(l), layout.mlp_in(l), layout.mlp_out(l)})
        cover(r);
    }
    CHECK(std::all_of(covered.begin(), covered.end(), [](int times) { return times == 1; }));
  }
}

TEST_CASE("transformer layout: parameter counts, by hand") {
  using susc::transformer_layout;
  // 11 tokens, 7 positions, width 8; a head is 4 * 8 * 4 weights and 12 biases.
  susc::transformer_config config{.vocabulary = 11, .context = 7, .width = 8, .layers = 2, .heads = 2};
  CHECK(transformer_layout{config}.head_size() == 140);
  CHECK(transformer_layout{config}.size() == 88 + 56 + 2 * (16 + 280 + 8) + 16 + 88 + 11);
  config.mlp_width = 12;
  CHECK(transformer_layout{config}.mlp_size() == 96 + 12 + 96 + 8);
  CHECK(transformer_layout{config}.size() == 88 + 56 + 2 * (16 + 280 + 8 + 16 + 212) + 16 + 88 + 11);
  config.tied = true;
  CHECK(transformer_layout{config}.size() == 88 + 56 + 2 * (16 + 280 + 8 + 16 + 212) + 16 + 11);
  config.biases = false;
  CHECK(transformer_layout{config}.size() == 88 + 56 + 2 * (16 + 256 + 16 + 192) + 16);
  config.head_width = 3;
  CHECK(transformer_layout{config}.head_size() == 96);
}

TEST_CASE("transformer components: names, nesting, and what a tied unembedding selects") {
  susc::transformer_config config{.vocabulary = 11, .context = 7, .width = 8, .layers = 2, .heads = 2, .mlp_width = 12};
  susc::transformer_layout const layout{config};
  auto const components = susc::transformer_components(layout);
  std::vector<std::string> names;
  for (auto const& c : components) names.push_back(c.name());
  CHECK(names == std::vector<std::string>{"full", "embed", "pos_embed", "unembed", "ln_final", "l0", "l0attn", "l0mlp",
                                          "l0h0", "l0h1", "l1", "l1attn", "l1mlp", "l1h0", "l1h1"});
  CHECK(susc::head_names(config) == std::vector<std::string>{"l0h0", "l0h1", "l1h0", "l1h1"});
  auto const size = [&](char const* name) { return susc::find_component(components, name).size(); };
  CHECK(size("full") == layout.size());
  CHECK(size("l1attn") == 2 * size("l1h0") + config.width);
  CHECK(size("l1") == size("l1attn") + size("l1mlp") + 4 * config.width);
  CHECK(size("full") == size("embed") + size("pos_embed") + 2 * size("l0") + size("ln_final") + size("unembed"));
  CHECK(susc::find_component(components, "l1h1").ranges()[0] == layout.head(1, 1));
  CHECK(size("unembed") == 8 * 11 + 11);

  config.tied = true;
  auto const tied = susc::transformer_components({config});
  CHECK(susc::find_component(tied, "unembed").size() == 8 * 11 + 11);
  CHECK(susc::find_component(tied, "unembed").ranges()[0] == layout.embedding());
}

TEST_CASE("transformer configuration: fields that make no transformer are named") {
  susc::transformer_config const good{.vocabulary = 11, .context = 7, .width = 8, .layers = 0, .heads = 2};
  CHECK_NOTHROW(susc::check(good));
  CHECK(good.width_of_head() == 4);
  auto const refused = [&](auto change, char const* message) {
    auto bad = good;
    change(bad);
    CHECK_THROWS_WITH_AS(susc::check(bad), message, susc::error);
  };
  refused([](auto& c) { c.vocabulary = 0; }, "transformer_config: vocabulary is 0, must be at least 1");
  refused([](auto& c) { c.context = 0; }, "transformer_config: context is 0, must be at least 1");
  refused([](auto& c) { c.width = 0; }, "transformer_config: width is 0, must be at least 1");
  refused([](auto& c) { c.heads = 0; }, "transformer_config: heads is 0, must be at least 1");
  refused([](auto& c) { c.heads = 3; }, "transformer_config: width 8 is not a multiple of heads 3; set head_width");
  auto odd = good;
  odd.heads = 3, odd.head_width = 5;
  CHECK_NOTHROW(susc::check(odd));
  CHECK(odd.width_of_head() == 5);
}
