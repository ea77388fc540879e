#include "susc/data/token_mixture.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <vector>

namespace {

// Part p has the rows (10 p, 10 p + 1), (10 p + 2, 10 p + 3), ...
susc::token_mixture::part part(char const* name, susc::token first, std::size_t rows, double weight) {
  susc::token_batch batch{{}, rows, 2};
  for (std::size_t i = 0; i != 2 * rows; ++i) batch.tokens.push_back(first + static_cast<susc::token>(i));
  return {name, batch, weight};
}

}  // namespace

TEST_CASE("token_mixture: parts by weight, whatever their size, rows uniformly within a part") {
  susc::token_mixture const mixture{
      {part("a", 10, 4, 1), part("never", 20, 2, 0), part("b", 30, 1, 2.5), part("c", 40, 2, .5)}};
  std::size_t const draws = 40'000;
  auto const sample = mixture.sample(draws, {9});
  REQUIRE(sample.sequences == draws);
  REQUIRE(sample.length == 2);
  REQUIRE(sample.tokens.size() == 2 * draws);
  std::map<susc::token, double> counts;
  for (std::size_t i = 0; i != draws; ++i) {
    auto const row = sample.sequence(i);
    REQUIRE(row[1] == row[0] + 1);
    counts[row[0]] += 1;
  }
  std::map<susc::token, double> const expected{{10, 1 / 16.}, {12, 1 / 16.}, {14, 1 / 16.}, {16, 1 / 16.},
                                               {30, 2.5 / 4}, {40, 1 / 16.}, {42, 1 / 16.}};
  CHECK(counts.size() == expected.size());
  for (auto const& entry : expected) {
    double const p = entry.second, mean = p * draws;
    CAPTURE(entry.first);
    CHECK(std::abs(counts[entry.first] - mean) < 5 * std::sqrt(mean * (1 - p)));
  }
  CHECK(sample == mixture.sample(draws, {9}));
  CHECK(sample != mixture.sample(draws, {10}));
}

TEST_CASE("token_mixture: equal weights by default") {
  susc::token_mixture const mixture{{{"a", {{1, 1}, 1, 2}}, {"b", {{2, 2}, 1, 2}}}};
  auto const sample = mixture.sample(10'000, {1});
  double ones = 0;
  for (std::size_t i = 0; i != 10'000; ++i) ones += sample.sequence(i)[0] == 1;
  CHECK(std::abs(ones - 5000) < 5 * 50);
}

TEST_CASE(
    "token_mixture: a stratified sample has of each part its share of different sequences, and none is left out") {
  auto const counts = [](susc::token_mixture const& mixture, std::size_t size) {
    auto const sample = mixture.stratified_sample(size, {3});
    CHECK(sample.tokens.size() == 2 * sample.sequences);
    std::map<susc::token, std::size_t> seen, parts;
    for (std::size_t i = 0; i != sample.sequences; ++i) {
      CHECK(++seen[sample.sequence(i)[0]] == 1);
      ++parts[sample.sequence(i)[0] / 100];
    }
    return parts;
  };
  using found = std::map<susc::token, std::size_t>;
  // The shares of eight domains and a quarter of repeats are whole numbers.
  susc::token_mixture eight;
  for (susc::token p = 0; p != 8; ++p) eight.parts.push_back(part("domain", 100 * p, 20, 1));
  eight.parts.push_back(part("repeats", 800, 20, 8. / 3));
  CHECK(counts(eight, 32) == found{{0, 3}, {1, 3}, {2, 3}, {3, 3}, {4, 3}, {5, 3}, {6, 3}, {7, 3}, {8, 8}});
  CHECK(counts(eight, 3) == found{{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}, {6, 1}, {7, 1}, {8, 1}});
  // Shares 1.6, 5.4, 1: the rest goes to the largest remainder.
  susc::token_mixture const three{
      {part("a", 0, 9, 1.6), part("b", 100, 9, 5.4), part("none", 200, 9, 0), part("c", 300, 9, 1)}};
  CHECK(counts(three, 8) == found{{0, 2}, {1, 5}, {3, 1}});
  // No part has more than it has.
  CHECK(counts({{part("a", 0, 2, 1), part("b", 100, 9, 1)}}, 8) == found{{0, 2}, {1, 4}});

  std::size_t const most = std::numeric_limits<std::size_t>::max();
  CHECK(counts({{part("a", 0, 2, 1), part("b", 100, 9, 1)}}, most) == found{{0, 2}, {1, 9}});
  CHECK(counts({{part("a", 0, 2, 1)}}, most) == found{{0, 2}});

  CHECK(three.stratified_sample(8, {3}) == three.stratified_sample(8, {3}));
  CHECK(three.stratified_sample(8, {3}) != three.stratified_sample(8, {4}));
  CHECK_THROWS_WITH_AS((susc::token_mixture{{part("a", 10, 1, 0)}}.stratified_sample(3, {1})),
                       "a mixture of datasets needs at least one part of positive weight", susc::error);
}

TEST_CASE("token_mixture: nothing to draw from, and parts that do not fit together, are refused by name") {
  using parts = std::vector<susc::token_mixture::part>;
  auto const refused = [](parts const& p, char const* message) {
    CHECK_THROWS_WITH_AS((susc::token_mixture{p}.sample(3, {1})), message, susc::error);
  };
  refused({part("a", 10, 1, 1), part("b", 20, 0, 1)}, "domain 'b' has no sequences to draw from");
  refused({part("a", 10, 1, 1), {"b", {{1, 2, 3}, 1, 3}}}, "domain 'b' has sequences of 3 tokens, 'a' of 2");
  refused({part("a", 10, 1, 0)}, "a mixture of datasets needs at least one part of positive weight");
  refused({}, "a mixture of datasets needs at least one part of positive weight");
}
