#include "susc/response/resampled_response.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "gaussian.hpp"
#include "oracle.hpp"
#include "susc/models/mlp.hpp"
#include "susc/response/fluctuation_dissipation.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"

namespace {

using shift = std::array<double, 2>;
susc::posterior_settings const target{.n_beta = 3, .localization = 1};

/// E[φ] where the data is shifted by h[p] towards probe p: L_h has curvature A + Σ h B and slope Σ h b.
double observable(gaussian const& g, shift h, bool restricted) {
  matrix const a = gaussian::block(g.a, restricted), one = matrix::Identity(a.rows(), a.cols());
  matrix m = target.n_beta * a + target.localization * one;
  vector slope = vector::Zero(a.rows());
  for (std::size_t p : {0, 1}) {
    m += h[p] * target.n_beta * gaussian::block(g.b[p], restricted);
    slope += h[p] * target.n_beta * gaussian::block(g.slope[p], restricted);
  }
  vector const mean = -m.inverse() * slope;
  return (a * m.inverse()).trace() / 2 + mean.dot(a * mean) / 2;
}
double difference(gaussian const& g, shift h, bool restricted) {
  return (observable(g, h, restricted) - observable(g, {-h[0], -h[1]}, restricted)) / (2 * target.n_beta);
}
/// Σ h_p χ_p, χ = -½ tr(AΣBΣ).
double first_order(gaussian const& g, shift h, bool restricted) {
  matrix const a = gaussian::block(g.a, restricted), one = matrix::Identity(a.rows(), a.cols());
  matrix const s = matrix(target.n_beta * a + target.localization * one).inverse();
  double sum = 0;
  for (std::size_t p : {0, 1}) sum -= h[p] * (a * s * gaussian::block(g.b[p], restricted) * s).trace() / 2;
  return sum;
}

using examples = std::vector<std::size_t>;
std::vector<susc::probe<examples>> const probes{{"first", {1}}, {"second", {2}}};
susc::data_distribution<examples, decltype(full_batch)> const data{examples{0}, full_batch};

susc::sampling_options<susc::leimkuhler_matthews> options_of(std::size_t draws) {
  susc::leimkuhler_matthews const sampler{.step_size = .25};
  susc::sampling_options<susc::leimkuhler_matthews> o{
      .components = {"part", "full"}, .posterior = target, .sampler = sampler};
  o.all_weights = {target, sampler};
  o.draws = draws;
  o.burn_in = 200;
  o.batch_size = 1;
  return o;
}

}  // namespace

TEST_CASE("resampled_response: of the exact values that the next test compares with, the two tend to each other") {
  gaussian const g;
  for (bool const restricted : {true, false}) {
    auto const beyond = [&](double s) {
      shift const h{.6 * s, .8 * s};
      return difference(g, h, restricted) - first_order(g, h, restricted);
    };
    CHECK(std::abs(beyond(.01)) < 3e-4 * std::abs(first_order(g, {.006, .008}, restricted)));
    CHECK(beyond(.02) / beyond(.01) == doctest::Approx(8).epsilon(.01));
  }
}

TEST_CASE("resampled_response: prediction and re-sampled response are exact for a Gaussian [oracle]") {
  gaussian const g;
  auto const model = g.model();
  auto const options = options_of(60'000);
  auto const at_zero = susc::estimate_susceptibilities(model, g.center, data, probes, options);
  shift const h{.04, .025};
  auto const rows = susc::resample_response(model, g.center, data, probes, h, at_zero, options);
  REQUIRE(rows.size() == 2);
  for (std::size_t i : {0, 1}) {
    bool const restricted = i == 0;
    auto const& row = rows[i];
    CHECK(row.component == (restricted ? "part" : "full"));
    std::string const name = row.component + ", shift towards two probes, Leimkuhler-Matthews, Gaussian";
    oracle::check("re-sampled response, " + name, row.resampled.value, row.resampled.error,
                  difference(g, h, restricted));
    oracle::check("predicted response, " + name, row.predicted.value, row.predicted.error,
                  first_order(g, h, restricted));
    // What the prediction leaves out is exactly known, and below one error.
    CHECK(std::abs(difference(g, h, restricted) - first_order(g, h, restricted)) < row.predicted.error);
    CHECK(std::abs(row.z()) < 5);
    CHECK(row.z() == doctest::Approx((row.resampled.value - row.predicted.value) /
                                     std::hypot(row.resampled.error, row.predicted.error)));
  }
}

TEST_CASE("resampled_response: one probe is the fluctuation-dissipation difference times h; all chains may diverge") {
  gaussian const g;
  auto const model = g.model();
  auto options = options_of(400);
  auto const at_zero = susc::estimate_susceptibilities(model, g.center, data, probes, options);
  auto of_those = at_zero;
  auto const of = [&](std::vector<double> const& h) {
    return susc::resample_response(model, g.center, data, probes, h, of_those, options);
  };
  // The same chains, so the sign of h turns the sign of the result and nothing else.
  auto const checked = susc::check_fluctuation_dissipation(model, g.center, data, probes, options, .2);
  auto const forth = of({.2, -.1}), back = of({-.2, .1}), alone = of({.2, 0});
  for (std::size_t c : {0, 1}) {
    CHECK(back[c].resampled.value == doctest::Approx(-forth[c].resampled.value).epsilon(1e-12));
    CHECK(back[c].resampled.error == doctest::Approx(forth[c].resampled.error).epsilon(1e-12));
    CHECK(back[c].predicted.value == doctest::Approx(-forth[c].predicted.value).epsilon(1e-12));
    auto const chi = at_zero.response_matrix(susc::centring::restricted);
    CHECK(alone[c].predicted.value == doctest::Approx(.2 * chi.value(0, c)).epsilon(1e-12));
    CHECK(alone[c].predicted.error == doctest::Approx(.2 * chi.error(0, c)).epsilon(1e-12));
    CHECK(alone[c].resampled.value == doctest::Approx(.2 * checked[c].difference.value).epsilon(1e-12));
    CHECK(alone[c].resampled.error == doctest::Approx(.2 * checked[c].difference.error).epsilon(1e-12));
  }
  // The two sides are not taken for one run in a directory, nor for that of the unshifted data.
  options.run_directory = std::filesystem::temp_directory_path() / "susc-resampled-response";
  std::filesystem::remove_all(options.run_directory);
  auto const kept = susc::estimate_susceptibilities(model, g.center, data, probes, options);
  auto const again = of({.2, -.1});
  auto const rechecked = susc::check_fluctuation_dissipation(model, g.center, data, probes, options, .2);
  for (std::size_t c : {0, 1}) {
    CHECK(again[c].resampled.value == forth[c].resampled.value);
    CHECK(rechecked[c].difference.value == checked[c].difference.value);
  }
  std::filesystem::remove_all(options.run_directory);
  options.run_directory.clear();
  // Susceptibilities of another posterior are no prediction.
  auto other = options;
  other.sampler.step_size /= 2;
  other.all_weights->sampler.step_size /= 2;
  CHECK_THROWS_WITH_AS(susc::resample_response(model, g.center, data, probes, std::array{.2, -.1}, at_zero, other),
                       "component 'part': the susceptibilities are of another posterior or step size than the options",
                       susc::error);
  options.sampler.step_size = 3.9;  // times the precision far above 4
  options.all_weights.reset();
  options.draws = 4000;
  auto const plan = susc::plan_sampling(model, options).components;
  for (std::size_t c : {0, 1}) {
    of_those.components[c].posterior = plan[c].settings.posterior;
    of_those.components[c].step_size = plan[c].settings.sampler.step_size;
  }
  auto const diverged = of({.2, -.1});
  for (std::size_t c : {0, 1}) CHECK(std::isnan(diverged[c].resampled.value));
}

TEST_CASE("resampled_response: a network's response to a shift towards two probes is as predicted") {
  using network = susc::mlp<double>;
  network const model({2, 6, 2});
  auto const points = [](std::size_t count, double turn, susc::random::key key) {
    susc::random::stream stream(key);
    network::batch b;
    for (std::size_t i = 0; i != count; ++i) {
      double const x = stream.normal(), y = stream.normal();
      b.inputs.insert(b.inputs.end(), {x, y});
      b.labels.push_back(std::sin(2 * x + turn) + .3 * stream.normal() > y);
    }
    return b;
  };
  auto const evaluation = points(64, 0, {1});
  auto w = model.initial_weights({2});
  std::vector<double> gradient(w.size());
  for (int step = 0; step != 400; ++step) {
    model.loss_and_gradient(w, evaluation, gradient);
    for (std::size_t i = 0; i != w.size(); ++i) w[i] -= .5 * gradient[i];
  }
  susc::data_distribution const all{evaluation, [&](std::size_t, susc::random::key) { return evaluation; }};
  auto relabelled = points(32, 0, {3});
  for (std::size_t& label : relabelled.labels) label = 1 - label;
  std::vector<susc::probe<network::batch>> const others{{"relabelled", relabelled}, {"turned", points(32, .8, {4})}};
  susc::sampling_options<susc::leimkuhler_matthews> const options{.components = {"layer2", "layer1"},
                                                                  .posterior = {.n_beta = 30, .localization = 10},
                                                                  .sampler = {.step_size = .02},
                                                                  .draws = 2000,
                                                                  .burn_in = 100,
                                                                  .thinning = 2};
  auto at_zero_options = options;
  at_zero_options.components = {"layer1", "layer2"};  // found by name
  auto const at_zero = susc::estimate_susceptibilities(model, w, all, others, at_zero_options);
  auto const rows = susc::resample_response(model, w, all, others, std::array{.02, -.02}, at_zero, options);
  for (auto const& row : rows) {
    MESSAGE(row.component << ": re-sampled " << row.resampled.value << " +- " << row.resampled.error << ", predicted "
                          << row.predicted.value << " +- " << row.predicted.error << ", z " << row.z());
    CHECK(std::abs(row.z()) < 5);
  }
  CHECK(rows[0].component == "layer2");
  CHECK(std::abs(rows[0].resampled.value) > 10 * rows[0].resampled.error);
  CHECK(std::abs(rows[0].predicted.value) > 5 * rows[0].predicted.error);
}

TEST_CASE("resampled_response: shifts, probes and components that do not fit are refused") {
  gaussian const g;
  auto const model = g.model();
  auto options = options_of(8);
  auto at_zero = susc::estimate_susceptibilities(model, g.center, data, probes, options);
  auto const of = [&](std::vector<double> const& h) {
    return susc::resample_response(model, g.center, data, probes, h, at_zero, options);
  };
  CHECK_NOTHROW(of({.5, -.5}));
  CHECK_THROWS_WITH_AS(of({.5}), "1 shifts h, must be one for each of the 2 probes", susc::error);
  CHECK_THROWS_WITH_AS(of({.6, -.5}), "the sizes of the shifts h sum to 1.1, must be above 0 and at most 1",
                       susc::error);
  CHECK_THROWS_WITH_AS(of({0, 0}), "the sizes of the shifts h sum to 0, must be above 0 and at most 1", susc::error);
  CHECK_THROWS_WITH_AS(of({0, std::numeric_limits<double>::infinity()}), "shift 1 is inf, must be finite", susc::error);
  options.components = {"full"};
  auto const whole = susc::estimate_susceptibilities(model, g.center, data, probes, options);
  options.components = {"part"};
  CHECK_THROWS_WITH_AS(susc::resample_response(model, g.center, data, probes, std::array{.1, .1}, whole, options),
                       "component 'part' has no susceptibilities, must be among those estimated", susc::error);
  at_zero.probes = {"first", "other"};
  CHECK_THROWS_WITH_AS(of({.1, .1}), "probe 1 is 'second', that of the susceptibilities is 'other'", susc::error);
  at_zero.probes = {"first"};
  CHECK_THROWS_WITH_AS(of({.1, .1}), "the susceptibilities are of 1 probes, the shift is towards 2", susc::error);
}
