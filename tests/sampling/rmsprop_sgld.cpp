#include "susc/sampling/rmsprop_sgld.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

#include "gaussian_law.hpp"
#include "susc/sampling/sgld.hpp"

namespace {

// With G constant, √G⁻¹ (w - μ) follows SGLD on a target of precision √G M √G.
struct frozen_law : gaussian_law::subject {
  susc::rmsprop_sgld sampler;
  explicit frozen_law(double step_size, double noise = 1)
      : sampler{.step_size = step_size, .noise = noise, .decay = 1, .stability = .1} {}
  gaussian_law::recursion mode(double m, susc::posterior_settings const&) const {
    double const eps = sampler.step_size;
    return {{{{1 - eps * m / 2}}}, {std::sqrt(eps) * sampler.noise}, {-eps / 2}};
  }
  // √G, from 0.3 to 1.8 in no order.
  std::vector<double> scale(std::size_t dimension) const {
    std::vector<double> s;
    for (std::size_t i = 0; i != dimension; ++i) s.push_back(.3 + 1.5 * std::abs(std::sin(static_cast<double>(i) + 1)));
    return s;
  }
  template <class State>
  void place(State& s, std::vector<double> const&) const {
    auto const roots = scale(s.w.size());
    for (std::size_t i = 0; i != roots.size(); ++i)
      s.square[i] =
          static_cast<typename decltype(s.w)::value_type>(std::pow(1 / (roots[i] * roots[i]) - sampler.stability, 2));
  }
};

}  // namespace

TEST_CASE("rmsprop_sgld: stationary covariance, mean and autocorrelation for a frozen preconditioner") {
  gaussian_law::check(frozen_law(.3), {1, 1, 2, {.n_beta = 3, .localization = 1}}, 2100);
  gaussian_law::check(frozen_law(.4), {3, 10, 2, {.n_beta = 3, .localization = .5}}, 2200);
  gaussian_law::check(frozen_law(.1), {10, 1000, 1, {.n_beta = 30, .localization = .1}}, 2300);
  gaussian_law::check(frozen_law(.5, .5), {5, 1, 1, {.n_beta = 3, .localization = .5}}, 2400);
}

TEST_CASE("rmsprop_sgld: the stationary law in 50 dimensions is exact for a frozen preconditioner [oracle]") {
  gaussian_law::check(frozen_law(.06), {50, 1000, 1, {.n_beta = 30, .localization = .01}, 0, 40'000}, 2500,
                      "RMSprop-SGLD with G held, eps m = 1.8");
}

TEST_CASE("rmsprop_sgld: weight decay shifts the mean exactly") {
  gaussian_law::check(frozen_law(.4), {10, 100, 1, {.n_beta = 3, .localization = .1, .weight_decay = .05}}, 2600);
}

TEST_CASE("rmsprop_sgld: minibatch noise of known covariance adds what the Lyapunov equation says") {
  gaussian_law::check(frozen_law(.3), {1, 1, 1, {.n_beta = 3, .localization = 1}, 1}, 2700);
  gaussian_law::check(frozen_law(.4), {10, 100, 1, {.n_beta = 3, .localization = .1}, .7}, 2800);
  gaussian_law::check(frozen_law(.06), {50, 1000, 1, {.n_beta = 30, .localization = .01}, .2, 40'000}, 2900);
}

TEST_CASE("rmsprop_sgld: the covariance that the harness holds it to solves X = F X Fᵀ + ε σ² G") {
  frozen_law const law(.4, .7);
  gaussian_law::problem const p{4, 30, 2, {.n_beta = 3, .localization = 1, .weight_decay = .5}};
  auto const root = law.scale(4);
  gaussian_law::geometry const g(p, std::vector<double>(4, .5), root, 5);
  std::size_t const d = 4;
  gaussian_law::matrix f(d, d), x(d, d), asymmetry(d, d);
  for (std::size_t i = 0; i != d; ++i)
    for (std::size_t j = 0; j != d; ++j) {
      double const precision = 3 * g.curvature(i, j) + (i == j ? 1.5 : 0);  // M = nβ A + γ + λ
      f(i, j) = (i == j ? 1 : 0) - .2 * root[i] * root[i] * precision;
      for (std::size_t k = 0; k != d; ++k)
        x(i, j) += g.from_modes(i, k) * gaussian_law::stationary(law.mode(g.precision[k], p.target))[0][0] *
                   g.from_modes(j, k);
    }
  CHECK(std::abs(f(0, 1) - f(1, 0)) > .01);
  for (std::size_t i = 0; i != d; ++i)
    for (std::size_t j = 0; j != d; ++j) {
      double next = i == j ? .4 * .49 * root[i] * root[i] : 0;
      for (std::size_t k = 0; k != d; ++k)
        for (std::size_t l = 0; l != d; ++l) next += f(i, k) * x(k, l) * f(j, l);
      CHECK(x(i, j) == doctest::Approx(next).epsilon(1e-9));
    }
}

TEST_CASE("rmsprop_sgld: on a linear loss the stationary law is that of a constant preconditioner, at any memory") {
  // Gradient b everywhere: V tends to b², so G = 1/(|b| + δ), and w is an autoregression along each coordinate.
  std::vector<double> const b{.4, -1.9, 0}, center{.5, 1, -1};
  susc::posterior_settings const settings{.n_beta = 2, .localization = .3, .weight_decay = .1};
  susc::posterior<double> const target{settings, center};
  for (double const decay : {0., .5, .99}) {
    CAPTURE(decay);
    susc::rmsprop_sgld const sampler{.step_size = .5, .noise = 1.5, .decay = decay, .stability = .1};
    auto s = sampler.init(std::span<double const>(center));
    std::size_t const burn_in = 4000, n = 200'000;  // 0.99^4000 is 1e-18
    double sum[3]{}, square[3]{};
    for (std::size_t t = 0; t != burn_in + n; ++t) {
      s = sampler.step(std::move(s), std::span<double const>(b), target, {17});
      for (std::size_t i = 0; t >= burn_in && i != 3; ++i) {
        double const mean = (.3 * center[i] - 2 * b[i]) / .4;
        sum[i] += s.w[i] - mean;
        square[i] += (s.w[i] - mean) * (s.w[i] - mean);
      }
    }
    for (std::size_t i = 0; i != 3; ++i) {
      double const g = 1 / (std::abs(b[i]) + .1), rho = 1 - .25 * g * .4, count = static_cast<double>(n);
      CHECK(s.square[i] == doctest::Approx(b[i] * b[i]).epsilon(1e-12));
      double const variance = .5 * 2.25 * g / (1 - rho * rho);
      CHECK(std::abs(sum[i] / count) < 5 * std::sqrt(variance * (1 + rho) / (1 - rho) / count));
      double const error = std::sqrt(2 * (1 + rho * rho) / (1 - rho * rho) / count);
      CHECK(std::abs(square[i] / count / variance - 1) < 5 * error);
      CHECK(error < .02);
    }
  }
}

TEST_CASE("rmsprop_sgld: a preconditioner that follows the gradients biases the law, even as the step vanishes") {
  // As ε → 0, V is g(w)² at any memory; without the derivative of G the law is p(w)/G(w) ∝ (|w| + δ) exp(-w²/2) for
  // g = w. With E|w| = √(2/π) and E|w|³ = 2 √(2/π) its variance is not 1:
  double const delta = .5, root = std::sqrt(2 / std::numbers::pi), exact = (2 * root + delta) / (root + delta);
  std::vector<double> const center{0};
  susc::posterior<double> const target{{.n_beta = 1, .localization = 0}, center};
  for (double const decay : {0., .5}) {
    CAPTURE(decay);
    susc::rmsprop_sgld const sampler{.step_size = .01, .decay = decay, .stability = delta};
    auto s = sampler.init(std::span<double const>(center));
    double batches = 0, sum = 0, squares = 0;
    for (int batch = 0; batch <= 100; ++batch) {  // the first is for burn-in; 60 relaxation times each
      double mean = 0;
      for (int t = 0; t != 20'000; ++t) {
        double const gradient[]{s.w[0]};
        s = sampler.step(std::move(s), std::span<double const>(gradient), target, {23});
        mean += s.w[0] * s.w[0] / 20'000;
      }
      if (batch == 0) continue;
      sum += mean;
      squares += mean * mean;
      ++batches;
    }
    double const variance = sum / batches, error = std::sqrt((squares / batches - variance * variance) / (batches - 1));
    MESSAGE("variance " << variance << " +- " << error << ", exact in the limit " << exact);
    CHECK(std::abs(variance - exact) < 5 * error);
    CHECK(variance - 1 > 10 * error);
  }
}

TEST_CASE("rmsprop_sgld: the first steps by hand") {
  // α = 3/4, δ = 1/2; gradients 4 and then -2: V = 4, then 3 + 1 = 4, and G = 1/(2 + 1/2) both times.
  std::vector<double> const center{1};
  susc::posterior<double> const target{{.n_beta = 3, .localization = 2, .weight_decay = 1}, center};
  susc::rmsprop_sgld const sampler{.step_size = .1, .noise = 2, .decay = .75, .stability = .5};
  auto s = sampler.init(std::span<double const>(center));
  CHECK(s.square[0] == 0);
  double w = 1;
  std::uint64_t t = 0;
  for (double const g : {4., -2.}) {
    double const gradient[]{g};
    w += -.05 * .4 * (3 * g + 2 * (w - 1) + w) + 2 * std::sqrt(.1 * .4) * susc::random::normal<double>({5}, t++, 0);
    s = sampler.step(std::move(s), std::span<double const>(gradient), target, {5});
    CHECK(s.square[0] == 4);
    CHECK(s.w[0] == doctest::Approx(w).epsilon(1e-14));
  }
  // Without memory V is the last gradient's square; with nothing else it keeps what it is.
  double const gradient[]{3.};
  for (double const decay : {0., 1.}) {
    auto const still = susc::rmsprop_sgld{.decay = decay}.step(sampler.init(std::span<double const>(center)),
                                                               std::span<double const>(gradient), target, {5});
    CHECK(still.square[0] == (decay == 0 ? 9 : 0));
  }
}

TEST_CASE("rmsprop_sgld: where gradients are small against δ it is SGLD of step ε/δ") {
  std::vector<double> const center(70, .5);
  susc::posterior<double> const target{{.n_beta = 3, .localization = 1}, center};
  susc::sgld const plain{.step_size = .4};
  susc::rmsprop_sgld const preconditioned{.step_size = .1, .decay = 1, .stability = .25};
  auto a = plain.init(std::span<double const>(center));
  auto b = preconditioned.init(std::span<double const>(center));
  for (int t = 0; t != 100; ++t) {
    auto const gradient = a.w, other = b.w;
    a = plain.step(std::move(a), std::span<double const>(gradient), target, {9});
    b = preconditioned.step(std::move(b), std::span<double const>(other), target, {9});
  }
  for (std::size_t i = 0; i != center.size(); ++i) CHECK(a.w[i] == doctest::Approx(b.w[i]).epsilon(1e-12));
}

TEST_CASE("rmsprop_sgld: a chain resumed from a copy of its state has the same bits") {
  gaussian_law::check_resumed(susc::rmsprop_sgld{.step_size = .1},
                              [](auto& s) { s.square.assign(s.square.size(), 0.f); });
}

TEST_CASE("rmsprop_sgld: settings are refused just where, with gradients that vanish, the chain diverges") {
  for (bool const beyond : {false, true}) {
    CAPTURE(beyond);
    susc::posterior_settings const settings{.n_beta = 1, .localization = 2, .weight_decay = beyond ? 2.04 : 1.96};
    std::vector<double> const center{0}, start{1};
    susc::posterior<double> const target{settings, center};
    susc::rmsprop_sgld const sampler{.step_size = .1};
    if (beyond)
      CHECK_THROWS_WITH_AS(sampler.check(settings), doctest::Contains("step_size 0.1 is unstable with localization 2"),
                           susc::error);
    else
      CHECK_NOTHROW(sampler.check(settings));
    auto s = sampler.init(std::span<double const>(start));
    for (int t = 0; t != 3000; ++t) s = sampler.step(std::move(s), std::span<double const>(center), target, {1});
    CHECK((std::abs(s.w[0]) < 100) == !beyond);
  }
}

TEST_CASE("rmsprop_sgld: unusable settings are refused") {
  double const nan = std::numeric_limits<double>::quiet_NaN();
  susc::posterior_settings const flat{.localization = 1};
  auto const refused = [&](susc::rmsprop_sgld const& s, char const* message) {
    CHECK_THROWS_WITH_AS(s.check(flat), doctest::Contains(message), susc::error);
  };
  CHECK_NOTHROW(susc::rmsprop_sgld{}.check({}));
  for (double const decay : {0., 1.}) CHECK_NOTHROW(susc::rmsprop_sgld{.decay = decay}.check(flat));
  refused({.step_size = 0}, "step_size is 0, must be positive");
  refused({.step_size = nan}, "step_size is nan");
  refused({.noise = -1}, "noise is -1, must not be negative");
  refused({.decay = -.1}, "decay is -0.1, must be from 0 to 1");
  refused({.decay = 1.1}, "decay is 1.1");
  refused({.decay = nan}, "decay is nan");
  refused({.stability = 0}, "stability is 0, must be positive");
}
