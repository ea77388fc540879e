// A susceptibility beside its exact value: the losses are quadratic in two weights, so the posterior is Gaussian.
#include <cstdio>

#include "susc/models/quadratic.hpp"
#include "susc/response/estimate.hpp"

int main() {
  // Losses ½ (a₀ w₀² + a₁ w₁²) on the data; on the probes one curvature a is another, b.
  double const a[] = {1, 2}, b[] = {3, 1}, n_beta = 30, localization = 10, step = .02;
  susc::quadratic<> const model({0, 0}, {{0, {0, 0}, {a[0], 0, 0, a[1]}},    // example 0: the data
                                         {0, {0, 0}, {b[0], 0, 0, a[1]}},    // example 1: steeper in w₀
                                         {0, {0, 0}, {a[0], 0, 0, b[1]}}});  // example 2: flatter in w₁
  using batch = susc::quadratic<>::batch;                                    // a list of examples
  susc::data_distribution const data{batch{0}, [](std::size_t, susc::random::key) { return batch{0}; }};
  auto const result =
      susc::estimate_susceptibilities(model, std::vector{0., 0.}, data, {{"steeper", {1}}, {"flatter", {2}}},
                                      {.posterior = {n_beta, localization}, .sampler = {step}, .draws = 10'000});
  auto const chi = result.response_matrix();
  for (int p = 0; p != 2; ++p) {
    double const m = n_beta * a[p] + localization, variance = 1 / (m * (1 - step * m / 4));  // of SGLD at this step
    double const exact = -a[p] * (b[p] - a[p]) / 2 * variance * variance;                    // -Cov(L, ΔL)
    std::printf("%s: chi = (%+.2f +- %.2f)e-4, exact %+.2fe-4, z = %+.2f\n", result.probes[p].c_str(),
                1e4 * chi.value(p, 0), 1e4 * chi.error(p, 0), 1e4 * exact, (chi.value(p, 0) - exact) / chi.error(p, 0));
  }
}
