#pragma once
/// Steps evenly spaced on a logarithmic scale: when to save weights of a network that changes ever more slowly.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "susc/core/error.hpp"

namespace susc {

/// `count` steps from `first` to `last`, both among them, each about the same multiple of the one before; rounded to
/// whole steps and each given once, so fewer where they are dense. Ascending: training_options::snapshot_steps.
/// Throws susc::error unless 1 <= first <= last and count is at least 2.
inline std::vector<std::size_t> log_spaced(std::size_t first, std::size_t last, std::size_t count) {
  require(first >= 1 && first <= last, "log_spaced from ", first, " to ", last, ": wanted 1 <= first <= last");
  require(count >= 2, "log_spaced: count is ", count, ", must be at least 2 for both ends");
  double const low = std::log(static_cast<double>(first)), high = std::log(static_cast<double>(last));
  std::vector<std::size_t> steps{first};
  for (std::size_t i = 1; i != count; ++i) {
    double const place = static_cast<double>(i) / static_cast<double>(count - 1);
    double const step = std::round(std::exp(low + place * (high - low)));
    std::size_t const next = i + 1 == count ? last : std::min(last, static_cast<std::size_t>(step));
    if (next > steps.back()) steps.push_back(next);
  }
  return steps;
}

}  // namespace susc
