#include "susc/response/example_probability.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "oracle.hpp"
#include "response/logistic.hpp"

namespace {
static_assert(susc::Observable<susc::example_probability, logistic_model>);
static_assert(!susc::Perturbation<susc::example_probability, logistic_model>);

std::vector<susc::probe<logistic_batch>> const probes{{"one", {{2}, {0}}}, {"two", {{-1, .8}, {0, 1}}}};
susc::example_probability const second_of_two{{.probe = 1, .example = 1}};
}  // namespace

TEST_CASE("example probability: e to the minus loss of the example named") {
  logistic const g;
  susc::draw<logistic_model> at(g.model, g.center, g.slope, g.evaluation, probes);
  CHECK(susc::example_probability{}.value(at) == doctest::Approx(std::exp(-g.loss(1.1, 2, 0))).epsilon(1e-14));
  for (double const v : {-1., .5, 4.}) {
    std::vector<double> const w{.3, v, .2, -.1};
    at.move_to(w);
    CHECK(second_of_two.value(at) == doctest::Approx(1 / (1 + std::exp(-g.margin(v, .8)))).epsilon(1e-14));
  }
}

TEST_CASE("example probability: its susceptibility by quadrature, and from chains [oracle]") {
  logistic const g;
  auto const probability = [&](double v) { return 1 / (1 + std::exp(-g.margin(v, .8))); };
  std::vector<double> exact;
  for (auto const& p : probes)
    exact.push_back(
        g.chi(probability, [&](double v) { return g.mean_loss(v, p.batch) - g.mean_loss(v, g.evaluation); }));
  susc::draw<logistic_model> at(g.model, g.center, g.slope, g.evaluation, probes);
  auto const points = line_points(g.center, 1, g.law());
  auto const chi = exact_susceptibilities(at, points, second_of_two, susc::example_reweighting{});
  auto const sampled =
      g.sampled(probes, second_of_two, susc::example_reweighting{}, 7).response_matrix(susc::centring::restricted);
  for (std::size_t p = 0; p != 2; ++p) {
    CHECK(chi[p] == doctest::Approx(exact[p]).epsilon(1e-11));
    oracle::check("chi of a class probability, logistic regression, probe " + probes[p].name + ", MALA",
                  sampled.value(p, 0), sampled.error(p, 0), exact[p]);
  }
}

TEST_CASE("example probability: an example that does not exist is refused before the first step") {
  logistic const g;
  susc::draw<logistic_model> const at(g.model, g.center, g.slope, g.evaluation, probes);
  CHECK_THROWS_WITH_AS((susc::example_probability{{.probe = 2}}.value(at)),
                       "example_probability: probe 2, must be below the 2 probes", susc::error);
  std::size_t steps = 0;
  susc::sampling_options<> const options{
      .components = {"slope"}, .sampler = {.step_size = .001}, .progress = [&](std::size_t) { ++steps; }};
  susc::data_distribution const data{g.evaluation, [&](std::size_t, susc::random::key) { return g.evaluation; }};
  CHECK_THROWS_WITH_AS(susc::estimate_susceptibilities(g.model, g.center, data, probes, options, susc::sequential{},
                                                       susc::example_probability{{.probe = 1, .example = 2}}),
                       "example_probability: example 2 of probe 'two', must be below its 2 examples", susc::error);
  CHECK(steps == 0);
}
