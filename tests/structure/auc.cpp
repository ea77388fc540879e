#include "susc/structure/auc.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <deque>
#include <list>
#include <span>
#include <string>
#include <vector>

#include "susc/core/random.hpp"

namespace {
using susc::area_under_curve;
using susc::separation;

static_assert(susc::Labels<std::vector<bool>> && susc::Labels<std::array<bool, 3>> &&
              susc::Labels<std::span<char const>>);
static_assert(susc::Labels<std::deque<int>> && susc::Labels<bool[2]>);
static_assert(!susc::Labels<std::list<bool>>);           // no random access
static_assert(!susc::Labels<std::vector<std::string>>);  // nothing of yes or no
static_assert(!susc::Labels<bool> && !susc::Labels<std::vector<std::vector<bool>>>);

double by_pairs(std::vector<double> const& scores, std::vector<bool> const& positive) {
  double wins = 0, pairs = 0;
  for (std::size_t i = 0; i != scores.size(); ++i)
    for (std::size_t j = 0; j != scores.size(); ++j) {
      if (!positive[i] || positive[j]) continue;
      pairs += 1;
      wins += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
    }
  return wins / pairs;
}

TEST_CASE("area under the curve: hand-made cases") {
  std::vector<double> const scores{0.1, 0.4, 0.35, 0.8};
  CHECK(area_under_curve(scores, std::vector<bool>{false, false, true, true}) == 0.75);  // scikit-learn's own example
  CHECK(area_under_curve(scores, std::array{false, true, false, true}) == 1);
  CHECK(area_under_curve(scores, std::array{true, false, true, false}) == 0);
  std::vector<double> const equal{2, 2, 2};
  CHECK(area_under_curve(equal, std::array{true, false, false}) == 0.5);
  double const infinite = std::numeric_limits<double>::infinity();
  CHECK(area_under_curve(std::array{infinite, -infinite, infinite}, std::array{true, false, false}) == 0.75);
}

TEST_CASE("area under the curve equals the count over all pairs, with and without ties") {
  for (std::uint64_t seed = 0; seed != 300; ++seed) {
    CAPTURE(seed);
    susc::random::stream draw{{seed}};
    std::size_t const count = 2 + draw.below(40);
    std::vector<double> scores;
    std::vector<bool> positive;
    std::vector<char> as_char;
    for (std::size_t i = 0; i != count; ++i) {
      scores.push_back(seed % 2 == 0 ? draw.normal() : static_cast<double>(draw.below(5)));
      positive.push_back(draw.below(3) == 0);
      as_char.push_back(positive.back());
    }
    double const area = area_under_curve(scores, positive), pairs = by_pairs(scores, positive);
    if (std::isnan(pairs)) {
      CHECK(std::isnan(area));
      CHECK(std::isnan(separation(scores, positive)));
      continue;
    }
    CHECK(area == pairs);  // sums of halves are exact
    CHECK(area_under_curve(scores, std::span<char const>(as_char)) == area);
    CHECK(separation(scores, positive) == std::max(area, 1 - area));
    // Monotone maps keep the area, sign changes mirror it.
    std::vector<double> mapped, negated;
    for (double const s : scores) mapped.push_back(std::exp(s)), negated.push_back(-s);
    CHECK(area_under_curve(mapped, positive) == area);
    CHECK(area_under_curve(negated, positive) == doctest::Approx(1 - area).epsilon(1e-14));
    CHECK(separation(negated, positive) == doctest::Approx(separation(scores, positive)).epsilon(1e-14));
  }
}

TEST_CASE("one class only: NaN") {
  std::vector<double> const scores{1, 2};
  CHECK(std::isnan(area_under_curve(scores, std::array{true, true})));
  CHECK(std::isnan(area_under_curve(scores, std::array{false, false})));
  CHECK(std::isnan(area_under_curve({}, std::vector<bool>{})));
}

TEST_CASE("separation within a subset compares its elements only") {
  // Layer 0 is far below layer 1; within layer 1 the positives do not stand out.
  std::vector<double> const loadings{-5, -4, -3, 1, 2, 3};
  std::vector<bool> const induction{false, false, false, true, false, true};
  std::vector<bool> const second_layer{false, false, false, true, true, true};
  CHECK(separation(loadings, induction) > 0.8);
  CHECK(separation(loadings, induction, second_layer) == 0.5);
  CHECK(separation(loadings, induction, std::array{false, false, false, true, true, false}) == 1);  // mirrored
  CHECK(std::isnan(separation(loadings, induction, std::array{true, true, true, false, false, false})));
  CHECK(separation(loadings, induction, std::vector<bool>(6, true)) == separation(loadings, induction));
}

TEST_CASE("unequal lengths and NaN scores are errors") {
  std::vector<double> const scores{1, std::nan("")};
  CHECK_THROWS_WITH_AS(area_under_curve(scores, std::array{true}), "area under the curve: 2 scores, 1 labels",
                       susc::error);
  CHECK_THROWS_WITH_AS(area_under_curve(scores, std::array{true, false}), "area under the curve: score 1 is NaN",
                       susc::error);
  CHECK_THROWS_WITH_AS(separation(scores, std::array{true, false}, std::array{true}),
                       "separation: 2 scores, 2 labels, 1 subset entries", susc::error);
}
}  // namespace
