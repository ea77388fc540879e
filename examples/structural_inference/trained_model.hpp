#pragma once
// The language model of a run: trained here, read again from an earlier run, or trained elsewhere.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "../network.hpp"
#include "data.hpp"
#include "options.hpp"
#include "susc/data/repeats.hpp"
#include "susc/io/run_directory.hpp"
#include "susc/models/head_scores.hpp"
#include "susc/models/transformer.hpp"
#include "susc/models/transformer_file.hpp"
#include "susc/models/transformer_init.hpp"
#include "susc/report/progress.hpp"
#include "susc/sampling/executor.hpp"
#include "susc/training/adamw.hpp"
#include "susc/training/log_spaced.hpp"

namespace structural_inference {

using weights = susc::aligned_vector<float>;

struct trained_model {
  network model;
  weights w;
  nlohmann::json training;         // settings, or where the weights are from
  std::size_t trained_tokens = 0;  // by this process
};

inline susc::transformer_config configuration(options const& o, prepared_data const& data) {
  return {.vocabulary = data.vocabulary,
          .context = data.context,
          .width = o.width.value_or(o.synthetic() ? 64 : 128),
          .layers = o.layers.value_or(2),
          .heads = o.heads.value_or(8),
          .mlp_width = o.mlp_width,
          .tied = o.tied};
}

/// Before a model is trained for which there is no room: the system may give out memory that it does not have.
inline void check_memory(susc::transformer_config const& config) {
  // Weights, four gradients and AdamW's two moments of each.
  double const bytes = 7. * sizeof(float) * static_cast<double>(susc::transformer_layout{config}.size());
  double const there = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  susc::require(bytes < there, "training this model takes ", bytes / 1e9, " GB of memory, this machine has ",
                there / 1e9, " GB: a smaller --width, --layers or --vocabulary would help");
}

/// Those asked for, or every head; throws susc::error unless the model has them, and each is given once.
inline std::vector<std::string> components_of(options const& o, network const& model) {
  if (o.components.empty()) return heads_of(model);
  auto const known = known_components(model);
  for (std::string const& name : o.components) {
    susc::find_component(known, name);
    susc::require(std::count(o.components.begin(), o.components.end(), name) == 1, "component '", name,
                  "' is given twice");
  }
  return o.components;
}

/// Where a training is kept until its weights are saved.
inline std::filesystem::path training_directory_of(options const& o) {
  return o.output / "training";
}

/// How a model of these options is trained.
inline susc::training_options training_of(options const& o) {
  susc::training_options training{.steps = o.training_steps.value_or(o.synthetic() ? 5000 : 2000),
                                  .batch_size = o.training_batch_size,
                                  .learning_rate = o.learning_rate.value_or(o.synthetic() ? 1e-2 : 5e-3),
                                  .weight_decay = o.weight_decay,
                                  .seed = o.training_seed,
                                  .run_directory = training_directory_of(o),
                                  .seconds_between_checkpoints = o.checkpoint_seconds};
  if (o.snapshots > 0) training.snapshot_steps = susc::checkpoint_steps(training.steps, o.snapshots);
  return training;
}

/// What a trained model is recognised by: kept, as JSON, in the metadata of its file.
inline nlohmann::json training_settings(options const& o, prepared_data const& data) {
  auto const config = configuration(o, data);
  auto const training = training_of(o);
  nlohmann::json settings{{"vocabulary", config.vocabulary},
                          {"context", config.context},
                          {"width", config.width},
                          {"layers", config.layers},
                          {"heads", config.heads},
                          {"mlp_width", config.mlp_width},
                          {"tied", config.tied},
                          {"steps", training.steps},
                          {"batch_size", training.batch_size},
                          {"learning_rate", training.learning_rate},
                          {"weight_decay", training.weight_decay},
                          {"training_seed", training.seed},
                          {"data", fingerprint(data.training)}};
  if (o.snapshots > 0) settings["snapshots"] = o.snapshots;
  if (o.training_precision != "single") settings["precision"] = o.training_precision;
  return settings;
}

inline std::filesystem::path snapshot_file(options const& o, std::size_t steps) {
  return o.output / "snapshots" / (std::to_string(steps) + ".safetensors");
}

/// What a snapshot is recognised by, as the trained model is.
inline nlohmann::json snapshot_settings(nlohmann::json settings, std::size_t steps) {
  settings["snapshot_after"] = steps;
  return settings;
}

/// The weights of a file if they are those of these settings. Throws susc::error where there are none.
inline weights read_weights(std::filesystem::path const& file, std::size_t parameters, nlohmann::json const& settings) {
  auto loaded = susc::load_transformer<float>(file);
  // As JSON: scripts/train.py spaces it differently.
  auto const described = nlohmann::json::parse(loaded.metadata["training"], nullptr, false);
  susc::require(described == settings && loaded.weights.size() == parameters, file.string(),
                " was trained with other settings");
  return std::move(loaded.weights);
}

/// Trains, or reads OUTPUT/model.safetensors if it was trained with the same settings on the same data and has its
/// snapshots beside it. Interrupted, it goes on with the next run.
inline trained_model train(options const& o, prepared_data const& data, std::atomic<bool> const* stop) {
  susc::transformer_config const config = configuration(o, data);
  susc::dynamic_transformer const model(config);
  auto training = training_of(o);
  training.stop = stop;
  nlohmann::json const settings = training_settings(o, data);
  auto const file = o.output / "model.safetensors";
  susc::require(!std::filesystem::exists(file) || std::filesystem::is_regular_file(file), file.string(),
                ": in the way of the trained model, not a regular file");
  std::cout << "Model: " << config.layers << " layers of " << config.heads << " heads, width " << config.width
            << ", context " << config.context << ", vocabulary " << config.vocabulary << "; " << model.parameter_count()
            << " parameters" << std::endl;
  if (std::filesystem::exists(file)) {
    try {
      auto w = read_weights(file, model.parameter_count(), settings);
      for (std::size_t const steps : training.snapshot_steps)
        read_weights(snapshot_file(o, steps), model.parameter_count(), snapshot_settings(settings, steps));
      std::cout << "  trained before with these settings: " << file.string() << std::endl;
      return {model, std::move(w), settings};
    } catch (susc::error const& e) {
      std::cout << "  " << e.what() << ": training anew" << std::endl;
    }
  }
  auto w = susc::initial_weights<float>(model.layout(), {o.training_seed});
  std::size_t const tokens = training.batch_size * config.context;
  susc::progress shown(std::cout, "Training", training.steps * tokens, susc::is_terminal(1), "tokens");
  auto const save = [&](std::filesystem::path const& to, nlohmann::json const& described,
                        std::span<float const> weights) {
    std::filesystem::create_directories(to.parent_path());
    susc::save_transformer(to, model.layout(), weights, {{"training", described.dump()}});
  };
  std::size_t trained = 0;
  try {
    susc::train_adamw(
        susc::dynamic_transformer(config, o.training_precision == "bfloat16" ? susc::kernels::precision::bfloat16
                                                                             : susc::kernels::precision::single),
        std::span<float>(w), [&](std::size_t size, susc::random::key key) { return data.training.sample(size, key); },
        susc::decayed_ranges(model.layout()), training, susc::threads{o.threads},
        [&](std::size_t step, double) {
          if (trained == 0) shown.skip(step * tokens);  // those of an earlier process
          shown.advance(tokens);
          trained += tokens;
        },
        [&](std::size_t steps, std::span<float const> weights) {
          save(snapshot_file(o, steps), snapshot_settings(settings, steps), weights);
        });
  } catch (susc::training_diverged const&) {
    std::filesystem::remove_all(training.run_directory);  // there is nothing in it to go on from
    std::error_code not_empty;
    std::filesystem::remove(o.output, not_empty);
    throw;
  }
  shown.finish();
  // Saved before anything is sampled: training need not be repeated. A run refused before this leaves no folder.
  save(file, settings, w);
  std::filesystem::remove_all(training.run_directory);
  return {model, std::move(w), settings, trained};
}

inline trained_model load(options const& o) {
  auto loaded = load_network(o.model, o.activation);
  model_shape const c = shape_of(loaded.model);
  std::cout << "Model: " << o.model << ", " << c.layers << " layers of " << c.heads << " heads, context " << c.context
            << ", vocabulary " << c.vocabulary << "; " << parameter_count(loaded.model) << " parameters" << std::endl;
  nlohmann::json training{{"file", o.model}};
  // Of weights that this program trained it is known after how many steps they were saved.
  auto const described = nlohmann::json::parse(loaded.metadata["training"], nullptr, false);
  for (char const* name : {"steps", "snapshot_after"})
    if (described.is_object() && described.contains(name) && described[name].is_number_unsigned())
      training["steps"] = described[name];
  return {std::move(loaded.model), std::move(loaded.weights), training};
}

/// losses (examples,) in nats.
inline void losses_of(trained_model const& trained, token_batch const& batch, std::span<float> losses) {
  std::visit([&](auto const& model) { model.losses(std::span<float const>(trained.w), batch, losses); }, trained.model);
}

/// Prefix-matching and previous-token scores on [r ; r] of uniformly random tokens, of sequences as long as the data's.
inline std::vector<susc::head_score> scores_of(trained_model const& trained, prepared_data const& data,
                                               options const& o) {
  std::size_t const positions = data.training.parts.front().sequences.length - 1;
  auto const repeated =
      susc::repeated_random_tokens(data.vocabulary, data.bos, std::max(positions, shortest_context) / 2, 32,
                                   susc::random::fold_in({o.data_seed}, "head scores"));
  return std::visit(
      [&](auto const& model) { return susc::head_scores(model, std::span<float const>(trained.w), repeated); },
      trained.model);
}

inline double mean_loss(trained_model const& trained, token_batch const& batch) {
  std::vector<float> losses(batch.example_count());
  losses_of(trained, batch, losses);
  return susc::detail::mean<float>(losses);
}

}  // namespace structural_inference
