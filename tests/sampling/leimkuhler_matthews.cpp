#include "susc/sampling/leimkuhler_matthews.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "gaussian_law.hpp"

namespace {

// State (w - μ, ξ): w' = w - ε/2 m (w - μ) + √ε/2 (ξ + ξ'), and ξ' is remembered.
struct leimkuhler_matthews_law : gaussian_law::subject {
  susc::leimkuhler_matthews sampler;
  explicit leimkuhler_matthews_law(double step_size) : sampler{step_size} {}
  gaussian_law::recursion mode(double m, susc::posterior_settings const&) const {
    double const eps = sampler.step_size, half = std::sqrt(eps) / 2;
    return {{{{1 - eps * m / 2, half}, {0, 0}}}, {half, 1}, {-eps / 2, 0}};
  }
  template <class State>
  void place(State& s, std::vector<double> const& noise) const {
    s.noise.assign(noise.begin(), noise.end());
  }
};

}  // namespace

TEST_CASE("leimkuhler_matthews: stationary covariance, mean and autocorrelation at finite step size") {
  gaussian_law::check(leimkuhler_matthews_law(.3), {1, 1, 2, {.n_beta = 3, .localization = 1}}, 3100);
  gaussian_law::check(leimkuhler_matthews_law(.4), {3, 10, 2, {.n_beta = 3, .localization = 1}}, 3200);
  gaussian_law::check(leimkuhler_matthews_law(.1), {10, 1000, 1, {.n_beta = 30, .localization = 2}}, 3300);
  gaussian_law::check(leimkuhler_matthews_law(.5), {5, 1, 1, {.n_beta = 3, .localization = 1}}, 3400);
}

TEST_CASE("leimkuhler_matthews: the variance in 50 dimensions is the posterior's at finite step size [oracle]") {
  gaussian_law::check(leimkuhler_matthews_law(.06), {50, 1000, 1, {.n_beta = 30, .localization = .5}, 0, 40'000}, 3500,
                      "Leimkuhler-Matthews, eps m = 1.8");
}

TEST_CASE("leimkuhler_matthews: weight decay shifts the mean exactly") {
  gaussian_law::check(leimkuhler_matthews_law(.4), {10, 100, 1, {.n_beta = 3, .localization = 1, .weight_decay = .5}},
                      3600);
}

TEST_CASE("leimkuhler_matthews: minibatch noise of known covariance adds what the Lyapunov equation says") {
  gaussian_law::check(leimkuhler_matthews_law(.3), {1, 1, 1, {.n_beta = 3, .localization = 1}, 1}, 3700);
  gaussian_law::check(leimkuhler_matthews_law(.4), {10, 100, 1, {.n_beta = 3, .localization = 1}, .7}, 3800);
  gaussian_law::check(leimkuhler_matthews_law(.06), {50, 1000, 1, {.n_beta = 30, .localization = .5}, .2, 40'000},
                      3900);
}

TEST_CASE("leimkuhler_matthews: the stationary variance is 1/m at every stable step, plus what gradient noise adds") {
  double const eps = .1, n_beta = 3, noise = .7;
  for (double const eps_m : {.001, .5, 2., 3.2, 3.99}) {
    double const m = eps_m / eps, rho = 1 - eps_m / 2;
    auto const r = leimkuhler_matthews_law(eps).mode(m, {});
    CHECK(gaussian_law::stable(r));
    CHECK(gaussian_law::stationary(r)[0][0] == doctest::Approx(1 / m).epsilon(1e-9));
    // ε²/4 nβ² S at every step, forgotten by ρ a step: the same as SGLD's, whose recursion in w is the same.
    CHECK(gaussian_law::stationary(r, n_beta, noise)[0][0] ==
          doctest::Approx(1 / m + eps * eps / 4 * n_beta * n_beta * noise / (1 - rho * rho)).epsilon(1e-9));
  }
  CHECK(!gaussian_law::stable(leimkuhler_matthews_law(eps).mode(4.001 / eps, {})));
}

TEST_CASE("leimkuhler_matthews: settings are refused just where the localization alone makes the chain diverge") {
  for (bool const beyond : {false, true}) {
    CAPTURE(beyond);
    susc::posterior_settings const settings{.n_beta = 1, .localization = 20, .weight_decay = beyond ? 20.4 : 19.6};
    std::vector<double> const center{0}, start{1};
    susc::posterior<double> const target{settings, center};
    susc::leimkuhler_matthews const sampler{.step_size = .1};
    if (beyond)
      CHECK_THROWS_WITH_AS(sampler.check(settings), doctest::Contains("step_size 0.1 is unstable with localization 20"),
                           susc::error);
    else
      CHECK_NOTHROW(sampler.check(settings));
    auto s = sampler.init(std::span<double const>(start));
    for (int t = 0; t != 3000; ++t) s = sampler.step(std::move(s), std::span<double const>(center), target, {1});
    CHECK((std::abs(s.w[0]) < 10) == !beyond);
  }
}

TEST_CASE("leimkuhler_matthews: each normal is used in two steps, half in each") {
  // A flat loss without priors: w is √ε times the normals so far, the first and the last with weight ½.
  std::vector<double> const center{0}, gradient{0};
  susc::posterior<double> const target{{.n_beta = 1, .localization = 0}, center};
  susc::leimkuhler_matthews const sampler{.step_size = .25};
  auto s = sampler.init(std::span<double const>(center));
  CHECK(s.noise.empty());
  double expected = 0;
  for (std::uint64_t t = 0; t != 20; ++t) {
    s = sampler.step(std::move(s), std::span<double const>(gradient), target, {3});
    double const before = susc::random::normal<double>({3}, t, 0), now = susc::random::normal<double>({3}, t + 1, 0);
    expected += .5 * (before + now) / 2;
    CHECK(s.w[0] == doctest::Approx(expected).epsilon(1e-12));
    CHECK(s.noise[0] == now);
    CHECK(s.steps == t + 1);
  }
}

TEST_CASE("leimkuhler_matthews: a chain resumed from a copy of its state has the same bits") {
  gaussian_law::check_resumed(susc::leimkuhler_matthews{.step_size = .1},
                              [](auto& s) { s.noise.assign(s.noise.size(), 0.f); });
}

TEST_CASE("leimkuhler_matthews: unusable step sizes are refused") {
  double const nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  CHECK_NOTHROW(susc::leimkuhler_matthews{}.check({}));
  for (double const step_size : {0., -1., nan, infinity})
    CHECK_THROWS_WITH_AS(susc::leimkuhler_matthews{step_size}.check({}), doctest::Contains("must be positive"),
                         susc::error);
}

TEST_CASE("leimkuhler_matthews: in a bounding box without a loss the law is uniform") {
  std::vector<double> const center{0}, gradient{0};
  susc::posterior<double> const target{{.n_beta = 1, .localization = 0, .bounding_box = 1}, center};
  susc::leimkuhler_matthews const sampler{.25};
  double batches = 0, sum = 0, squares = 0;
  auto s = sampler.init(std::span<double const>(center));
  for (; batches != 100; ++batches) {
    double mean = 0;
    for (int t = 0; t != 2000; ++t) {
      s = sampler.step(std::move(s), std::span<double const>(gradient), target, {5});
      mean += s.w[0] * s.w[0] / 2000;
    }
    sum += mean;
    squares += mean * mean;
  }
  double const variance = sum / batches, error = std::sqrt((squares / batches - variance * variance) / (batches - 1));
  CHECK(error < .01 / 3);
  CHECK(std::abs(variance - 1. / 3) < 5 * error);
}
