#pragma once
/// Pretrained transformers from a folder of Hugging Face's: config.json and safetensors, whole or in shards.
#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/error.hpp"
#include "susc/io/numbers.hpp"
#include "susc/io/sharded_safetensors.hpp"
#include "susc/models/pretrained_config_file.hpp"
#include "susc/models/pretrained_layout.hpp"

namespace susc {

/// What load_pretrained found: pretrained_transformer<T>(config) is the model.
template <std::floating_point T>
struct loaded_pretrained {
  pretrained_config config;   ///< of config.json
  aligned_vector<T> weights;  ///< (parameter_count,), in the order of pretrained_layout
};

/// Reads `folder`/config.json and the weights beside it, of type F32, F16, BF16 or F64. Masks and rotary tables that
/// older versions saved with the weights are ignored, and GPT-2's names may lack their "transformer.". Throws
/// susc::error on an architecture that is not supported, a missing or unknown tensor, a shape that does not fit,
/// weights that are not finite, or, of a tied model, an unembedding that is not the embedding.
template <std::floating_point T>
loaded_pretrained<T> load_pretrained(std::filesystem::path const& folder) {
  pretrained_layout const layout(read_pretrained_config(folder / "config.json"));
  sharded_safetensors const file(folder);
  loaded_pretrained<T> result{layout.config, aligned_vector<T>(layout.size())};
  std::string const where = "folder '" + folder.string() + "': tensor ";
  auto const name_in_file = [&](std::string const& name) {
    std::string_view constexpr prefix = "transformer.";
    bool const bare = name.starts_with(prefix) && !file.contains(name);
    return bare ? name.substr(prefix.size()) : name;
  };
  std::set<std::string> known;
  for (named_parameter const& p : layout.parameters) {
    std::string const name = name_in_file(p.name);
    known.insert(name);
    std::span<T> const values = std::span(result.weights).subspan(p.range.begin, p.range.size());
    file.read(name, values, p.shape);
    require_finite(std::span<T const>(values), p.shape, where + name);
  }
  if (layout.config.tied)
    for (char const* const name : {"lm_head.weight", "embed_out.weight"}) {
      if (!file.contains(name)) continue;
      known.insert(name);
      named_parameter const& embedding = layout.parameters.front();
      std::vector<T> values(embedding.range.size());
      file.read(name, std::span<T>(values), embedding.shape);
      require(std::equal(values.begin(), values.end(), result.weights.begin()), where, name, " differs from ",
              embedding.name, ", though config.json says tie_word_embeddings");
    }
  constexpr std::array<std::string_view, 5> buffers{".attn.bias", ".attn.masked_bias", ".attention.bias",
                                                    ".attention.masked_bias", "rotary_emb.inv_freq"};
  for (std::string const& name : file.names())
    require(known.contains(name) || std::any_of(buffers.begin(), buffers.end(),
                                                [&](std::string_view ending) { return name.ends_with(ending); }),
            where, name, " is not part of the transformer that config.json describes");
  return result;
}

}  // namespace susc
