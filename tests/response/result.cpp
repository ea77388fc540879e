#include "susc/response/result.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "susc/core/random.hpp"
#include "susc/models/mlp.hpp"
#include "susc/response/estimate.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"
#include "susc/sampling/mala.hpp"
#include "susc/sampling/rmsprop_sgld.hpp"
#include "susc/sampling/sghmc.hpp"

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

TEST_CASE("result: the predicted response is chi times h, with the error of the sum") {
  auto const r = result_of({response("head", 10, 4, 200), response("full", 100, 4, 200)});
  std::vector<double> const h{.3, -.4};
  for (auto const how : {susc::centring::full, susc::centring::restricted}) {
    auto const chi = r.response_matrix(how);
    auto const sum = r.predicted_response(h, how);
    REQUIRE(sum.value.size() == 2);
    for (std::size_t c = 0; c != 2; ++c) {
      CHECK(sum.value[c] == doctest::Approx(.3 * chi.value(0, c) - .4 * chi.value(1, c)).epsilon(1e-12));
      auto const alone = r.predicted_response(std::vector<double>{0, -2}, how);
      CHECK(alone.error[c] == doctest::Approx(2 * chi.error(1, c)).epsilon(1e-12));
    }
  }
  // The first row is the mean of two shifts and the second row the second of them, 2 φ: with h = (2, -1) what is left
  // is the first shift, -φ plus noise, of whose error neither row's says anything.
  auto const first = r.predicted_response(std::vector<double>{2, -1}, susc::centring::restricted);
  auto const each = r.example_susceptibilities(susc::centring::restricted),
             rows = r.response_matrix(susc::centring::restricted);
  CHECK(first.value[0] == doctest::Approx(each.value(0, 0)).epsilon(1e-12));
  CHECK(first.error[0] == doctest::Approx(each.error(0, 0)).epsilon(1e-9));
  CHECK(first.error[0] < .8 * std::hypot(2 * rows.error(0, 0), rows.error(1, 0)));
  CHECK_THROWS_WITH_AS(r.predicted_response(std::vector<double>{1}),
                       "1 shifts h, must be one for each of the 2 rows of the response matrix", susc::error);
  CHECK_THROWS_AS(r.predicted_response(std::vector<double>{1, std::nan("")}), susc::error);
  auto const gone = result_of({response("head", 10, 2, 200, {true, true})});
  CHECK(std::isnan(gone.predicted_response(h, susc::centring::restricted).value.at(0)));
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

// Identities that hold for any model, on classifiers with random shapes, weights and data, in several samplers.
namespace {

using network = susc::mlp<double>;

network::batch random_examples(std::size_t count, std::size_t inputs, std::size_t classes, susc::random::stream& s) {
  network::batch b;
  for (std::size_t i = 0; i != count * inputs; ++i) b.inputs.push_back(s.normal());
  for (std::size_t i = 0; i != count; ++i) b.labels.push_back(s.below(classes));
  return b;
}

// A loss with a constant added.
struct raised {
  using scalar = double;
  using batch = network::batch;
  network const& model;
  double by;
  std::size_t parameter_count() const { return model.parameter_count(); }
  std::size_t example_count(batch const& b) const { return model.example_count(b); }
  std::vector<susc::component> components() const { return model.components(); }
  void losses(std::span<double const> w, batch const& b, std::span<double> l) const {
    model.losses(w, b, l);
    for (double& x : l) x += by;
  }
  double loss_and_gradient(std::span<double const> w, batch const& b, std::span<double> gradient) const {
    return model.loss_and_gradient(w, b, gradient) + by;
  }
};

// Towards example 0, towards example 1, their combination a, b with a constant, and a times the first.
struct combined_reweighting {
  double a, b, constant;
  std::size_t count(auto const&) const { return 4; }
  void loss_shifts(auto const& at, std::span<double> shifts) const {
    double const first = at.probe_losses()[0] - at.evaluation_loss(), second = at.probe_losses()[1];
    shifts[0] = first;
    shifts[1] = second;
    shifts[2] = a * first + b * second + constant;
    shifts[3] = a * first;
  }
};

struct random_classifier {
  explicit random_classifier(std::uint64_t seed) : stream({seed}) {
    weights = model.initial_weights({seed + 1000});
    evaluation = random_examples(6 + stream.below(6), inputs, classes, stream);
    probes = {{"itself", evaluation},
              {"first", random_examples(2 + stream.below(4), inputs, classes, stream)},
              {"second", random_examples(1, inputs, classes, stream)}};
  }

  template <class S, class M, class P = susc::example_reweighting>
  susc::susceptibility_result run(S const& sampler, M const& of, P const& perturbation = {}) const {
    susc::data_distribution const data{evaluation, [&](std::size_t size, susc::random::key key) {
                                         susc::random::stream s(key);
                                         return random_examples(size, inputs, classes, s);
                                       }};
    susc::sampling_options<S> options{.components = {"layer1", "layer2", "full", "layer1+layer2"},
                                      .posterior = {.n_beta = 20, .localization = 30},
                                      .sampler = sampler};
    options.chains = 5;
    options.draws = 30;
    options.batch_size = 4;
    return susc::estimate_susceptibilities(of, weights, data, probes, options, susc::threads{}, susc::component_loss{},
                                           perturbation);
  }

  susc::random::stream stream;
  std::size_t inputs = 1 + stream.below(3), classes = 2 + stream.below(2);
  network model{{inputs, 2 + stream.below(4), classes}};
  std::vector<double> weights;
  network::batch evaluation;
  std::vector<susc::probe<network::batch>> probes;
};

template <class Check>
void for_random_classifiers(Check check) {
  for (std::uint64_t seed = 1; seed != 6; ++seed) {
    CAPTURE(seed);
    random_classifier const c(seed);
    check(c, susc::sgld{.step_size = 5e-3});
    check(c, susc::leimkuhler_matthews{.step_size = 5e-3});
    check(c, susc::rmsprop_sgld{.step_size = 1e-3});
    check(c, susc::sghmc{.step_size = 5e-3});
    check(c, susc::mala{.step_size = 5e-3});
  }
}

constexpr susc::centring both_centrings[]{susc::centring::full, susc::centring::restricted};

double largest(xt::xtensor<double, 2> const& x, std::size_t column) {
  double most = 0;
  for (std::size_t j = 0; j != x.shape(0); ++j) most = std::max(most, std::abs(x(j, column)));
  return most;
}
// Equal up to rounding on the scale of each column.
void check_same(xt::xtensor<double, 2> const& a, xt::xtensor<double, 2> const& b, double precision) {
  REQUIRE((a.shape(0) == b.shape(0) && a.shape(1) == b.shape(1)));
  for (std::size_t c = 0; c != a.shape(1); ++c) {
    REQUIRE(largest(a, c) > 0);
    for (std::size_t j = 0; j != a.shape(0); ++j) CHECK(std::abs(a(j, c) - b(j, c)) <= precision * largest(a, c));
  }
}

}  // namespace

TEST_CASE("result: for any model, chi to the data distribution itself is 0, per-probe chi the mean of per-example") {
  for_random_classifiers([](random_classifier const& c, auto const& sampler) {
    auto const r = c.run(sampler, c.model);
    for (auto const how : both_centrings) {
      auto const each = r.example_susceptibilities(how), rows = r.response_matrix(how);
      for (std::size_t component = 0; component != 4; ++component) {
        double const scale = largest(each.value, component);
        CHECK(scale > 0);
        CHECK(std::abs(rows.value(0, component)) < 1e-12 * scale);
        CHECK(rows.error(0, component) < 1e-12 * scale);
        for (std::size_t p = 0; p != 3; ++p) {
          double mean = 0;
          for (std::size_t j = r.groups[p].begin; j != r.groups[p].end; ++j)
            mean += each.value(j, component) / static_cast<double>(r.groups[p].size());
          CHECK(std::abs(rows.value(p, component) - mean) < 1e-12 * scale);
        }
      }
    }
  });
}

TEST_CASE("result: for any model, chi is linear in the perturbation and its error scales with it") {
  for_random_classifiers([](random_classifier const& c, auto const& sampler) {
    combined_reweighting const p{-1.5, .7, 10};
    auto const r = c.run(sampler, c.model, p);
    for (auto const how : both_centrings) {
      auto const x = r.response_matrix(how);
      REQUIRE(x.value.shape(0) == 4);
      for (std::size_t component = 0; component != 4; ++component) {
        double const precision = 1e-11 * largest(x.value, component);
        CHECK(precision > 0);
        CHECK(std::abs(x.value(2, component) - p.a * x.value(0, component) - p.b * x.value(1, component)) < precision);
        CHECK(std::abs(x.value(3, component) - p.a * x.value(0, component)) < precision);
        CHECK(x.error(3, component) == doctest::Approx(std::abs(p.a) * x.error(0, component)).epsilon(1e-9));
      }
    }
  });
}

TEST_CASE("result: for any model, a constant added to the loss changes nothing beyond rounding") {
  for_random_classifiers([](random_classifier const& c, auto const& sampler) {
    auto const plain = c.run(sampler, c.model), moved = c.run(sampler, raised{c.model, 3.25});
    for (auto const how : both_centrings) {
      check_same(plain.example_susceptibilities(how).value, moved.example_susceptibilities(how).value, 1e-10);
      check_same(plain.example_susceptibilities(how).error, moved.example_susceptibilities(how).error, 1e-10);
    }
  });
}

TEST_CASE("result: for any model, the order of chains and of merging changes nothing beyond rounding") {
  for_random_classifiers([](random_classifier const& c, auto const& sampler) {
    auto const plain = c.run(sampler, c.model);
    auto turned = plain, reversed = plain;
    auto const each = [](susc::susceptibility_result& r, auto change) {
      for (auto& component : r.components) change(component);
      change(r.all_weights);
    };
    each(turned, [](susc::component_response& r) {
      auto const per_chain = static_cast<std::ptrdiff_t>(r.batches.size() / r.diverged.size());
      CHECK(per_chain == 6);
      std::rotate(r.batches.begin(), r.batches.begin() + 2 * per_chain, r.batches.end());
      for (auto* traces : {&r.observable_traces, &r.loss_traces})
        std::rotate(traces->begin(), traces->begin() + 2, traces->end());
    });
    each(reversed, [](susc::component_response& r) {
      std::reverse(r.batches.begin(), r.batches.end());
      for (auto* traces : {&r.observable_traces, &r.loss_traces}) std::reverse(traces->begin(), traces->end());
    });
    for (auto const* other : {&turned, &reversed}) {
      for (auto const how : both_centrings) {
        auto const a = plain.example_susceptibilities(how), b = other->example_susceptibilities(how);
        check_same(a.value, b.value, 1e-11);
        check_same(a.error, b.error, 1e-9);
      }
      for (std::size_t component = 0; component != 4; ++component) {
        auto const a = plain.diagnostics()[component], b = other->diagnostics()[component];
        CHECK(a.r_hat == doctest::Approx(b.r_hat).epsilon(1e-10));
        CHECK(a.observable.value == doctest::Approx(b.observable.value).epsilon(1e-11));
        CHECK(a.observable.error == doctest::Approx(b.observable.error).epsilon(1e-9));
      }
    }
  });
}

TEST_CASE("result: for any model, a component of all weights, by whatever name, has one chi in both centrings") {
  for_random_classifiers([](random_classifier const& c, auto const& sampler) {
    auto const r = c.run(sampler, c.model);
    auto const full = r.example_susceptibilities(susc::centring::full),
               own = r.example_susceptibilities(susc::centring::restricted);
    CHECK(r.component_names()[3] == "layer1+layer2");
    for (std::size_t j = 0; j != full.value.shape(0); ++j) {
      for (std::size_t whole : {2, 3}) {
        CHECK(full.value(j, whole) == own.value(j, whole));
        CHECK(full.error(j, whole) == own.error(j, whole));
        CHECK(full.value(j, whole) == full.value(j, 2));
      }
      CHECK(full.value(j, 0) != own.value(j, 0));
    }
  });
}
