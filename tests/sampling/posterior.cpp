#include "susc/sampling/posterior.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

#include "oracle.hpp"
#include "susc/core/random.hpp"
#include "susc/sampling/sgld.hpp"

TEST_CASE("posterior: the slope is the derivative of -log p") {
  // -log p along one coordinate of a loss with slope g at w: nβ g w + γ/2 (w - w*)² + λ/2 w², differentiated at w.
  susc::posterior_settings const settings{.n_beta = 7, .localization = 3, .weight_decay = .5};
  std::vector<double> const center{.25, -2};
  susc::posterior<double> const target{settings, center};
  for (std::size_t i : {0, 1})
    for (double const w : {-1.5, .25, 4.})
      for (double const g : {-2., 0., .75}) {
        auto const energy = [&](double x) { return 7 * g * x + 1.5 * (x - center[i]) * (x - center[i]) + .25 * x * x; };
        double const h = .0625;  // exact for a quadratic but for rounding
        CHECK(std::abs(target.slope(i, w, g) - (energy(w + h) - energy(w - h)) / (2 * h)) < 1e-12);
      }
  CHECK(target.slope(0, .25, 0.) == .125);  // at the centre only weight decay pulls, towards 0
  CHECK(target.slope(1, -2., 0.) == -1);
}

TEST_CASE("posterior: float computes the same slope") {
  std::vector<float> const center{.25f};
  susc::posterior<float> const target{{.n_beta = 7, .localization = 3, .weight_decay = .5}, center};
  CHECK(target.slope(0, 4.f, .75f) == 7 * .75f + 3 * 3.75f + .5f * 4);
}

TEST_CASE("posterior: settings that no posterior can have are refused by name") {
  double const nan = std::numeric_limits<double>::quiet_NaN();
  auto const refused = [](susc::posterior_settings const& p, char const* message) {
    CHECK_THROWS_WITH_AS(susc::check(p), message, susc::error);
  };
  CHECK_NOTHROW(susc::check(susc::posterior_settings{}));
  CHECK_NOTHROW(susc::check({.n_beta = 1e-9, .localization = 0, .weight_decay = 0}));
  refused({.n_beta = 0}, "n_beta is 0, must be positive");
  refused({.n_beta = -3}, "n_beta is -3, must be positive");
  refused({.n_beta = nan}, "n_beta is nan, must be positive");
  refused({.localization = -1}, "localization is -1, must not be negative");
  refused({.localization = nan}, "localization is nan, must not be negative");
  refused({.localization = std::numeric_limits<double>::infinity()},
          "n_beta is 30, localization inf, weight_decay 0: all must be finite");
  refused({.weight_decay = -.5}, "weight_decay is -0.5, must not be negative");
  refused({.weight_decay = nan}, "weight_decay is nan, must not be negative");
  refused({.bounding_box = 0}, "bounding_box is 0, must be positive");
  refused({.bounding_box = -1}, "bounding_box is -1, must be positive");
  refused({.bounding_box = nan}, "bounding_box is nan, must be positive");
  CHECK_NOTHROW(susc::check({.bounding_box = 1e-9}));
  CHECK_NOTHROW(susc::check({.bounding_box = std::numeric_limits<double>::infinity()}));
}

TEST_CASE("posterior: defaults are the customary ones") {
  CHECK(susc::posterior_settings{} == susc::posterior_settings{.n_beta = 30, .localization = 300, .weight_decay = 0});
}

TEST_CASE("posterior: the energy is that of the definition, and infinite outside the bounding box") {
  susc::posterior_settings settings{.n_beta = 7, .localization = 3, .weight_decay = .5, .bounding_box = 2};
  std::vector<double> const center{.25, -2}, w{1.25, -4}, outside{1.25, -4.0625};
  susc::posterior<double> const target{settings, center};
  // 7 · 1.5 + 3/2 (1 + 4) + 1/4 (1.5625 + 16), the second weight just on the wall.
  CHECK(target.energy(w, 1.5) == 22.390625);
  CHECK(target.energy(outside, 1.5) == std::numeric_limits<double>::infinity());
  settings.bounding_box = std::numeric_limits<double>::infinity();
  CHECK(susc::posterior<double>{settings, center}.energy(outside, 1.5) < 100);
  // Its differences are integrals of the slope: exactly h times the middle one, for a quadratic.
  std::vector<double> const moved{1.75, -4};
  double const slope = 1;  // of the loss
  CHECK(target.energy(moved, 1.5 + .5 * slope) - target.energy(w, 1.5) ==
        doctest::Approx(.5 * target.slope(0, 1.5, slope)).epsilon(1e-14));
  std::vector<float> const float_center{.25f}, float_w{1.25f};
  CHECK(susc::posterior<float>{settings, float_center}.energy(float_w, 2.f) == 14 + 1.5 + .390625);
}

TEST_CASE("posterior: walls reflect weights into the box, and turn the momentum an odd or an even number of times") {
  auto const check = [](auto zero) {
    using T = decltype(zero);
    T const infinity = std::numeric_limits<T>::infinity();
    struct crossing {
      double from, to, momentum;  ///< of 1 at first
    };
    // Center 1, half-width 2: the box is from -1 to 3.
    for (crossing const c : {crossing{1, 1, 1},
                             {2.5, 2.5, 1},
                             {3, 3, 1},
                             {-1, -1, 1},  // inside and on the walls
                             {3.5, 2.5, -1},
                             {-2, 0, -1},
                             {5, 1, -1},
                             {6.5, -.5, -1},  // one wall
                             {8, 0, 1},
                             {-6, 2, 1},
                             {9, 1, 1},  // two
                             {12.5, 1.5, -1},
                             {-10.5, .5, -1},  // three
                             {1 + 16 * 4, 1, 1},
                             {1.5 + 15 * 4, .5, -1}}) {  // many
      CAPTURE(c.from);
      std::vector<T> const center{T(0), T(1)};
      std::vector<T> w{T(.5), static_cast<T>(c.from)}, momentum{T(5), T(1)};
      susc::posterior<T> const target{{.bounding_box = 2}, center};
      target.reflect(w, momentum);
      CHECK(w == std::vector<T>{T(.5), static_cast<T>(c.to)});
      CHECK(momentum == std::vector<T>{T(5), static_cast<T>(c.momentum)});
      std::vector<T> alone{T(.5), static_cast<T>(c.from)};
      target.reflect(alone);
      CHECK(alone == w);
      // No walls, no reflection.
      std::vector<T> free{T(.5), static_cast<T>(c.from)};
      susc::posterior<T>{{}, center}.reflect(free, momentum);
      CHECK(free == std::vector<T>{T(.5), static_cast<T>(c.from)});
      CHECK(momentum[1] == static_cast<T>(c.momentum));
    }
    // A chain that has diverged stays so, for its loss to tell.
    for (double const box : {2., std::numeric_limits<double>::infinity()}) {
      std::vector<T> const center{T(0), T(1)};
      std::vector<T> w{std::numeric_limits<T>::quiet_NaN(), infinity}, momentum{T(1), T(1)};
      susc::posterior<T>{{.bounding_box = box}, center}.reflect(w, momentum);
      CHECK(std::isnan(w[0]));
      CHECK(!std::isfinite(w[1]));
    }
  };
  check(0.);
  check(0.f);
}

TEST_CASE("posterior: reflecting is folding a line with a mirror at every wall, wherever the weight got to") {
  std::vector<double> const center{-.375};
  susc::posterior<double> const target{{.bounding_box = .75}, center};
  susc::random::stream stream({3});
  for (int k = 0; k != 2000; ++k) {
    double const from = 40 * stream.uniform() - 20;
    std::vector<double> w{from}, momentum{1};
    target.reflect(w, momentum);
    double by_hand = from, turned = 1;
    while (std::abs(by_hand - center[0]) > .75) {
      by_hand = 2 * (center[0] + std::copysign(.75, by_hand - center[0])) - by_hand;
      turned = -turned;
    }
    CHECK(w[0] == doctest::Approx(by_hand).epsilon(1e-12));
    CHECK(momentum[0] == turned);
  }
}

TEST_CASE("posterior: SGLD in a bounding box has the stationary law of its folded steps [oracle]") {
  // x' = fold(ρ x - drift + √ε ξ) on [-1, 1], x = w - w*. Its stationary density and autocovariances on a grid
  // (Simpson's rule) are exact to 1e-8; the box cuts off much of the posterior, whose mean would be -0.8, standard
  // deviation 0.9.
  double const eps = .2, m = 1.5, rho = 1 - eps * m / 2, drift = eps / 2 * 1.2, half = 1;
  constexpr std::size_t nodes = 241;
  std::vector<double> x(nodes), weight(nodes), kernel(nodes * nodes);  // (from, to), the weight of `to` included
  for (std::size_t i = 0; i != nodes; ++i) {
    x[i] = half * (2 * static_cast<double>(i) / (nodes - 1) - 1);
    weight[i] = (i == 0 || i == nodes - 1 ? 1 : i % 2 == 1 ? 4 : 2) * 2 * half / (3 * (nodes - 1));
  }
  for (std::size_t i = 0; i != nodes; ++i)
    for (std::size_t j = 0; j != nodes; ++j) {
      double density = 0;
      for (int image = -2; image <= 2; ++image)
        for (double const y : {x[j] + 4 * half * image, 2 * half - x[j] + 4 * half * image})
          density += std::exp(-std::pow(y - rho * x[i] + drift, 2) / (2 * eps));
      kernel[i * nodes + j] = weight[j] * density / std::sqrt(2 * std::numbers::pi * eps);
    }
  std::vector<double> law(nodes, 1. / nodes), next(nodes);  // probabilities of the nodes
  for (int t = 0; t != 200; ++t) {
    std::fill(next.begin(), next.end(), 0.);
    for (std::size_t i = 0; i != nodes; ++i)
      for (std::size_t j = 0; j != nodes; ++j) next[j] += law[i] * kernel[i * nodes + j];
    std::swap(law, next);
  }
  double total = 0, mean = 0;
  for (std::size_t i = 0; i != nodes; ++i) {
    total += law[i];
    mean += law[i] * x[i];
  }
  CHECK(total == doctest::Approx(1).epsilon(1e-8));  // the kernel loses nothing

  std::size_t const n = 1'000'000;
  std::vector<double> const center{.5};
  susc::posterior<double> const target{{.n_beta = 2, .localization = .5, .bounding_box = half}, center};
  susc::sgld const sampler{.step_size = eps};
  auto s = sampler.init(std::span<double const>(center));
  double second = 0, fourth = 0;
  for (std::size_t t = 0; t != 100 + n; ++t) {
    double const gradient[]{.5 * (s.w[0] - .5) + .6};  // nβ c + γ = 1.5
    s = sampler.step(std::move(s), std::span<double const>(gradient), target, {21});
    double const square = std::pow(s.w[0] - .5 - mean, 2);
    if (t < 100) continue;
    second += square / static_cast<double>(n);
    fourth += square * square / static_cast<double>(n);
  }
  auto const compare = [&](int power, double measured, char const* name) {
    std::vector<double> f(nodes), later(nodes);
    double exact = 0;
    for (std::size_t i = 0; i != nodes; ++i) exact += law[i] * (f[i] = std::pow(x[i] - mean, power));
    for (double& value : f) value -= exact;
    // The variance of a time average is the sum of the autocovariances E[f(x_0) f(x_k)].
    double sum = 0;
    auto expected = f;
    for (int k = 0; k != 200; ++k) {
      for (std::size_t i = 0; i != nodes; ++i) sum += (k == 0 ? 1 : 2) * law[i] * f[i] * expected[i];
      for (std::size_t i = 0; i != nodes; ++i) {
        later[i] = 0;
        for (std::size_t j = 0; j != nodes; ++j) later[i] += kernel[i * nodes + j] * expected[j];
      }
      std::swap(expected, later);
    }
    oracle::check(name, measured, std::sqrt(sum / static_cast<double>(n)), exact, .005);
  };
  compare(2, second, "variance in a bounding box, SGLD");
  compare(4, fourth, "fourth moment in a bounding box, SGLD");
}
