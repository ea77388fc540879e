#include "susc/response/component_response.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "susc/core/random.hpp"

namespace {

using traces = std::vector<std::vector<double>>;

/// AR(1) chains about `mean`, in equilibrium.
traces chains_of(std::size_t count, std::size_t draws, double rho, double mean, std::uint64_t seed) {
  susc::random::stream stream({seed});
  traces result(count, std::vector<double>(draws));
  for (auto& chain : result) {
    double x = stream.normal();
    for (double& value : chain) {
      value = mean + x;
      x = rho * x + std::sqrt(1 - rho * rho) * stream.normal();
    }
  }
  return result;
}

susc::component_response response_of(traces const& observable, traces const& loss) {
  return {.name = "l0h1",
          .parameters = 7,
          .posterior = {.n_beta = 5},
          .step_size = .1,
          .thinning = 3,
          .observable_traces = observable,
          .loss_traces = loss,
          .diverged = std::vector<bool>(loss.size()),
          .costs = {.steps = 4000, .draws = 1000, .step_seconds = 4, .draw_seconds = 8}};
}

/// A response of which there is nothing to complain, and one that may be spoiled.
susc::component_response good() {
  return response_of(chains_of(4, 200, .2, 1, 1), chains_of(4, 200, .2, 2, 2));
}

bool one_warning(susc::component_diagnostics const& d, std::string const& text) {
  INFO(d.warnings.size());
  return d.warnings.size() == 1 && d.warnings[0] == text;
}

}  // namespace

TEST_CASE("described: everything about a component's chains but what visitors saw") {
  struct nothing {};
  struct some_sampler {
    double step_size;
  };
  susc::component_chains<nothing, some_sampler> of{
      {{"l1", {{3, 8}}}, {{.n_beta = 7, .localization = 2}, {.25}}},
      std::vector<nothing>(3),
      {{10, 4, false, 1.5, .5}, {3, 0, true, .25, 0}, {10, 4, false, 2, 1}}};
  susc::component_response const r = susc::described(of, 6);
  CHECK(r.name == "l1");
  CHECK(r.parameters == 5);
  CHECK(r.posterior == susc::posterior_settings{.n_beta = 7, .localization = 2});
  CHECK(r.step_size == .25);
  CHECK(r.thinning == 6);
  CHECK(r.diverged == std::vector<bool>{false, true, false});
  CHECK(r.dropped_chains() == 1);
  CHECK(r.costs.steps == 23);
  CHECK(r.costs.draws == 8);
  CHECK(r.costs.step_seconds == 3.75);
  CHECK(r.costs.draw_seconds == 1.5);
  CHECK(r.batches.empty());
  CHECK(r.observable_traces.empty());
  CHECK(r.loss_traces.empty());
}

TEST_CASE("mean_of_traces: the mean of all draws, and the error of leaving batches out by brute force") {
  // 3 x 20 draws in batches of 4: below 20 batches single ones, Student's t with 11 degrees of freedom.
  auto const x = chains_of(3, 20, .5, 4, 3);
  CHECK(susc::batches_per_chain(20, 3) == 4);
  auto const found = susc::mean_of_traces(x);
  double mean = 0, square = 0;
  std::vector<double> batch_means;
  for (auto const& chain : x)
    for (std::size_t b = 0; b != 4; ++b) {
      double sum = 0;
      for (std::size_t t = 5 * b; t != 5 * (b + 1); ++t) sum += chain[t];
      batch_means.push_back(sum / 5);
      mean += sum / 60;
    }
  for (double const m : batch_means) square += (m - mean) * (m - mean);
  CHECK(found.value == doctest::Approx(mean).epsilon(1e-13));
  // For a mean, leaving out one of K equal batches is their standard error: √(Σ (m - mean)² / (K (K - 1))).
  double const student = 2.20099 / 1.95996;
  CHECK(found.error == doctest::Approx(student * std::sqrt(square / (12. * 11.))).epsilon(2e-3));

  CHECK(std::isnan(susc::mean_of_traces({}).value));
  CHECK(std::isnan(susc::mean_of_traces({}).error));
  // One draw is one batch: a mean without an error.
  CHECK(susc::mean_of_traces(traces{{2.5}}).value == 2.5);
  CHECK(std::isnan(susc::mean_of_traces(traces{{2.5}}).error));
}

TEST_CASE("diagnose: the numbers of good chains are those of their traces, and there is no warning") {
  auto const response = good();
  auto const d = susc::diagnose(response);
  CHECK(d.name == "l0h1");
  CHECK(d.draws == 800);
  CHECK(d.dropped_chains == 0);
  auto const observable = susc::mean_of_traces(response.observable_traces),
             loss = susc::mean_of_traces(response.loss_traces);
  CHECK(d.observable.value == observable.value);
  CHECK(d.observable.error == observable.error);
  CHECK(d.learning_coefficient.value == 5 * loss.value);
  CHECK(d.learning_coefficient.error == 5 * loss.error);
  CHECK(d.r_hat == susc::split_r_hat(response.observable_traces));
  CHECK(d.effective_sample_size == susc::bulk_effective_sample_size(response.observable_traces));
  CHECK(d.drift == susc::drift(response.loss_traces));
  CHECK(d.recommended_thinning == susc::recommended_thinning(.001, .008, 800 / d.effective_sample_size, 3));
  CHECK(d.warnings.empty());
}

TEST_CASE("diagnose: diverged chains are in no number, and are warned of") {
  auto response = good();
  response.diverged[2] = true;
  response.observable_traces[2] = {1, std::nan("")};  // ended early
  response.loss_traces[2] = {1, std::nan("")};
  auto const d = susc::diagnose(response);
  CHECK(d.dropped_chains == 1);
  CHECK(d.draws == 600);
  auto kept = response;
  for (auto* of : {&kept.observable_traces, &kept.loss_traces}) of->erase(of->begin() + 2);
  kept.diverged = {false, false, false};
  auto const without = susc::diagnose(kept);
  CHECK(d.observable.value == without.observable.value);
  CHECK(d.learning_coefficient.error == without.learning_coefficient.error);
  CHECK(d.r_hat == without.r_hat);
  CHECK(d.drift == without.drift);
  CHECK(without.warnings.empty());
  CHECK(one_warning(d,
                    "l0h1: 1 of 4 chains diverged and are left out; a smaller step size or larger localization "
                    "would help"));
}

TEST_CASE("diagnose: chains that diverged are named with their steps, as many as a line holds") {
  auto response = good();
  response.diverged[1] = response.diverged[3] = true;
  response.steps = {110, 17, 110, 108};
  for (std::size_t const chain : {1, 3}) response.loss_traces[chain] = response.observable_traces[chain] = {1};
  CHECK(
      susc::diagnose(response).warnings.at(0) ==
      "l0h1: 2 of 4 chains diverged (chain 1 at step 17, chain 3 at step 108) and are left out; a smaller step size or "
      "larger localization would help");
  response.diverged = std::vector<bool>(20, true);
  response.steps = std::vector<std::size_t>(20, 9);
  CHECK(susc::diverged_chains(response) ==
        " (chain 0 at step 9, chain 1 at step 9, chain 2 at step 9, chain 3 at step 9, chain 4 at step 9 and 15 more)");
}

TEST_CASE("diagnose: where all chains diverged nothing is said but that") {
  auto response = good();
  response.diverged = std::vector<bool>(4, true);
  auto const d = susc::diagnose(response);
  CHECK(d.dropped_chains == 4);
  CHECK(d.draws == 0);
  for (double const x : {d.observable.value, d.observable.error, d.learning_coefficient.value,
                         d.learning_coefficient.error, d.r_hat, d.effective_sample_size, d.drift})
    CHECK(std::isnan(x));
  CHECK(d.recommended_thinning == 0);
  CHECK(one_warning(d,
                    "l0h1: 4 of 4 chains diverged and are left out; a smaller step size or larger localization "
                    "would help"));
}

TEST_CASE("diagnose: too few draws to tell whether chains agree are warned of, and mixing is NaN") {
  auto const d = susc::diagnose(response_of(chains_of(2, 3, 0, 1, 4), chains_of(2, 3, 0, 1, 5)));
  CHECK(std::isnan(d.r_hat));
  CHECK(std::isnan(d.effective_sample_size));
  CHECK(std::isnan(d.drift));
  CHECK(d.recommended_thinning == 0);
  CHECK(std::isfinite(d.observable.value));
  CHECK(one_warning(d, "l0h1: 6 draws cannot tell whether the chains agree: take at least 4 a chain"));
  // From 4 draws on R-hat can be said, from 8 on the drift.
  auto const four = susc::diagnose(response_of(chains_of(2, 4, 0, 1, 4), chains_of(2, 4, 0, 1, 5)));
  CHECK(std::isfinite(four.r_hat));
  CHECK(std::isnan(four.drift));
  auto const eight = susc::diagnose(response_of(chains_of(2, 8, 0, 1, 4), chains_of(2, 8, 0, 1, 5)));
  CHECK(std::isfinite(eight.drift));
}

TEST_CASE("diagnose: chains that disagree are warned of by R-hat") {
  auto response = response_of(chains_of(4, 2000, 0, 1, 6), good().loss_traces);
  // Two chains above the others by half a standard deviation: still worth hundreds of draws.
  for (std::size_t chain : {0, 1})
    for (double& x : response.observable_traces[chain]) x += .8;
  auto const d = susc::diagnose(response);
  REQUIRE(d.r_hat > 1.05);
  REQUIRE(!d.warnings.empty());
  CHECK(d.warnings[0] ==
        susc::detail::concatenate("l0h1: R-hat of the observable is ", d.r_hat, ", above 1.05: the chains disagree"));
  // Between 1.01 and 1.05 there is no such warning.
  for (std::size_t chain : {0, 1})
    for (double& x : response.observable_traces[chain]) x -= .45;
  auto const nearer = susc::diagnose(response);
  CHECK(nearer.r_hat > 1.01);
  CHECK(nearer.r_hat < 1.05);
  for (auto const& warning : nearer.warnings) CHECK(warning.find("R-hat") == std::string::npos);
}

TEST_CASE("diagnose: few effective draws are warned of, rounded down") {
  auto const d = susc::diagnose(response_of(chains_of(1, 60, 0, 1, 7), {good().loss_traces[0]}));
  REQUIRE(d.effective_sample_size < 100);
  REQUIRE(d.r_hat < 1.05);
  CHECK(one_warning(d, "l0h1: effective sample size of the observable is " +
                           std::to_string(static_cast<int>(d.effective_sample_size)) + ", below 100: take more draws"));
}

TEST_CASE("diagnose: a loss that is still drifting is warned of, up or down") {
  for (double const direction : {1., -1.}) {
    CAPTURE(direction);
    auto response = good();
    for (auto& chain : response.loss_traces)
      for (std::size_t t = 100; t != 200; ++t) chain[t] += direction;
    auto const d = susc::diagnose(response);
    CHECK(d.drift * direction > 4);
    CHECK(one_warning(d, susc::detail::concatenate(
                             "l0h1: the loss is still drifting, by ", d.drift,
                             " standard errors from the first half of the draws to the second: lengthen the burn-in")));
  }
}

TEST_CASE("diagnose: the thinning that is recommended follows the measured costs") {
  auto response = response_of(chains_of(4, 500, .9, 1, 8), good().loss_traces);
  auto const thinning = [&](double step_seconds, double draw_seconds) {
    // 4000 steps and 1000 draws.
    response.costs.step_seconds = step_seconds;
    response.costs.draw_seconds = draw_seconds;
    return susc::diagnose(response).recommended_thinning;
  };
  CHECK(thinning(4, 0) == 1);                 // free draws are all taken
  CHECK(thinning(4, 100) > thinning(4, 10));  // the costlier, the fewer
  CHECK(thinning(4, 10) > 3);
  CHECK(thinning(8, 20) == thinning(4, 10));  // only the ratio counts
  response.costs = {};
  CHECK(susc::diagnose(response).recommended_thinning == 0);  // nothing was measured
}
