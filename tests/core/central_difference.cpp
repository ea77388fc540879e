#include "susc/core/central_difference.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>

#include "susc/core/random.hpp"

namespace {
constexpr double rounding = std::numeric_limits<double>::epsilon();
}

TEST_CASE("central_difference: the exact slope within its error, and the error is small") {
  auto const check = [](auto f, double exact) {
    auto const s = susc::central_difference(f, 1., rounding);
    CHECK(std::abs(s.value - exact) < s.error);
    CHECK(s.error < 1e-7);
  };
  check([](double x) { return std::sin(x + .7); }, std::cos(.7));
  check([](double x) { return std::exp(3 * x); }, 3);
  check([](double x) { return 1 / (1 + std::exp(20 * (x - .1))); },
        -20 * std::exp(-2.) / std::pow(1 + std::exp(-2.), 2));
  check([](double x) { return x * x * x * x; }, 0);
  check([](double x) { return std::sin(200 * x) / 200; }, 1);  // its first steps jump over whole waves
}

TEST_CASE("central_difference: a kink near 0 is avoided, the error of one at 0 covers both slopes") {
  for (double const kink : {.03, -.002}) {
    auto const s = susc::central_difference([&](double x) { return 2 * x + std::fmax(x - kink, 0.); }, 1., rounding);
    CHECK(std::abs(s.value - (kink < 0 ? 3 : 2)) < s.error);
    CHECK(s.error < 1e-6);
  }
  auto const s = susc::central_difference([](double x) { return 2 * x + std::fmax(x, 0.); }, 1., rounding);
  CHECK(std::abs(s.value - 2) < s.error);
  CHECK(std::abs(s.value - 3) < s.error);
  CHECK(s.error < .61);
}

TEST_CASE("central_difference: rounding errors a million times as large stay within the error, for 1000 functions") {
  susc::random::stream random({1});
  for (int i = 0; i != 1000; ++i) {
    double const noise = 1e-6, phase = 6 * random.uniform();
    // Normals of deviation `noise`: no error is beyond 8 of them within a lifetime.
    auto const f = [&](double x) { return std::sin(x + phase) + noise * random.normal(); };
    auto const s = susc::central_difference(f, 1., noise);
    CHECK(std::abs(s.value - std::cos(phase)) < s.error);
    // Least at the first steps: 3 differences of extrapolated slopes, of noise .75 σ 2^9 each, and 8 σ 2^5.
    CHECK(s.error < (3 * .75 * 512 * 8 + 8 * 32) * noise);
  }
}

TEST_CASE("central_difference: where the function is finite nowhere near, the error is infinite") {
  auto const s = susc::central_difference([](double x) { return x == 0 ? 0. : 0. / 0.; }, 1., rounding);
  CHECK(s.error == std::numeric_limits<double>::infinity());
  // Finite near 0 only: the steps beyond are not used.
  auto const near = susc::central_difference([](double x) { return std::sqrt(.01 - x) * 2; }, 1., rounding);
  CHECK(std::abs(near.value + 10) < near.error);
  CHECK(near.error < 1e-5);
}

TEST_CASE("rounding_noise: the deviation of the errors, whatever smooth function they are on") {
  // The mean square over n sets of 9: fourth differences of neighbours correlate by -.8, so a set's mean of 5 squares
  // counts as at least 2 independent ones, with a standard error of the whole of √(2 / 2n).
  susc::random::stream random({2});
  int const sets = 20'000;
  double sum = 0;
  for (int i = 0; i != sets; ++i) {
    std::array<double, susc::noise_points> values;
    for (std::size_t j = 0; j != values.size(); ++j) {
      double const x = static_cast<double>(j);
      values[j] = 5 + x - .3 * x * x + .01 * x * x * x + .5 * random.normal();
    }
    double const noise = susc::rounding_noise(values);
    sum += noise * noise / .25;
  }
  CHECK(std::abs(sum / sets - 1) < 5 / std::sqrt(sets));
}
