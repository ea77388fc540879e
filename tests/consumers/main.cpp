// What a user of the library writes: a network, an observable and a perturbation of their own. Prints a susceptibility,
// and fails unless it agrees with its exact value.
#include <cmath>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "susc/response/estimate.hpp"

// Losses ½ (w₀² + 2 w₁²), of as many examples as a batch says.
struct bowl {
  using scalar = double;
  using batch = std::size_t;
  std::size_t parameter_count() const { return 2; }
  std::size_t example_count(batch const& b) const { return b; }
  void losses(std::span<double const> w, batch const&, std::span<double> losses) const {
    for (double& loss : losses) loss = (w[0] * w[0] + 2 * w[1] * w[1]) / 2;
  }
  double loss_and_gradient(std::span<double const> w, batch const&, std::span<double> gradient) const {
    gradient[0] = w[0];
    gradient[1] = 2 * w[1];
    return (w[0] * w[0] + 2 * w[1] * w[1]) / 2;
  }
};

// φ = w₀ + 2 w₁.
struct weighted_sum {
  double value(susc::draw<bowl> const& at) const { return at.weights()[0] + 2 * at.weights()[1]; }
};

// ΔL = 3 w₀ + w₁.
struct tilt {
  std::size_t count(susc::draw<bowl> const&) const { return 1; }
  void loss_shifts(susc::draw<bowl> const& at, std::span<double> shifts) const {
    shifts[0] = 3 * at.weights()[0] + at.weights()[1];
  }
};

int main() {
  double const n_beta = 30, localization = 10, step = .02;
  susc::data_distribution const data{bowl::batch{1}, [](std::size_t size, susc::random::key) { return size; }};
  auto const chi = susc::estimate_susceptibilities(
                       bowl{}, std::vector{0., 0.}, data, {{"tilt", 1}},
                       {.posterior = {n_beta, localization}, .sampler = {step}, .draws = 60'000, .batch_size = 1},
                       susc::threads{}, weighted_sum{}, tilt{})
                       .response_matrix();
  // Variance of SGLD at this step along a weight whose loss has this curvature.
  auto const variance = [&](double curvature) {
    double const m = n_beta * curvature + localization;
    return 1 / (m * (1 - step * m / 4));
  };
  double const exact = -(1 * 3 * variance(1) + 2 * 1 * variance(2));  // -Cov(φ, ΔL)
  double const value = chi.value(0, 0), error = chi.error(0, 0);
  std::printf("chi = %.5f +- %.5f, exact %.5f\n", value, error, exact);
  // So small an error that a wrong factor of 5 % would show as ten errors.
  return std::abs(value - exact) < 5 * error && error < -exact / 200 ? 0 : 1;
}
