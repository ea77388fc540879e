#include "susc/data/token_batch.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

TEST_CASE("token_batch: rows, and an example for each token but the first of a sequence") {
  susc::token_batch const batch{{1, 2, 3, 4, 5, 6}, 2, 3};
  CHECK(batch.example_count() == 4);
  auto const row = batch.sequence(1);
  CHECK(std::vector<susc::token>(row.begin(), row.end()) == std::vector<susc::token>{4, 5, 6});
  CHECK(susc::token_batch{}.example_count() == 0);
  CHECK(susc::token_batch{{7, 8}, 2, 1}.example_count() == 0);
  CHECK(batch == susc::token_batch{{1, 2, 3, 4, 5, 6}, 2, 3});
  CHECK(batch != susc::token_batch{{1, 2, 3, 4, 5, 6}, 3, 2});
}

TEST_CASE("sample_sequences: whole rows, uniformly with replacement, by the key alone") {
  std::size_t const rows = 10, draws = 20'000;
  susc::token_batch dataset{{}, rows, 3};
  for (std::size_t i = 0; i != rows; ++i)
    for (susc::token t = 0; t != 3; ++t) dataset.tokens.push_back(static_cast<susc::token>(10 * i) + t);
  auto const sample = susc::sample_sequences(dataset, draws, {4});
  REQUIRE(sample.sequences == draws);
  REQUIRE(sample.length == 3);
  REQUIRE(sample.tokens.size() == 3 * draws);
  std::vector<double> counts(rows);
  std::size_t broken = 0, repeats = 0;
  for (std::size_t i = 0; i != draws; ++i) {
    auto const row = sample.sequence(i);
    broken += row[0] % 10 != 0 || row[1] != row[0] + 1 || row[2] != row[0] + 2;
    counts[static_cast<std::size_t>(row[0]) / 10] += 1;
    repeats += i > 0 && row[0] == sample.sequence(i - 1)[0];
  }
  CHECK(broken == 0);
  // Binomial: 5 standard deviations are 11 % of a count.
  double const expected = draws / 10., deviation = std::sqrt(expected * .9);
  for (double const count : counts) CHECK(std::abs(count - expected) < 5 * deviation);
  CHECK(std::abs(static_cast<double>(repeats) - expected) < 5 * deviation);  // with replacement, independently

  CHECK(sample == susc::sample_sequences(dataset, draws, {4}));
  CHECK(sample != susc::sample_sequences(dataset, draws, {5}));
  // A longer sample begins with the shorter one's rows.
  auto const start = susc::sample_sequences(dataset, 7, {4});
  CHECK(std::equal(start.tokens.begin(), start.tokens.end(), sample.tokens.begin()));
  CHECK(susc::sample_sequences(dataset, 0, {4}).sequences == 0);
}

TEST_CASE("sample_distinct_sequences: no row twice, every row as often, the rows of sample_sequences but for repeats") {
  std::size_t const rows = 10, size = 4, trials = 5000;
  susc::token_batch dataset{{}, rows, 2};
  for (std::size_t i = 0; i != rows; ++i)
    for (susc::token t = 0; t != 2; ++t) dataset.tokens.push_back(static_cast<susc::token>(2 * i) + t);
  std::vector<double> counts(rows);
  for (std::size_t trial = 0; trial != trials; ++trial) {
    auto const sample = susc::sample_distinct_sequences(dataset, size, {trial});
    REQUIRE(sample.sequences == size);
    REQUIRE(sample.tokens.size() == 2 * size);
    std::vector<susc::token> first;
    for (std::size_t i = 0; i != size; ++i) {
      REQUIRE(sample.sequence(i)[1] == sample.sequence(i)[0] + 1);
      REQUIRE(std::count(first.begin(), first.end(), sample.sequence(i)[0]) == 0);
      first.push_back(sample.sequence(i)[0]);
      counts[static_cast<std::size_t>(first.back()) / 2] += 1;
    }
    std::vector<susc::token> others;
    auto const repeating = susc::sample_sequences(dataset, 100, {trial});
    for (std::size_t i = 0; others.size() != size; ++i)
      if (susc::token const t = repeating.sequence(i)[0]; std::count(others.begin(), others.end(), t) == 0)
        others.push_back(t);
    REQUIRE(first == others);
  }
  double const share = static_cast<double>(size) / rows, deviation = std::sqrt(trials * share * (1 - share));
  for (double const count : counts) CHECK(std::abs(count - trials * share) < 5 * deviation);  // 9 % of a count

  for (std::size_t const all : {rows, 3 * rows}) CHECK(susc::sample_distinct_sequences(dataset, all, {4}) == dataset);
  CHECK(susc::sample_distinct_sequences(dataset, 0, {4}).sequences == 0);
  CHECK_THROWS_WITH_AS(susc::sample_distinct_sequences({{}, 0, 3}, 2, {4}),
                       "cannot draw a minibatch from a dataset without sequences", susc::error);
}
