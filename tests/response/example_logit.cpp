#include "susc/response/example_logit.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "oracle.hpp"
#include "response/logistic.hpp"

namespace {
static_assert(susc::Observable<susc::example_logit, logistic_model>);
static_assert(!susc::Perturbation<susc::example_logit, logistic_model>);

std::vector<susc::probe<logistic_batch>> const probes{{"one", {{2}, {0}}}, {"two", {{-1, .8}, {0, 1}}}};
susc::example_logit const of_class_one{{.probe = 1, .example = 1}, 1};
}  // namespace

TEST_CASE("example logit: that of the example and the class named") {
  logistic const g;
  susc::draw<logistic_model> at(g.model, g.center, g.slope, g.evaluation, probes);
  std::vector<double> const w{.3, -2, .2, -.1};
  at.move_to(w);
  CHECK(of_class_one.value(at) == doctest::Approx(-2 * .8 - .1).epsilon(1e-15));
  CHECK(susc::example_logit{{1, 1}, 0}.value(at) == doctest::Approx(.3 * .8 + .2).epsilon(1e-15));
  CHECK(susc::example_logit{{0, 0}, 1}.value(at) == doctest::Approx(-2 * 2 - .1).epsilon(1e-15));
}

TEST_CASE("example logit: its susceptibility by quadrature, and from chains [oracle]") {
  logistic const g;
  std::vector<double> exact;
  for (auto const& p : probes)
    exact.push_back(g.chi([](double v) { return v * .8 - .1; },
                          [&](double v) { return g.mean_loss(v, p.batch) - g.mean_loss(v, g.evaluation); }));
  susc::draw<logistic_model> at(g.model, g.center, g.slope, g.evaluation, probes);
  auto const points = line_points(g.center, 1, g.law());
  auto const chi = exact_susceptibilities(at, points, of_class_one, susc::example_reweighting{});
  auto const sampled =
      g.sampled(probes, of_class_one, susc::example_reweighting{}, 8).response_matrix(susc::centring::restricted);
  for (std::size_t p = 0; p != 2; ++p) {
    CHECK(chi[p] == doctest::Approx(exact[p]).epsilon(1e-11));
    oracle::check("chi of a logit, logistic regression, probe " + probes[p].name + ", MALA", sampled.value(p, 0),
                  sampled.error(p, 0), exact[p]);
  }
}

TEST_CASE("example logit: a probe, example or class that does not exist is refused") {
  logistic const g;
  susc::draw<logistic_model> const at(g.model, g.center, g.slope, g.evaluation, probes);
  CHECK_THROWS_WITH_AS((susc::example_logit{{2, 0}, 0}.value(at)), "example_logit: probe 2, must be below the 2 probes",
                       susc::error);
  CHECK_THROWS_WITH_AS((susc::example_logit{{0, 1}, 0}.value(at)),
                       "example_logit: example 1 of probe 'one', must be below its 1 examples", susc::error);
  CHECK_THROWS_WITH_AS((susc::example_logit{{0, 0}, 2}.value(at)),
                       "example_logit: class 2, must be below the model's 2", susc::error);
}
