#include "susc/training/log_spaced.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

using steps = std::vector<std::size_t>;

TEST_CASE("log_spaced: powers are met exactly, up to the largest") {
  CHECK(susc::log_spaced(1, 1000, 4) == steps{1, 10, 100, 1000});
  CHECK(susc::log_spaced(3, 3 * 1024, 11) == steps{3, 6, 12, 24, 48, 96, 192, 384, 768, 1536, 3072});
  CHECK(susc::log_spaced(1, 1'000'000'000'000, 5) == steps{1, 1000, 1'000'000, 1'000'000'000, 1'000'000'000'000});
}

TEST_CASE("log_spaced: where steps are dense each is there once, where not they are within rounding of a multiple") {
  steps ten(10);
  std::iota(ten.begin(), ten.end(), 1);
  CHECK(susc::log_spaced(1, 10, 200) == ten);
  steps const many = susc::log_spaced(1, 2000, 40);
  CHECK(many.front() == 1);
  CHECK(many.back() == 2000);
  CHECK(many.size() < 40);
  double const ratio = std::pow(2000., 1 / 39.);
  for (std::size_t i = 1; i != many.size(); ++i) {
    CHECK(many[i] > many[i - 1]);
    double const power = std::log(static_cast<double>(many[i])) / std::log(ratio);
    double const nearest = std::pow(ratio, std::round(power));
    CHECK(std::abs(static_cast<double>(many[i]) - nearest) <= .5 * (1 + 1e-9));
  }
}

TEST_CASE("log_spaced: its ends, and what is refused") {
  CHECK(susc::log_spaced(7, 7, 5) == steps{7});
  CHECK(susc::log_spaced(7, 8, 2) == steps{7, 8});
  CHECK(susc::log_spaced(1, 2000, 2) == steps{1, 2000});
  CHECK_THROWS_WITH_AS(susc::log_spaced(0, 9, 3), "log_spaced from 0 to 9: wanted 1 <= first <= last", susc::error);
  CHECK_THROWS_WITH_AS(susc::log_spaced(9, 8, 3), "log_spaced from 9 to 8: wanted 1 <= first <= last", susc::error);
  CHECK_THROWS_WITH_AS(susc::log_spaced(1, 8, 1), "log_spaced: count is 1, must be at least 2 for both ends",
                       susc::error);
}

TEST_CASE("checkpoint_steps: from the weights before the first step to the last, as many as asked for") {
  CHECK(susc::checkpoint_steps(1000, 5) == steps{0, 1, 10, 100, 1000});
  CHECK(susc::checkpoint_steps(5000, 2) == steps{0, 5000});
  CHECK(susc::checkpoint_steps(5000, 3) == steps{0, 1, 5000});
  CHECK(susc::checkpoint_steps(1, 2) == steps{0, 1});
  CHECK(susc::checkpoint_steps(3, 4) == steps{0, 1, 2, 3});
  CHECK(susc::checkpoint_steps(3, 20) == steps{0, 1, 2, 3});
  for (std::size_t const last : {1u, 2u, 7u, 30u, 150u, 2000u, 5000u, 1'000'000u})
    for (std::size_t count = 2; count != 60; ++count) {
      CAPTURE(last);
      CAPTURE(count);
      steps const found = susc::checkpoint_steps(last, count);
      CHECK(found.size() == std::min(count, last + 1));
      CHECK(found.front() == 0);
      CHECK(found.back() == last);
      CHECK(std::adjacent_find(found.begin(), found.end(), std::greater_equal<>()) == found.end());
    }
}

TEST_CASE("checkpoint_steps: every step early on, then the same multiple but for rounding") {
  steps const found = susc::checkpoint_steps(5000, 24);
  CHECK(steps(found.begin(), found.begin() + 4) == steps{0, 1, 2, 3});
  for (std::size_t i = 4; i + 1 != found.size(); ++i) {
    double const here = static_cast<double>(found[i]), next = static_cast<double>(found[i + 1]);
    // That of the steps that are left, counted from here.
    double const ratio = std::pow(5000 / here, 1. / static_cast<double>(found.size() - 1 - i));
    CHECK(std::abs(next - here * ratio) <= .5 * (1 + 1e-9));
  }
  CHECK_THROWS_WITH_AS(susc::checkpoint_steps(0, 4), "checkpoint_steps: the last step is 0, must be at least 1",
                       susc::error);
  CHECK_THROWS_WITH_AS(susc::checkpoint_steps(9, 1),
                       "checkpoint_steps: count is 1, must be at least 2: the first step and the last", susc::error);
}
