#include "susc/models/pretrained_file.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "../io/temporary_folder.hpp"

namespace {

struct tensor {
  std::vector<std::size_t> shape;
  std::vector<double> values;
};
using tensors = std::map<std::string, tensor>;

std::filesystem::path fixture(std::string const& family) {
  return std::filesystem::path(SUSC_FIXTURES) / family;
}

tensors read_all(std::filesystem::path const& folder) {
  susc::sharded_safetensors const file(folder);
  tensors all;
  for (std::string const& name : file.names()) {
    tensor& t = all[name];
    t.shape = file.shape(name);
    std::size_t count = 1;
    for (std::size_t const extent : t.shape) count *= extent;
    t.values.resize(count);
    file.read(name, std::span(t.values), t.shape);
  }
  return all;
}

/// A folder with the family's config.json and these tensors.
void write_all(temporary_folder const& folder, std::string const& family, tensors const& all) {
  folder.file("config.json", susc::read_file(fixture(family) / "config.json"));
  std::vector<susc::named_tensor> list;
  for (auto const& [name, t] : all) list.push_back({name, t.shape, std::span<double const>(t.values)});
  susc::write_safetensors(folder.path / "model.safetensors", std::move(list));
}

}  // namespace

TEST_CASE("pretrained files: every tensor of each family lies where the layout says, of F32, F16 and BF16 in shards") {
  for (auto const& [family, type] :
       std::map<std::string, std::string>{{"gpt2", "F32"}, {"gpt_neox", "F16"}, {"llama", "BF16"}}) {
    auto const folder = fixture(family);
    auto const loaded = susc::load_pretrained<double>(folder);
    susc::pretrained_layout const layout(loaded.config);
    auto const all = read_all(folder);
    CHECK(all.size() == layout.parameters.size());
    for (auto const& p : layout.parameters) {
      auto const values = std::span(loaded.weights).subspan(p.range.begin, p.range.size());
      CHECK(std::equal(values.begin(), values.end(), all.at(p.name).values.begin(), all.at(p.name).values.end()));
    }
    auto const shard = folder / (family == "llama" ? "model-00001-of-00003.safetensors" : "model.safetensors");
    susc::safetensors_file const file(shard);
    CHECK(file.dtype(file.names().front()) == type);
    // The other precision reads the same numbers.
    auto const single = susc::load_pretrained<float>(folder);
    CHECK(std::equal(loaded.weights.begin(), loaded.weights.end(), single.weights.begin(), single.weights.end()));
  }
}

TEST_CASE("pretrained files: GPT-2 without its prefix, and buffers of older versions") {
  temporary_folder const folder;
  tensors bare;
  for (auto const& [name, t] : read_all(fixture("gpt2"))) bare[name.substr(std::string("transformer.").size())] = t;
  bare["h.0.attn.bias"] = {{1, 1, 7, 7}, std::vector<double>(49)};
  bare["h.1.attn.masked_bias"] = {{}, {-1e4}};
  bare["lm_head.weight"] = bare["wte.weight"];  // tied, and saved twice
  write_all(folder, "gpt2", bare);
  CHECK(susc::load_pretrained<double>(folder.path).weights == susc::load_pretrained<double>(fixture("gpt2")).weights);

  tensors neox = read_all(fixture("gpt_neox"));
  neox["gpt_neox.layers.0.attention.bias"] = {{1, 1, 7, 7}, std::vector<double>(49)};
  neox["gpt_neox.layers.0.attention.rotary_emb.inv_freq"] = {{2}, {1, .1}};
  write_all(folder, "gpt_neox", neox);
  CHECK(susc::load_pretrained<double>(folder.path).weights ==
        susc::load_pretrained<double>(fixture("gpt_neox")).weights);
}

TEST_CASE("pretrained files: what is wrong with them is said") {
  temporary_folder const folder;
  auto const message = [&] { return error_message([&] { susc::load_pretrained<float>(folder.path); }); };
  check_words(message(), {"config.json"});

  tensors const llama = read_all(fixture("llama"));
  tensors broken = llama;
  broken.erase("model.layers.1.mlp.gate_proj.weight");
  write_all(folder, "llama", broken);
  check_words(message(), {"no tensor 'model.layers.1.mlp.gate_proj.weight'"});

  broken = llama;
  broken["model.layers.2.mlp.gate_proj.weight"] = llama.at("model.layers.1.mlp.gate_proj.weight");
  write_all(folder, "llama", broken);
  check_words(message(), {"model.layers.2.mlp.gate_proj.weight", "is not part of the transformer"});

  broken = llama;
  broken["lm_head.weight"].shape = {8, 11};
  write_all(folder, "llama", broken);
  check_words(message(), {"lm_head.weight", "shape (8, 11), wanted (11, 8)"});

  broken = llama;
  broken["model.norm.weight"].values[3] = std::numeric_limits<double>::infinity();
  write_all(folder, "llama", broken);
  check_words(message(), {"model.norm.weight"});

  tensors gpt2 = read_all(fixture("gpt2"));
  gpt2["lm_head.weight"] = gpt2["transformer.wte.weight"];
  gpt2["lm_head.weight"].values[5] += 1;
  write_all(folder, "gpt2", gpt2);
  check_words(message(), {"lm_head.weight differs from transformer.wte.weight", "tie_word_embeddings"});
}
