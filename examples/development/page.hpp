#pragma once
// What a development leaves behind: development.json, development.html and arrays over the checkpoints.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "aligned_modes.hpp"
#include "measure.hpp"

namespace development {

struct results {
  std::vector<std::string> components, probes;
  std::vector<checkpoint> checkpoints;
  aligned_modes modes;
  nlohmann::json settings, versions;
};

/// The page, which needs no network.
std::string html_page(results const& r, prepared_data const& data);

/// Writes everything into `folder`, which the caller commits.
void write(std::filesystem::path const& folder, results const& r, prepared_data const& data);

}  // namespace development
