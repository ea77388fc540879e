#include "susc/data/repeats.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace {
/// The least p such that the sequence after BOS has period p.
std::size_t period(std::span<susc::token const> sequence) {
  auto const text = sequence.subspan(1);
  std::size_t p = 1;
  while (!std::equal(text.begin() + static_cast<std::ptrdiff_t>(p), text.end(), text.begin())) ++p;
  return p;
}
constexpr susc::token bos = 1;
}  // namespace

TEST_CASE("repeat_sequences: BOS, then a segment of 4 to 12 allowed tokens again and again") {
  std::vector<std::uint64_t> weights(1000, 1);
  weights[0] = 0;  // an id for unknown characters
  auto const batch = susc::repeat_sequences(weights, bos, 2000, 64, {8});
  CHECK(batch.sequences == 2000);
  CHECK(batch.tokens.size() == 2000 * 64);
  std::vector<int> lengths(13);
  for (std::size_t i = 0; i != batch.sequences; ++i) {
    auto const row = batch.sequence(i);
    REQUIRE(row[0] == bos);
    CHECK(std::all_of(row.begin() + 1, row.end(), [](susc::token id) { return id > bos && id < 1000; }));
    std::size_t const p = period(row);
    REQUIRE(p <= 12);
    ++lengths[p];
  }
  // Nine lengths alike, each with the binomial standard error; a segment of 1000 tokens' choice has no shorter period.
  double const p = 1. / 9, standard_error = std::sqrt(p * (1 - p) / 2000);
  for (std::size_t length = 0; length != 13; ++length)
    CHECK(std::abs(lengths[length] / 2000. - (length < 4 ? 0 : p)) < (length < 4 ? 1e-9 : 5 * standard_error));
}

TEST_CASE("repeat_sequences: tokens follow the weights; the key decides; a longer batch begins alike") {
  std::vector<std::uint64_t> const weights{5, 7, 1, 3};
  auto const batch = susc::repeat_sequences(weights, bos, 20'000, 2, {8});  // one token each: independent draws
  auto const counts = susc::unigram_counts(batch, 4);
  for (std::size_t id = 0; id != 4; ++id) {
    double const p = id == bos ? 0 : static_cast<double>(weights[id]) / 9;  // 5 + 1 + 3, without BOS
    CHECK(std::abs(double(counts[id]) / 20'000 - p) <= 5 * std::sqrt(p * (1 - p) / 20'000));
  }
  CHECK(susc::repeat_sequences(weights, bos, 9, 20, {8}) == susc::repeat_sequences(weights, bos, 9, 20, {8}));
  CHECK(susc::repeat_sequences(weights, bos, 9, 20, {8}) != susc::repeat_sequences(weights, bos, 9, 20, {9}));
  auto const few = susc::repeat_sequences(weights, bos, 9, 20, {8}),
             many = susc::repeat_sequences(weights, bos, 10, 20, {8});
  CHECK(std::equal(few.tokens.begin(), few.tokens.end(), many.tokens.begin()));
}

TEST_CASE("repeated_random_tokens: BOS and [r ; r]") {
  for (auto const& weights : {std::vector<std::uint64_t>{}, std::vector<std::uint64_t>(50, 3)}) {
    auto const batch = susc::repeated_random_tokens(50, bos, 25, 40, {2}, weights);
    CHECK(batch.sequences == 40);
    CHECK(batch.length == 51);
    for (std::size_t i = 0; i != batch.sequences; ++i) {
      auto const row = batch.sequence(i);
      CHECK(row[0] == bos);
      CHECK(std::equal(row.begin() + 1, row.begin() + 26, row.begin() + 26));
      CHECK(std::find(row.begin() + 1, row.end(), bos) == row.end());
    }
  }
  std::vector<std::uint64_t> only_seven(50);
  only_seven[7] = 1;
  auto const sevens = susc::repeated_random_tokens(50, bos, 2, 1, {2}, only_seven);
  CHECK(sevens.tokens == std::vector<susc::token>{bos, 7, 7, 7, 7});
}
