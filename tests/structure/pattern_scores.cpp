#include "susc/structure/pattern_scores.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "susc/core/random.hpp"

namespace {
using rows = std::vector<std::size_t>;
}  // namespace

TEST_CASE("score_patterns: against the definition") {
  constexpr std::size_t tokens = 60, modes = 3, sequences = 6;
  susc::random::stream draw{{5}};
  auto scores = xt::xtensor<double, 2>::from_shape({tokens, modes});
  std::vector<susc::pattern_set> patterns(tokens);
  rows sequence;
  for (std::size_t j = 0; j != tokens; ++j) {
    sequence.push_back(j / (tokens / sequences));
    for (std::size_t k = 0; k != modes; ++k) scores(j, k) = draw.normal();
    for (auto const p : susc::token_patterns)
      if (p != susc::token_pattern::numeric && draw.below(3) == 0) patterns[j].add(p);  // no numeric token at all
  }
  susc::pattern_scores const found = susc::score_patterns(scores, patterns, sequence);
  REQUIRE(found.mean.shape(0) == susc::token_patterns.size());
  REQUIRE(found.mean.shape(1) == modes);
  for (std::size_t p = 0; p != susc::token_patterns.size(); ++p) {
    CAPTURE(name_of(susc::token_patterns[p]));
    std::size_t count = 0, held = 0;
    std::vector<double> in_sequence(sequences);
    for (std::size_t j = 0; j != tokens; ++j)
      if (patterns[j].has(susc::token_patterns[p])) ++count, ++in_sequence[sequence[j]];
    for (double const each : in_sequence) held += each > 0;
    CHECK(found.tokens[p] == count);
    CHECK(found.sequences[p] == held);
    for (std::size_t k = 0; k != modes; ++k) {
      if (count == 0) {
        CHECK(std::isnan(found.mean(p, k)));
        CHECK(std::isnan(found.difference(p, k)));
        continue;
      }
      double sum = 0, total = 0, squares = 0, both = 0;
      for (std::size_t j = 0; j != tokens; ++j) {
        total += scores(j, k);
        if (patterns[j].has(susc::token_patterns[p])) sum += scores(j, k);
      }
      double const n = static_cast<double>(count), m = tokens - n, g = static_cast<double>(held);
      double const mean = sum / n, rest = (total - sum) / m;
      for (std::size_t s = 0; s != sequences; ++s) {
        double own = 0, other = 0;
        for (std::size_t j = 0; j != tokens; ++j) {
          if (sequence[j] != s) continue;
          (patterns[j].has(susc::token_patterns[p]) ? own : other) +=
              patterns[j].has(susc::token_patterns[p]) ? (scores(j, k) - mean) / n : (scores(j, k) - rest) / m;
        }
        squares += own * own;
        both += (own - other) * (own - other);
      }
      CHECK(found.mean(p, k) == doctest::Approx(mean));
      CHECK(found.error(p, k) == doctest::Approx(std::sqrt(g / (g - 1) * squares)));
      CHECK(found.difference(p, k) == doctest::Approx(mean - rest));
      CHECK(found.difference_error(p, k) == doctest::Approx(std::sqrt(g / (g - 1) * both)));
    }
  }
}

TEST_CASE("score_patterns: sizes are checked") {
  auto const scores = xt::xtensor<double, 2>::from_shape({3, 1});
  std::vector<susc::pattern_set> const patterns(3);
  CHECK_THROWS_WITH_AS(susc::score_patterns(scores, patterns, rows{0, 1}),
                       "scores of patterns: 3 rows of scores, 3 classes of tokens, 2 sequence numbers", susc::error);
  CHECK_THROWS_AS(susc::score_patterns(scores, std::vector<susc::pattern_set>(2), rows{0, 1, 2}), susc::error);
}

TEST_CASE("extremes: the largest of either sign; of equal ones the earlier; zeros are of neither") {
  std::vector<double> const scores{3, -1, 3, 0, -2, 5, -1};
  susc::extreme_rows const two = susc::extremes(scores, 2);
  CHECK(two.highest == rows{5, 0});
  CHECK(two.lowest == rows{4, 1});
  susc::extreme_rows const all = susc::extremes(scores, 100);
  CHECK(all.highest == rows{5, 0, 2});
  CHECK(all.lowest == rows{4, 1, 6});
  CHECK(susc::extremes(scores, 0).highest.empty());
  CHECK(susc::extremes({}, 3).lowest.empty());
  CHECK_THROWS_WITH_AS(susc::extremes(std::vector{1., std::numeric_limits<double>::quiet_NaN()}, 1),
                       "extremes: score 1 is NaN", susc::error);
}
