#include "susc/response/counterfactual_pairs.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "oracle.hpp"
#include "response/gaussian.hpp"
#include "response/quadrature.hpp"
#include "susc/response/estimate.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"

namespace {
using model_type = susc::quadratic<double>;
static_assert(susc::Perturbation<susc::counterfactual_pairs, model_type>);
static_assert(!susc::Observable<susc::counterfactual_pairs, model_type>);

// Example 0 becomes 1 and 1 becomes 2; back, one becomes the other.
std::vector<susc::probe<std::vector<std::size_t>>> const probes{
    {"given", {0, 1}}, {"counterfactual", {1, 2}}, {"one", {2}}, {"other", {0}}};
susc::counterfactual_pairs const perturbation({{0, 1}, {2, 3}});
std::vector<std::size_t> const evaluation{0};
susc::posterior_settings const target{.n_beta = 3, .localization = 1};
}  // namespace

TEST_CASE("counterfactual pairs: the loss of the counterfactual less that of the given, pair by pair") {
  gaussian const g;
  auto const model = g.model();
  susc::draw<model_type> at(model, g.center, g.part, evaluation, probes);
  CHECK(perturbation.count(at) == 3);
  CHECK(perturbation.groups(at) == std::vector<susc::index_range>{{0, 2}, {2, 3}});
  std::vector<double> const w{.3, 1, -1, 0};
  at.move_to(w);
  std::vector<double> losses(3), shifts(3);
  model.losses(w, {0, 1, 2}, losses);
  perturbation.loss_shifts(at, std::span(shifts));
  CHECK(shifts == std::vector<double>{losses[1] - losses[0], losses[2] - losses[1], losses[0] - losses[2]});
}

TEST_CASE("counterfactual pairs: susceptibilities of a Gaussian, exactly and from chains [oracle]") {
  gaussian const g;
  auto const model = g.model();
  matrix const a = gaussian::block(g.a, true), s = (target.n_beta * a + matrix::Identity(2, 2)).inverse();
  auto const of_curvature = [&](matrix const& b) {
    return -(a * s * gaussian::block(b, true) * s).trace() / 2;  // L has no slope, so those of ΔL do not matter
  };
  std::vector<double> const exact{of_curvature(g.b[1] / 2), of_curvature(-g.b[1])};
  susc::draw<model_type> at(model, g.center, g.part, evaluation, probes);
  auto const chi =
      exact_susceptibilities(at, gaussian_points(g.center, g.part, s), susc::component_loss{}, perturbation);
  susc::sampling_options<susc::leimkuhler_matthews> const options{.components = {"part"},
                                                                  .posterior = target,
                                                                  .sampler = {.step_size = .25},
                                                                  .draws = 60'000,
                                                                  .burn_in = 100,
                                                                  .thinning = 2,
                                                                  .batch_size = 1,
                                                                  .seed = 4};
  susc::data_distribution const data{evaluation, full_batch};
  auto const sampled = susc::estimate_susceptibilities(model, g.center, data, probes, options, susc::threads{2},
                                                       susc::component_loss{}, perturbation)
                           .response_matrix(susc::centring::restricted);
  char const* const names[]{"mean of two", "one"};
  for (std::size_t j = 0; j != 2; ++j) {
    CHECK(chi[j] == doctest::Approx(exact[j]).epsilon(1e-12));
    oracle::check(std::string("chi of counterfactual pairs, ") + names[j] + ", Gaussian, Leimkuhler-Matthews",
                  sampled.value(j, 0), sampled.error(j, 0), exact[j]);
  }
  // The difference of the probes' own rows, to rounding: all is linear, and the draws are the same.
  auto const own = susc::estimate_susceptibilities(model, g.center, data, probes, options, susc::threads{2})
                       .response_matrix(susc::centring::restricted);
  CHECK(sampled.value(0, 0) == doctest::Approx(own.value(1, 0) - own.value(0, 0)).epsilon(1e-10));
  CHECK(sampled.value(1, 0) == doctest::Approx(own.value(3, 0) - own.value(2, 0)).epsilon(1e-10));
}

TEST_CASE("counterfactual pairs: what is refused") {
  gaussian const g;
  auto const model = g.model();
  auto with_none = probes;
  with_none.push_back({"none", {}});
  susc::draw<model_type> const at(model, g.center, g.part, evaluation, with_none);
  CHECK_THROWS_WITH_AS(susc::counterfactual_pairs(std::vector<susc::counterfactual_pairs::pair>{}),
                       "counterfactual_pairs: no pairs of probes, must have at least 1", susc::error);
  CHECK_THROWS_WITH_AS(susc::counterfactual_pairs({{0, 5}}).count(at),
                       "counterfactual_pairs: probe 5, must be below the 5 probes", susc::error);
  CHECK_THROWS_WITH_AS(susc::counterfactual_pairs({{0, 1}, {0, 2}}).count(at),
                       "counterfactual_pairs: probe 'given' has 2 examples, 'one' 1; both must have one for each pair, "
                       "at least 1",
                       susc::error);
  CHECK_THROWS_AS(susc::counterfactual_pairs({{4, 4}}).count(at), susc::error);
}
