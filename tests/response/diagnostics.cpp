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
