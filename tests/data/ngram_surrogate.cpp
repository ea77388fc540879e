#include "susc/data/ngram_surrogate.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <map>
#include <vector>

namespace {
using sequence = std::vector<susc::token>;
using law = std::map<sequence, double>;  // probabilities of whole sequences

/// What `size` samples have of each sequence.
std::map<sequence, double> counted(susc::token_batch const& batch) {
  std::map<sequence, double> counts;
  for (std::size_t s = 0; s != batch.sequences; ++s) {
    auto const row = batch.sequence(s);
    ++counts[{row.begin(), row.end()}];
  }
  return counts;
}

/// Pearson's chi-squared of the sample; infinite where a sequence occurs that cannot.
double chi_squared(susc::token_batch const& batch, law const& expected) {
  auto const counts = counted(batch);
  double sum = 0;
  for (auto const& each : counts)
    if (expected.count(each.first) == 0) return INFINITY;
  for (auto const& each : expected) {
    double const mean = each.second * static_cast<double>(batch.sequences);
    auto const found = counts.find(each.first);
    sum += std::pow((found == counts.end() ? 0 : found->second) - mean, 2) / mean;
  }
  return sum;
}
/// What chi-squared of these many outcomes exceeds with probability 3e-7, five deviations (Wilson & Hilferty 1931).
double limit(law const& expected) {
  double const degrees = static_cast<double>(expected.size() - 1), spread = 2 / (9 * degrees);
  return degrees * std::pow(1 - spread + 5 * std::sqrt(spread), 3);
}

/// A Markov chain whose every step is one of four equally likely moves: each sequence listed as often as it occurs in
/// 4^5 has exactly the chain's frequencies.
constexpr std::size_t length = 5;
constexpr std::array<susc::token, 4> first{0, 0, 1, 2};
constexpr std::array<susc::token, 4> next[3]{{1, 1, 1, 2}, {0, 2, 2, 1}, {0, 0, 1, 1}};
susc::token_batch markov_corpus() {
  susc::token_batch corpus{{}, 1024, length};
  for (unsigned choices = 0; choices != 1024; ++choices) {
    corpus.tokens.push_back(first[choices % 4]);
    for (unsigned t = 1; t != length; ++t) corpus.tokens.push_back(next[corpus.tokens.back()][choices >> (2 * t) & 3]);
  }
  return corpus;
}
law chain_law() {
  law result;
  for (auto const& each : counted(markov_corpus())) result[each.first] = each.second / 1024;
  return result;
}
/// First tokens as given, all others independent.
law independent_law(law const& of) {
  std::map<susc::token, double> starts, others;
  for (auto const& each : of) {
    starts[each.first[0]] += each.second;
    for (std::size_t t = 1; t != each.first.size(); ++t)
      others[each.first[t]] += each.second / static_cast<double>(each.first.size() - 1);
  }
  law result;
  for (auto const& start : starts) result[{start.first}] = start.second;
  for (std::size_t t = 1; t != of.begin()->first.size(); ++t) {
    law longer;
    for (auto const& each : result)
      for (auto const& other : others) {
        sequence grown = each.first;
        grown.push_back(other.first);
        longer[grown] = each.second * other.second;
      }
    result = longer;
  }
  return result;
}
}  // namespace

TEST_CASE("n-gram surrogate: bigrams and more of a Markov chain are that chain, unigrams are independent") {
  // 200'000 sequences: one transition probability of a half that is off by 5 % adds some 500 to a chi-squared whose
  // limit is 200 or so.
  auto const corpus = markov_corpus();
  law const chain = chain_law(), independent = independent_law(chain);
  constexpr std::size_t n = 200'000;
  for (std::size_t const order : {2, 3, 4, 9}) {
    CAPTURE(order);
    auto const sample = susc::ngram_surrogate(corpus, order).sample(n, length, {order});
    CHECK(chi_squared(sample, chain) < limit(chain));
  }
  auto const unigram = susc::ngram_surrogate(corpus, 1).sample(n, length, {1});
  CHECK(chi_squared(unigram, independent) < limit(independent));
  CHECK(chi_squared(unigram, chain) > 100 * limit(chain));
  // Longer than the corpus's own sequences: after four more steps the chain goes on as before.
  auto const longer = susc::ngram_surrogate(corpus, 3).sample(n, 2 * length, {2});
  std::map<sequence, double> pairs;
  std::map<susc::token, double> starts;
  for (std::size_t s = 0; s != n; ++s) {
    auto const row = longer.sequence(s);
    ++pairs[{row[8], row[9]}];
    ++starts[row[8]];
  }
  for (susc::token a = 0; a != 3; ++a)
    for (susc::token b = 0; b != 3; ++b) {
      double p = 0;
      for (susc::token const c : next[a]) p += c == b ? .25 : 0;
      double const mean = p * starts[a];
      CHECK(std::abs(pairs[{a, b}] - mean) <= 5 * std::sqrt(mean * (1 - p)));
    }
}

TEST_CASE("n-gram surrogate: trigrams know what bigrams do not") {
  // The third token is the sum of the first two modulo 2; no pair of tokens tells anything.
  susc::token_batch const corpus{{0, 0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0}, 4, 3};
  law sums, any;
  for (susc::token a = 0; a != 2; ++a)
    for (susc::token b = 0; b != 2; ++b) {
      sums[{a, b, (a + b) % 2}] = .25;
      any[{a, b, 0}] = any[{a, b, 1}] = .125;
    }
  auto const two = susc::ngram_surrogate(corpus, 2).sample(100'000, 3, {1});
  auto const three = susc::ngram_surrogate(corpus, 3).sample(100'000, 3, {1});
  CHECK(chi_squared(two, any) < limit(any));
  CHECK(chi_squared(three, sums) < limit(sums));
}

TEST_CASE("n-gram surrogate: an unseen context is shortened from its far end") {
  // After (5, 1) comes 2, after (1, 2) and 2 nothing: any predicted token, 1, 2, 3, 1. After (6, 3) comes 1, after (3,
  // 1) nothing, but after 1 comes 2.
  susc::token_batch const corpus{{5, 1, 2, 6, 3, 1}, 2, 3};
  auto const sample = susc::ngram_surrogate(corpus, 3).sample(100'000, 4, {3});
  law const expected{{{5, 1, 2, 1}, .25}, {{5, 1, 2, 2}, .125}, {{5, 1, 2, 3}, .125}, {{6, 3, 1, 2}, .5}};
  CHECK(chi_squared(sample, expected) < limit(expected));
}

TEST_CASE("n-gram surrogate: a function of the key") {
  susc::ngram_surrogate const surrogate(markov_corpus(), 2);
  CHECK(surrogate.order() == 2);
  auto const sample = surrogate.sample(20, 7, {4});
  CHECK(sample.sequences == 20);
  CHECK(sample.length == 7);
  CHECK(sample.tokens.size() == 140);
  CHECK(sample == surrogate.sample(20, 7, {4}));
  CHECK(sample != surrogate.sample(20, 7, {5}));
}

TEST_CASE("n-gram surrogate: what is refused") {
  CHECK_THROWS_WITH_AS(susc::ngram_surrogate(markov_corpus(), 0),
                       "ngram_surrogate: order is 0, must be at least 1, a unigram", susc::error);
  CHECK_THROWS_WITH_AS(susc::ngram_surrogate(susc::token_batch{{1, 2}, 2, 1}, 2),
                       "ngram_surrogate: a corpus of 2 sequences of 1 tokens predicts none, must have sequences of at "
                       "least 2",
                       susc::error);
  CHECK_THROWS_AS(susc::ngram_surrogate(susc::token_batch{}, 2), susc::error);
  CHECK_THROWS_WITH_AS(susc::ngram_surrogate(susc::token_batch{{1, 2, 3}, 2, 2}, 2),
                       "ngram_surrogate: 3 tokens, must be 2 x 2", susc::error);
  CHECK_THROWS_WITH_AS(susc::ngram_surrogate(susc::token_batch{{1, 2, 3, -4}, 2, 2}, 2),
                       "ngram_surrogate: token -4 at sequence 1, position 1, must not be negative", susc::error);
  CHECK_THROWS_WITH_AS(susc::ngram_surrogate(markov_corpus(), 2).sample(3, 1, {1}),
                       "ngram_surrogate: sequences of 1 tokens, must have at least 2", susc::error);
}
