#include "susc/sampling/sghmc.hpp"

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

// State (w - μ, v): v' = (1 - α) v - ε/2 m (w - μ) + noise, w' = w + v'.
struct sghmc_law : gaussian_law::subject {
  susc::sghmc sampler;
  explicit sghmc_law(susc::sghmc const& s) : sampler(s) {}
  gaussian_law::recursion mode(double m, susc::posterior_settings const&) const {
    double const pull = sampler.step_size * m / 2, kept = 1 - sampler.friction;
    double const noise = std::sqrt(sampler.friction * sampler.step_size), gradient = -sampler.step_size / 2;
    return {{{{1 - pull, kept}, {-pull, kept}}}, {noise, noise}, {gradient, gradient}};
  }
  template <class State>
  void place(State& s, std::vector<double> const& momentum) const {
    s.momentum.assign(momentum.begin(), momentum.end());
  }
};

}  // namespace

TEST_CASE("sghmc: stationary covariance, mean and autocorrelation at finite step size") {
  gaussian_law::check(sghmc_law({.step_size = .4, .friction = .3}), {1, 1, 2, {.n_beta = 3, .localization = 1}}, 5100);
  gaussian_law::check(sghmc_law({.step_size = .6, .friction = .5}), {3, 10, 2, {.n_beta = 3, .localization = 1}}, 5200);
  gaussian_law::check(sghmc_law({.step_size = .2, .friction = .1}),
                      {10, 1000, 1, {.n_beta = 30, .localization = 2}, 0, 150'000}, 5300);
  gaussian_law::check(sghmc_law({.step_size = .5, .friction = .9}), {5, 1, 1, {.n_beta = 3, .localization = 1}}, 5400);
}

TEST_CASE("sghmc: the stationary law in 50 dimensions is exact at finite step size [oracle]") {
  gaussian_law::check(sghmc_law({.step_size = .1, .friction = .3}),
                      {50, 1000, 1, {.n_beta = 30, .localization = .5}, 0, 40'000}, 5500,
                      "SGHMC, friction 0.3, eps m = 3");
}

TEST_CASE("sghmc: weight decay shifts the mean exactly") {
  gaussian_law::check(sghmc_law({.step_size = .6, .friction = .4}),
                      {10, 100, 1, {.n_beta = 3, .localization = 1, .weight_decay = .5}}, 5600);
}

TEST_CASE("sghmc: minibatch noise of known covariance adds what the Lyapunov equation says") {
  gaussian_law::check(sghmc_law({.step_size = .3, .friction = .3}), {1, 1, 1, {.n_beta = 3, .localization = 1}, 1},
                      5700);
  gaussian_law::check(sghmc_law({.step_size = .4, .friction = .3}), {10, 100, 1, {.n_beta = 3, .localization = 1}, .7},
                      5800);
  gaussian_law::check(sghmc_law({.step_size = .06, .friction = .3}),
                      {50, 1000, 1, {.n_beta = 30, .localization = .5}, .1, 40'000}, 5900);
}

TEST_CASE("sghmc: the stationary variance is 1 / (m (1 - ε m / (8 - 4α))), and exists iff ε m < 8 - 4α") {
  for (double const friction : {.05, .1, .5, 1.})
    for (double const share : {.001, .3, .9, .99}) {
      double const eps = .1, eps_m = share * (8 - 4 * friction), m = eps_m / eps;
      sghmc_law const law({.step_size = eps, .friction = friction});
      auto const r = law.mode(m, {});
      CHECK(gaussian_law::stable(r));
      CHECK(!gaussian_law::stable(law.mode((8 - 4 * friction) / eps * 1.001, {})));
      auto const x = gaussian_law::stationary(r);
      double const variance = 1 / (m * (1 - eps_m / (8 - 4 * friction)));
      CHECK(x[0][0] == doctest::Approx(variance).epsilon(1e-9));
      // The momentum's variance follows from that of w² standing still: E[w v] = E[v²]/2.
      CHECK(x[0][1] == doctest::Approx(x[1][1] / 2).epsilon(1e-9));
      CHECK(x[1][1] == doctest::Approx(variance * eps_m / (2 - friction)).epsilon(1e-9));
      // Gradient noise of variance S.
      double const n_beta = 3, noise = .7;
      CHECK(gaussian_law::stationary(r, n_beta, noise)[0][0] ==
            doctest::Approx(variance * (1 + eps * n_beta * n_beta * noise / (4 * friction))).epsilon(1e-9));
    }
}

TEST_CASE("sghmc: settings are refused just where the localization alone makes the chain diverge") {
  for (double const friction : {.1, .6, 1.})
    for (bool const beyond : {false, true}) {
      CAPTURE(friction);
      CAPTURE(beyond);
      double const limit = (8 - 4 * friction) / .1;
      susc::posterior_settings const settings{
          .n_beta = 1, .localization = limit / 2, .weight_decay = limit / 2 * (beyond ? 1.02 : .98)};
      std::vector<double> const center{0}, start{1};
      susc::posterior<double> const target{settings, center};
      susc::sghmc const sampler{.step_size = .1, .friction = friction};
      if (beyond)
        CHECK_THROWS_WITH_AS(sampler.check(settings), doctest::Contains("is unstable with localization"), susc::error);
      else
        CHECK_NOTHROW(sampler.check(settings));
      auto s = sampler.init(std::span<double const>(start));
      for (int t = 0; t != 3000; ++t) s = sampler.step(std::move(s), std::span<double const>(center), target, {1});
      CHECK((std::abs(s.w[0]) < 10) == !beyond);
    }
}

TEST_CASE("sghmc: at friction 1 it is SGLD with the same key, but for rounding") {
  auto const compare = [](auto zero) {
    using T = decltype(zero);
    std::vector<T> const center(70, T(.5));
    susc::posterior<T> const target{{.n_beta = 3, .localization = 1, .weight_decay = .5, .bounding_box = 1}, center};
    susc::sgld const plain{.step_size = .1};
    susc::sghmc const damped{.step_size = .1, .friction = 1};
    auto a = plain.init(std::span<T const>(center));
    auto b = damped.init(std::span<T const>(center));
    double worst = 0;
    for (int t = 0; t != 100; ++t) {
      std::vector<T> gradient(a.w.begin(), a.w.end());
      a = plain.step(std::move(a), std::span<T const>(gradient), target, {9});
      gradient.assign(b.w.begin(), b.w.end());
      b = damped.step(std::move(b), std::span<T const>(gradient), target, {9});
      for (std::size_t i = 0; i != center.size(); ++i)
        worst = nan_max(worst, std::abs(static_cast<double>(a.w[i]) - static_cast<double>(b.w[i])));
    }
    return worst;
  };
  // A compiler that contracts into fused operations rounds the two sums differently; deviations shrink by 0.8 a step.
  CHECK(compare(0.) < 100 * std::numeric_limits<double>::epsilon());
  CHECK(compare(0.f) < 100 * static_cast<double>(std::numeric_limits<float>::epsilon()));
}

TEST_CASE("sghmc: the first steps by hand") {
  // Flat loss of slope 2, γ = 4 around 1, ε = 1/2, n_beta = 3; noise is the same key's normals times √(α ε).
  std::vector<double> const center{1}, gradient{2};
  susc::posterior<double> const target{{.n_beta = 3, .localization = 4}, center};
  susc::sghmc const sampler{.step_size = .5, .friction = .5};
  auto s = sampler.init(std::span<double const>(center));
  CHECK(s.momentum[0] == 0);
  double w = 1, v = 0;
  for (std::uint64_t t = 0; t != 5; ++t) {
    v = .5 * v - .25 * (6 + 4 * (w - 1)) + .5 * susc::random::normal<double>({3}, t, 0);
    w += v;
    s = sampler.step(std::move(s), std::span<double const>(gradient), target, {3});
    CHECK(s.momentum[0] == doctest::Approx(v).epsilon(1e-13));
    CHECK(s.w[0] == doctest::Approx(w).epsilon(1e-13));
  }
}

TEST_CASE("sghmc: in a bounding box without a loss the law is uniform") {
  std::vector<double> const center{0}, gradient{0};
  susc::posterior<double> const target{{.n_beta = 1, .localization = 0, .bounding_box = 1}, center};
  susc::sghmc const sampler{.step_size = .1, .friction = .3};
  double batches = 0, sum = 0, squares = 0;
  auto s = sampler.init(std::span<double const>(center));
  for (; batches != 100; ++batches) {
    double mean = 0;
    for (int t = 0; t != 5000; ++t) {
      s = sampler.step(std::move(s), std::span<double const>(gradient), target, {5});
      mean += s.w[0] * s.w[0] / 5000;
    }
    sum += mean;
    squares += mean * mean;
  }
  double const variance = sum / batches, error = std::sqrt((squares / batches - variance * variance) / (batches - 1));
  CHECK(error < .01 / 3);
  CHECK(std::abs(variance - 1. / 3) < 5 * error);
}

TEST_CASE("sghmc: a chain resumed from a copy of its state has the same bits") {
  gaussian_law::check_resumed(susc::sghmc{.step_size = .1}, [](auto& s) { s.momentum.assign(s.momentum.size(), 0.f); });
}

TEST_CASE("sghmc: unusable settings are refused") {
  double const nan = std::numeric_limits<double>::quiet_NaN();
  auto const refused = [](susc::sghmc const& s, char const* message) {
    CHECK_THROWS_WITH_AS(s.check({}), doctest::Contains(message), susc::error);
  };
  CHECK_NOTHROW(susc::sghmc{}.check({}));
  CHECK_NOTHROW(susc::sghmc{.friction = 1}.check({}));
  refused({.step_size = 0}, "step_size is 0, must be positive");
  refused({.step_size = nan}, "step_size is nan");
  refused({.friction = 0}, "friction is 0, must be above 0 and at most 1");
  refused({.friction = 1.01}, "friction is 1.01");
  refused({.friction = nan}, "friction is nan");
}
