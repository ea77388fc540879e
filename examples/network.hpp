#pragma once
// A language model read from files: small ones of TransformerLens's names, or a folder of Hugging Face's.
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/component.hpp"
#include "susc/core/error.hpp"
#include "susc/models/component_preview.hpp"
#include "susc/models/pretrained_file.hpp"
#include "susc/models/pretrained_transformer.hpp"
#include "susc/models/transformer.hpp"
#include "susc/models/transformer_file.hpp"

/// The first is also what the programs train.
using network = std::variant<susc::dynamic_transformer, susc::pretrained_transformer<float>>;

struct model_shape {
  std::size_t vocabulary = 0, context = 0, layers = 0, heads = 0;
};
inline model_shape shape_of(network const& model) {
  return std::visit(
      [](auto const& m) {
        auto const c = m.config();
        return model_shape{c.vocabulary, c.context, c.layers, c.heads};
      },
      model);
}
inline std::size_t parameter_count(network const& model) {
  return std::visit([](auto const& m) { return m.parameter_count(); }, model);
}
inline std::vector<susc::component> known_components(network const& model) {
  return std::visit([](auto const& m) { return m.components(); }, model);
}
inline std::vector<std::string> heads_of(network const& model) {
  model_shape const shape = shape_of(model);
  std::vector<std::string> heads;
  for (std::size_t l = 0; l != shape.layers; ++l)
    for (std::size_t h = 0; h != shape.heads; ++h) heads.push_back(susc::head_name(l, h));
  return heads;
}

/// What a component selects, tensor by tensor.
inline std::string preview_of(network const& model, susc::component const& c) {
  return std::visit([&](auto const& m) { return susc::preview(m.layout(), c); }, model);
}

struct loaded_network {
  network model;
  susc::aligned_vector<float> weights;
  std::map<std::string, std::string> metadata = {};  // of the file
};

/// A folder with config.json, or a file; `activation` is of a file that does not name its own.
inline loaded_network load_network(std::string const& path, std::string const& activation) {
  std::error_code unreadable;  // said where it is read
  if (std::filesystem::is_directory(path, unreadable)) {
    susc::require(activation.empty(), "--activation is for a file; that of a folder is in its config.json");
    auto loaded = susc::load_pretrained<float>(path);
    return {susc::pretrained_transformer<float>(loaded.config), std::move(loaded.weights)};
  }
  auto loaded = susc::load_transformer<float>(path, activation);
  return {susc::dynamic_transformer(loaded.config), std::move(loaded.weights), std::move(loaded.metadata)};
}
