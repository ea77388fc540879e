// R-hat, effective sample sizes and Monte Carlo standard errors against ArviZ (tests/fixtures/diagnostics.py).
#include "susc/response/diagnostics.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "susc/core/random.hpp"

namespace {

using chains = std::vector<std::vector<double>>;

nlohmann::json reference() {
  std::ifstream file(std::string(SUSC_FIXTURES) + "/diagnostics_reference.json");
  REQUIRE(file.good());
  return nlohmann::json::parse(file);
}

/// Relative; 1e-9 covers the case "offset", whose values are a million times their spread; all others agree to 1e-14.
/// Without the absolute slack that doctest::Approx adds for values below 1.
bool agree(double value, double expected, double tolerance = 1e-9) {
  return std::abs(value - expected) <= tolerance * std::abs(expected);
}

chains normal_chains(std::size_t count, std::size_t draws) {
  susc::random::stream stream(susc::random::key{7});
  chains result(count, std::vector<double>(draws));
  for (auto& chain : result)
    for (double& value : chain) value = stream.normal();
  return result;
}

std::string message_of(chains const& x) {
  try {
    susc::split_r_hat(x);
  } catch (susc::error const& problem) {
    return problem.what();
  }
  return {};
}

}  // namespace

TEST_CASE("diagnostics: every case agrees with ArviZ") {
  auto const cases = reference().at("cases");
  REQUIRE(cases.size() >= 13);
  for (auto const& item : cases.items()) {
    std::string const name = item.key();
    auto const& expected = item.value();
    CAPTURE(name);
    auto const x = expected.at("chains").get<chains>();
    CHECK(agree(susc::split_r_hat(x), expected.at("r_hat_rank")));
    CHECK(agree(susc::plain_split_r_hat(x), expected.at("r_hat_split")));
    CHECK(agree(susc::bulk_effective_sample_size(x), expected.at("ess_bulk")));
    CHECK(agree(susc::tail_effective_sample_size(x), expected.at("ess_tail")));
    CHECK(agree(susc::effective_sample_size_mean(x), expected.at("ess_mean")));
    CHECK(agree(susc::monte_carlo_standard_error(x), expected.at("mcse_mean")));
  }
}

TEST_CASE("diagnostics: normal quantile agrees with SciPy in centre, tails and far tails") {
  auto const table = reference().at("normal_quantile");
  for (auto const& row : table) {
    double const p = row.at("probability");
    CAPTURE(p);
    CHECK(agree(susc::detail::normal_quantile(p), row.at("value"), 1e-14));
  }
  CHECK(susc::detail::normal_quantile(0.5) == 0);
}

TEST_CASE("diagnostics: what R-hat must see and what it must not") {
  auto const mixed = normal_chains(4, 200);
  CHECK(susc::split_r_hat(mixed) < 1.02);

  auto shifted = mixed;
  for (double& value : shifted[2]) value += 2;
  CHECK(susc::split_r_hat(shifted) > 1.2);

  auto drifting = chains{mixed[0]};  // one chain: only its halves can tell
  for (std::size_t t = 100; t != 200; ++t) drifting[0][t] += 2;
  CHECK(susc::split_r_hat(drifting) > 1.2);

  auto wide = mixed;  // the same median: only folding can tell
  for (double& value : wide[1]) value *= 5;
  CHECK(susc::plain_split_r_hat(wide) < 1.02);
  CHECK(susc::split_r_hat(wide) > 1.1);
}

TEST_CASE("diagnostics: ranks do not care for monotone maps, nothing for the order of chains") {
  auto const x = normal_chains(3, 51);
  auto mapped = x;
  for (auto& chain : mapped)
    for (double& value : chain) value = std::exp(3 * value);
  CHECK(susc::bulk_effective_sample_size(mapped) == susc::bulk_effective_sample_size(x));

  auto const turned = chains{x[2], x[0], x[1]};
  CHECK(agree(susc::split_r_hat(turned), susc::split_r_hat(x), 1e-13));
  CHECK(agree(susc::monte_carlo_standard_error(turned), susc::monte_carlo_standard_error(x), 1e-13));

  auto scaled = x;
  for (auto& chain : scaled)
    for (double& value : chain) value = 1e-20 * value;
  CHECK(agree(susc::effective_sample_size_mean(scaled), susc::effective_sample_size_mean(x), 1e-10));
  CHECK(agree(susc::monte_carlo_standard_error(scaled), 1e-20 * susc::monte_carlo_standard_error(x), 1e-10));
}

TEST_CASE("diagnostics: constant chains") {
  chains const constant(2, std::vector<double>(9, 0.1));
  CHECK(std::isnan(susc::split_r_hat(constant)));
  CHECK(std::isnan(susc::plain_split_r_hat(constant)));
  CHECK(susc::bulk_effective_sample_size(constant) == 16);
  CHECK(susc::tail_effective_sample_size(constant) == 16);
  CHECK(susc::monte_carlo_standard_error(constant) == 0);

  chains const stuck{std::vector<double>(10, 0.1), std::vector<double>(10, 0.3), std::vector<double>(10, 0.3)};
  CHECK(std::isinf(susc::split_r_hat(stuck)));
  CHECK(agree(susc::bulk_effective_sample_size(stuck), 7.5));  // ArviZ's value: about one draw a half-chain
}

TEST_CASE("diagnostics: errors name what is wrong") {
  CHECK(message_of({}) == "diagnostics need at least one chain, none was given");
  CHECK(message_of({{1, 2, 3}}) == "chain 0 has 3 draws, diagnostics need at least 4");
  CHECK(message_of({{1, 2, 3, 4}, {1, 2, 3, 4, 5}}) ==
        "chains must be equally long: chain 1 has 5 draws, chain 0 has 4");
  double const nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  CHECK(message_of({{1, 2, 3, 4}, {1, 2, nan, 4}}) == "chain 1, draw 2 is nan: leave diverged chains out");
  chains const infinite{{1, -infinity, 3, 4}};
  CHECK(message_of(infinite) == "chain 0, draw 1 is -inf: leave diverged chains out");
  CHECK_THROWS_AS(susc::plain_split_r_hat(infinite), susc::error);
  CHECK_THROWS_AS(susc::bulk_effective_sample_size(infinite), susc::error);
  CHECK_THROWS_AS(susc::tail_effective_sample_size(infinite), susc::error);
  CHECK_THROWS_AS(susc::effective_sample_size_mean(infinite), susc::error);
  CHECK_THROWS_AS(susc::monte_carlo_standard_error(infinite), susc::error);
}

namespace {

/// AR(1) chains of unit variance, in equilibrium but for a start that is `away` from it.
chains autoregressive(std::size_t count, std::size_t draws, double rho, std::uint64_t seed, double away = 0) {
  susc::random::stream stream({seed});
  chains result(count, std::vector<double>(draws));
  for (auto& chain : result) {
    double x = away + stream.normal();
    for (double& value : chain) {
      value = x;
      x = rho * x + std::sqrt(1 - rho * rho) * stream.normal();
    }
  }
  return result;
}

}  // namespace

TEST_CASE("drift: standard normal on chains in equilibrium") {
  // The variance of 1000 squares of normals is known to 4.5 %: five such errors, and as much again for the error's own.
  constexpr std::size_t replicates = 1000;
  for (double const rho : {0., .5, .8}) {
    CAPTURE(rho);
    double mean = 0, square = 0;
    std::size_t beyond = 0;
    for (std::size_t replicate = 0; replicate != replicates; ++replicate) {
      double const z = susc::drift(autoregressive(4, 200, rho, 1000 * replicate + 7));
      mean += z / replicates;
      square += z * z / replicates;
      beyond += std::abs(z) > 4;
    }
    MESSAGE("rho " << rho << ": mean " << mean << ", variance " << square << ", beyond 4: " << beyond);
    CHECK(std::abs(mean) < 5 / std::sqrt(1. * replicates));
    CHECK(square > .7);
    CHECK(square < 1.4);
    CHECK(beyond < 5);  // diagnose() warns there
  }
}

TEST_CASE("drift: large and of the right sign on chains that still relax") {
  // Started six standard deviations away with a memory of 50 draws: e^-2 of that is left at the middle.
  for (std::uint64_t seed = 1; seed != 21; ++seed) {
    CAPTURE(seed);
    auto down = autoregressive(4, 200, .98, seed, 6);
    CHECK(susc::drift(down) < -2);
    for (auto& chain : down)
      for (double& value : chain) value = -value;
    CHECK(susc::drift(down) > 2);
    // A jump by one standard deviation halfway: 2 x 400 draws see it at 14 errors.
    auto jumping = normal_chains(4, 200);
    for (auto& chain : jumping)
      for (std::size_t t = 100; t != 200; ++t) chain[t] += 1;
    CHECK(susc::drift(jumping) > 8);
  }
}

TEST_CASE("drift: by hand, on constants, and on too few draws") {
  // Constant halves: no error, so infinitely many of them.
  CHECK(std::isinf(susc::drift(chains{{1, 1, 1, 1, 2, 2, 2, 2}})));
  CHECK(susc::drift(chains{std::vector<double>(8, 3.)}) == 0);
  // The difference of the halves' means over the root of the sum of their errors' squares.
  auto const x = normal_chains(2, 40);
  chains first, second;
  double difference = 0;
  for (auto const& chain : x) {
    first.emplace_back(chain.begin(), chain.begin() + 20);
    second.emplace_back(chain.begin() + 20, chain.end());
    for (std::size_t t = 0; t != 20; ++t) difference += (chain[t + 20] - chain[t]) / 40;
  }
  double const error = std::hypot(susc::monte_carlo_standard_error(first), susc::monte_carlo_standard_error(second));
  CHECK(agree(susc::drift(x), difference / error, 1e-12));
  CHECK_THROWS_WITH_AS(susc::drift(chains{{1, 2, 3, 4, 5, 6, 7}}), "drift needs chains of at least 8 draws, got 7",
                       susc::error);
}

TEST_CASE("recommended_thinning: independent draws are all taken, and so are free ones") {
  CHECK(susc::recommended_thinning(1, 100, 1, 1) == 1);
  CHECK(susc::recommended_thinning(1, 100, 1, 7) == 1);
  CHECK(susc::recommended_thinning(1, 100, .5, 1) == 1);  // antithetic draws are worth more than independent ones
  for (double const time : {1.5, 10., 300.}) CHECK(susc::recommended_thinning(1, 0, time, 1) == 1);
  // Chains that hardly move and costly draws: no more than 1000 steps a draw.
  CHECK(susc::recommended_thinning(1, 1e9, 1e9, 1) == 1000);
}

TEST_CASE("recommended_thinning: the least of the documented cost, found by trying every number of steps") {
  for (double const rho : {.3, .8, .95, .99})
    for (double const draw_cost : {.5, 3., 20., 300.})
      for (std::size_t const thinning : {1, 2, 7}) {
        CAPTURE(rho);
        CAPTURE(draw_cost);
        CAPTURE(thinning);
        auto const time = [&](std::size_t k) {
          double const kept = std::pow(rho, static_cast<double>(k));
          return (1 + kept) / (1 - kept);
        };
        std::size_t best = 1;
        auto const cost = [&](std::size_t k) { return (2 * static_cast<double>(k) + draw_cost) * time(k); };
        for (std::size_t k = 1; k <= 1000; ++k)
          if (cost(k) < cost(best)) best = k;
        // The same chain measured at any thinning.
        std::size_t const found = susc::recommended_thinning(2, draw_cost, time(thinning), thinning);
        CHECK(cost(found) <= cost(best) * (1 + 1e-9));  // a tie may fall to a neighbour by rounding
        if (rho == .95 && draw_cost == 20) CHECK(found > 10);
      }
}

TEST_CASE("recommended_thinning: for the same cost the error really is lower than at 1 and at four times as many") {
  // A step costs 1, a draw 20; mean squared errors of the mean at a fixed budget, in 300 replicates.
  double const rho = .95, draw_cost = 20, budget = 15'000;
  std::size_t const best = susc::recommended_thinning(1, draw_cost, (1 + rho) / (1 - rho), 1), replicates = 300;
  CHECK(best > 20);
  susc::random::stream stream({5});
  auto const squared_error = [&](std::size_t thinning) {
    double const k = static_cast<double>(thinning);
    auto const draws = static_cast<std::size_t>(budget / (k + draw_cost));
    double square = 0;
    for (std::size_t replicate = 0; replicate != replicates; ++replicate) {
      double x = stream.normal(), sum = 0;
      for (std::size_t t = 0; t != draws; ++t) {
        for (std::size_t step = 0; step != thinning; ++step) x = rho * x + std::sqrt(1 - rho * rho) * stream.normal();
        sum += x / static_cast<double>(draws);
      }
      square += sum * sum / static_cast<double>(replicates);
    }
    // Predicted: cost of one effective draw / budget; a mean of normal squares is known to √(2/replicates).
    double const kept = std::pow(rho, k), predicted = (k + draw_cost) * (1 + kept) / (1 - kept) / budget;
    double const error = std::sqrt(2. / static_cast<double>(replicates));
    CAPTURE(thinning);
    CHECK(std::abs(square / predicted - 1) < 5 * error);
    return square;
  };
  double const at_best = squared_error(best), at_one = squared_error(1), at_four_times = squared_error(4 * best);
  MESSAGE("mean squared error at " << best << " steps a draw " << at_best << ", at 1 " << at_one << ", at " << 4 * best
                                   << " " << at_four_times);
  CHECK(at_best < at_one / 5);
  CHECK(at_best < at_four_times / 1.3);
}
