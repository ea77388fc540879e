#include "susc/sampling/sgld.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "gaussian_law.hpp"

namespace {

struct sgld_law : gaussian_law::subject {
  susc::sgld sampler;
  explicit sgld_law(susc::sgld const& s) : sampler(s) {}
  gaussian_law::recursion mode(double m, susc::posterior_settings const&) const {
    double const eps = sampler.step_size;
    return {{{{1 - eps * m / 2}}}, {std::sqrt(eps) * sampler.noise}, {-eps / 2}};
  }
};

}  // namespace

// ε m_max = 1.8 to 3.2 below, where discretisation makes variances 1.8 to 5 times those of the posterior.

TEST_CASE("sgld: stationary covariance, mean and autocorrelation at finite step size") {
  gaussian_law::check(sgld_law({.step_size = .3}), {1, 1, 2, {.n_beta = 3, .localization = 1}}, 100);
  gaussian_law::check(sgld_law({.step_size = .4}), {3, 10, 2, {.n_beta = 3, .localization = 1}}, 200);
  gaussian_law::check(sgld_law({.step_size = .25}), {3, 1000, 5, {.n_beta = 2, .localization = 0}, 0, 300'000}, 300);
  gaussian_law::check(sgld_law({.step_size = .1}), {10, 1000, 1, {.n_beta = 30, .localization = 2}}, 400);
  gaussian_law::check(sgld_law({.step_size = .5}), {5, 1, 1, {.n_beta = 3, .localization = 1}}, 500);
}

TEST_CASE("sgld: the stationary law in 50 dimensions is exact at finite step size [oracle]") {
  gaussian_law::check(sgld_law({.step_size = .06}), {50, 1000, 1, {.n_beta = 30, .localization = .5}, 0, 40'000}, 600,
                      "SGLD, eps m = 1.8");
}

TEST_CASE("sgld: weight decay pulls towards zero and shifts the mean exactly") {
  gaussian_law::check(sgld_law({.step_size = .3}), {3, 10, 1, {.n_beta = 3, .localization = 1, .weight_decay = 2}},
                      1000);
  gaussian_law::check(sgld_law({.step_size = .4}), {10, 100, 1, {.n_beta = 3, .localization = 1, .weight_decay = .5}},
                      1100);
}

TEST_CASE("sgld: noise other than 1 scales the covariance by its square") {
  gaussian_law::check(sgld_law({.step_size = .3, .noise = .25}), {3, 10, 1, {.n_beta = 3, .localization = 1}}, 1200);
  gaussian_law::check(sgld_law({.step_size = .3, .noise = 3}), {3, 10, 1, {.n_beta = 3, .localization = 1}}, 1300);
}

TEST_CASE("sgld: minibatch noise of known covariance adds what the Lyapunov equation says") {
  gaussian_law::check(sgld_law({.step_size = .3}), {1, 1, 1, {.n_beta = 3, .localization = 1}, 1}, 1400);
  gaussian_law::check(sgld_law({.step_size = .3}), {3, 10, 1, {.n_beta = 3, .localization = 1}, 1}, 1500);
  gaussian_law::check(sgld_law({.step_size = .4}), {10, 100, 1, {.n_beta = 3, .localization = 1}, .7}, 1600);
  gaussian_law::check(sgld_law({.step_size = .06}), {50, 1000, 1, {.n_beta = 30, .localization = .5}, .2, 40'000},
                      1700);
}

TEST_CASE("sgld: the stationary variance is 1 / (m (1 - ε m/4)), and exists iff ε m < 4") {
  for (double const eps_m : {.001, .5, 2., 3.2, 3.99}) {
    double const eps = .1, m = eps_m / eps;
    auto const r = sgld_law({.step_size = eps, .noise = 1.5}).mode(m, {});
    CHECK(gaussian_law::stable(r));
    CHECK(gaussian_law::stationary(r)[0][0] == doctest::Approx(2.25 / (m * (1 - eps_m / 4))).epsilon(1e-10));
  }
  CHECK(!gaussian_law::stable(sgld_law({.step_size = .1}).mode(40.01, {})));
  // The chain itself, on a flat loss: from 1, deviations shrink or grow as the mode says.
  for (bool const beyond : {false, true}) {
    CAPTURE(beyond);
    susc::posterior_settings const settings{.n_beta = 1, .localization = beyond ? 40.4 : 39.6};
    std::vector<double> const center{0}, start{1};
    susc::posterior<double> const target{settings, center};
    susc::sgld const sampler{.step_size = .1, .noise = 0};
    auto s = sampler.init(std::span<double const>(start));
    for (int t = 0; t != 1000; ++t) s = sampler.step(std::move(s), std::span<double const>(center), target, {1});
    CHECK((std::abs(s.w[0]) > 1) == beyond);
    CHECK_THROWS_AS(sampler.check({.localization = 40.4}), susc::error);
    CHECK_NOTHROW(sampler.check({.localization = 39.6}));
  }
}

TEST_CASE("sgld: averaged over keys, a step is a gradient step") {
  susc::posterior_settings const settings{.n_beta = 3, .localization = 1, .weight_decay = .5};
  std::vector<double> const center{.5, -1}, start{1, 2}, gradient{.7, -.2};
  susc::posterior<double> const target{settings, center};
  susc::sgld const sampler{.step_size = .01, .noise = 2};
  std::size_t const keys = 200'000;
  double mean[2]{}, square[2]{};
  for (std::uint64_t k = 0; k != keys; ++k) {
    auto const s = sampler.step(sampler.init(std::span<double const>(start)), std::span<double const>(gradient), target,
                                susc::random::fold_in({3}, k));
    for (std::size_t i : {0, 1}) {
      double const move = s.w[i] - start[i];
      mean[i] += move / static_cast<double>(keys);
      square[i] += move * move / static_cast<double>(keys);
    }
  }
  double const variance = .01 * 4;
  for (std::size_t i : {0, 1}) {
    double const expected = -.005 * (3 * gradient[i] + (start[i] - center[i]) + .5 * start[i]);
    CHECK(std::abs(mean[i] - expected) < 5 * std::sqrt(variance / static_cast<double>(keys)));
    CHECK(std::abs(square[i] - expected * expected - variance) <
          5 * variance * std::sqrt(2 / static_cast<double>(keys)) + 1e-4 * variance);
    CHECK(5 * std::sqrt(variance / static_cast<double>(keys)) < .15 * std::abs(expected));
  }
  // Without noise the step is the gradient step itself.
  auto const still = susc::sgld{.step_size = .01, .noise = 0}.step(sampler.init(std::span<double const>(start)),
                                                                   std::span<double const>(gradient), target, {1});
  for (std::size_t i : {0, 1})
    CHECK(still.w[i] ==
          doctest::Approx(start[i] - .005 * (3 * gradient[i] + (start[i] - center[i]) + .5 * start[i])).epsilon(1e-14));
}

TEST_CASE("sgld: a chain resumed from a copy of its state has the same bits") {
  std::vector<float> const center(100, .5f);
  susc::posterior<float> const target{{.n_beta = 3, .localization = 1}, center};
  susc::sgld const sampler{.step_size = .1};
  auto const advance = [&](susc::sgld::state<float> s, int steps) {
    while (steps-- > 0) {
      auto const gradient = s.w;
      s = sampler.step(std::move(s), std::span<float const>(gradient), target, {9});
    }
    return s;
  };
  auto const start = sampler.init(std::span<float const>(center));
  auto const middle = advance(start, 10);
  auto const checkpoint = middle;
  CHECK(advance(start, 25) == advance(checkpoint, 15));
  CHECK(advance(middle, 15) == advance(checkpoint, 15));
  CHECK(advance(start, 25).steps == 25);
  CHECK(!(advance(start, 25) == advance(start, 24)));
}

TEST_CASE("sgld: unusable settings and unstable step sizes are refused") {
  double const nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  auto const refused = [](susc::sgld const& s, susc::posterior_settings const& p, char const* message) {
    CHECK_THROWS_WITH_AS(s.check(p), doctest::Contains(message), susc::error);
  };
  CHECK_NOTHROW(susc::sgld{}.check({}));
  CHECK_NOTHROW(susc::sgld{.noise = 0}.check({}));
  CHECK_NOTHROW(susc::sgld{.step_size = .0399}.check({.localization = 100}));
  refused({.step_size = 0}, {}, "step_size is 0, must be positive");
  refused({.step_size = nan}, {}, "step_size is nan");
  refused({.step_size = infinity}, {}, "step_size is inf");
  refused({.noise = -1}, {}, "noise is -1, must not be negative");
  refused({.step_size = .04}, {.localization = 100}, "step_size 0.04 is unstable with localization 100");
  refused({.step_size = .04}, {.localization = 60, .weight_decay = 40}, "unstable");
}
