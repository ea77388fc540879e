#include "susc/models/head_scores.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "susc/data/repeats.hpp"
#include "susc/models/transformer.hpp"

namespace {

constexpr std::size_t segment = 5, positions = 2 * segment;

// Positions are one-hot, tokens do not matter, heads write nothing: attention is what W_Q W_K^T makes of two positions.
// Head l0h0 looks one position back, l0h1 segment - 1 back, those of layer 1 nowhere in particular.
struct by_hand {
  susc::transformer_config config{.vocabulary = 20,
                                  .context = positions,
                                  .width = 16,
                                  .layers = 2,
                                  .heads = 2,
                                  .head_width = positions,
                                  .biases = false};
  susc::basic_transformer<double> model{config};
  std::vector<double> w = std::vector<double>(model.parameter_count());

  explicit by_hand(double strength) {
    susc::transformer_layout const layout = model.layout();
    for (std::size_t t = 0; t != positions; ++t) w[layout.positions().begin + t * config.width + t] = 1;
    for (std::size_t l = 0; l != 2; ++l) {
      std::fill_n(w.begin() + static_cast<std::ptrdiff_t>(layout.attention_norm(l).begin), config.width, 1.);
      for (std::size_t h = 0; h != 2; ++h) {
        std::size_t const query = layout.head(l, h).begin, key = query + layout.head_matrix();
        std::size_t const back = h == 0 ? 1 : segment - 1;
        for (std::size_t t = 0; t != positions; ++t) {
          w[key + t * positions + t] = 1;
          if (l == 0 && t >= back) w[query + t * positions + t - back] = strength;
        }
      }
    }
  }

  std::vector<susc::head_score> scores() const {
    return susc::head_scores(model, w, susc::repeated_random_tokens(20, 0, segment, 3, {1}));
  }
};

/// Attention of a query at i of a head that looks `back`, to the key at j, from the definition.
double attention(double strength, std::size_t back, std::size_t i, std::size_t j) {
  double const width = 16, mean = 1 / width, rstd = 1 / std::sqrt(mean - mean * mean + 1e-5);
  auto const normal = [&](std::size_t t, std::size_t d) { return rstd * ((t == d ? 1 : 0) - mean); };
  auto const score = [&](std::size_t key) {
    double sum = 0;
    for (std::size_t d = back; d != positions; ++d) sum += strength * normal(i, d) * normal(key, d - back);
    return sum / std::sqrt(static_cast<double>(positions));
  };
  double total = 0;
  for (std::size_t key = 0; key <= i; ++key) total += std::exp(score(key));
  return std::exp(score(j)) / total;
}

}  // namespace

TEST_CASE("head scores: a perfect previous-token head and a perfect prefix-matching head") {
  auto const scores = by_hand(30).scores();
  REQUIRE(scores.size() == 4);
  for (std::size_t i = 0; i != 4; ++i) {
    CHECK(scores[i].layer == i / 2);
    CHECK(scores[i].head == i % 2);
  }
  CHECK(scores[0].previous_token == doctest::Approx(1).epsilon(1e-12));
  CHECK(scores[0].prefix_matching < 1e-12);
  CHECK(scores[1].prefix_matching == doctest::Approx(1).epsilon(1e-12));
  CHECK(scores[1].previous_token < .5);  // the first positions have nothing that far back
}

TEST_CASE("head scores: exact for uniform attention, and for attention that is neither uniform nor one-hot") {
  double const strength = .3;
  auto const scores = by_hand(strength).scores();
  double uniform_prefix = 0, uniform_previous = 0;
  for (std::size_t i = segment + 1; i != positions; ++i) uniform_prefix += 1. / static_cast<double>(i + 1);
  for (std::size_t i = 1; i != positions; ++i) uniform_previous += 1. / static_cast<double>(i + 1);
  for (std::size_t head : {2u, 3u}) {
    CHECK(scores[head].prefix_matching == doctest::Approx(uniform_prefix / (segment - 1)).epsilon(1e-12));
    CHECK(scores[head].previous_token == doctest::Approx(uniform_previous / (positions - 1)).epsilon(1e-12));
  }
  for (std::size_t head : {0u, 1u}) {
    std::size_t const back = head == 0 ? 1 : segment - 1;
    double prefix = 0, previous = 0;
    for (std::size_t i = segment + 1; i != positions; ++i) prefix += attention(strength, back, i, i - (segment - 1));
    for (std::size_t i = 1; i != positions; ++i) previous += attention(strength, back, i, i - 1);
    CHECK(scores[head].prefix_matching == doctest::Approx(prefix / (segment - 1)).epsilon(1e-12));
    CHECK(scores[head].previous_token == doctest::Approx(previous / (positions - 1)).epsilon(1e-12));
  }
}

TEST_CASE("head scores: sequences that are no first token and two segments are refused") {
  by_hand const hand(1);
  for (std::size_t const length : {3u, 4u, 6u}) {
    susc::token_batch const batch{std::vector<susc::token>(length), 1, length};
    CHECK_THROWS_AS(susc::head_scores(hand.model, hand.w, batch), susc::error);
  }
  CHECK_THROWS_WITH_AS(susc::head_scores(hand.model, hand.w, {std::vector<susc::token>(6), 1, 6}),
                       "head scores need sequences of 1 + 2 n tokens, n >= 2, not 6", susc::error);
}
