#pragma once
// The command line of calibrate.
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace calibrate {

inline constexpr std::array<char const*, 6> samplers{"sgld",  "rmsprop_sgld",        "sghmc",
                                                     "sgnht", "leimkuhler_matthews", "exponential_integrator"};

struct options {
  std::string model, pretraining, activation;
  std::string component = "full", sampler = "leimkuhler_matthews", all_weights = "scaled";
  std::filesystem::path output = "calibration";

  // To be swept, each sorted. No step sizes: a grid for each localization.
  std::vector<double> step_sizes, n_betas{10, 30, 100}, localizations{200};

  std::size_t chains = 4, draws = 100, thinning = 1, batch_size = 8, evaluation_tokens = 1024;
  std::optional<std::size_t> burn_in;  // none: as long as the step size needs
  std::uint64_t seed = 1;
  std::size_t threads = 0;
};

/// Nothing if only help was asked for, which is printed. Throws susc::error.
std::optional<options> parse(int argc, char** argv);

}  // namespace calibrate
