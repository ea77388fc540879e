#include "susc/models/transformer_file.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "../io/temporary_folder.hpp"
#include "configurations.hpp"

namespace {

/// A file's tensors, to be changed and written again.
struct tensor {
  std::vector<std::size_t> shape;
  std::vector<double> values;
};
using tensors = std::map<std::string, tensor>;

tensors read_all(std::filesystem::path const& path) {
  susc::safetensors_file const file(path);
  tensors all;
  for (std::string const& name : file.names()) {
    auto& t = all[name];
    t.shape = file.shape(name);
    std::size_t count = 1;
    for (std::size_t const extent : t.shape) count *= extent;
    t.values.resize(count);
    file.read(name, std::span<double>(t.values), t.shape);
  }
  return all;
}

void write_all(std::filesystem::path const& path, tensors const& all,
               std::map<std::string, std::string> const& metadata) {
  std::vector<susc::named_tensor> list;
  for (auto const& [name, t] : all) list.push_back({name, t.shape, std::span<double const>(t.values)});
  susc::write_safetensors(path, std::move(list), metadata);
}

susc::transformer_config with_head_width(susc::transformer_config c) {
  // What a file can say: a head's width always, its activation only where there is an MLP, no heads without layers.
  c.head_width = c.layers == 0 ? c.width : c.width_of_head();
  if (c.layers == 0) c.heads = 1;
  return c;
}

template <class T>
void round_trip() {
  temporary_folder const folder;
  auto const path = folder.path / "model.safetensors";
  for (auto const& kind : configurations()) {
    CAPTURE(kind.name);
    susc::transformer_config const& config = kind.config;
    susc::transformer_layout const layout{config};
    auto const random = random_weights(layout.size(), 1);
    susc::aligned_vector<T> const w(random.begin(), random.end());
    susc::save_transformer(path, layout, std::span<T const>(w), {{"origin", "a test"}});
    auto const loaded = susc::load_transformer<T>(path);
    CHECK(loaded.config == with_head_width(config));
    CHECK(loaded.weights == w);
    CHECK(loaded.metadata.at("origin") == "a test");
    // The other precision reads the same numbers, rounded once.
    auto const single = susc::load_transformer<float>(path);
    REQUIRE(single.weights.size() == w.size());
    std::size_t same = 0;
    for (std::size_t i = 0; i != w.size(); ++i) same += single.weights[i] == static_cast<float>(w[i]);
    CHECK(same == w.size());
  }
}

}  // namespace

TEST_CASE("transformer files: save, then load, gives configuration, weights and metadata back") {
  round_trip<double>();
  round_trip<float>();
}

TEST_CASE("transformer files: heads are TransformerLens's slices W_Q[h], ..., b_V[h]") {
  temporary_folder const folder;
  auto const path = folder.path / "model.safetensors";
  susc::transformer_config const config{
      .vocabulary = 11, .context = 7, .width = 8, .layers = 2, .heads = 3, .head_width = 5};
  susc::transformer_layout const layout{config};
  std::vector<double> w(layout.size());
  for (std::size_t i = 0; i != w.size(); ++i) w[i] = static_cast<double>(i);
  susc::save_transformer(path, layout, std::span<double const>(w));
  auto const all = read_all(path);
  for (std::size_t l = 0; l != 2; ++l)
    for (std::size_t h = 0; h != 3; ++h) {
      std::string const attn = "blocks." + std::to_string(l) + ".attn.";
      // In the flat vector: W_Q, W_K, W_V (8, 5), W_O (5, 8), b_Q, b_K, b_V (5).
      std::size_t at = layout.head(l, h).begin;
      for (std::string const letter : {"Q", "K", "V", "O"}) {
        auto const& t = all.at(attn + "W_" + letter);
        CHECK(t.shape == (letter == "O" ? std::vector<std::size_t>{3, 5, 8} : std::vector<std::size_t>{3, 8, 5}));
        for (std::size_t i = 0; i != 40; ++i) CHECK(t.values[h * 40 + i] == static_cast<double>(at++));
      }
      for (std::string const letter : {"Q", "K", "V"}) {
        auto const& t = all.at(attn + "b_" + letter);
        CHECK(t.shape == std::vector<std::size_t>{3, 5});
        for (std::size_t i = 0; i != 5; ++i) CHECK(t.values[h * 5 + i] == static_cast<double>(at++));
      }
      CHECK(at == layout.head(l, h).end);
    }
  CHECK(all.at("embed.W_E").shape == std::vector<std::size_t>{11, 8});
  CHECK(all.at("unembed.W_U").shape == std::vector<std::size_t>{8, 11});
  CHECK(all.at("ln_final.b").values[0] == static_cast<double>(layout.final_norm().begin + 8));
}

TEST_CASE("transformer files: the tensors cover every coordinate exactly once") {
  for (auto const& kind : configurations()) {
    CAPTURE(kind.name);
    susc::transformer_config const& config = kind.config;
    susc::transformer_layout const layout{config};
    std::vector<int> covered(layout.size());
    susc::detail::for_each_tensor(layout, [&](susc::detail::tensor_place const& place) {
      for (std::size_t p = 0; p != place.pieces; ++p)
        for (std::size_t i = 0; i != place.count; ++i) ++covered[place.begin + p * place.stride + i];
    });
    CHECK(std::all_of(covered.begin(), covered.end(), [](int times) { return times == 1; }));
  }
}

TEST_CASE("transformer files: what other software leaves out is filled in") {
  temporary_folder const folder;
  auto const path = folder.path / "model.safetensors";
  susc::transformer_config const config{
      .vocabulary = 11, .context = 7, .width = 8, .layers = 1, .heads = 2, .head_width = 4, .mlp_width = 12};
  susc::transformer_layout const layout{config};
  auto const w = random_weights(layout.size(), 3);
  susc::save_transformer(path, layout, std::span<double const>(w));
  auto const all = read_all(path);

  auto folded = all;
  for (char const* name : {"blocks.0.ln1.w", "blocks.0.ln1.b", "ln_final.w", "blocks.0.attn.b_K"}) folded.erase(name);
  folded["blocks.0.attn.mask"] = {{7, 7}, std::vector<double>(49)};
  folded["blocks.0.attn.IGNORE"] = {{}, {-1e5}};
  write_all(path, folded, {});
  auto const loaded = susc::load_transformer<double>(path);
  auto expected = w;
  auto const fill = [&](std::size_t begin, std::size_t count, double value) {
    std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(begin), count, value);
  };
  fill(layout.attention_norm(0).begin, 8, 1);
  fill(layout.attention_norm(0).begin + 8, 8, 0);
  fill(layout.final_norm().begin, 8, 1);
  for (std::size_t h = 0; h != 2; ++h) fill(layout.head(0, h).begin + 4 * layout.head_matrix() + 4, 4, 0);
  CHECK(loaded.config == config);
  CHECK(std::equal(expected.begin(), expected.end(), loaded.weights.begin(), loaded.weights.end()));

  // The caller's activation is used before the file's, the file's before gelu.
  using susc::activation_function;
  write_all(path, all, {{"activation", "relu"}});
  CHECK(susc::load_transformer<double>(path).config.activation == activation_function::relu);
  CHECK(susc::load_transformer<double>(path, "gelu_new").config.activation == activation_function::gelu_new);
}

TEST_CASE("transformer files: bad ones are refused with what is wrong") {
  temporary_folder const folder;
  auto const path = folder.path / "model.safetensors";
  susc::transformer_config const config{
      .vocabulary = 11, .context = 7, .width = 8, .layers = 2, .heads = 2, .mlp_width = 12};
  susc::transformer_layout const layout{config};
  auto const w = random_weights(layout.size(), 2);
  susc::save_transformer(path, layout, std::span<double const>(w));
  auto const good = read_all(path);
  auto const refused = [&](auto change, std::vector<std::string> const& words, std::string const& activation = {},
                           std::map<std::string, std::string> const& metadata = {}) {
    auto bad = good;
    change(bad);
    write_all(path, bad, metadata);
    std::string const message = error_message([&] { susc::load_transformer<float>(path, activation); });
    check_words(message, words);
    CHECK(message.find('\n') == std::string::npos);
  };
  auto const missing = [&](char const* name) {
    refused([&](tensors& all) { all.erase(name); }, {path.string(), name});
  };
  for (char const* name : {"embed.W_E", "pos_embed.W_pos", "blocks.0.attn.W_K", "blocks.1.attn.W_O",
                           "blocks.1.mlp.W_out", "blocks.1.mlp.W_in"})
    missing(name);
  // A whole layer's absence makes the next layer's tensors unknown.
  refused([](tensors& all) { all.erase("blocks.0.attn.W_Q"); }, {"blocks.0."});
  refused(
      [](tensors& all) {
        all["blocks.0.attn.W_gate"] = {{1}, {0.}};
      },
      {path.string(), "tensor blocks.0.attn.W_gate is not part of a pre-LayerNorm transformer"});
  refused([](tensors& all) { all["embed.W_E"].shape = {88}; }, {"tensor embed.W_E has 1 dimensions, wanted 2"});
  refused(
      [](tensors& all) {
        all["pos_embed.W_pos"].shape = {8, 7};
      },
      {"tensor 'pos_embed.W_pos': shape (8, 7), wanted (8, 8)"});
  refused(
      [](tensors& all) {
        all["blocks.1.attn.W_V"].shape = {2, 4, 8};
      },
      {"tensor 'blocks.1.attn.W_V': shape (2, 4, 8), wanted (2, 8, 4)"});
  refused(
      [](tensors& all) {
        all["unembed.W_U"].shape = {11, 8};
      },
      {"tensor 'unembed.W_U': shape (11, 8), wanted (8, 11)"});
  refused([](tensors& all) { all["blocks.1.attn.W_O"].values[37] = std::numeric_limits<double>::quiet_NaN(); },
          {path.string(), "tensor blocks.1.attn.W_O", "nan", "(1, 0, 5)"});
  refused([](tensors& all) { all["ln_final.w"].values[3] = std::numeric_limits<double>::infinity(); },
          {"tensor ln_final.w", "inf", "(3,)"});
  refused([](tensors&) {}, {"unknown activation 'silu'; known: gelu, gelu_new, relu"}, "silu");
  refused([](tensors&) {}, {"unknown activation 'silu'; known: gelu, gelu_new, relu"}, "", {{"activation", "silu"}});
  CHECK_THROWS_AS(susc::load_transformer<float>(folder.path / "absent.safetensors"), susc::error);
}
