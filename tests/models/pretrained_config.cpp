#include "susc/models/pretrained_config.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "../io/temporary_folder.hpp"
#include "pretrained_configurations.hpp"
#include "susc/models/pretrained_config_file.hpp"

namespace {

using susc::pretrained_config;
using susc::pretrained_family;

pretrained_config read(temporary_folder const& folder, nlohmann::json const& fields) {
  return susc::read_pretrained_config(folder.file("config.json", fields.dump()));
}

nlohmann::json const gpt2{{"model_type", "gpt2"}, {"vocab_size", 50257}, {"n_positions", 1024},
                          {"n_embd", 768},        {"n_layer", 12},       {"n_head", 12}};
nlohmann::json const pythia{
    {"model_type", "gpt_neox"},  {"vocab_size", 50304},           {"max_position_embeddings", 2048},
    {"hidden_size", 512},        {"num_hidden_layers", 6},        {"num_attention_heads", 8},
    {"intermediate_size", 2048}, {"hidden_act", "gelu"},          {"rotary_pct", 0.25},
    {"rotary_emb_base", 10000},  {"use_parallel_residual", true}, {"tie_word_embeddings", false}};
nlohmann::json const llama{{"model_type", "llama"},    {"vocab_size", 32000},       {"max_position_embeddings", 2048},
                           {"hidden_size", 2048},      {"num_hidden_layers", 22},   {"num_attention_heads", 32},
                           {"num_key_value_heads", 4}, {"intermediate_size", 5632}, {"rope_theta", 10000.0},
                           {"hidden_act", "silu"},     {"rms_norm_eps", 1e-5},      {"rope_scaling", nullptr}};

nlohmann::json with(nlohmann::json fields, char const* name, nlohmann::json value) {
  fields[name] = std::move(value);
  return fields;
}

}  // namespace

TEST_CASE("config.json of GPT-2, Pythia and TinyLlama, and what each leaves to its family's defaults") {
  temporary_folder const folder;
  CHECK(read(folder, gpt2) == pretrained_config{.family = pretrained_family::gpt2,
                                                .vocabulary = 50257,
                                                .context = 1024,
                                                .width = 768,
                                                .layers = 12,
                                                .heads = 12,
                                                .key_value_heads = 12,
                                                .head_width = 64,
                                                .mlp_width = 3072,
                                                .activation = susc::activation_function::gelu_new,
                                                .norm_epsilon = 1e-5,
                                                .attention_bias = true,
                                                .mlp_bias = true,
                                                .tied = true});
  pretrained_config const neox{.family = pretrained_family::gpt_neox,
                               .vocabulary = 50304,
                               .context = 2048,
                               .width = 512,
                               .layers = 6,
                               .heads = 8,
                               .key_value_heads = 8,
                               .head_width = 64,
                               .mlp_width = 2048,
                               .activation = susc::activation_function::gelu,
                               .norm_epsilon = 1e-5,
                               .rotary_width = 16,
                               .rotary_base = 10000,
                               .parallel = true,
                               .attention_bias = true,
                               .mlp_bias = true};
  CHECK(read(folder, pythia) == neox);
  pretrained_config tiny{.family = pretrained_family::llama,
                         .vocabulary = 32000,
                         .context = 2048,
                         .width = 2048,
                         .layers = 22,
                         .heads = 32,
                         .key_value_heads = 4,
                         .head_width = 64,
                         .mlp_width = 5632,
                         .norm_epsilon = 1e-5,
                         .rotary_width = 64,
                         .rotary_base = 10000};
  CHECK(read(folder, llama) == tiny);

  // Fields that change the network do.
  CHECK(read(folder, with(gpt2, "n_inner", 100)).mlp_width == 100);
  CHECK(read(folder, with(gpt2, "tie_word_embeddings", false)).tied == false);
  CHECK(read(folder, with(gpt2, "layer_norm_epsilon", 1e-6)).norm_epsilon == 1e-6);
  CHECK(read(folder, with(pythia, "rotary_pct", 1.0)).rotary_width == 64);
  CHECK(read(folder, with(pythia, "use_parallel_residual", false)).parallel == false);
  CHECK(read(folder, with(pythia, "hidden_act", "gelu_new")).activation == susc::activation_function::gelu_new);
  CHECK(read(folder, with(pythia, "attention_bias", false)).attention_bias == false);
  CHECK(read(folder, with(llama, "head_dim", 128)).head_width == 128);
  CHECK(read(folder, with(llama, "attention_bias", true)).attention_bias);
  CHECK(read(folder, with(llama, "mlp_bias", true)).mlp_bias);
  CHECK(read(folder, with(llama, "tie_word_embeddings", true)).tied);
  CHECK(read(folder, with(llama, "num_key_value_heads", nullptr)).key_value_heads == 32);
  // Rotary positions as transformers 4 and 5 write them.
  nlohmann::json const scaled{{"rope_type", "llama3"},
                              {"factor", 32.0},
                              {"low_freq_factor", 2.0},
                              {"high_freq_factor", 8.0},
                              {"original_max_position_embeddings", 4096}};
  susc::rotary_scaling const slowed{32, 2, 8, 4096};
  CHECK(read(folder, with(llama, "rope_scaling", scaled)).scaling == slowed);
  auto const grouped = read(folder, with(llama, "rope_parameters", with(scaled, "rope_theta", 5e5)));
  CHECK(grouped.scaling == slowed);
  CHECK(grouped.rotary_base == 5e5);
  auto const part = read(folder, with(pythia, "rope_parameters",
                                      {{"rope_type", "default"}, {"rope_theta", 100}, {"partial_rotary_factor", 0.5}}));
  CHECK(part.rotary_base == 100);
  CHECK(part.rotary_width == 32);
}

TEST_CASE("config.json: what is not supported is refused by the name of its field") {
  temporary_folder const folder;
  auto const message = [&](nlohmann::json const& fields) { return error_message([&] { read(folder, fields); }); };
  check_words(message(with(gpt2, "model_type", "mamba")),
              {"config.json", "'model_type' is 'mamba'", "must be gpt2, gpt_neox or llama"});
  nlohmann::json nameless = gpt2;
  nameless.erase("model_type");
  check_words(message(nameless), {"'model_type' is ''"});
  struct refused {
    nlohmann::json fields;
    char const* name;
    nlohmann::json value;
  };
  for (refused const& r : std::vector<refused>{{gpt2, "activation_function", "swish"},
                                               {gpt2, "scale_attn_by_inverse_layer_idx", true},
                                               {gpt2, "scale_attn_weights", false},
                                               {gpt2, "add_cross_attention", true},
                                               {pythia, "hidden_act", "silu"},
                                               {llama, "hidden_act", "gelu"},
                                               {llama, "pretraining_tp", 2},
                                               {llama, "quantization_config", {{"bits", 4}}}}) {
    CAPTURE(r.name);
    check_words(message(with(r.fields, r.name, r.value)),
                {"config.json", std::string("'") + r.name + "' is " + r.value.dump(), "not supported", "must be"});
  }
  check_words(message(with(llama, "rope_scaling", {{"type", "linear"}, {"factor", 2.0}})),
              {"'rope_scaling'", "'type' is \"linear\"", "not supported", "must be default or llama3"});
  check_words(message(with(llama, "rope_parameters", {{"rope_type", "yarn"}})), {"'rope_parameters'", "'rope_type'"});
  check_words(message(with(llama, "rope_parameters", {{"partial_rotary_factor", 0.5}})),
              {"'rope_parameters'", "'partial_rotary_factor' is 0.5", "not supported"});

  nlohmann::json missing = gpt2;
  missing.erase("n_head");
  check_words(message(missing), {"'n_head' is missing"});
  check_words(message(with(gpt2, "n_head", 0)), {"'n_head' is 0", "above 0"});
  check_words(message(with(gpt2, "n_layer", "two")), {"'n_layer' is \"two\"", "whole number"});
  check_words(message(with(gpt2, "n_head", 5)), {"config.json", "head_width 153 is not width / heads, 768 / 5"});
  check_words(message(with(llama, "num_key_value_heads", 5)),
              {"config.json", "heads 32 is not a multiple of key_value_heads 5"});
  check_words(message(with(pythia, "rotary_pct", 0.3)), {"rotary_width 19 must be even"});
  check_words(message(with(gpt2, "layer_norm_epsilon", "x")), {"'layer_norm_epsilon' is \"x\", wanted a number"});
  check_words(message(with(gpt2, "tie_word_embeddings", 1)), {"'tie_word_embeddings' is 1, wanted true or false"});
  check_words(message(with(llama, "rope_scaling", 2)), {"'rope_scaling' is 2, wanted an object"});
  check_words(message(with(gpt2, "activation_function", 3)), {"'activation_function' is 3, wanted a text"});
}

TEST_CASE("a configuration that makes no transformer is refused") {
  auto const plain = pretrained_configurations().front().config;
  CHECK_NOTHROW(susc::check(plain));
  auto const message = [&](auto change) {
    auto c = plain;
    change(c);
    return error_message([&] { susc::check(c); });
  };
  check_words(message([](auto& c) { c.layers = 0; }), {"layers is 0"});
  check_words(message([](auto& c) { c.key_value_heads = 1; }), {"key_value_heads 1 is not heads 3", "only Llama"});
  check_words(message([](auto& c) { c.norm_epsilon = 0; }), {"norm_epsilon 0 must be above 0"});
  check_words(message([](auto& c) { c.rotary_base = -1; }), {"rotary_base -1 must be above 0"});
  check_words(message([](auto& c) { c.rotary_width = 6; }), {"rotary_width 6 must be even and at most head_width 4"});
  check_words(message([](auto& c) { c.scaling = {2, 4, 4, 10}; }), {"scaling needs"});
}

TEST_CASE("rotary frequencies fall by powers of the base, and Llama 3.1's slow down with their wavelength") {
  auto c = pretrained_configurations()[4].config;
  c.head_width = c.rotary_width = 8, c.rotary_base = 1e4;
  auto const plain = c.rotary_frequencies();
  REQUIRE(plain.size() == 4);
  for (std::size_t i = 0; i != 4; ++i) CHECK(plain[i] == doctest::Approx(std::pow(10., -double(i))).epsilon(1e-14));
  // Turns within 1000 positions: 159, 15.9, 1.59, .159; kept above 30, slowed fourfold below 1, between in between.
  c.scaling = {4, 1, 30, 1000};
  auto const slowed = c.rotary_frequencies();
  double const turns[]{1000 / 6.283185307179586 / 10, 1000 / 6.283185307179586 / 100};
  CHECK(slowed[0] == plain[0]);
  for (std::size_t i = 0; i != 2; ++i) {
    double const kept = (turns[i] - 1) / 29;
    CHECK(slowed[i + 1] == doctest::Approx(plain[i + 1] * (kept + (1 - kept) / 4)).epsilon(1e-14));
  }
  CHECK(slowed[3] == doctest::Approx(plain[3] / 4).epsilon(1e-14));
}
