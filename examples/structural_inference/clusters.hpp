#pragma once
// Clusters of tokens that the components answer alike, and the map on which the report shows them.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <xtensor/xtensor.hpp>

#include "data.hpp"
#include "susc/data/token_pattern.hpp"
#include "susc/structure/principal_components.hpp"

namespace structural_inference {

struct token_structure {
  nlohmann::json clusters;  ///< for summary.json and the report; where there are none, why
  nlohmann::json map;       ///< for the report; null without principal components
};

/// Clusters of the rows of `modes` (absent: a component has no estimate), and the map; `table` (rows x 4) and
/// `patterns` as in tokens.npy and token_patterns.npy. Writes token_clusters.npy and, of modes,
/// principal_components_whitened_scores.npy into `folder`. The same for any number of threads.
token_structure write_clusters(std::filesystem::path const& folder, std::optional<susc::principal_modes> const& modes,
                               prepared_data const& data, xt::xtensor<std::int32_t, 2> const& table,
                               std::span<susc::pattern_set const> patterns, std::size_t threads);

}  // namespace structural_inference
