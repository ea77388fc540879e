#pragma once
// The command line of structural_inference.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "susc/response/susceptibility.hpp"

namespace structural_inference {

inline constexpr std::size_t shortest_context = 4;  ///< twice the shortest segment that heads are scored on

struct options {
  std::string corpus = "system";
  std::string model, pretraining, activation, tokenizer;
  std::vector<std::string> probes;  // NAME=FILE
  std::filesystem::path output = "results";

  std::optional<std::size_t> vocabulary, context, width, layers, heads, training_steps;
  std::size_t mlp_width = 0, training_batch_size = 32;
  bool tied = false;
  std::optional<double> learning_rate;
  double weight_decay = .3;
  std::string training_precision = "single";
  std::size_t tokens_per_domain = 1'000'000;
  std::uint64_t training_seed = 1;
  std::uint64_t data_seed = 1;  // that of training unless given
  bool prepare = false;         // stop before training
  bool preview = false;         // stop once components are known
  std::size_t snapshots = 0;    // weights kept in OUTPUT/snapshots while training

  std::string sampler = "leimkuhler_matthews";
  std::optional<double> localization, step_size;  // no localization: a pilot run chooses one for each component
  double pilot_target = .1, n_beta = 30;
  std::size_t chains = 4, draws = 100, burn_in = 20, thinning = 1, batch_size = 8;
  std::vector<std::string> components;
  susc::centring centring = susc::centring::full;
  std::string all_weights = "scaled";
  std::size_t probe_tokens = 512, evaluation_tokens = 1024;
  std::uint64_t seed = 1;
  std::size_t threads = 0;
  std::filesystem::path run_directory;  // empty: OUTPUT/chains, while the run lasts
  double checkpoint_seconds = 60;

  bool external() const { return !model.empty(); }
  bool synthetic() const { return corpus == "synthetic"; }
};

/// The programs with these options; that of the development samples around every snapshot, called checkpoint there.
enum class program { structural_inference, development };

/// Nothing if only help was asked for, which is printed. Throws susc::error.
std::optional<options> parse(int argc, char** argv, program called = program::structural_inference);

}  // namespace structural_inference
