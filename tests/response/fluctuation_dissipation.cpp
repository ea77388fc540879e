#include "susc/response/fluctuation_dissipation.hpp"

#include <doctest/doctest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "oracle.hpp"
#include "susc/models/mlp.hpp"
#include "susc/models/quadratic.hpp"
#include "susc/models/transformer.hpp"
#include "susc/models/transformer_init.hpp"
#include "susc/response/learning_coefficient.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"
#include "susc/training/adamw.hpp"

namespace {

using matrix = Eigen::MatrixXd;
using vector = Eigen::VectorXd;
using examples = std::vector<std::size_t>;

// L has curvature A; example 1 + p has the loss L + ΔL of probe p, ΔL with a constant, a slope b and a curvature B.
struct gaussian {
  matrix a{{2, .3, .2, 0}, {.3, 1, 0, .4}, {.2, 0, .5, .1}, {0, .4, .1, 1.5}};
  matrix b[2]{matrix{{1, .5, 0, .1}, {.5, .8, .3, 0}, {0, .3, 1, .2}, {.1, 0, .2, -.5}},
              matrix{{-.5, 0, .1, .2}, {0, .7, 0, 0}, {.1, 0, .3, .6}, {.2, 0, .6, 1}}};
  vector slope[2]{vector{{.4, -.3, .2, 0}}, vector{{0, .3, .5, -.2}}};
  std::vector<double> center{.3, -.2, 1, 0};
  susc::posterior_settings target{.n_beta = 3, .localization = 1};

  susc::quadratic<double> model() const {
    auto const row_major = [](matrix const& m) { return std::vector<double>(m.data(), m.data() + m.size()); };
    std::vector<susc::quadratic<double>::example> all{{5, std::vector<double>(4), row_major(a)}};
    for (int p = 0; p != 2; ++p) all.push_back({7. + p, {slope[p].data(), slope[p].data() + 4}, row_major(a + b[p])});
    return susc::quadratic<double>(center, all, {susc::component("part", {{1, 3}})});
  }

  static matrix block(matrix const& m, bool whole) { return whole ? m : matrix(m.block(1, 1, 2, 2)); }

  /// E[φ] where the data is shifted by h towards probe p. Of the sampler at its step size: SGLD's covariance is
  /// M⁻¹ (1 - ε M/4)⁻¹, that of Leimkuhler and Matthews (ε = 0 here) M⁻¹; both have the posterior's mean.
  double observable(int p, double h, bool whole, double step_size = 0) const {
    matrix const curvature = block(a, whole), one = matrix::Identity(curvature.rows(), curvature.cols());
    matrix const m = target.n_beta * (curvature + h * block(b[p], whole)) + target.localization * one;
    vector const mean = -h * target.n_beta * m.inverse() * (whole ? slope[p] : vector(slope[p].segment(1, 2)));
    matrix const covariance = m.inverse() * (one - step_size / 4 * m).inverse();
    return (curvature * covariance).trace() / 2 + mean.dot(curvature * mean) / 2;
  }
  double difference(int p, double h, bool whole, double step_size = 0) const {
    return (observable(p, h, whole, step_size) - observable(p, -h, whole, step_size)) / (2 * h * target.n_beta);
  }
  /// χ = -½ tr(AΣBΣ).
  double susceptibility(int p, bool whole, double step_size = 0) const {
    matrix const curvature = block(a, whole), one = matrix::Identity(curvature.rows(), curvature.cols());
    matrix const m = target.n_beta * curvature + target.localization * one;
    matrix const covariance = m.inverse() * (one - step_size / 4 * m).inverse();
    return -(curvature * covariance * block(b[p], whole) * covariance).trace() / 2;
  }

  std::vector<susc::probe<examples>> probes() const { return {{"first", {1}}, {"second", {2}}}; }

  template <class S>
  susc::sampling_options<S> options(S const& sampler, std::size_t draws) const {
    susc::sampling_options<S> o{.components = {"part", "full"}, .posterior = target, .sampler = sampler};
    o.all_weights = {target, sampler};
    o.draws = draws;
    o.burn_in = 200;
    o.batch_size = 1;
    return o;
  }
};

auto const exact_gradient = [](std::size_t, susc::random::key) { return examples{0}; };

// Two classes on two interleaved arcs, with some noise.
using network = susc::mlp<double>;
network::batch arcs(std::size_t count, double turn, susc::random::key key) {
  susc::random::stream stream(key);
  network::batch b;
  for (std::size_t i = 0; i != count; ++i) {
    double const angle = 3.14 * stream.uniform() + turn, side = i % 2 == 0 ? 1 : -1;
    b.inputs.push_back(side * std::cos(angle) - side * .5 + .15 * stream.normal());
    b.inputs.push_back(side * std::sin(angle) - side * .25 + .15 * stream.normal());
    b.labels.push_back(i % 2);
  }
  return b;
}

constexpr susc::transformer_config small{
    .vocabulary = 13, .context = 8, .width = 16, .layers = 2, .heads = 2, .mlp_width = 12};

// Sequences that mostly count upwards by `stride`.
susc::token_batch counting(std::size_t size, std::size_t stride, susc::random::key key) {
  susc::random::stream stream(key);
  susc::token_batch batch{{}, size, 9};
  for (std::size_t s = 0; s != size; ++s) {
    std::size_t token = stream.below(small.vocabulary);
    for (std::size_t t = 0; t != batch.length; ++t) {
      batch.tokens.push_back(static_cast<susc::token>(token));
      token = stream.uniform() < .7 ? (token + stride) % small.vocabulary : stream.below(small.vocabulary);
    }
  }
  return batch;
}

// Both sides agree within 5 errors, and are so precise that a sign or a factor of 2 would not pass.
void check_both_sides(std::vector<susc::fluctuation_dissipation> const& rows) {
  double best_chi = 0, best_difference = 0;
  for (auto const& row : rows) {
    MESSAGE(row.component << ", " << row.probe << ": difference " << row.difference.value << " +- "
                          << row.difference.error << ", chi " << row.susceptibility.value << " +- "
                          << row.susceptibility.error << ", z " << row.z());
    CHECK(std::abs(row.z()) < 5);
    best_chi = std::max(best_chi, std::abs(row.susceptibility.value) / row.susceptibility.error);
    best_difference = std::max(best_difference, std::abs(row.difference.value) / row.difference.error);
  }
  CHECK(best_chi > 10);
  CHECK(best_difference > 10);
}

}  // namespace

TEST_CASE("fluctuation_dissipation: the exact difference of a Gaussian tends to chi with the square of h") {
  gaussian const g;
  for (bool const whole : {false, true})
    for (int p : {0, 1}) {
      // Odd part of ½ tr(A Σ_h) + ½ μ_hᵀAμ_h in h, Σ_h = (M + h nβ B)⁻¹, μ_h = -h nβ Σ_h b, to third order.
      matrix const a = gaussian::block(g.a, whole), b = gaussian::block(g.b[p], whole);
      matrix const s =
          matrix(g.target.n_beta * a + g.target.localization * matrix::Identity(a.rows(), a.cols())).inverse();
      vector const slope = whole ? g.slope[p] : vector(g.slope[p].segment(1, 2));
      double const third = -g.target.n_beta * g.target.n_beta *
                           ((a * s * b * s * b * s * b * s).trace() / 2 + slope.dot(s * a * s * b * s * slope));
      double const h = 1e-3;
      CHECK((g.difference(p, h, whole) - g.susceptibility(p, whole)) / (h * h) == doctest::Approx(third).epsilon(1e-4));
    }
}

TEST_CASE("fluctuation_dissipation: both sides are exact for a Gaussian, whole and restricted [oracle]") {
  gaussian const g;
  susc::data_distribution const data{examples{0}, exact_gradient};
  double const h = .1;
  auto const rows = susc::check_fluctuation_dissipation(
      g.model(), g.center, data, g.probes(), g.options(susc::leimkuhler_matthews{.step_size = .3}, 60'000), h);
  REQUIRE(rows.size() == 4);
  for (std::size_t i = 0; i != 4; ++i) {
    auto const& row = rows[i];
    int const p = static_cast<int>(i / 2);
    bool const whole = i % 2 == 1;
    CHECK(row.probe == (p == 0 ? "first" : "second"));
    CHECK(row.component == (whole ? "full" : "part"));
    std::string const name = row.component + ", " + row.probe + " probe, Leimkuhler-Matthews, 4-dimensional Gaussian";
    oracle::check("fluctuation-dissipation, two runs, " + name, row.difference.value, row.difference.error,
                  g.difference(p, h, whole));
    oracle::check("fluctuation-dissipation, chi, " + name, row.susceptibility.value, row.susceptibility.error,
                  g.susceptibility(p, whole));
    CHECK(std::abs(row.z()) < 5);  // the h² term of the central difference is 1.5 % at most, about one error
  }
}

TEST_CASE("fluctuation_dissipation: SGLD's sides differ as its covariance at finite steps says [oracle]") {
  gaussian const g;
  susc::data_distribution const data{examples{0}, exact_gradient};
  double const h = .1, step_size = .3;
  auto const rows = susc::check_fluctuation_dissipation(g.model(), g.center, data, g.probes(),
                                                        g.options(susc::sgld{.step_size = step_size}, 60'000), h);
  for (std::size_t i = 0; i != rows.size(); ++i) {
    int const p = static_cast<int>(i / 2);
    bool const whole = i % 2 == 1;
    std::string const name = rows[i].component + ", " + rows[i].probe + " probe, SGLD, 4-dimensional Gaussian";
    oracle::check("fluctuation-dissipation, two runs, " + name, rows[i].difference.value, rows[i].difference.error,
                  g.difference(p, h, whole, step_size));
    oracle::check("fluctuation-dissipation, chi, " + name, rows[i].susceptibility.value, rows[i].susceptibility.error,
                  g.susceptibility(p, whole, step_size));
  }
}

TEST_CASE("fluctuation_dissipation: along an eigenvalue m SGLD's difference is chi (1 - step m / 2) [oracle]") {
  // L = ½ a x², ΔL = ½ b x²: m = nβ a + γ, stationary variance v = 1 / (m (1 - ε m/4)), χ = -½ a b v².
  double const a = 1.5, b = .7, n_beta = 4, localization = 2, step_size = .1, m = n_beta * a + localization;
  susc::quadratic<double> const model({0}, {{0, {0}, {a}}, {0, {0}, {a + b}}});
  susc::data_distribution const data{examples{0}, exact_gradient};
  susc::sampling_options<> const options{.posterior = {.n_beta = n_beta, .localization = localization},
                                         .sampler = {.step_size = step_size},
                                         .draws = 100'000,
                                         .burn_in = 100,
                                         .batch_size = 1};
  double const h = .02;  // the relative error of the central difference is about (h nβ b / m)² = 5e-5
  auto const row = susc::check_fluctuation_dissipation(model, std::vector<double>{0}, data,
                                                       std::vector<susc::probe<examples>>{{"probe", {1}}}, options, h)
                       .at(0);
  double const v = 1 / (m * (1 - step_size * m / 4)), chi = -a * b * v * v / 2;
  oracle::check("fluctuation-dissipation, chi, SGLD, 1 dimension at step m = 0.8", row.susceptibility.value,
                row.susceptibility.error, chi);
  oracle::check("fluctuation-dissipation, two runs, SGLD, 1 dimension at step m = 0.8", row.difference.value,
                row.difference.error, chi * (1 - step_size * m / 2));
  CHECK(std::abs(row.z()) > 5);  // the two sides are told apart
}

TEST_CASE("fluctuation_dissipation: the error with common noise does not grow as 1/h, that of two seeds does") {
  gaussian const g;
  auto const model = g.model();
  susc::data_distribution const data{examples{0}, exact_gradient};
  auto options = g.options(susc::leimkuhler_matthews{.step_size = .15}, 10'000);
  auto const probes = g.probes();
  double common[2], separate[2];
  for (int i : {0, 1}) {
    double const h = i == 0 ? .1 : .01;
    common[i] = susc::check_fluctuation_dissipation(model, g.center, data, probes, options, h)[0].difference.error;
    double square = 0, sum = 0;
    for (int side : {-1, 1}) {
      options.seed = side == -1 ? 11 : 12;
      susc::shifted_model<susc::quadratic<double>> const shifted{model, probes[0].batch, side * h};
      auto const phi = susc::estimate_learning_coefficients(shifted, g.center, data, options)[0].observable;
      sum += side * phi.value;
      square += phi.error * phi.error;
    }
    double const scale = 1 / (2 * h * g.target.n_beta);
    separate[i] = scale * std::sqrt(square);
    CHECK(std::abs(scale * sum - g.difference(0, h, false)) < 5 * separate[i]);
    MESSAGE("h " << h << ": error with common noise " << common[i] << ", with two seeds " << separate[i]);
  }
  // Errors of 10'000 draws are known to a few per cent.
  CHECK(separate[0] > 3 * common[0]);
  CHECK(separate[1] > 30 * common[1]);
}

TEST_CASE("fluctuation_dissipation: chi of a trained classifier's layers is the response to shifted data") {
  network const model({2, 6, 2});
  auto const evaluation = arcs(64, 0, {1});
  auto w = model.initial_weights({2});
  std::vector<double> gradient(w.size());
  for (int step = 0; step != 400; ++step) {
    model.loss_and_gradient(w, evaluation, gradient);
    for (std::size_t i = 0; i != w.size(); ++i) w[i] -= .5 * gradient[i];
  }
  susc::data_distribution const data{evaluation, [&](std::size_t, susc::random::key) { return evaluation; }};
  auto relabelled = arcs(32, 0, {3});
  for (std::size_t& label : relabelled.labels) label = 1 - label;
  std::vector<susc::probe<network::batch>> const probes{{"relabelled", relabelled}};
  susc::sampling_options<susc::leimkuhler_matthews> options{.components = {"full", "layer1", "layer2"},
                                                            .posterior = {.n_beta = 30, .localization = 10},
                                                            .sampler = {.step_size = .02},
                                                            .draws = 2000,
                                                            .burn_in = 100,
                                                            .thinning = 2};
  check_both_sides(susc::check_fluctuation_dissipation(model, w, data, probes, options, .03));
}

TEST_CASE("fluctuation_dissipation: chi of a transformer's components is the response to shifted data") {
  susc::transformer<small> const model;
  auto w = susc::initial_weights<float>(model.layout(), {2});
  auto const minibatch = [](std::size_t size, susc::random::key key) { return counting(size, 1, key); };
  susc::train_adamw(model, std::span<float>(w), minibatch, {}, {.steps = 200, .warm_up = 20}, susc::sequential{});
  auto const evaluation = counting(4, 1, {4});
  susc::data_distribution const data{evaluation, [&](std::size_t, susc::random::key) { return evaluation; }};
  std::vector<susc::probe<susc::token_batch>> const probes{{"by two", counting(2, 2, {5})}};
  susc::sampling_options<susc::leimkuhler_matthews> options{.components = {"l0h1", "l1h0", "l1mlp"},
                                                            .posterior = {.n_beta = 30, .localization = 100},
                                                            .sampler = {.step_size = 8e-3},
                                                            .chains = 2,
                                                            .draws = 1000,
                                                            .burn_in = 50};
  check_both_sides(susc::check_fluctuation_dissipation(model, w, data, probes, options, .03));
}

TEST_CASE("fluctuation_dissipation: a shift outside (0, 1] is refused") {
  gaussian const g;
  susc::data_distribution const data{examples{0}, exact_gradient};
  auto const with = [&](double h) {
    return susc::check_fluctuation_dissipation(g.model(), g.center, data, g.probes(), g.options(susc::sgld{.1}, 4), h);
  };
  CHECK_NOTHROW(with(1));
  CHECK_THROWS_WITH_AS(with(0), "the shift h is 0, must be above 0 and at most 1", susc::error);
  CHECK_THROWS_WITH_AS(with(1.5), "the shift h is 1.5, must be above 0 and at most 1", susc::error);
  CHECK_THROWS_WITH_AS(with(-.1), "the shift h is -0.1, must be above 0 and at most 1", susc::error);
  CHECK_THROWS_AS(with(std::nan("")), susc::error);
}
