#include "susc/data/unigram.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "susc/data/tokenizer.hpp"

TEST_CASE("unigram_counts: the given first tokens do not count, nor ids without text when a tokenizer is given") {
  susc::byte_tokenizer const bytes;
  susc::token_batch const batch{{256, 'a', 'b', 'a', 256, 'b', 256, 'c'}, 2, 4};
  auto const counts = susc::unigram_counts(batch, 257);
  CHECK(counts['a'] == 2);
  CHECK(counts['b'] == 2);
  CHECK(counts['c'] == 1);
  CHECK(counts[256] == 1);
  CHECK(susc::unigram_counts(batch, bytes)[256] == 0);
  CHECK(susc::unigram_counts(batch, bytes)['b'] == 2);
}

TEST_CASE("unigram_sampler: draws with the given frequencies, never weight 0") {
  // Binomial standard error of each frequency; a sampler off by one index misses by hundreds of them.
  std::vector<std::uint64_t> const weights{0, 1, 0, 6, 3, 0};
  susc::unigram_sampler const draw(weights);
  susc::random::stream stream({4});
  constexpr int n = 100'000;
  std::vector<int> counts(weights.size());
  for (int i = 0; i != n; ++i) ++counts[static_cast<std::size_t>(draw(stream))];
  for (std::size_t id = 0; id != weights.size(); ++id) {
    double const p = static_cast<double>(weights[id]) / 10, standard_error = std::sqrt(p * (1 - p) / n);
    CHECK(std::abs(double(counts[id]) / n - p) <= 5 * standard_error);
  }
}
