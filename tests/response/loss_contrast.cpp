#include "susc/response/loss_contrast.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "oracle.hpp"
#include "response/gaussian.hpp"
#include "response/logistic.hpp"
#include "response/quadrature.hpp"
#include "susc/data/label_noise.hpp"
#include "susc/data/missing_inputs.hpp"

namespace {
using model_type = susc::quadratic<double>;
static_assert(susc::Perturbation<susc::loss_contrast, model_type>);
static_assert(!susc::Observable<susc::loss_contrast, model_type>);

std::vector<susc::probe<std::vector<std::size_t>>> const probes{{"all", {0, 1, 2}}, {"two", {2, 1}}};
std::vector<std::size_t> const evaluation{0};
struct moving_weight {
  double value(auto const& at) const { return at.weights()[1]; }
};
}  // namespace

TEST_CASE("loss contrast: the weighted sum of a probe's losses, and its susceptibility on a Gaussian") {
  gaussian const g;
  auto const model = g.model();
  susc::draw<model_type> at(model, g.center, g.part, evaluation, probes);
  susc::loss_contrast const perturbation({{0, {-.75, .5, .25}}, {1, {1, -1}}});
  CHECK(perturbation.count(at) == 2);
  std::vector<double> const w{.3, 1, -1, 0};
  at.move_to(w);
  std::vector<double> losses(3), shifts(2);
  model.losses(w, {0, 1, 2}, losses);
  perturbation.loss_shifts(at, std::span(shifts));
  CHECK(shifts[0] == doctest::Approx(-.75 * losses[0] + .5 * losses[1] + .25 * losses[2]).epsilon(1e-14));
  CHECK(shifts[1] == doctest::Approx(losses[2] - losses[1]).epsilon(1e-14));

  matrix const a = gaussian::block(g.a, true), s = (3 * a + matrix::Identity(2, 2)).inverse();
  auto const chi =
      exact_susceptibilities(at, gaussian_points(g.center, g.part, s), susc::component_loss{}, perturbation);
  auto const exact = [&](matrix const& b) { return -(a * s * gaussian::block(b, true) * s).trace() / 2; };
  CHECK(chi[0] == doctest::Approx(exact(.5 * g.b[0] + .25 * g.b[1])).epsilon(1e-12));
  CHECK(chi[1] == doctest::Approx(exact(g.b[1] - g.b[0])).epsilon(1e-12));
}

TEST_CASE("loss contrast: susceptibilities to label noise and to missing inputs [oracle]") {
  // One input. Label noise: with the other label the loss is larger by the margin of the right one. A missing input:
  // the margin of x = 0, which does not depend on the slope, so ΔL is minus the loss itself times the probability.
  logistic const g;
  logistic_batch const clean{{1.2, -.4, 2}, {1, 0, 0}};
  double const rate = .3, probability = .2;
  auto const noisy = susc::label_noise(clean, 2, rate);
  auto const holed = susc::missing_inputs(clean, probability);
  std::vector<susc::probe<logistic_batch>> const two{{"label noise", noisy.batch}, {"missing inputs", holed.batch}};
  susc::loss_contrast const perturbation({{0, noisy.weights}, {1, holed.weights}});
  auto const slope = [](double v) { return v; };
  double const exact[]{
      g.chi(slope, [&](double v) { return rate * (g.margin(v, 1.2) - g.margin(v, -.4) - g.margin(v, 2)) / 3; }),
      g.chi(slope, [&](double v) { return -probability * g.mean_loss(v, clean); })};
  susc::draw<logistic_model> at(g.model, g.center, g.slope, g.evaluation, two);
  auto const points = line_points(g.center, 1, g.law());
  auto const chi = exact_susceptibilities(at, points, moving_weight{}, perturbation);
  auto const sampled = g.sampled(two, moving_weight{}, perturbation, 3).response_matrix(susc::centring::restricted);
  for (std::size_t j = 0; j != 2; ++j) {
    CHECK(chi[j] == doctest::Approx(exact[j]).epsilon(1e-10));
    oracle::check("chi of " + two[j].name + ", logistic regression, MALA", sampled.value(j, 0), sampled.error(j, 0),
                  exact[j]);
  }
}

TEST_CASE("loss contrast: what is refused") {
  gaussian const g;
  auto const model = g.model();
  susc::draw<model_type> const at(model, g.center, g.part, evaluation, probes);
  CHECK_THROWS_WITH_AS(susc::loss_contrast({}), "loss_contrast: no contrasts, must have at least 1", susc::error);
  CHECK_THROWS_WITH_AS(susc::loss_contrast({{1, {1, -.5}}}),
                       "loss_contrast: the weights for probe 1 sum to 0.5, must sum to 0: what some examples gain "
                       "others lose",
                       susc::error);
  CHECK_THROWS_WITH_AS(susc::loss_contrast({{1, {std::numeric_limits<double>::quiet_NaN(), 0}}}),
                       "loss_contrast: a weight for probe 1 is not finite", susc::error);
  CHECK_THROWS_WITH_AS(susc::loss_contrast({{2, {1, -1}}}).count(at),
                       "loss_contrast: probe 2, must be below the 2 probes", susc::error);
  CHECK_THROWS_WITH_AS(susc::loss_contrast({{0, {1, -1}}}).count(at),
                       "loss_contrast: 2 weights for probe 'all', which has 3 examples", susc::error);
}
