#include "susc/response/result.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "susc/core/random.hpp"

namespace {

// Chains of independent draws: φ normal with mean 1 + `gap` for the last chain, two shifts that covary with it.
susc::component_response response(std::string name, std::size_t parameters, std::size_t chains, std::size_t draws,
                                  std::vector<bool> diverged = {}, double gap = 0) {
  susc::component_response r{
      .name = std::move(name), .parameters = parameters, .posterior = {.n_beta = 10}, .diverged = std::move(diverged)};
  r.diverged.resize(chains);
  susc::random::stream stream({parameters});
  std::size_t const batches = susc::batches_per_chain(draws, chains);
  for (std::size_t c = 0; c != chains; ++c) {
    std::vector<susc::moments> parts(batches, susc::moments(2));
    std::vector<double> phi, loss;
    std::size_t const length = r.diverged[c] ? draws / 2 : draws;
    for (std::size_t t = 0; t != length; ++t) {
      double const x = stream.normal() + 1 + (c + 1 == chains ? gap : 0);
      phi.push_back(x);
      loss.push_back(x / 2);
      parts[t * batches / draws].add(x, std::vector{-x + stream.normal(), 2 * x});
    }
    r.observable_traces.push_back(phi);
    r.loss_traces.push_back(loss);
    if (!r.diverged[c]) r.batches.insert(r.batches.end(), parts.begin(), parts.end());
  }
  return r;
}

susc::susceptibility_result result_of(std::vector<susc::component_response> components) {
  return {.probes = {"both", "second"},
          .groups = {{0, 2}, {1, 2}},
          .components = std::move(components),
          .all_weights = response("full", 100, 4, 200)};
}

bool has(std::vector<std::string> const& warnings, std::string const& text) {
  for (auto const& w : warnings)
    if (w.find(text) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("result: nothing to warn of when chains agree and are long enough") {
  auto const r = result_of({response("head", 10, 4, 200)});
  CHECK(r.warnings().empty());
  CHECK(r.component_names() == std::vector<std::string>{"head"});
  auto const d = r.diagnostics()[0];
  CHECK(d.name == "head");
  CHECK(d.draws == 800);
  CHECK(d.dropped_chains == 0);
  CHECK(d.r_hat < 1.02);
  // 800 independent draws of standard deviation 1: an ESS estimate of them scatters by about √(2 · lags / n).
  CHECK(std::abs(d.effective_sample_size / 800 - 1) < .3);
  CHECK(std::abs(d.observable.value - 1) < 5 / std::sqrt(800.));
  CHECK(d.learning_coefficient.value == doctest::Approx(10 * d.observable.value / 2).epsilon(1e-12));
  CHECK(d.learning_coefficient.error == doctest::Approx(10 * d.observable.error / 2).epsilon(1e-12));
}

TEST_CASE("result: diverged chains, disagreeing chains and short chains are warned of, each by its component") {
  auto const dropped = result_of({response("head", 10, 4, 200, {false, true, false, true})});
  CHECK(has(dropped.warnings(), "head: 2 of 4 chains diverged and are left out"));
  CHECK(dropped.warnings().size() == 1);
  CHECK(dropped.diagnostics()[0].draws == 400);
  CHECK(dropped.diagnostics()[0].dropped_chains == 2);
  CHECK(std::isfinite(dropped.response_matrix().value(0, 0)));

  auto const apart = result_of({response("head", 10, 4, 200, {}, 5)});
  CHECK(apart.diagnostics()[0].r_hat > 1.05);
  CHECK(has(apart.warnings(), "head: R-hat of the observable is "));

  auto const few = result_of({response("head", 10, 4, 10)});
  CHECK(has(few.warnings(), "head: effective sample size of the observable is "));

  auto const hardly_any = result_of({response("head", 10, 4, 3)});
  CHECK(has(hardly_any.warnings(), "head: 12 draws cannot tell whether the chains agree"));

  auto bad_free = result_of({response("head", 10, 4, 200)});
  bad_free.all_weights = response("full", 100, 4, 200, {true, false, false, false});
  CHECK(has(bad_free.warnings(), "full: 1 of 4 chains diverged"));
  // A component that is all weights is those same chains: warned of once.
  bad_free.components.push_back(bad_free.all_weights);
  CHECK(bad_free.warnings().size() == 1);
}

TEST_CASE("result: where every chain diverged, numbers are NaN and the other columns stand") {
  auto const r = result_of({response("gone", 10, 4, 200, {true, true, true, true}), response("head", 11, 4, 200)});
  for (auto const how : {susc::centring::full, susc::centring::restricted}) {
    auto const x = r.response_matrix(how);
    REQUIRE((x.value.shape(0) == 2 && x.value.shape(1) == 2));
    for (std::size_t p : {0, 1}) {
      CHECK(std::isnan(x.value(p, 0)));
      CHECK(std::isnan(x.error(p, 0)));
      CHECK(std::isfinite(x.value(p, 1)));
      CHECK(x.error(p, 1) > 0);
    }
  }
  auto const d = r.diagnostics();
  CHECK(d[0].draws == 0);
  CHECK(std::isnan(d[0].observable.value));
  CHECK(std::isnan(d[0].r_hat));
  CHECK(has(r.warnings(), "gone: 4 of 4 chains diverged"));
  // Without the chains of all weights only the true covariance is left.
  auto no_free = r;
  no_free.all_weights = response("full", 100, 4, 200, {true, true, true, true});
  CHECK(std::isnan(no_free.response_matrix(susc::centring::full).value(0, 1)));
  CHECK(std::isfinite(no_free.response_matrix(susc::centring::restricted).value(0, 1)));
}

TEST_CASE("result: a probe's row is the mean of its examples' rows, exactly") {
  auto const r = result_of({response("head", 10, 4, 200), response("mlp", 20, 4, 200)});
  for (auto const how : {susc::centring::full, susc::centring::restricted}) {
    auto const each = r.example_susceptibilities(how), rows = r.response_matrix(how);
    for (std::size_t c : {0, 1}) {
      CHECK(rows.value(0, c) == doctest::Approx((each.value(0, c) + each.value(1, c)) / 2).epsilon(1e-12));
      CHECK(rows.value(1, c) == doctest::Approx(each.value(1, c)).epsilon(1e-12));
      CHECK(rows.error(1, c) == doctest::Approx(each.error(1, c)).epsilon(1e-12));
    }
  }
}

TEST_CASE("result: a component that is all of w has the same value in both centrings") {
  auto r = result_of({response("head", 10, 4, 200)});
  r.components.push_back(r.all_weights);
  r.components.back().name = "everything";
  auto const full = r.response_matrix(susc::centring::full), own = r.response_matrix(susc::centring::restricted);
  for (std::size_t p : {0, 1}) {
    CHECK(full.value(p, 1) == own.value(p, 1));
    CHECK(full.error(p, 1) == own.error(p, 1));
    CHECK(full.value(p, 0) != own.value(p, 0));
  }
}

TEST_CASE("result: diagnostics of fewer than four draws are NaN, not an error") {
  auto const r = result_of({response("head", 10, 4, 3)});
  CHECK(std::isnan(r.diagnostics()[0].r_hat));
  CHECK(std::isfinite(r.diagnostics()[0].observable.value));
}
