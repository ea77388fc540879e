#pragma once
// results.nc: what a run found in one netCDF-4 file, with names for its dimensions.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data.hpp"
#include "results.hpp"

namespace structural_inference {

/// What the file takes from a run besides the arrays in the run's folder.
struct recorded_run {
  std::filesystem::path folder;      ///< with the .npy files that `write` wrote
  susc::centring chosen;             ///< that of the files without a centring in their name
  std::optional<std::int64_t> step;  ///< of the training, if it is known
  std::vector<std::string> probes, components;
  std::vector<susc::component_diagnostics> diagnostics;            ///< of each component
  std::vector<double> localization, step_size;                     ///< of each component
  double localization_all_weights, step_size_all_weights;          ///< of the chains with all weights free
  std::vector<std::vector<std::vector<double>>> observable, loss;  ///< traces: components, chains, draws
  std::vector<std::vector<bool>> diverged;                         ///< components, chains
  std::vector<susc::head_score> heads;
  std::vector<std::string> warnings;
  json settings, versions;
};
recorded_run record(std::filesystem::path const& folder, run_results const& results, susc::centring chosen);

/// The arrays go by blocks from the .npy files into the new one, so that memory does not grow with them.
void write_dataset(std::filesystem::path const& path, recorded_run const& run, prepared_data const& data);

}  // namespace structural_inference
