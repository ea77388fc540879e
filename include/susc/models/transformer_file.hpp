#pragma once
/// Transformers to and from safetensors, under TransformerLens's parameter names and shapes.
#include <algorithm>
#include <concepts>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/io/safetensors.hpp"
#include "susc/models/transformer_layout.hpp"

namespace susc {

/// What load_transformer found: dynamic_transformer(config) is the model.
template <std::floating_point T>
struct loaded_transformer {
  transformer_config config;                    ///< extents from the tensors' shapes
  aligned_vector<T> weights;                    ///< (parameter_count,), in the order of transformer_layout
  std::map<std::string, std::string> metadata;  ///< free text of the file
};

namespace detail {
/// Where a tensor's pieces lie: `rows` pieces of `count` numbers, `stride` apart in the flat vector.
struct tensor_place {
  std::string name;
  std::vector<std::size_t> shape;
  std::size_t begin;
  std::size_t pieces;
  std::size_t count;
  std::size_t stride;
};

/// Calls f(tensor_place) for every tensor of the configuration.
template <class F>
void for_each_tensor(transformer_layout const& layout, F f) {
  transformer_config const& c = layout.config;
  std::size_t const d = c.width, k = c.width_of_head(), m = c.mlp_width;
  auto const whole = [&](std::string name, std::vector<std::size_t> shape, std::size_t begin) {
    std::size_t count = 1;
    for (std::size_t const extent : shape) count *= extent;
    f(tensor_place{std::move(name), std::move(shape), begin, 1, count, 0});
  };
  auto const norm = [&](std::string const& name, index_range r) {
    whole(name + ".w", {d}, r.begin);
    whole(name + ".b", {d}, r.begin + d);
  };
  whole("embed.W_E", {c.vocabulary, d}, layout.embedding().begin);
  whole("pos_embed.W_pos", {c.context, d}, layout.positions().begin);
  for (std::size_t l = 0; l != c.layers; ++l) {
    std::string const block = "blocks." + std::to_string(l) + ".";
    norm(block + "ln1", layout.attention_norm(l));
    std::size_t const head = layout.head(l, 0).begin, matrix = layout.head_matrix();
    char const* const inputs[]{"Q", "K", "V"};
    for (std::size_t i = 0; i != 3; ++i) {
      std::string const letter = inputs[i];
      f(tensor_place{
          block + "attn.W_" + letter, {c.heads, d, k}, head + i * matrix, c.heads, matrix, layout.head_size()});
      if (c.biases)
        f(tensor_place{
            block + "attn.b_" + letter, {c.heads, k}, head + 4 * matrix + i * k, c.heads, k, layout.head_size()});
    }
    f(tensor_place{block + "attn.W_O", {c.heads, k, d}, head + 3 * matrix, c.heads, matrix, layout.head_size()});
    if (c.biases) whole(block + "attn.b_O", {d}, layout.output_bias(l).begin);
    if (m == 0) continue;
    norm(block + "ln2", layout.mlp_norm(l));
    whole(block + "mlp.W_in", {d, m}, layout.mlp_in(l).begin);
    if (c.biases) whole(block + "mlp.b_in", {m}, layout.mlp_in(l).begin + d * m);
    whole(block + "mlp.W_out", {m, d}, layout.mlp_out(l).begin);
    if (c.biases) whole(block + "mlp.b_out", {d}, layout.mlp_out(l).begin + d * m);
  }
  norm("ln_final", layout.final_norm());
  if (!c.tied) whole("unembed.W_U", {d, c.vocabulary}, layout.unembedding().begin);
  if (c.biases) whole("unembed.b_U", {c.vocabulary}, layout.unembedding_bias().begin);
}

inline char const* name_of(activation_function f) {
  switch (f) {
    case activation_function::gelu:
      return "gelu";
    case activation_function::gelu_new:
      return "gelu_new";
    case activation_function::relu:
      return "relu";
  }
  return "";
}
}  // namespace detail

/// Throws susc::error on a name that is no activation.
inline activation_function activation_named(std::string const& name) {
  for (auto const f : {activation_function::gelu, activation_function::gelu_new, activation_function::relu})
    if (name == detail::name_of(f)) return f;
  fail("unknown activation '", name, "'; known: gelu, gelu_new, relu");
}

/// Writes weights (parameter_count,) with `metadata`, whole or not at all.
template <std::floating_point T>
void save_transformer(std::filesystem::path const& path, transformer_layout const& layout, std::span<T const> w,
                      std::map<std::string, std::string> metadata = {}) {
  require(w.size() == layout.size(), "file '", path.string(), "': ", w.size(), " weights, must have ", layout.size());
  std::vector<aligned_vector<T>> gathered;
  std::vector<named_tensor> tensors;
  detail::for_each_tensor(layout, [&](detail::tensor_place const& place) {
    auto& values = gathered.emplace_back();
    for (std::size_t p = 0; p != place.pieces; ++p) {
      auto const piece = w.subspan(place.begin + p * place.stride, place.count);
      values.insert(values.end(), piece.begin(), piece.end());
    }
    tensors.push_back({place.name, place.shape, std::span<T const>(values)});
  });
  metadata["activation"] = detail::name_of(layout.config.activation);
  write_safetensors(path, std::move(tensors), metadata);
}

/// Reads a transformer whose extents are those of its tensors. Absent LayerNorm parameters (folded into the next
/// matrix) are 1 and 0, absent biases 0 if another is present; without unembed.W_U the unembedding is tied. The
/// activation is `activation` if given, else the metadata's, else gelu. Attention masks are ignored. Throws susc::error
/// on a missing or unknown tensor, a shape that does not fit, or weights that are not finite.
template <std::floating_point T>
loaded_transformer<T> load_transformer(std::filesystem::path const& path, std::string activation = {}) {
  safetensors_file const file(path);
  auto const names = file.names();
  auto const extent = [&](std::string const& name, std::size_t rank, std::size_t axis) {
    auto const& shape = file.shape(name);
    require(shape.size() == rank, path.string(), ": tensor ", name, " has ", shape.size(), " dimensions, wanted ",
            rank);
    return shape[axis];
  };
  auto const any = [&](auto predicate) { return std::any_of(names.begin(), names.end(), predicate); };
  transformer_config c;
  c.vocabulary = extent("embed.W_E", 2, 0);
  c.width = extent("embed.W_E", 2, 1);
  c.context = extent("pos_embed.W_pos", 2, 0);
  while (file.contains("blocks." + std::to_string(c.layers) + ".attn.W_Q")) ++c.layers;
  c.heads = c.layers == 0 ? 1 : extent("blocks.0.attn.W_Q", 3, 0);
  c.head_width = c.layers == 0 ? c.width : extent("blocks.0.attn.W_Q", 3, 2);
  c.mlp_width = file.contains("blocks.0.mlp.W_in") ? extent("blocks.0.mlp.W_in", 2, 1) : 0;
  require(c.mlp_width != 0 || !file.contains("blocks.0.mlp.W_in"), path.string(),
          ": tensor blocks.0.mlp.W_in has 0 columns, wanted at least 1");
  c.tied = !file.contains("unembed.W_U");
  c.biases = any([](std::string const& name) { return name.find(".b_") != std::string::npos; });
  auto const& metadata = file.metadata();
  // Of a file without an MLP the metadata's does not matter.
  if (activation.empty() && c.mlp_width != 0 && metadata.contains("activation")) activation = metadata.at("activation");
  try {
    if (!activation.empty()) c.activation = activation_named(activation);
    check(c);
  } catch (error const& reason) {
    fail(path.string(), ": ", reason.what());
  }

  transformer_layout const layout{c};
  std::vector<std::string> expected;
  auto const optional = [](std::string const& name) {
    return name.ends_with(".w") || name.find(".b") != std::string::npos;
  };
  // Shapes first: what an extent of a damaged file announces may be more than memory holds.
  detail::for_each_tensor(layout, [&](detail::tensor_place const& place) {
    expected.push_back(place.name);
    if (optional(place.name) && !file.contains(place.name)) return;
    auto const& shape = file.shape(place.name);
    require(shape == place.shape, path.string(), ": tensor '", place.name, "': shape ", shape_text(shape), ", wanted ",
            shape_text(place.shape));
  });
  for (std::string const& name : names)
    require(std::find(expected.begin(), expected.end(), name) != expected.end() || name.ends_with("attn.mask") ||
                name.ends_with("attn.IGNORE"),
            path.string(), ": tensor ", name, " is not part of a pre-LayerNorm transformer with learned positions");
  loaded_transformer<T> result{c, aligned_vector<T>(layout.size()), metadata};
  std::vector<T> values;
  detail::for_each_tensor(layout, [&](detail::tensor_place const& place) {
    values.assign(place.pieces * place.count, place.name.ends_with(".w") ? T(1) : T(0));
    if (file.contains(place.name)) {
      file.read(place.name, std::span<T>(values), place.shape);
      require_finite(std::span<T const>(values), place.shape, path.string() + ": tensor " + place.name);
    }
    for (std::size_t p = 0; p != place.pieces; ++p)
      std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(p * place.count), place.count,
                  result.weights.begin() + static_cast<std::ptrdiff_t>(place.begin + p * place.stride));
  });
  return result;
}

}  // namespace susc
