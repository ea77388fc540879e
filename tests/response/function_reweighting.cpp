#include "susc/response/function_reweighting.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "oracle.hpp"
#include "response/gaussian.hpp"
#include "response/quadrature.hpp"
#include "susc/response/estimate.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"

namespace {
using model_type = susc::quadratic<double>;
static_assert(susc::Perturbation<susc::function_reweighting, model_type>);
static_assert(!susc::Observable<susc::function_reweighting, model_type>);

// The chains follow example 0 alone; the evaluation set is all three, so that the posterior is centred at w*.
std::vector<std::size_t> const evaluation{0, 1, 2};
std::vector<double> const values[]{{0, 1, 0}, {2, -1, 5}};
susc::function_reweighting const perturbation({{"indicator", values[0]}, {"f", values[1]}});
susc::posterior_settings const target{.n_beta = 3, .localization = 1};

/// χ of the loss on the evaluation set: mean curvature Ā and slope, ΔL those of the mean of (f - f̄) l.
double exact(gaussian const& g, std::vector<double> const& f) {
  matrix const s = (target.n_beta * gaussian::block(g.a, true) + matrix::Identity(2, 2)).inverse();
  double const mean = (f[0] + f[1] + f[2]) / 3;
  matrix curvature = 3 * g.a, shift = (f[0] - mean) * g.a;
  vector slope = vector::Zero(4), shift_slope = slope;
  for (std::size_t e : {0, 1}) {
    curvature += g.b[e];
    slope += g.slope[e];
    shift += (f[e + 1] - mean) * (g.a + g.b[e]);
    shift_slope += (f[e + 1] - mean) * g.slope[e];
  }
  auto const part = [](auto const& m) { return gaussian::block(m, true); };
  matrix const a = part(matrix(curvature / 3)), b = part(matrix(shift / 3));
  vector const p = part(vector(slope / 3)), q = part(vector(shift_slope / 3));
  return -((a * s * b * s).trace() / 2 + p.dot(s * q));
}
}  // namespace

TEST_CASE("function reweighting: E[f l] - E[f] E[l] over the evaluation set; of an indicator P(S) (L_S - L)") {
  gaussian const g;
  auto const model = g.model();
  susc::draw<model_type> at(model, g.center, g.part, evaluation, {});
  std::vector<double> const w{.3, 1, -1, 0};
  at.move_to(w);
  std::vector<double> losses(3), shifts(2);
  model.losses(w, evaluation, losses);
  perturbation.loss_shifts(at, std::span(shifts));
  double const mean = (losses[0] + losses[1] + losses[2]) / 3;
  CHECK(shifts[0] == doctest::Approx((losses[1] - mean) / 3).epsilon(1e-13));
  CHECK(shifts[1] == doctest::Approx((2 * losses[0] - losses[1] + 5 * losses[2]) / 3 - 2 * mean).epsilon(1e-13));
  CHECK(perturbation.count(at) == 2);
  CHECK(perturbation.names() == std::vector<std::string>{"indicator", "f"});
  // A constant added to f changes nothing.
  susc::function_reweighting const moved({{"f + 100", {102, 99, 105}}});
  std::vector<double> again(1);
  moved.loss_shifts(at, std::span(again));
  CHECK(again[0] == doctest::Approx(shifts[1]).epsilon(1e-12));
}

TEST_CASE("function reweighting: a function of batch and example number") {
  gaussian const g;
  auto const model = g.model();
  auto const f = susc::function_of_examples("which", model, std::vector<std::size_t>{2, 0, 1},
                                            [](auto const& batch, std::size_t i) { return 10 * batch[i] + i; });
  CHECK(f.name == "which");
  CHECK(f.values == std::vector<double>{20, 1, 12});
}

TEST_CASE("function reweighting: susceptibilities of a Gaussian, exactly and from chains [oracle]") {
  gaussian const g;
  auto const model = g.model();
  matrix const s = (target.n_beta * gaussian::block(g.a, true) + matrix::Identity(2, 2)).inverse();
  susc::draw<model_type> at(model, g.center, g.part, evaluation, {});
  auto const chi =
      exact_susceptibilities(at, gaussian_points(g.center, g.part, s), susc::component_loss{}, perturbation);
  susc::sampling_options<susc::leimkuhler_matthews> const options{.components = {"part"},
                                                                  .posterior = target,
                                                                  .sampler = {.step_size = .25},
                                                                  .draws = 60'000,
                                                                  .burn_in = 100,
                                                                  .thinning = 2,
                                                                  .batch_size = 1,
                                                                  .seed = 6};
  auto const sampled =
      susc::estimate_susceptibilities(model, g.center, susc::data_distribution{evaluation, full_batch}, {}, options,
                                      susc::threads{2}, susc::component_loss{}, perturbation)
          .response_matrix(susc::centring::restricted);
  for (std::size_t j = 0; j != 2; ++j) {
    CHECK(chi[j] == doctest::Approx(exact(g, values[j])).epsilon(1e-12));
    oracle::check("chi of a reweighting by " + perturbation.names()[j] + ", Gaussian, Leimkuhler-Matthews",
                  sampled.value(j, 0), sampled.error(j, 0), exact(g, values[j]));
  }
}

TEST_CASE("function reweighting: what is refused") {
  gaussian const g;
  auto const model = g.model();
  CHECK_THROWS_WITH_AS(susc::function_reweighting({}), "function_reweighting: no functions, must have at least 1",
                       susc::error);
  CHECK_THROWS_WITH_AS(susc::function_reweighting({{"f", {1, std::numeric_limits<double>::infinity()}}}),
                       "function_reweighting: 'f' of example 1 is inf, must be finite", susc::error);
  std::vector<std::size_t> const two{0, 1};
  susc::draw<model_type> const at(model, g.center, g.part, two, {});
  CHECK_THROWS_WITH_AS(perturbation.count(at),
                       "function_reweighting: 'indicator' has 3 values, must have one for each of the 2 evaluation "
                       "examples",
                       susc::error);
}
