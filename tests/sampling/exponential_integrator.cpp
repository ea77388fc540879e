#include "susc/sampling/exponential_integrator.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "difference.hpp"
#include "gaussian_law.hpp"
#include "susc/sampling/sgld.hpp"

namespace {

// w' - μ = a (w - μ) - (1 - a) nβ c/κ (w - μ) + noise, with nβ c = m - κ.
struct exponential_law : gaussian_law::subject {
  susc::exponential_integrator sampler;
  explicit exponential_law(double step_size) : sampler{step_size} {}
  gaussian_law::recursion mode(double m, susc::posterior_settings const& p) const {
    double const kappa = p.localization + p.weight_decay, a = std::exp(-kappa * sampler.step_size / 2);
    double const r = (m - kappa) / kappa;
    return {{{{a - (1 - a) * r}}}, {std::sqrt((1 - a * a) / kappa)}, {-(1 - a) / kappa}};
  }
};

}  // namespace

TEST_CASE("exponential_integrator: stationary covariance, mean and autocorrelation at finite step size") {
  // κ ε = 0.5 to 8: steps longer than SGLD's limit of 4 where the loss is flat.
  gaussian_law::check(exponential_law(.5), {1, 1, 1, {.n_beta = 1, .localization = 2}}, 4100);
  gaussian_law::check(exponential_law(1), {3, 10, 1, {.n_beta = 1, .localization = 2}}, 4200);
  gaussian_law::check(exponential_law(1), {10, 1000, 6, {.n_beta = 1, .localization = 8}}, 4300);
  gaussian_law::check(exponential_law(.1), {5, 1, 3, {.n_beta = 3, .localization = 5}}, 4400);
}

TEST_CASE("exponential_integrator: the stationary law in 50 dimensions is exact at finite step size [oracle]") {
  gaussian_law::check(exponential_law(.06), {50, 1000, 1, {.n_beta = 30, .localization = 3}, 0, 40'000}, 4500,
                      "exponential integrator, eps m = 2");
}

TEST_CASE("exponential_integrator: weight decay shifts the mean exactly") {
  gaussian_law::check(exponential_law(.4), {10, 100, 1, {.n_beta = 3, .localization = 1, .weight_decay = .5}}, 4600);
  gaussian_law::check(exponential_law(.4), {3, 10, 1, {.n_beta = 3, .localization = 0, .weight_decay = 1}}, 4650);
}

TEST_CASE("exponential_integrator: minibatch noise of known covariance adds what the Lyapunov equation says") {
  gaussian_law::check(exponential_law(.3), {1, 1, 1, {.n_beta = 3, .localization = 1}, 1}, 4700);
  gaussian_law::check(exponential_law(.4), {10, 100, 1, {.n_beta = 3, .localization = 1}, .7}, 4800);
  gaussian_law::check(exponential_law(.06), {50, 1000, 1, {.n_beta = 30, .localization = 3}, .2, 40'000}, 4900);
}

TEST_CASE(
    "exponential_integrator: the stationary variance is the documented one, which exists iff r < (1 + a)/(1 - a)") {
  double const kappa = 5;
  for (double const eps : {.001, .1, 1., 3.}) {
    double const a = std::exp(-kappa * eps / 2), limit = (1 + a) / (1 - a);
    for (double const share : {-.1, 0., .1, .9, .99}) {
      double const r = share * limit, m = kappa * (1 + r);
      if (m <= 0) continue;  // not a posterior
      auto const mode = exponential_law(eps).mode(m, {.localization = 3, .weight_decay = 2});
      CHECK(gaussian_law::stable(mode));
      CHECK(gaussian_law::stationary(mode)[0][0] == doctest::Approx((1 + a) / (1 + a - (1 - a) * r) / m).epsilon(1e-9));
    }
    CHECK(!gaussian_law::stable(
        exponential_law(eps).mode(kappa * (1 + 1.001 * limit), {.localization = 3, .weight_decay = 2})));
  }
}

TEST_CASE("exponential_integrator: chains diverge just beyond the documented curvature, at any localization") {
  double const eps = .2, kappa = 5, a = std::exp(-kappa * eps / 2);
  std::vector<double> const center{0}, start{1};
  susc::posterior<double> const target{{.n_beta = 1, .localization = kappa}, center};
  susc::exponential_integrator const sampler{eps};
  for (bool const beyond : {false, true}) {
    double const curvature = kappa * (1 + a) / (1 - a) * (beyond ? 1.01 : .99);
    auto s = sampler.init(std::span<double const>(start));
    for (int t = 0; t != 5000; ++t) {
      double const gradient[]{curvature * s.w[0]};
      s = sampler.step(std::move(s), std::span<double const>(gradient), target, {1});
    }
    CHECK((std::abs(s.w[0]) < 100) == !beyond);
  }
  // Without curvature no step is too long: the draws of a step of 1000/κ are independent draws of the prior.
  susc::exponential_integrator const long_step{1000 / kappa};
  CHECK_NOTHROW(long_step.check({.localization = kappa}));
  auto s = long_step.init(std::span<double const>(start));
  for (std::uint64_t t = 0; t != 10; ++t) {
    s = long_step.step(std::move(s), std::span<double const>(center), target, {1});
    CHECK(s.w[0] == doctest::Approx(susc::random::normal<double>({1}, t, 0) / std::sqrt(kappa)).epsilon(1e-12));
  }
}

TEST_CASE("exponential_integrator: without priors, and as their pull vanishes, it is SGLD") {
  auto const distance = [](double localization, double weight_decay, double to_localization, double to_weight_decay) {
    std::vector<double> const center(70, .5);
    susc::posterior<double> const of_sgld{{.n_beta = 3, .localization = localization, .weight_decay = weight_decay},
                                          center};
    susc::posterior<double> const of_exponential{
        {.n_beta = 3, .localization = to_localization, .weight_decay = to_weight_decay}, center};
    susc::sgld const plain{.step_size = .1};
    susc::exponential_integrator const exponential{.1};
    auto a = plain.init(std::span<double const>(center));
    auto b = exponential.init(std::span<double const>(center));
    double worst = 0;
    for (int t = 0; t != 100; ++t) {
      auto const gradient = a.w, other = b.w;
      a = plain.step(std::move(a), std::span<double const>(gradient), of_sgld, {9});
      b = exponential.step(std::move(b), std::span<double const>(other), of_exponential, {9});
      for (std::size_t i = 0; i != center.size(); ++i) worst = nan_max(worst, std::abs(a.w[i] - b.w[i]));
    }
    return worst;
  };
  CHECK(distance(0, 0, 0, 0) == 0);
  // Continuous at κ = 0, and of first order in κ ε: a ten times smaller κ is ten times nearer.
  CHECK(distance(0, 0, 1e-13, 0) < 1e-11);
  double const near = distance(1e-4, 1e-4, 1e-4, 1e-4), far = distance(1e-3, 1e-3, 1e-3, 1e-3);
  CHECK(far > 0);
  CHECK(far / near == doctest::Approx(10).epsilon(.01));
}

TEST_CASE("exponential_integrator: one step by hand") {
  // γ = 2 around 1, λ = 1, so κ = 3 and μ = 2/3; ε = 2 ln 2 / 3, so a = 1/2; slope 5, nβ = 6.
  std::vector<double> const center{1}, start{4}, gradient{5};
  susc::posterior<double> const target{{.n_beta = 6, .localization = 2, .weight_decay = 1}, center};
  susc::exponential_integrator const sampler{2 * std::log(2.) / 3};
  auto const s =
      sampler.step(sampler.init(std::span<double const>(start)), std::span<double const>(gradient), target, {3});
  double const expected = 2. / 3 + (4 - 2. / 3) / 2 - 5 + .5 * susc::random::normal<double>({3}, 0, 0);
  CHECK(s.w[0] == doctest::Approx(expected).epsilon(1e-13));
  CHECK(s.steps == 1);
}

TEST_CASE("exponential_integrator: a chain resumed from a copy of its state has the same bits") {
  std::vector<float> const center(100, .5f);
  susc::posterior<float> const target{{.n_beta = 3, .localization = 1}, center};
  susc::exponential_integrator const sampler{.1};
  auto const advance = [&](susc::exponential_integrator::state<float> s, int steps) {
    while (steps-- > 0) {
      auto const gradient = s.w;
      s = sampler.step(std::move(s), std::span<float const>(gradient), target, {9});
    }
    return s;
  };
  auto const start = sampler.init(std::span<float const>(center));
  auto const middle = advance(start, 10);
  CHECK(advance(start, 25) == advance(middle, 15));
  CHECK(!(advance(start, 25) == advance(start, 24)));
}

TEST_CASE("exponential_integrator: unusable step sizes are refused") {
  double const nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  CHECK_NOTHROW(susc::exponential_integrator{}.check({}));
  CHECK_NOTHROW(susc::exponential_integrator{1}.check({.localization = 1e6}));
  for (double const step_size : {0., -1., nan, infinity})
    CHECK_THROWS_WITH_AS(susc::exponential_integrator{step_size}.check({}), doctest::Contains("must be positive"),
                         susc::error);
}
