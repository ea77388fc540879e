#include "susc/sampling/mala_acceptance.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "oracle.hpp"
#include "susc/models/quadratic.hpp"
#include "susc/sampling/chains.hpp"
#include "susc/sampling/sgld.hpp"
#include "time_average.hpp"

namespace {

using model_type = susc::quadratic<double>;
std::vector<std::size_t> const all{0};
auto const minibatch = [](std::size_t, susc::random::key) { return all; };
susc::posterior_settings const target{.n_beta = 3, .localization = 1};

/// One weight of curvature 1 that moves, and one that does not: precision 4.
model_type one_weight() {
  return model_type({.3, -.2}, {{5, {0, 0}, {1, .2, .2, 7}}}, {{"part", {{0, 1}}}});
}

std::vector<double> trace(susc::mala_acceptance const& visitor, double step_size, std::size_t draws, std::size_t every,
                          std::uint64_t seed = 1) {
  auto const model = one_weight();
  susc::sampling_options<> const options{.components = {"part"},
                                         .posterior = target,
                                         .sampler = {step_size},
                                         .chains = 1,
                                         .draws = draws,
                                         .burn_in = 100,
                                         .batch_size = 1,
                                         .seed = seed};
  auto own = visitor;
  own.step_size = step_size;
  own.every = every;
  auto const plan = susc::plan_sampling(model, options);
  auto const chains = susc::run_chains(model, std::vector<double>{.3, -.2}, susc::data_distribution{all, minibatch}, {},
                                       plan.components, options, own, susc::sequential{});
  return chains[0].chains[0].traces.at(0);
}

/// Mean over N(0, variance) of the probability that MALA accepts a step of size ε, by midpoints in w and in the noise;
/// on a Gaussian of precision m the logarithm of the ratio is ε m² (w² - w'²) / 8.
double exact_acceptance(double m, double step_size, double variance) {
  double const step = .01, reach = 8;
  double sum = 0;
  for (double x = -reach + step / 2; x < reach; x += step)
    for (double xi = -reach + step / 2; xi < reach; xi += step) {
      double const w = x * std::sqrt(variance), to = w * (1 - step_size * m / 2) + std::sqrt(step_size) * xi;
      sum += std::exp(-(x * x + xi * xi) / 2 + std::min(0., step_size * m * m / 8 * (w * w - to * to)));
    }
  return sum * step * step / (2 * std::numbers::pi);
}

}  // namespace

TEST_CASE("mala_acceptance: over SGLD's own law its mean is the integral [oracle]") {
  double const m = 4;
  for (double const precision_times_step : {.2, 1., 2.}) {
    CAPTURE(precision_times_step);
    double const step_size = precision_times_step / m;
    auto const probabilities = trace({.posterior = target}, step_size, 120'000, 1);
    time_average mean(probabilities.size());
    bool probable = true;
    for (double const p : probabilities) {
      mean.add(p);
      probable = probable && p >= 0 && p <= 1;
    }
    CHECK(probable);
    double const of_sgld = 1 / (m * (1 - step_size * m / 4)), exact = exact_acceptance(m, step_size, of_sgld);
    oracle::check("acceptance, SGLD's law, precision times step " + std::to_string(precision_times_step).substr(0, 3),
                  mean.value(), mean.error(), exact);
    // It is the law of SGLD that is meant: where that is far from the posterior, so is the acceptance.
    if (precision_times_step == 2) CHECK(std::abs(exact_acceptance(m, step_size, 1 / m) - exact) > 10 * mean.error());
  }
}

TEST_CASE("mala_acceptance: tends to 1 as the step size falls") {
  // 1 - E[acceptance] is of order (ε m)^{3/2}: a hundredth of the step, about a thousandth of what is missing.
  double missing = 1;
  for (double const step_size : {.25, .025, .0025}) {
    auto const probabilities = trace({.posterior = target}, step_size, 20'000, 1);
    double mean = 0;
    for (double const p : probabilities) mean += p / static_cast<double>(probabilities.size());
    CAPTURE(step_size);
    CHECK(1 - mean < missing / 10);
    CHECK(mean < 1);
    missing = 1 - mean;
  }
}

TEST_CASE("mala_acceptance: one draw in `every` is looked at, the first one among them") {
  for (std::size_t const every : {1, 3, 10})
    CHECK(trace({.posterior = target}, .2, 31, every).size() == (31 + every - 1) / every);
  // Proposals have numbers of their own, so a stay-at-home chain still proposes differently at every draw.
  auto const each = trace({.posterior = target}, .2, 20, 1);
  std::vector<double> sorted(each);
  std::sort(sorted.begin(), sorted.end());
  CHECK(std::count(sorted.begin(), sorted.end(), 1.) < 20);
  CHECK(std::unique(sorted.begin(), sorted.end()) - sorted.begin() > 3);
  // Draws looked at by both are looked at with the same noise: they agree.
  auto const third = trace({.posterior = target}, .2, 20, 3);
  for (std::size_t i = 0; i != third.size(); ++i) CHECK(third[i] == each[3 * i]);
}

TEST_CASE("mala_acceptance: the seed of its proposals is not that of the chains") {
  auto const one = trace({.posterior = target, .seed = 1}, .4, 50, 1),
             again = trace({.posterior = target, .seed = 1}, .4, 50, 1);
  auto const other = trace({.posterior = target, .seed = 2}, .4, 50, 1);
  CHECK(one == again);
  CHECK(one != other);
}

TEST_CASE("mala_acceptance: merging keeps every chain's trace, in order") {
  auto const model = one_weight();
  susc::sampling_options<> const options{
      .components = {"part", "full"}, .posterior = target, .sampler = {.1}, .chains = 3, .draws = 25, .batch_size = 1};
  auto const plan = susc::plan_sampling(model, options);
  auto const chains = susc::run_chains(model, std::vector<double>{.3, -.2}, susc::data_distribution{all, minibatch}, {},
                                       plan.components, options,
                                       susc::mala_acceptance{.posterior = target, .step_size = .1, .every = 5});
  for (auto const& of : chains) {
    auto const merged = of.merged();
    REQUIRE(merged.has_value());
    REQUIRE(merged->traces.size() == 3);
    for (std::size_t chain = 0; chain != 3; ++chain) {
      CHECK(merged->traces[chain].size() == 5);
      CHECK(merged->traces[chain] == of.chains[chain].traces[0]);
    }
    CHECK(merged->traces[0] != merged->traces[1]);
  }
}

TEST_CASE("mala_acceptance: a step out of the bounding box has no chance, and every = 0 is refused") {
  auto boxed = target;
  boxed.bounding_box = 1e-9;
  // The chain itself has no walls: nearly all its draws and all proposals are outside.
  for (double const p : trace({.posterior = boxed}, .2, 50, 1)) CHECK(p == 0);
  CHECK_THROWS_WITH_AS(trace({.posterior = target}, .2, 5, 0), "every is 0, must be at least 1", susc::error);
}
