#include "susc/sampling/mala.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "oracle.hpp"
#include "skewed.hpp"
#include "susc/core/random.hpp"
#include "susc/models/monomial.hpp"
#include "time_average.hpp"

namespace {

using values = std::vector<double>;

/// Runs MALA on a loss and gradient from `start`; `see(state)` at every step.
template <class Evaluate, class See>
susc::mala::state<double> run(susc::mala const& sampler, susc::posterior_settings const& settings, values const& center,
                              values const& start, Evaluate&& evaluate, std::size_t steps, std::uint64_t seed,
                              See&& see) {
  susc::posterior<double> const target{settings, center};
  auto s = sampler.init(std::span<double const>(start));
  for (std::size_t t = 0; t != steps; ++t) {
    s = sampler.step(std::move(s), evaluate, target, {seed});
    see(s);
  }
  return s;
}

/// ½ Σ a_i (w_i - center_i)².
struct bowl {
  values curvature, center;
  double operator()(std::span<double const> w, std::span<double> gradient) const {
    double loss = 0;
    for (std::size_t i = 0; i != w.size(); ++i) {
      gradient[i] = curvature[i] * (w[i] - center[i]);
      loss += gradient[i] * (w[i] - center[i]) / 2;
    }
    return loss;
  }
};

}  // namespace

TEST_CASE("mala: a Gaussian posterior is left exactly as it is at any step size [oracle]") {
  // ε m up to 2, where SGLD's variance would be twice the posterior's.
  struct example {
    values curvature;
    double step_size;
    std::size_t steps;
  };
  susc::posterior_settings const settings{.n_beta = 3, .localization = 1, .weight_decay = .5};
  for (example const& e :
       {example{{1.5}, .05, 500'000}, example{{1.5}, 1. / 6, 300'000}, example{{1.5}, 1. / 3, 300'000},
        example{{.1, .3, .6, 1, 1.5}, .1, 400'000}, example{{.1, .3, .6, 1, 1.5}, 1. / 3, 800'000}}) {
    std::size_t const d = e.curvature.size();
    CAPTURE(d);
    CAPTURE(e.step_size);
    values const center(d, .7);
    std::vector<time_average> mean(d, time_average(e.steps)), square(d, time_average(e.steps));
    time_average product(e.steps);
    values exact_mean(d), precision(d);
    for (std::size_t i = 0; i != d; ++i) {
      // Weight decay moves the mean: (nβ a + γ)(μ - w*) + λ μ = 0.
      precision[i] = 3 * e.curvature[i] + 1 + .5;
      exact_mean[i] = (precision[i] - .5) / precision[i] * .7;
    }
    auto const end = run(susc::mala{e.step_size}, settings, center, center, bowl{e.curvature, center}, e.steps, 3 + d,
                         [&](auto const& s) {
                           for (std::size_t i = 0; i != d; ++i) {
                             mean[i].add(s.w[i]);
                             square[i].add(std::pow(s.w[i] - exact_mean[i], 2));
                           }
                           if (d > 1) product.add((s.w[0] - exact_mean[0]) * (s.w[d - 1] - exact_mean[d - 1]));
                         });
    MESSAGE(d << " dimensions, step size " << e.step_size << ": acceptance "
              << static_cast<double>(end.accepted) / static_cast<double>(end.steps));
    for (std::size_t i = 0; i != d; ++i) {
      CAPTURE(i);
      CHECK(std::abs(mean[i].value() - exact_mean[i]) < 5 * mean[i].error());
      std::string const row =
          (d == 1 ? "1 dimension" : "weight " + std::to_string(i + 1) + " of " + std::to_string(d)) +
          ", precision times step " + std::to_string(precision[i] * e.step_size).substr(0, 4);
      oracle::check("variance, MALA, " + row, square[i].value(), square[i].error(), 1 / precision[i]);
    }
    if (d > 1) CHECK(std::abs(product.value()) < 5 * product.error());
  }
}

TEST_CASE("mala: the moments of a skewed target are exact at any step size [oracle]") {
  susc::posterior_settings const settings{.n_beta = 2, .localization = 0};
  auto const loss = [](std::span<double const> w, std::span<double> gradient) {
    gradient[0] = skewed::derivative(skewed::potential, w[0]);
    return skewed::value(skewed::potential, w[0]);
  };
  auto const exact = skewed::boltzmann([](double x) { return 2 * skewed::value(skewed::potential, x); }, -7, 7);
  for (double const step_size : {.1, .5, 1.}) {
    CAPTURE(step_size);
    std::size_t const steps = 600'000;
    std::vector<time_average> moments(5, time_average(steps));
    run(susc::mala{step_size}, settings, {0}, {0}, loss, steps, 17, [&](auto const& s) {
      for (int k = 1; k != 5; ++k) moments[static_cast<std::size_t>(k)].add(std::pow(s.w[0], k));
    });
    for (std::size_t k = 1; k != 5; ++k)
      oracle::check(
          "moment " + std::to_string(k) + ", MALA, skewed, step size " + std::to_string(step_size).substr(0, 3),
          moments[k].value(), moments[k].error(), exact.moment(static_cast<int>(k)), .05);
  }
  // The Gaussian with the curvature of the mode would have no odd moments and the variance ½.
  CHECK(exact.moment(1) < -.15 * std::sqrt(exact.moment(2)));
  CHECK(exact.moment(2) < .8 * .5);
}

TEST_CASE("mala: monomials in a bounding box, whose walls proposals cross and are rejected at [oracle]") {
  for (unsigned const power : {2u, 4u, 6u}) {
    CAPTURE(power);
    susc::monomial<double> const model({power});
    auto const loss = [&](std::span<double const> w, std::span<double> gradient) {
      return model.loss_and_gradient(w, {}, gradient);
    };
    // Half a box's walls cut the density where it is far from small. The trapezoidal rule is exact to its step squared.
    double const half = .9;
    susc::posterior_settings const settings{.n_beta = 2, .localization = 0, .bounding_box = half};
    auto const exact = skewed::boltzmann([&](double x) { return std::pow(x, power); }, -half, half, 40'001);
    std::size_t const steps = 300'000;
    time_average square(steps), loss_times_n_beta(steps), mean(steps);
    bool inside = true;
    run(susc::mala{.6}, settings, {0}, {0}, loss, steps, 29, [&](auto const& s) {
      inside = inside && std::abs(s.w[0]) <= half;
      mean.add(s.w[0]);
      square.add(s.w[0] * s.w[0]);
      loss_times_n_beta.add(std::pow(s.w[0], power));
    });
    CHECK(inside);
    CHECK(std::abs(mean.value()) < 5 * mean.error());
    std::string const row = ", MALA, monomial " + std::to_string(power) + " in a box";
    oracle::check("variance" + row, square.value(), square.error(), exact.moment(2));
    oracle::check("nβ E[K]" + row, loss_times_n_beta.value(), loss_times_n_beta.error(),
                  exact.moment(static_cast<int>(power)));
  }
}

TEST_CASE("mala: the acceptance rate in equilibrium is the integral over weight and proposal [oracle]") {
  for (double const precision_times_step : {.3, 1., 2.}) {
    CAPTURE(precision_times_step);
    double const m = 4, step_size = precision_times_step / m;
    // On a Gaussian, log p(w') q(w|w') / (p(w) q(w'|w)) = ε m² (w² - w'²) / 8. Midpoints: the kink costs step².
    double const step = .01, reach = 8;
    double sum = 0;
    for (double x = -reach + step / 2; x < reach; x += step)
      for (double xi = -reach + step / 2; xi < reach; xi += step) {
        double const w = x / std::sqrt(m), to = w * (1 - step_size * m / 2) + std::sqrt(step_size) * xi;
        double const accepted = std::exp(std::min(0., step_size * m * m / 8 * (w * w - to * to)));
        sum += std::exp(-(x * x + xi * xi) / 2) / (2 * std::numbers::pi) * step * step * accepted;
      }
    // By reversibility it is twice the probability of |w'| < |w|: that w' - w and w' + w, normal, have opposite signs.
    double const rho = 1 - step_size * m / 2, variance = rho * rho / m + step_size;
    double const correlation = (variance - 1 / m) / std::sqrt(std::pow(variance + 1 / m, 2) - std::pow(2 * rho / m, 2));
    CHECK(sum == doctest::Approx(2 / std::numbers::pi * std::acos(correlation)).epsilon(1e-4));

    std::size_t const steps = 400'000;
    time_average rate(steps);
    std::uint64_t before = 0;
    values const start{.3};  // in the bulk: there is no burn-in to choose
    run(susc::mala{step_size}, {.n_beta = 3, .localization = 1}, {0}, start, bowl{{1}, {0}}, steps, 41,
        [&](auto const& s) {
          rate.add(static_cast<double>(s.accepted - before));
          before = s.accepted;
        });
    oracle::check("acceptance rate, MALA, precision times step " + std::to_string(precision_times_step).substr(0, 3),
                  rate.value(), rate.error(), sum);
  }
}

TEST_CASE("mala: a rejected step keeps weights, slope and energy, an accepted one has those of the proposal") {
  values const center{.5, -1};
  bowl const loss{{1, 2}, center};
  susc::posterior<double> const target{{.n_beta = 3, .localization = 1}, center};
  susc::mala const sampler{.step_size = .4};
  auto s = sampler.init(std::span<double const>(center));
  std::size_t rejections = 0;
  for (int t = 0; t != 200; ++t) {
    auto const before = s;
    s = sampler.step(std::move(s), loss, target, {5});
    CHECK(s.steps == before.steps + 1);
    if (s.accepted == before.accepted && t != 0) {
      ++rejections;
      CHECK(s.w == before.w);
      CHECK(s.slope == before.slope);
      CHECK(s.energy == before.energy);
    } else if (t != 0) {
      CHECK(s.accepted == before.accepted + 1);
      CHECK(s.w != before.w);
    }
    values gradient(2);
    double const value = loss(std::span<double const>(s.w), gradient);
    CHECK(s.energy == doctest::Approx(target.energy(std::span<double const>(s.w), value)).epsilon(1e-13));
    for (std::size_t i : {0, 1})
      CHECK(s.slope[i] == doctest::Approx(target.slope(i, s.w[i], gradient[i])).epsilon(1e-13));
  }
  CHECK(rejections > 10);
  CHECK(rejections < 190);
}

TEST_CASE("mala: a chain resumed from a copy of its state has the same bits, and states tell steps apart") {
  values const center{.5, -1};
  bowl const loss{{1, 2}, center};
  susc::mala const sampler{.step_size = .4};
  susc::posterior<double> const target{{.n_beta = 3, .localization = 1}, center};
  auto const advance = [&](susc::mala::state<double> s, int steps) {
    while (steps-- > 0) s = sampler.step(std::move(s), loss, target, {9});
    return s;
  };
  auto const start = sampler.init(std::span<double const>(center));
  auto const middle = advance(start, 10), checkpoint = middle;
  CHECK(advance(start, 25) == advance(checkpoint, 15));
  CHECK(advance(middle, 15) == advance(checkpoint, 15));
  CHECK(!(advance(start, 25) == advance(start, 24)));
  // Scratch is no part of the state; all else is.
  auto other = middle;
  std::fill(other.proposal.begin(), other.proposal.end(), 7.);
  std::fill(other.proposal_slope.begin(), other.proposal_slope.end(), 7.);
  CHECK(other == middle);
  CHECK(advance(other, 15) == advance(middle, 15));
  for (int field = 0; field != 5; ++field) {
    CAPTURE(field);
    auto changed = middle;
    if (field == 0) changed.w[1] += 1;
    if (field == 1) changed.slope[0] += 1;
    if (field == 2) changed.energy += 1;
    if (field == 3) ++changed.accepted;
    if (field == 4) ++changed.steps;
    CHECK(!(changed == middle));
  }
}

TEST_CASE("mala: the first step evaluates twice, every later one once") {
  values const center{0};
  std::size_t calls = 0;
  auto const loss = [&](std::span<double const> w, std::span<double> gradient) {
    ++calls;
    gradient[0] = w[0];
    return w[0] * w[0] / 2;
  };
  susc::mala const sampler{.step_size = .5};
  susc::posterior<double> const target{{.n_beta = 3, .localization = 1}, center};
  auto s = sampler.init(std::span<double const>(center));
  CHECK(calls == 0);
  for (std::size_t t = 1; t != 20; ++t) {
    s = sampler.step(std::move(s), loss, target, {1});
    CHECK(calls == t + 1);
  }
}

TEST_CASE("mala: a proposal without a finite loss is rejected, and the chain goes on") {
  // The loss is not a number, or infinite, right of 0: the law is that of the left half.
  for (double const beyond : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    CAPTURE(beyond);
    auto const loss = [&](std::span<double const> w, std::span<double> gradient) {
      gradient[0] = w[0] > 0 ? beyond : w[0];
      return w[0] > 0 ? beyond : w[0] * w[0] / 2;
    };
    std::size_t const steps = 200'000;
    time_average mean(steps), square(steps);
    bool left = true;
    auto const end =
        run(susc::mala{.5}, {.n_beta = 1, .localization = 0}, {0}, {-1}, loss, steps, 6, [&](auto const& s) {
          left = left && s.w[0] <= 0 && std::isfinite(s.energy);
          mean.add(s.w[0]);
          square.add(s.w[0] * s.w[0]);
        });
    CHECK(left);
    CHECK(end.accepted > steps / 4);
    CHECK(std::abs(mean.value() + std::sqrt(2 / std::numbers::pi)) < 5 * mean.error());
    CHECK(std::abs(square.value() - 1) < 5 * square.error());
  }
}

TEST_CASE("mala: the number that decides is independent of the noise of the proposal") {
  // From 0 every proposal w' ≠ 0 has energy log 2 more: accepted with probability ½, whatever the noise was.
  values const center{0};
  auto const loss = [](std::span<double const> w, std::span<double> gradient) {
    gradient[0] = 0;
    return w[0] == 0 ? 0. : std::numbers::ln2;
  };
  susc::mala const sampler{.step_size = 1};
  susc::posterior<double> const target{{.n_beta = 1, .localization = 0}, center};
  std::size_t const trials = 200'000;
  double accepted = 0, with_noise = 0, with_square = 0;
  for (std::size_t k = 0; k != trials; ++k) {
    susc::random::key const key = susc::random::fold_in({8}, k);
    auto const s = sampler.step(sampler.init(std::span<double const>(center)), loss, target, key);
    double const coin = static_cast<double>(s.accepted) - .5, noise = susc::random::normal<double>(key, 0, 0);
    if (s.accepted == 1) CHECK(s.w[0] == noise);
    accepted += coin;
    with_noise += coin * noise;
    with_square += coin * (noise * noise - 1);
  }
  double const n = static_cast<double>(trials), error = .5 / std::sqrt(n);
  CHECK(std::abs(accepted / n) < 5 * error);
  CHECK(std::abs(with_noise / n) < 5 * error);
  CHECK(std::abs(with_square / n) < 5 * std::sqrt(2.) * error);
}

TEST_CASE(
    "log_acceptance_ratio: equals the definition, changes sign with the direction, and refuses what is not finite") {
  susc::random::stream stream({77});
  for (int trial = 0; trial != 50; ++trial) {
    CAPTURE(trial);
    double const step_size = .1 + stream.uniform();
    values from(3), to(3), from_slope(3), to_slope(3);
    for (values* v : {&from, &to, &from_slope, &to_slope})
      for (double& x : *v) x = stream.normal();
    double const from_energy = stream.normal(), to_energy = stream.normal();
    double definition = from_energy - to_energy;
    for (std::size_t i = 0; i != 3; ++i) {
      definition += std::pow(to[i] - from[i] + step_size / 2 * from_slope[i], 2) / (2 * step_size);
      definition -= std::pow(from[i] - to[i] + step_size / 2 * to_slope[i], 2) / (2 * step_size);
    }
    auto const ratio = [&](values const& a, double a_energy, values const& a_slope, values const& b, double b_energy,
                           values const& b_slope) {
      return susc::log_acceptance_ratio<double>(step_size, a, a_energy, a_slope, b, b_energy, b_slope);
    };
    double const forth = ratio(from, from_energy, from_slope, to, to_energy, to_slope);
    CHECK(forth == doctest::Approx(definition).epsilon(1e-12));
    CHECK(ratio(to, to_energy, to_slope, from, from_energy, from_slope) == doctest::Approx(-forth).epsilon(1e-12));
    double const never = -std::numeric_limits<double>::infinity();
    CHECK(ratio(from, from_energy, from_slope, to, std::nan(""), to_slope) == never);
    CHECK(ratio(from, from_energy, from_slope, to, -never, to_slope) == never);
  }
}

TEST_CASE("mala: unusable step sizes are refused") {
  double const nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  CHECK_NOTHROW(susc::mala{}.check({}));
  CHECK_NOTHROW(susc::mala{10}.check({}));  // no step size is unstable
  for (double const step_size : {0., -1., nan, infinity})
    CHECK_THROWS_WITH_AS(susc::mala{step_size}.check({}), doctest::Contains("must be positive"), susc::error);
}
