#include "susc/data/label_noise.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "susc/models/mlp.hpp"

namespace {
using model_type = susc::mlp<double>;
}

TEST_CASE("label noise: every example with every label, and what each gains") {
  auto const noisy = susc::label_noise(model_type::batch{{1, 2, 3, 4}, {2, 0}}, 3, .3);
  CHECK(noisy.batch.inputs == std::vector<double>{1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4});
  CHECK(noisy.batch.labels == std::vector<std::size_t>{0, 1, 2, 0, 1, 2});
  std::vector<double> const expected{.075, .075, -.15, -.15, .075, .075};
  REQUIRE(noisy.weights.size() == 6);
  for (std::size_t j = 0; j != 6; ++j) CHECK(noisy.weights[j] == doctest::Approx(expected[j]).epsilon(1e-15));
}

TEST_CASE("label noise: its losses are those of the noise, for any weights of the network") {
  model_type const model({2, 3, 4});
  model_type::batch const clean{{1, -2, .5, .3, -1, 0}, {3, 1, 0}};
  double const rate = .25;
  auto const noisy = susc::label_noise(clean, 4, rate);
  for (std::uint64_t seed : {1, 2, 3}) {
    auto const w = model.initial_weights({seed});
    std::vector<double> losses(12), own(3);
    model.losses(w, noisy.batch, losses);
    model.losses(w, clean, own);
    double shift = 0, expected = 0;
    for (std::size_t j = 0; j != 12; ++j) shift += noisy.weights[j] * losses[j];
    // By the logits: -log p(y') is log Σ e^z - z_y', so the shift is rate times the label's logit less the others'
    // mean.
    for (std::size_t i = 0; i != 3; ++i) {
      std::vector<double> z(4);
      model.logits(w, clean, i, z);
      double const right = z[clean.labels[i]], sum = z[0] + z[1] + z[2] + z[3];
      expected += rate * (right - (sum - right) / 3) / 3;
    }
    CHECK(shift == doctest::Approx(expected).epsilon(1e-12));
    CHECK(std::abs(expected) > 1e-3);
  }
}

TEST_CASE("label noise: what is refused") {
  model_type::batch const clean{{1, 2}, {0, 1}};
  CHECK_THROWS_WITH_AS(susc::label_noise(clean, 2, 1.1), "label_noise: rate is 1.1, must be in [0, 1]", susc::error);
  CHECK_THROWS_AS(susc::label_noise(clean, 2, -.1), susc::error);
  CHECK_THROWS_AS(susc::label_noise(clean, 2, std::nan("")), susc::error);
  CHECK_THROWS_WITH_AS(susc::label_noise(clean, 1, .1), "label_noise: 1 classes, must be at least 2", susc::error);
  CHECK_THROWS_WITH_AS(susc::label_noise(model_type::batch{{1, 2}, {0, 2}}, 2, .1),
                       "label_noise: label 2 of example 1, must be below the 2 classes", susc::error);
}
