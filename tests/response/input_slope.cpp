#include "susc/response/input_slope.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "oracle.hpp"
#include "response/logistic.hpp"

namespace {
static_assert(susc::Observable<susc::input_slope, logistic_model>);
static_assert(!susc::Perturbation<susc::input_slope, logistic_model>);

std::vector<susc::probe<logistic_batch>> const probes{{"one", {{2}, {0}}}, {"two", {{-1, .8}, {0, 1}}}};

/// By hand: the loss of label 1 has the slope -(1 - p) (v - w_0), that of label 0 p (v - w_0), p being that of label 1.
double slope_of(logistic const& g, double v, logistic_batch const& b) {
  double sum = 0;
  for (std::size_t i = 0; i != b.labels.size(); ++i) {
    double const p = 1 / (1 + std::exp(-g.margin(v, b.inputs[i])));
    sum += std::pow((b.labels[i] == 1 ? p - 1 : p) * (v - g.center[0]), 2);
  }
  return std::sqrt(sum) / static_cast<double>(b.labels.size());
}
}  // namespace

TEST_CASE("input slope: the norm over all inputs of the gradient of the probe's mean loss") {
  logistic const g;
  susc::draw<logistic_model> at(g.model, g.center, g.slope, g.evaluation, probes);
  for (double const v : {-1., .5, 4.}) {
    std::vector<double> const w{.3, v, .2, -.1};
    at.move_to(w);
    for (std::size_t p = 0; p != 2; ++p)
      CHECK(susc::input_slope{p}.value(at) == doctest::Approx(slope_of(g, v, probes[p].batch)).epsilon(1e-14));
  }
  CHECK_THROWS_WITH_AS(susc::input_slope{2}.value(at), "input_slope: probe 2, must be below the 2 probes", susc::error);
}

TEST_CASE("input slope: its susceptibility by quadrature, and from chains [oracle]") {
  logistic const g;
  std::vector<double> exact;
  for (auto const& p : probes)
    exact.push_back(g.chi([&](double v) { return slope_of(g, v, probes[1].batch); },
                          [&](double v) { return g.mean_loss(v, p.batch) - g.mean_loss(v, g.evaluation); }));
  susc::draw<logistic_model> at(g.model, g.center, g.slope, g.evaluation, probes);
  auto const points = line_points(g.center, 1, g.law());
  auto const chi = exact_susceptibilities(at, points, susc::input_slope{1}, susc::example_reweighting{});
  auto const sampled = g.sampled(probes, susc::input_slope{1}, susc::example_reweighting{}, 9)
                           .response_matrix(susc::centring::restricted);
  for (std::size_t p = 0; p != 2; ++p) {
    CHECK(chi[p] == doctest::Approx(exact[p]).epsilon(1e-11));
    oracle::check("chi of the slope by the inputs, logistic regression, probe " + probes[p].name + ", MALA",
                  sampled.value(p, 0), sampled.error(p, 0), exact[p], .03);
  }
}
