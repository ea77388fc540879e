#include "susc/response/squared_norm.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "oracle.hpp"
#include "response/gaussian.hpp"
#include "response/quadrature.hpp"
#include "susc/response/estimate.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"

namespace {
using model_type = susc::quadratic<double>;
static_assert(susc::Observable<susc::squared_norm, model_type>);
static_assert(!susc::Perturbation<susc::squared_norm, model_type>);

std::vector<susc::probe<std::vector<std::size_t>>> const probes{{"first", {1}}, {"second", {2}}};
std::vector<std::size_t> const evaluation{0};
susc::posterior_settings const target{.n_beta = 3, .localization = 1};

/// Cov[‖d‖², ½ dᵀBd + bᵀd] and, from 0, Cov[‖d + w*‖², ...], d ~ N(0, S).
double covariance(susc::origin from, matrix const& s, matrix const& b, vector const& slope, vector const& center) {
  double const squares = (s * b * s).trace();
  return from == susc::origin::center ? squares : squares + 2 * center.dot(s * slope);
}
}  // namespace

TEST_CASE("squared norm: of the moving weights alone, from w* and from 0") {
  gaussian const g;
  auto const model = g.model();
  susc::draw<model_type> at(model, g.center, g.part, evaluation, probes);
  CHECK(susc::squared_norm{}.value(at) == 0);
  CHECK(susc::squared_norm{susc::origin::zero}.value(at) == doctest::Approx(.04 + 1).epsilon(1e-15));
  std::vector<double> const w{9, 1, 3, 9};  // weights 1 and 2 move, from -.2 and 1
  at.move_to(w);
  CHECK(susc::squared_norm{}.value(at) == doctest::Approx(1.44 + 4).epsilon(1e-15));
  CHECK(susc::squared_norm{susc::origin::zero}.value(at) == doctest::Approx(1 + 9).epsilon(1e-15));
}

TEST_CASE("squared norm: its susceptibility on a Gaussian, by a rule that is exact for it") {
  gaussian const g;
  auto const model = g.model();
  matrix const s = (target.n_beta * gaussian::block(g.a, true) + matrix::Identity(2, 2)).inverse();
  auto const points = gaussian_points(g.center, g.part, s);
  susc::draw<model_type> at(model, g.center, g.part, evaluation, probes);
  for (auto const from : {susc::origin::center, susc::origin::zero}) {
    auto const chi = exact_susceptibilities(at, points, susc::squared_norm{from}, susc::example_reweighting{});
    for (std::size_t p = 0; p != 2; ++p)
      CHECK(chi[p] == doctest::Approx(-covariance(from, s, gaussian::block(g.b[p], true),
                                                  gaussian::block(g.slope[p], true), vector{{-.2, 1}}))
                          .epsilon(1e-12));
  }
}

TEST_CASE("squared norm: estimates on a Gaussian in both centrings, φ being taken relative to w* [oracle]") {
  gaussian const g;
  auto const model = g.model();
  susc::sampling_options<susc::leimkuhler_matthews> options{.components = {"part"},
                                                            .posterior = target,
                                                            .sampler = {.step_size = .25},
                                                            .draws = 60'000,
                                                            .burn_in = 100,
                                                            .thinning = 2,
                                                            .batch_size = 1,
                                                            .seed = 5};
  options.all_weights = {target, options.sampler};
  susc::data_distribution const data{evaluation, full_batch};
  auto const result = susc::estimate_susceptibilities(model, g.center, data, probes, options, susc::threads{2},
                                                      susc::squared_norm{susc::origin::zero});
  auto const precision = [&](bool part) {
    matrix const a = gaussian::block(g.a, part);
    return matrix(target.n_beta * a + matrix::Identity(a.rows(), a.cols()));
  };
  matrix const s = precision(true).inverse(), free = precision(false).inverse();
  for (int p = 0; p != 2; ++p) {
    matrix const b = gaussian::block(g.b[p], true);
    double const exact = -covariance(susc::origin::zero, s, b, gaussian::block(g.slope[p], true), vector{{-.2, 1}});
    // E[φ] less its value at w*, which is 1.04, is tr S.
    double const full = exact - s.trace() * ((b * s).trace() - (g.b[p] * free).trace()) / 2;
    std::string const probe = probes[static_cast<std::size_t>(p)].name;
    auto const restricted_chi = result.response_matrix(susc::centring::restricted), full_chi = result.response_matrix();
    oracle::check("chi of the squared norm, " + probe + " probe, Gaussian, Leimkuhler-Matthews",
                  restricted_chi.value(p, 0), restricted_chi.error(p, 0), exact);
    oracle::check("chi of the squared norm, full centring, " + probe + " probe, Gaussian, Leimkuhler-Matthews",
                  full_chi.value(p, 0), full_chi.error(p, 0), full);
  }
}
