#include "susc/data/token_batch.hpp"

#include <doctest/doctest.h>

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
