#include "susc/data/ngram.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "susc/core/random.hpp"
#include "susc/data/synthetic_language.hpp"

static_assert(susc::NgramModel<susc::unigram_model>);
static_assert(susc::NgramModel<susc::bigram_model>);
struct coin {
  std::size_t vocabulary() const { return 2; }
  double probability(susc::token, susc::token) const { return .5; }
};
static_assert(susc::NgramModel<coin>);
struct float_coin : coin {
  float probability(susc::token, susc::token) const { return .5; }
};
struct signed_coin : coin {
  int vocabulary() const { return 2; }
};
struct forgetful_coin : coin {
  double probability(susc::token) const { return .5; }
};
static_assert(!susc::NgramModel<float_coin> && !susc::NgramModel<signed_coin> && !susc::NgramModel<forgetful_coin>);
static_assert(!susc::NgramModel<susc::synthetic_language>);
static_assert(!susc::NgramModel<susc::token_batch>);
static_assert(!susc::NgramModel<int>);

namespace {
constexpr std::size_t vocabulary = 12;
/// Tokens of a few ids only, so that some are never seen.
susc::token_batch sample(std::uint64_t seed) {
  susc::token_batch batch{{}, 20, 9};
  susc::random::stream stream({seed});
  for (std::size_t i = 0; i != 20; ++i) {
    batch.tokens.push_back(0);
    for (int t = 0; t != 8; ++t) batch.tokens.push_back(1 + static_cast<susc::token>(stream.below(7)));
  }
  return batch;
}
}  // namespace

TEST_CASE("ngram: probabilities are positive and sum to one after every token, seen or not") {
  susc::unigram_model const unigram(sample(1), vocabulary, .5);
  susc::bigram_model const bigram(sample(1), vocabulary, .5);
  for (susc::token previous = 0; previous != vocabulary; ++previous) {
    double of_unigram = 0, of_bigram = 0;
    for (susc::token next = 0; next != vocabulary; ++next) {
      CHECK(unigram.probability(previous, next) > 0);
      CHECK(bigram.probability(previous, next) > 0);
      of_unigram += unigram.probability(previous, next);
      of_bigram += bigram.probability(previous, next);
    }
    CHECK(of_unigram == doctest::Approx(1).epsilon(1e-14));
    CHECK(of_bigram == doctest::Approx(1).epsilon(1e-14));
  }
}

TEST_CASE("ngram: the formulas, by hand") {
  // Predicted: 1 2 1 2 (after 0 1 2 1), and 1 1 1 1 (after 0 1 1 1); N = 8, c(1) = 6, c(2) = 2, alpha = 1, V = 4.
  susc::token_batch const batch{{0, 1, 2, 1, 2, 0, 1, 1, 1, 1}, 2, 5};
  susc::unigram_model const unigram(batch, 4);
  CHECK(unigram.probability(3, 1) == doctest::Approx(7. / 12));
  CHECK(unigram.probability(3, 3) == doctest::Approx(1. / 12));
  susc::bigram_model const bigram(batch, 4);
  // After 1: 2 twice, 1 three times; total 5, 2 different.
  CHECK(bigram.probability(1, 2) == doctest::Approx((2 + 2 * 3. / 12) / 7));
  CHECK(bigram.probability(1, 1) == doctest::Approx((3 + 2 * 7. / 12) / 7));
  CHECK(bigram.probability(1, 3) == doctest::Approx((0 + 2 * 1. / 12) / 7));
  CHECK(bigram.probability(3, 1) == doctest::Approx(7. / 12));  // 3 never seen: the unigram
  susc::token_batch const one{{1, 2, 3}, 1, 3};
  CHECK(susc::mean_loss(bigram, one) ==
        doctest::Approx(-(std::log((2 + 2 * 3. / 12) / 7) + std::log((0 + 1. / 12) / 2)) / 2));
}

TEST_CASE("ngram: the loss of a known source is its entropy") {
  // Independent tokens of probabilities p. Losses are independent, so the standard error is their deviation / sqrt(n);
  // the model's own error costs about (V - 1) / (2 n), a tenth of that here, and is added to the tolerance.
  std::vector<double> const p{.5, .3, .15, .05};
  constexpr std::size_t n = 200'000;
  auto const draw = [&](std::uint64_t seed) {
    susc::token_batch batch{{}, n, 2};
    susc::random::stream stream({seed});
    for (std::size_t i = 0; i != n; ++i) {
      double const u = stream.uniform();
      batch.tokens.push_back(0);
      batch.tokens.push_back(u < .5 ? 0 : u < .8 ? 1 : u < .95 ? 2 : 3);
    }
    return batch;
  };
  double entropy = 0, square = 0;
  for (double const each : p) {
    entropy -= each * std::log(each);
    square += each * std::log(each) * std::log(each);
  }
  double const standard_error = std::sqrt((square - entropy * entropy) / n), bias = 3. / (2 * n);
  susc::token_batch const training = draw(1), held_out = draw(2);
  CHECK(std::abs(susc::mean_loss(susc::unigram_model(training, 4), held_out) - entropy) < 5 * standard_error + bias);
  CHECK(std::abs(susc::mean_loss(susc::bigram_model(training, 4), held_out) - entropy) < 5 * standard_error + 2 * bias);
}

TEST_CASE("ngram: on the bigram language the bigram loss is near the entropy of a choice, the unigram far above") {
  auto const language = susc::make_synthetic_language({1});
  auto const domain = susc::synthetic_domain::bigram;
  auto const training = susc::generate_sequences(language, domain, 4000, 64, {2});
  auto const held_out = susc::generate_sequences(language, domain, 1000, 64, {3});
  double entropy = 0, square = 0;
  for (double const each : language.successor_probabilities) {
    entropy -= each * std::log(each);
    square += each * std::log(each) * std::log(each);
  }
  // 62 choices and a first word among 111, at log(111), in each sequence; only the choices vary. The excess:
  // Witten-Bell keeps d / (c + d) of each word's mass for unseen pairs, at 4 / (252000 / 111) about .0018, and (d - 1)
  // / (2 c) of estimation: .003 in all.
  double const exact = (62 * entropy + std::log(111.)) / 63;
  double const standard_error = std::sqrt((square - entropy * entropy) / (1000. * 62));
  double const loss = susc::mean_loss(susc::bigram_model(training, language.vocabulary), held_out);
  CHECK(loss > exact - 5 * standard_error);
  CHECK(loss < exact + .02 + 5 * standard_error);
  CHECK(susc::mean_loss(susc::unigram_model(training, language.vocabulary), held_out) > exact + 2);
}
