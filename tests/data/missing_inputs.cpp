#include "susc/data/missing_inputs.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "susc/models/mlp.hpp"

namespace {
using model_type = susc::mlp<double>;
using batch = model_type::batch;
}  // namespace

TEST_CASE("missing inputs: every mask, and what each gains") {
  auto const holed = susc::missing_inputs(batch{{1, 2, 3, 4}, {1, 0}}, .25);
  CHECK(holed.batch.inputs == std::vector<double>{1, 2, 0, 2, 1, 0, 0, 0, 3, 4, 0, 4, 3, 0, 0, 0});
  CHECK(holed.batch.labels == std::vector<std::size_t>{1, 1, 1, 1, 0, 0, 0, 0});
  std::vector<double> const one{9. / 16 - 1, 3. / 16, 3. / 16, 1. / 16};
  for (std::size_t j = 0; j != 8; ++j) CHECK(holed.weights[j] == doctest::Approx(one[j % 4] / 2).epsilon(1e-14));
}

TEST_CASE("missing inputs: never and always") {
  batch const whole{{1, 2, 3}, {0}};
  for (double const weight : susc::missing_inputs(whole, 0).weights) CHECK(weight == 0);
  auto const always = susc::missing_inputs(whole, 1);
  CHECK(always.weights.front() == -1);
  CHECK(always.weights.back() == 1);
  for (std::size_t mask = 1; mask != 7; ++mask) CHECK(always.weights[mask] == 0);
  auto const drawn = susc::missing_inputs(whole, 1, 2, {1});
  CHECK(drawn.batch.inputs == std::vector<double>{1, 2, 3, 0, 0, 0, 0, 0, 0});
  CHECK(drawn.weights == std::vector<double>{-1, .5, .5});
}

TEST_CASE("missing inputs: drawn masks lose each input with the probability, independently, by the key alone") {
  constexpr std::size_t masks = 100'000;
  double const probability = .3;
  batch const whole{{1, 1, 1, 1}, {0, 1}};
  auto const drawn = susc::missing_inputs(whole, probability, masks, {5});
  REQUIRE(drawn.batch.labels.size() == 2 * (masks + 1));
  CHECK(drawn.batch.inputs == susc::missing_inputs(whole, probability, masks, {5}).batch.inputs);
  CHECK(drawn.batch.inputs != susc::missing_inputs(whole, probability, masks, {6}).batch.inputs);
  CHECK(std::abs(std::accumulate(drawn.weights.begin(), drawn.weights.end(), 0.)) < 1e-9);
  for (std::size_t example : {0, 1}) {
    // Each of the four masks of two inputs: binomial counts, five standard errors.
    double counts[2][2]{};
    bool own_label = true;
    for (std::size_t m = 1; m <= masks; ++m) {
      std::size_t const row = 2 * (example * (masks + 1) + m);
      ++counts[drawn.batch.inputs[row] == 0][drawn.batch.inputs[row + 1] == 0];
      own_label = own_label && drawn.batch.labels[row / 2] == example;
    }
    CHECK(own_label);
    for (bool const first : {false, true})
      for (bool const second : {false, true}) {
        double const p = (first ? probability : 1 - probability) * (second ? probability : 1 - probability);
        CHECK(std::abs(counts[first][second] - p * masks) < 5 * std::sqrt(p * (1 - p) * masks));
      }
  }
}

TEST_CASE("missing inputs: drawn masks have the exact expectation as their mean") {
  model_type const model({3, 4, 2});
  batch const whole{{1, -2, .5, .3, -1, 2}, {0, 1}};
  auto const w = model.initial_weights({4});
  auto const shift = [&](auto const& holed) {
    std::vector<double> losses(holed.weights.size());
    model.losses(w, holed.batch, losses);
    return std::inner_product(losses.begin(), losses.end(), holed.weights.begin(), 0.);
  };
  double const exact = shift(susc::missing_inputs(whole, .4));
  // Repetitions of few masks: the standard error from their own spread.
  constexpr int n = 4000;
  double sum = 0, square = 0;
  for (std::uint64_t key = 0; key != n; ++key) {
    double const each = shift(susc::missing_inputs(whole, .4, 8, {key}));
    sum += each;
    square += each * each;
  }
  double const mean = sum / n, error = std::sqrt((square / n - mean * mean) / n);
  CHECK(std::abs(mean - exact) < 5 * error);
  CHECK(error < .01 * std::abs(exact));
}

TEST_CASE("missing inputs: what is refused") {
  batch const whole{{1, 2}, {0, 1}};
  CHECK_THROWS_WITH_AS(susc::missing_inputs(whole, -.5), "missing_inputs: probability is -0.5, must be in [0, 1]",
                       susc::error);
  CHECK_THROWS_AS(susc::missing_inputs(whole, 1.5, 3, {1}), susc::error);
  CHECK_THROWS_WITH_AS(susc::missing_inputs(whole, .5, 0, {1}), "missing_inputs: 0 masks, must be at least 1",
                       susc::error);
  CHECK_THROWS_WITH_AS(
      susc::missing_inputs(batch{std::vector<double>(13), {0}}, .5),
      "missing_inputs: 13 inputs make 2^13 masks, at most 2^12 are listed; give a number of masks and a "
      "key",
      susc::error);
  CHECK_THROWS_AS(susc::missing_inputs(batch{}, .5, 3, {1}), susc::error);
  CHECK_THROWS_AS(susc::missing_inputs(batch{}, .5), susc::error);
}
