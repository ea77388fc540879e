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

/// The steps of `count` checkpoints of a training of `last` steps: 0, 1 and `last` among them, from 1 on each the same
/// multiple of the one before as far as whole steps allow; where they do not, early on, every step. Ascending, and
/// `count` of them, or all last + 1 if there are no more. Throws susc::error unless last is at least 1, count 2.
inline std::vector<std::size_t> checkpoint_steps(std::size_t last, std::size_t count) {
  require(last >= 1, "checkpoint_steps: the last step is 0, must be at least 1");
  require(count >= 2, "checkpoint_steps: count is ", count, ", must be at least 2: the first step and the last");
  std::vector<std::size_t> steps;
  steps.reserve(std::min(count, last) + 1);  // without room at hand g++ 12 warns of the standard library
  steps.push_back(0);
  if (count > 2 && last > 1) steps.push_back(1);
  for (std::size_t left = count - steps.size(); left > 1 && steps.back() + 1 < last; --left) {
    // What is left is spaced anew: a step that had to be farther than its place takes nothing from those after it.
    double const from = static_cast<double>(steps.back()), room = static_cast<double>(last) / from;
    double const next = std::round(from * std::pow(room, 1 / static_cast<double>(left)));
    steps.push_back(std::max(steps.back() + 1, static_cast<std::size_t>(next)));
  }
  steps.push_back(last);
  return steps;
}

}  // namespace susc
