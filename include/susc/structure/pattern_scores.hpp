#pragma once
/// What principal components are about: the mean score of each class of tokens on each mode, and the tokens of the
/// largest scores of either sign.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "susc/core/error.hpp"
#include "susc/core/requirements.hpp"
#include "susc/data/token_pattern.hpp"
#include "susc/structure/class_mean.hpp"

SUSC_REQUIRE_VERSION("xtensor", XTENSOR_VERSION_MAJOR, XTENSOR_VERSION_MINOR, 0, 24);

namespace susc {

/// Rows: token_patterns; columns: modes. NaN where class_estimate has it.
struct pattern_scores {
  std::array<std::size_t, token_patterns.size()> tokens{};     ///< of each class
  std::array<std::size_t, token_patterns.size()> sequences{};  ///< that hold the class
  xt::xtensor<double, 2> mean;                                 ///< (patterns, modes) score of the class
  xt::xtensor<double, 2> error;                                ///< (patterns, modes) of the mean
  xt::xtensor<double, 2> difference;                           ///< (patterns, modes) to the mean of all other tokens
  xt::xtensor<double, 2> difference_error;                     ///< (patterns, modes) of the difference
};

/// Class means of every mode's scores (tokens, modes), those of principal_components, say; `patterns` (tokens,) from
/// patterns_of; `sequence` (tokens,) numbers each token's sequence: those of different probes have different numbers.
/// Errors and throws as class_mean.
inline pattern_scores score_patterns(xt::xtensor<double, 2> const& scores, std::span<pattern_set const> patterns,
                                     std::span<std::size_t const> sequence) {
  std::size_t const tokens = scores.shape(0), modes = scores.shape(1);
  require(patterns.size() == tokens && sequence.size() == tokens, "scores of patterns: ", tokens, " rows of scores, ",
          patterns.size(), " classes of tokens, ", sequence.size(), " sequence numbers");
  auto const empty = [&] { return xt::xtensor<double, 2>::from_shape({token_patterns.size(), modes}); };
  pattern_scores result{{}, {}, empty(), empty(), empty(), empty()};
  std::vector<double> column(tokens);
  std::vector<char> in_class(tokens);
  for (std::size_t p = 0; p != token_patterns.size(); ++p) {
    for (std::size_t j = 0; j != tokens; ++j) in_class[j] = patterns[j].has(token_patterns[p]);
    for (std::size_t k = 0; k != modes; ++k) {
      for (std::size_t j = 0; j != tokens; ++j) column[j] = scores(j, k);
      class_estimate const found = class_mean(column, in_class, sequence);
      result.tokens[p] = found.count;
      result.sequences[p] = found.sequences;
      result.mean(p, k) = found.mean;
      result.error(p, k) = found.error;
      result.difference(p, k) = found.difference;
      result.difference_error(p, k) = found.difference_error;
    }
  }
  return result;
}

/// The rows of the largest and the smallest scores.
struct extreme_rows {
  std::vector<std::size_t> highest;  ///< largest first
  std::vector<std::size_t> lowest;   ///< smallest first
};

/// Up to `count` rows with the largest positive and as many with the smallest negative scores; of equal ones the
/// earlier rows. Throws for a NaN score.
inline extreme_rows extremes(std::span<double const> scores, std::size_t count) {
  for (std::size_t j = 0; j != scores.size(); ++j) require(!std::isnan(scores[j]), "extremes: score ", j, " is NaN");
  auto const first = [&](auto better, auto counts) {
    std::vector<std::size_t> rows;
    for (std::size_t j = 0; j != scores.size(); ++j)
      if (counts(scores[j])) rows.push_back(j);
    std::size_t const kept = std::min(count, rows.size());
    std::partial_sort(
        rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(kept), rows.end(),
        [&](std::size_t a, std::size_t b) { return scores[a] == scores[b] ? a < b : better(scores[a], scores[b]); });
    rows.resize(kept);
    return rows;
  };
  return {.highest = first([](double a, double b) { return a > b; }, [](double x) { return x > 0; }),
          .lowest = first([](double a, double b) { return a < b; }, [](double x) { return x < 0; })};
}

}  // namespace susc
