// The rule by which calibrate recommends a setting, on tables made by hand.
#include "recommendation.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using calibrate::measurement;
using names = std::vector<std::string_view>;

namespace {

/// A setting that keeps every rule if its LLC, 5 ± .1, is that of the smallest step size.
measurement row(double step_size, double ess_per_second, double llc = 5, double n_beta = 30) {
  measurement m{200, n_beta, step_size, 20};
  m.learning_coefficient = {llc, .1};
  m.excess_loss = {llc / n_beta, .1 / n_beta};
  m.acceptance = 0;  // shown, not required
  m.r_hat = 1.01;
  m.ess = 100;
  m.ess_per_second = ess_per_second;
  m.drift = 1;
  return m;
}

bool says(std::string const& text, char const* what) {
  bool const found = text.find(what) != std::string::npos;
  if (!found) MESSAGE("\"" << text << "\" does not say " << what);
  return found;
}

}  // namespace

TEST_CASE("recommendation: the fastest of the settings that keep every rule") {
  std::vector<measurement> table{row(.001, 10), row(.002, 20), row(.004, 40), row(.008, 15)};
  auto const r = calibrate::recommend(table);
  REQUIRE(r.best == 2);
  CHECK(calibrate::arguments(table[2]) == "--n-beta 30 --localization 200 --step-size 0.004");
  CHECK(says(r.reason, "40"));
  CHECK(says(r.reason, "4 settings of 4"));
  CHECK_FALSE(r.reason.find("tried") != std::string::npos);
}

TEST_CASE("recommendation: each rule is enough to refuse a setting") {
  auto const broken = [](auto change) {
    std::vector<measurement> table{row(.001, 10), row(.002, 20), row(.004, 40)};
    change(table[2]);
    auto const r = calibrate::recommend(table);
    CHECK(r.best == 1);
    CHECK(r.broken[0].empty());
    return r.broken[2];
  };
  CHECK(broken([](auto& m) { m.dropped_chains = 1; }) == names{"dropped"});
  CHECK(broken([](auto& m) { m.r_hat = 1.06; }) == names{"R-hat"});
  CHECK(broken([](auto& m) { m.drift = 4.1; }) == names{"drift"});
  CHECK(broken([](auto& m) { m.drift = -4.1; }) == names{"drift"});
  CHECK(broken([](auto& m) { m.learning_coefficient.value = 6; }) == names{"bias"});
  CHECK(broken([](auto& m) { m.learning_coefficient.value = 4; }) == names{"bias"});
  CHECK(broken([](auto& m) { m.learning_coefficient.value = -1; }) == names{"LLC", "bias"});
  // What cannot be said is no recommendation.
  CHECK(broken([](auto& m) { m.r_hat = calibrate::unknown; }) == names{"R-hat"});
  CHECK(broken([](auto& m) { m.drift = calibrate::unknown; }) == names{"drift"});
  CHECK(broken([](auto& m) { m.learning_coefficient = {}; }) == names{"LLC", "bias"});
}

TEST_CASE("recommendation: the LLC may differ by 5 % and two combined errors, and no more") {
  // Errors .1 and .1: the tolerance at 5 is .25 + .2 sqrt 2 = .533.
  for (auto const& both : {std::pair{5.53, true}, {5.54, false}, {4.47, true}, {4.46, false}}) {
    double const llc = both.first;  // clang 14 captures no structured binding
    bool const keeps = both.second;
    CAPTURE(llc);
    auto const r = calibrate::recommend({row(.001, 10), row(.002, 20, llc)});
    CHECK(r.broken[1].empty() == keeps);
    CHECK(r.best == (keeps ? 1 : 0));
  }
}

TEST_CASE("recommendation: step sizes are compared at the same n_beta and localization only") {
  std::vector<measurement> table{row(.001, 10, 5, 30), row(.002, 20, 5, 30), row(.004, 25, 9, 100),
                                 row(.008, 30, 9, 100), row(.002, 15, 2, 100)};
  table[4].localization = 1000;
  auto const r = calibrate::recommend(table);
  for (auto const& broken : r.broken) CHECK(broken.empty());
  CHECK(r.best == 3);
  // The order of the rows does not matter: the reference is the smallest step size, not the first.
  auto const backwards = calibrate::recommend({row(.004, 40, 7), row(.001, 10, 5)});
  CHECK(backwards.broken == std::vector{names{"bias"}, names{}});
}

TEST_CASE("recommendation: at the end of the grid it says so") {
  CHECK(says(calibrate::recommend({row(.001, 10), row(.002, 20)}).reason, "largest step size tried"));
  CHECK(says(calibrate::recommend({row(.001, 30), row(.002, 20)}).reason, "smallest step size tried"));
  CHECK(says(calibrate::recommend({row(.001, 30)}).reason, "smallest step size tried"));
}

TEST_CASE("recommendation: where nothing keeps the rules, what the nearest breaks and what would help") {
  std::vector<measurement> table{row(.001, 10), row(.002, 20), row(.004, 40)};
  table[0].r_hat = 1.3, table[1].r_hat = 1.2, table[2].r_hat = 1.1;
  table[2].dropped_chains = 4;  // five times the limit; an R-hat of 1.2 is four times
  auto const r = calibrate::recommend(table);
  CHECK_FALSE(r.best.has_value());
  CHECK(says(r.reason, "No setting keeps every rule"));
  CHECK(says(r.reason, "--step-size 0.002"));  // whose farthest rule is the least far
  CHECK(says(r.reason, "R-hat 1.2, above 1.05: more --draws"));

  auto const reason = [&](auto change) {
    measurement m = row(.001, 10);
    change(m);
    return calibrate::recommend({m}).reason;
  };
  CHECK(says(reason([](auto& m) { m.dropped_chains = 3; }), "3 diverged chains: a smaller --step-size"));
  CHECK(says(reason([](auto& m) { m.drift = 7; }), "drift of 7 standard errors: a longer --burn-in"));
  CHECK(says(reason([](auto& m) { m.learning_coefficient.value = -2; }), "larger --localization"));
  CHECK_THROWS_WITH(calibrate::recommend({}), "there is no setting to recommend");
}
