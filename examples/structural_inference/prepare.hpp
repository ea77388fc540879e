#pragma once
// What a program needs that trains the model elsewhere, in OUTPUT/prepared: scripts/train.py is one.
#include <cstddef>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <ostream>
#include <span>
#include <string>

#include "data.hpp"
#include "options.hpp"
#include "susc/io/file.hpp"
#include "susc/io/npy.hpp"
#include "susc/models/transformer_file.hpp"
#include "susc/models/transformer_init.hpp"
#include "trained_model.hpp"

namespace structural_inference {

/// Writes, together or not at all:
///   initial.safetensors   initial weights; the metadata hold the settings by which the trained model is recognised
///   training.json         AdamW's options, the parts of the mixture, and after which steps weights are to be saved
///   training_I.npy        part I of the mixture: token ids (sequences, context + 1), int32
///   probe_I.npy           probe I, likewise, and evaluation.npy: for a program that samples elsewhere too
///   tokenizer.model       the SentencePiece model, where there is one
inline void prepare(options const& o, prepared_data const& data) {
  susc::staged_directory folder(o.output / "prepared");
  auto const tokens = [&](std::string const& name, token_batch const& batch) {
    susc::write_npy<susc::token>(folder.path() / name, batch.tokens, {batch.sequences, batch.length});
    return name;
  };
  auto const training = training_of(o);
  susc::check(training);
  nlohmann::json described{{"snapshot_steps", training.snapshot_steps},
                           {"minibatch_parts", susc::detail::gradient_parts},
                           {"parts", nlohmann::json::array()},
                           {"probes", nlohmann::json::array()}};
  susc::training_options::settings(training, [&](char const* name, auto value) { described["options"][name] = value; });
  std::size_t number = 0;
  for (auto const& part : data.training.parts) {
    std::string const file = tokens("training_" + std::to_string(number++) + ".npy", part.sequences);
    described["parts"].push_back({{"name", part.name}, {"file", file}, {"weight", part.weight}});
  }
  number = 0;
  for (auto const& probe : data.probes) {
    std::string const file = tokens("probe_" + std::to_string(number++) + ".npy", probe.batch);
    described["probes"].push_back({{"name", probe.name}, {"file", file}});
  }
  tokens("evaluation.npy", data.evaluation);
  susc::transformer_layout const layout{configuration(o, data)};
  auto const w = susc::initial_weights<float>(layout, {o.training_seed});
  susc::save_transformer(folder.path() / "initial.safetensors", layout, std::span<float const>(w),
                         {{"training", training_settings(o, data).dump()}});
  auto const text = [&](char const* name, std::string const& content) {
    susc::write_file_atomically(folder.path() / name, [&](std::ostream& out) { out << content; });
  };
  text("training.json", described.dump(2) + '\n');
  if (!data.tokenizer.empty()) text("tokenizer.model", data.tokenizer);
  folder.commit();
  std::cout << "Prepared: " << (o.output / "prepared").string() << "; python scripts/train.py trains the model, then "
            << "the same command without --prepare goes on with it" << std::endl;
}

}  // namespace structural_inference
