#include "susc/sampling/sgnht.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "gaussian_law.hpp"
#include "oracle.hpp"

namespace {

/// The mean of batch means, and its standard error from their spread.
struct batch_means {
  double sum = 0, square = 0, count = 0;
  void add(double x) { sum += x, square += x * x, ++count; }
  double mean() const { return sum / count; }
  double error() const { return std::sqrt((square / count - mean() * mean()) / (count - 1)); }
};

struct problem {
  std::size_t dimension;
  double condition, largest;  ///< the precisions are spaced evenly in the logarithm up to `largest`
  susc::sgnht sampler;
  double gradient_noise = 0;  ///< variance of the noise of nβ ĝ, in every coordinate
  std::size_t chains = 100, burn_in = 1000, batches = 4, batch_steps = 1000;
};

/// What stationarity of ζ, |w|², w·v and |v|² says, as ratios that are exactly 1 at any step size, and the variance and
/// friction that have exact limits. A step goes from w, v, ζ to w', v', ζ'; s is the slope of -log p at w.
struct moments {
  batch_means thermostat;  ///< E|(v + v')/2|² / (dimension ε/2)
  batch_means position;    ///< -2 E[w·v'] / E|v'|², from E|w + v'|² = E|w|²
  batch_means virial;  ///< ε/2 E[w·s] / (E|v|² - E[ζ w·v]), from the one before and v' = (1 - ζ) v - ε/2 s + noise
  batch_means balance;   ///< (E|(1 - ζ) v - ε/2 s|² + noise) / E|v|²: what a step keeps, loses and is given
  batch_means variance;  ///< mean over coordinates of precision times variance
  batch_means friction, friction_square;
};

template <class T = double>
moments run(problem const& p, std::uint64_t seed) {
  std::size_t const d = p.dimension;
  double const eps = p.sampler.step_size, n = static_cast<double>(d);
  std::vector<double> precision;
  for (std::size_t i = 0; i != d; ++i)
    precision.push_back(p.largest *
                        std::pow(p.condition, d == 1 ? 0 : static_cast<double>(i) / static_cast<double>(d - 1) - 1));
  // One quarter of the smallest precision comes from the localization, the rest from the loss.
  susc::posterior_settings const settings{.n_beta = 2, .localization = precision[0] / 4};
  std::vector<T> const center(d, T(.5));
  susc::posterior<T> const target{settings, center};
  double const given = n * (p.sampler.diffusion * eps + eps * eps / 4 * p.gradient_noise);
  moments m;
  for (std::size_t chain = 0; chain != p.chains; ++chain) {
    susc::random::stream stream(susc::random::fold_in({seed}, chain));
    susc::random::key const key = susc::random::fold_in({seed + 1}, chain);
    auto s = p.sampler.init(std::span<T const>(center));
    for (std::size_t i = 0; i != d; ++i) s.w[i] += static_cast<T>(stream.normal() / std::sqrt(precision[i]));
    std::vector<T> gradient(d);
    std::vector<double> x(d), v(d), slope(d);
    for (std::size_t batch = 0; batch <= p.batches; ++batch) {
      double halfway = 0, turned = 0, virial = 0, friction_work = 0, kinetic = 0, kept = 0, friction = 0, square = 0;
      std::size_t const steps = batch == 0 ? p.burn_in : p.batch_steps;
      for (std::size_t t = 0; t != steps; ++t) {
        for (std::size_t i = 0; i != d; ++i) {
          x[i] = static_cast<double>(s.w[i]) - .5;
          v[i] = static_cast<double>(s.momentum[i]);
          slope[i] = precision[i] * x[i];
          double g = (precision[i] - settings.localization) * x[i];
          if (p.gradient_noise != 0) g += std::sqrt(p.gradient_noise) * stream.normal();
          gradient[i] = static_cast<T>(g / settings.n_beta);
        }
        double const zeta = s.friction;
        s = p.sampler.step(std::move(s), std::span<T const>(gradient), target, key);
        friction += zeta;
        square += zeta * zeta;
        for (std::size_t i = 0; i != d; ++i) {
          double const after = static_cast<double>(s.momentum[i]), drift = (1 - zeta) * v[i] - eps / 2 * slope[i];
          halfway += (v[i] + after) * (v[i] + after) / 4;
          turned += x[i] * after;
          virial += x[i] * slope[i];
          friction_work += zeta * x[i] * v[i];
          kinetic += after * after;
          kept += drift * drift;
        }
      }
      if (batch == 0) continue;
      double const count = static_cast<double>(steps);
      m.thermostat.add(halfway / count / (n * eps / 2));
      m.position.add(-2 * turned / kinetic);
      m.virial.add(eps / 2 * virial / (kinetic - friction_work));
      m.balance.add((kept + given * count) / kinetic);
      m.variance.add(virial / n / count);
      m.friction.add(friction / count);
      m.friction_square.add(square / count);
    }
  }
  return m;
}

void check_identities(moments const& m) {
  for (auto const& named : {std::pair{"thermostat", m.thermostat}, std::pair{"position", m.position},
                            std::pair{"virial", m.virial}, std::pair{"balance", m.balance}}) {
    batch_means const& ratio = named.second;
    CAPTURE(named.first);
    double const deviation = (ratio.mean() - 1) / ratio.error();
    CAPTURE(deviation);
    CHECK(std::abs(deviation) < 5);
    CHECK(ratio.error() < .003);
  }
}

/// The law of `sghmc` with the friction ζ at which the thermostat rests, and the noise of friction A.
struct resting_law : gaussian_law::subject {
  susc::sgnht sampler;
  double gradient_noise;  ///< mean over coordinates of the variance of nβ ĝ
  explicit resting_law(susc::sgnht const& s, double noise = 0) : sampler(s), gradient_noise(noise) {}
  double friction() const { return sampler.diffusion + sampler.step_size * gradient_noise / 4; }
  gaussian_law::recursion mode(double m, susc::posterior_settings const& = {}) const {
    double const pull = sampler.step_size * m / 2, kept = 1 - friction(), gradient = -sampler.step_size / 2;
    double const noise = std::sqrt(sampler.diffusion * sampler.step_size);
    return {{{{1 - pull, kept}, {-pull, kept}}}, {noise, noise}, {gradient, gradient}};
  }
  template <class State>
  void place(State& s, std::vector<double> const& momentum) const {
    s.momentum.assign(momentum.begin(), momentum.end());
    s.friction = friction();
  }
};

}  // namespace

TEST_CASE("sgnht: stationarity of friction, position and momentum gives identities that are exact at any step size") {
  // ε m up to 3.
  check_identities(run({1, 1, 50, {.step_size = .02, .diffusion = .2}, 0, 300}, 100));
  check_identities(run({1, 1, 50, {.step_size = .02, .diffusion = .2}, 40, 300}, 200));
  check_identities(run({5, 20, 100, {.step_size = .02, .diffusion = .3}}, 300));
  check_identities(run({5, 20, 100, {.step_size = .02, .diffusion = .3}, 30}, 400));
  check_identities(run<float>({5, 20, 100, {.step_size = .02, .diffusion = .3}, 30}, 450));
  check_identities(run({50, 20, 150, {.step_size = .02, .diffusion = .1}, 0, 12}, 500));
  check_identities(run({50, 20, 150, {.step_size = .02, .diffusion = .1}, 10, 12}, 600));
}

TEST_CASE(
    "sgnht: the momentum halfway through the kick has variance ε/2 for SGHMC on any Gaussian, that after it more") {
  for (double const friction : {.05, .3, 1.})
    for (double const eps_m : {.01, 1., 3.}) {
      double const eps = .02;
      auto const r = resting_law({.step_size = eps, .diffusion = friction}).mode(eps_m / eps);
      auto const x = gaussian_law::stationary(r);
      double const next = r.f[1][0] * x[0][1] + r.f[1][1] * x[1][1];  // E[v v']
      CHECK((x[1][1] + next) / 2 == doctest::Approx(eps / 2).epsilon(1e-9));
      CHECK(x[1][1] == doctest::Approx(eps / 2 / (1 - friction / 2 - eps_m / 8)).epsilon(1e-9));
    }
}

TEST_CASE("sgnht: in 50 dimensions the law is that of SGHMC at finite step size [oracle]") {
  // ζ fluctuates with variance ε/(2 dimension), 5e-5 of ζ² here, and so changes variances by less than a tenth of the
  // errors.
  gaussian_law::check(resting_law({.step_size = .001, .diffusion = .3}),
                      {50, 1000, 80, {.n_beta = 30, .localization = 30}, 0, 40'000}, 700,
                      "SGNHT, A = 0.3, eps m = 2.4");
}

TEST_CASE("sgnht: gradient noise of the same variance in every coordinate raises the friction and nothing else") {
  // At ζ = A + ε nβ² S/4 the noise of friction A and that of the gradient are together the noise of friction ζ.
  double const eps = .001, m = 1500, noise = 800;
  resting_law const law({.step_size = eps, .diffusion = .1}, noise);
  CHECK(law.friction() == doctest::Approx(.3));
  auto const x = gaussian_law::stationary(law.mode(m), 1, noise);
  CHECK(x[0][0] == doctest::Approx(1 / (m * (1 - eps * m / (8 - 4 * law.friction())))).epsilon(1e-9));
  auto const seen = run({50, 1, m, law.sampler, noise, 12, 4000, 4, 1500}, 800);
  check_identities(seen);
  double const exact = 1 / (1 - eps * m / (8 - 4 * law.friction()));
  MESSAGE("friction " << seen.friction.mean() << " +- " << seen.friction.error() << ", variance "
                      << seen.variance.mean() / exact << " +- " << seen.variance.error() / exact);
  // ζ's own fluctuations, of variance ε/(2 dimension), are of relative size 1e-4.
  CHECK(std::abs(seen.friction.mean() - law.friction()) < 5 * seen.friction.error());
  CHECK(std::abs(seen.variance.mean() - exact) < 5 * seen.variance.error());
  CHECK(seen.friction.error() < .01 * law.friction());
  CHECK(seen.variance.error() < .005 * exact);
}

TEST_CASE("sgnht: as the step shrinks, position, momentum and friction have the product law [oracle]") {
  // In one dimension ζ fluctuates most: variance ε/2. Its bias shrinks with ε/A²; that of SGHMC is 1/(1 - ε m/(8 -
  // 4A)).
  auto const at = [](double eps, double m, std::size_t chains, std::uint64_t seed) {
    return run({1, 1, m, {.step_size = eps, .diffusion = .1}, 0, chains, 3000, 2, 5000}, seed);
  };
  auto const excess = [](moments const& s, double eps_m) { return s.variance.mean() * (1 - eps_m / 7.6) - 1; };
  auto const coarse = at(.08, 1, 150, 900), fine = at(.02, 1, 300, 1000), small = at(2e-4, 50, 300, 1100);
  double const a = excess(coarse, .08), b = excess(fine, .02), c = excess(small, .01);
  MESSAGE("excess variance " << a << " +- " << coarse.variance.error() << ", " << b << " +- " << fine.variance.error()
                             << ", " << c << " +- " << small.variance.error());
  CHECK(std::abs(a) > 5 * coarse.variance.error());
  CHECK(std::abs(b) + 5 * fine.variance.error() < std::abs(a));
  CHECK(std::abs(c) < 5 * small.variance.error());
  oracle::check("variance times precision, SGNHT, 1 dimension, A = 0.1, eps m = 0.01", small.variance.mean(),
                small.variance.error(), 1 / (1 - .01 / 7.6));
  // The friction itself: mean A, variance ε/2 to first order.
  double const spread = small.friction_square.mean() - std::pow(small.friction.mean(), 2);
  MESSAGE("friction " << small.friction.mean() << " +- " << small.friction.error() << ", variance over its limit "
                      << spread / 1e-4);
  CHECK(std::abs(small.friction.mean() - .1) < 5 * small.friction.error());
}

TEST_CASE("sgnht: the first steps by hand") {
  // Two coordinates, flat loss of slopes 2 and -1, γ = 4 around 1, ε = 1/2, nβ = 3, A = 1/4.
  std::vector<double> const center{1, 1}, gradient{2, -1};
  susc::posterior<double> const target{{.n_beta = 3, .localization = 4}, center};
  susc::sgnht const sampler{.step_size = .5, .diffusion = .25};
  auto s = sampler.init(std::span<double const>(center));
  CHECK(s.friction == .25);
  double w[]{1, 1}, v[]{0, 0}, zeta = .25;
  for (std::uint64_t t = 0; t != 5; ++t) {
    double square = 0;
    for (std::size_t i : {0, 1}) {
      double const before = v[i];
      v[i] = (1 - zeta) * before - .25 * (3 * gradient[i] + 4 * (w[i] - 1)) +
             std::sqrt(.125) * susc::random::normal<double>({3}, t, i);
      w[i] += v[i];
      square += std::pow((before + v[i]) / 2, 2);
    }
    zeta += square / 2 - .25;
    s = sampler.step(std::move(s), std::span<double const>(gradient), target, {3});
    for (std::size_t i : {0, 1}) {
      CHECK(s.momentum[i] == doctest::Approx(v[i]).epsilon(1e-12));
      CHECK(s.w[i] == doctest::Approx(w[i]).epsilon(1e-12));
    }
    CHECK(s.friction == doctest::Approx(zeta).epsilon(1e-12));
  }
}

TEST_CASE("sgnht: in a bounding box without a loss the law is uniform") {
  std::vector<double> const center{0}, gradient{0};
  susc::posterior<double> const target{{.n_beta = 1, .localization = 0, .bounding_box = 1}, center};
  susc::sgnht const sampler{.step_size = .05, .diffusion = .3};
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

TEST_CASE("sgnht: a chain resumed from a copy of its state has the same bits") {
  gaussian_law::check_resumed(susc::sgnht{.step_size = .1}, [](auto& s) { s.momentum.assign(s.momentum.size(), 0.f); });
  gaussian_law::check_resumed(susc::sgnht{.step_size = .1}, [](auto& s) { s.friction = susc::sgnht{}.diffusion; });
}

TEST_CASE("sgnht: settings are refused just where, at friction A, the localization alone makes the chain diverge") {
  for (double const diffusion : {.1, .6, 1.}) {
    double const limit = 8 - 4 * diffusion;
    susc::sgnht const sampler{.step_size = .1, .diffusion = diffusion};
    CHECK_NOTHROW(sampler.check({.localization = limit * 4.9, .weight_decay = limit * 5}));
    CHECK(gaussian_law::stable(resting_law(sampler).mode(limit * 9.9)));
    CHECK_THROWS_WITH_AS(sampler.check({.localization = limit * 5.1, .weight_decay = limit * 5}),
                         doctest::Contains("step_size 0.1 is unstable with localization"), susc::error);
    CHECK(!gaussian_law::stable(resting_law(sampler).mode(limit * 10.1)));
  }
}

TEST_CASE("sgnht: unusable settings are refused") {
  double const nan = std::numeric_limits<double>::quiet_NaN();
  auto const refused = [](susc::sgnht const& s, char const* message) {
    CHECK_THROWS_WITH_AS(s.check({}), doctest::Contains(message), susc::error);
  };
  CHECK_NOTHROW(susc::sgnht{}.check({}));
  CHECK_NOTHROW(susc::sgnht{.diffusion = 1}.check({}));
  refused({.step_size = 0}, "step_size is 0, must be positive");
  refused({.step_size = nan}, "step_size is nan");
  refused({.diffusion = 0}, "diffusion is 0, must be above 0 and at most 1");
  refused({.diffusion = 1.5}, "diffusion is 1.5");
  refused({.diffusion = nan}, "diffusion is nan");
}
