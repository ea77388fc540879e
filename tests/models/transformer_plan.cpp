#include "susc/models/transformer_plan.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

using stage = susc::transformer_start::stage;

constexpr susc::transformer_config config{
    .vocabulary = 11, .context = 7, .width = 8, .layers = 3, .heads = 3, .head_width = 2, .mlp_width = 12};

susc::transformer_plan plan_of(std::string const& name, susc::transformer_config const& c = config) {
  susc::transformer_layout const layout{c};
  return {layout, susc::find_component(susc::transformer_components(layout), name)};
}

}  // namespace

TEST_CASE("transformer plan: what a component touches, and nothing else") {
  auto const head = plan_of("l1h2");
  CHECK(head.layers[1].heads == std::vector<bool>{false, false, true});
  CHECK(head.layers[1].any_head());
  CHECK(!head.layers[1].every_head());
  CHECK(head.layers[1].attention());
  CHECK(!head.layers[1].output_bias);
  CHECK(!head.layers[1].attention_norm);
  CHECK(!head.layers[1].mlp());
  CHECK(!head.layers[0].attention());
  CHECK(!head.layers[2].attention());
  CHECK(!head.embedding);
  CHECK(!head.positions);
  CHECK(!head.final_norm);
  CHECK(!head.unembedding);
  CHECK(!head.unembedding_bias);
  CHECK(!head.before(1));
  CHECK(head.before_mlp(1));
  CHECK(head.before(2));

  auto const layer = plan_of("l1");
  auto const& part = layer.layers[1];
  for (bool const touched : {part.attention_norm, part.output_bias, part.mlp_norm, part.mlp_in, part.mlp_out})
    CHECK(touched);
  CHECK(part.every_head());

  auto const attention = plan_of("l0attn").layers[0];
  CHECK(attention.every_head());
  CHECK(attention.output_bias);
  CHECK(!attention.attention_norm);
  CHECK(!attention.mlp());

  auto const mlp = plan_of("l2mlp");
  CHECK(mlp.layers[2].mlp_in);
  CHECK(mlp.layers[2].mlp_out);
  CHECK(!mlp.layers[2].mlp_norm);
  CHECK(!mlp.before_mlp(2));

  CHECK(plan_of("pos_embed").positions);
  CHECK(plan_of("pos_embed").before(0));
  auto const unembed = plan_of("unembed");
  CHECK(unembed.unembedding);
  CHECK(unembed.unembedding_bias);
  CHECK(!unembed.embedding);
  CHECK(!unembed.before(3));

  // One matrix plays both parts of a tied model.
  auto tied = config;
  tied.tied = true;
  for (char const* name : {"embed", "unembed"}) {
    CHECK(plan_of(name, tied).embedding);
    CHECK(plan_of(name, tied).unembedding);
  }
}

TEST_CASE("transformer start: a frozen pass begins at the first computation that depends on the component") {
  auto const start = [](std::string const& name, susc::transformer_config const& c = config) {
    return susc::transformer_start::of(plan_of(name, c));
  };
  auto const check = [&](std::string const& name, stage at, std::size_t layer, std::vector<std::size_t> heads = {}) {
    CAPTURE(name);
    CHECK(start(name).at == at);
    CHECK(start(name).layer == layer);
    CHECK(start(name).heads == heads);
  };
  check("full", stage::tokens, 0);
  check("embed", stage::tokens, 0);
  check("pos_embed", stage::tokens, 0);
  check("l1h2", stage::heads, 1, {2});
  check("l2h0+l1h2", stage::heads, 1, {2});
  check("l1h0+l1h2", stage::heads, 1, {0, 2});
  check("l1h0+l1h1+l1h2", stage::attention, 1);
  check("l1", stage::attention, 1);
  check("l1attn", stage::attention, 1);
  check("l1mlp", stage::mlp, 1);
  check("l2h0+l1mlp", stage::mlp, 1);
  check("unembed", stage::final, 3);
  check("ln_final", stage::final, 3);
  check("ln_final+embed", stage::tokens, 0);
  auto tied = config;
  tied.tied = true;
  CHECK(start("unembed", tied).at == stage::tokens);
}
