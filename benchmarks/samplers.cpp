// Bias and effective samples per gradient of every sampler on one Gaussian whose answers are known: the table of
// docs/samplers.md. Of each sampler three step sizes; 20 dimensions, curvatures from 0.01 to 1 evenly in the logarithm.
#include <cmath>
#include <cstdio>
#include <vector>

#include "susc/models/quadratic.hpp"
#include "susc/response/learning_coefficient.hpp"
#include "susc/sampling/exponential_integrator.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"
#include "susc/sampling/mala.hpp"
#include "susc/sampling/rmsprop_sgld.hpp"
#include "susc/sampling/sghmc.hpp"
#include "susc/sampling/sgnht.hpp"

namespace {

constexpr std::size_t dimensions = 20, examples = 64;
constexpr susc::posterior_settings target{.n_beta = 30, .localization = 10};

double curvature(std::size_t i) {
  return std::pow(10., -2 + 2 * static_cast<double>(i) / static_cast<double>(dimensions - 1));
}

/// One curvature, and slopes that differ between examples and sum to zero: minibatches have noisy gradients.
susc::quadratic<> gaussian(double noise) {
  std::vector<susc::quadratic<>::example> all(examples);
  susc::random::stream stream({7});
  for (std::size_t e = 0; e != examples; ++e) {
    all[e].curvature.assign(dimensions * dimensions, 0);
    for (std::size_t i = 0; i != dimensions; ++i) {
      all[e].curvature[i * dimensions + i] = curvature(i);
      all[e].linear.push_back(e % 2 == 0 ? noise * stream.normal() : -all[e - 1].linear[i]);
    }
  }
  return susc::quadratic<>(std::vector<double>(dimensions), std::move(all));
}

template <class S>
void measure(char const* name, S sampler, double noise) {
  auto const model = gaussian(noise);
  susc::data_distribution const data{model.all(), [&](std::size_t size, susc::random::key key) {
                                       if (noise == 0) return susc::quadratic<>::batch{0};
                                       susc::random::stream stream(key);
                                       susc::quadratic<>::batch batch(size);
                                       for (auto& e : batch) e = stream.below(examples);
                                       return batch;
                                     }};
  susc::sampling_options<S> const options{
      .posterior = target, .sampler = sampler, .chains = 4, .draws = 20'000, .burn_in = 2000, .batch_size = 8};
  auto const found = susc::estimate_learning_coefficients(model, std::vector<double>(dimensions), data, options)[0];
  double exact = 0;
  for (std::size_t i = 0; i != dimensions; ++i) {
    double const a = target.n_beta * curvature(i);
    exact += a / (a + target.localization) / 2;
  }
  double const scale = 100 / exact;
  std::printf("| %s | %g | %+.1f (%.1f) | %.3f |\n", name, sampler.step_size,
              scale * (found.learning_coefficient.value - exact), scale * found.learning_coefficient.error,
              found.effective_sample_size / static_cast<double>(found.draws));
}

}  // namespace

int main() {
  for (double const noise : {0., .3}) {
    std::printf(
        "\n%s\n| sampler | step size | bias of the learning coefficient, %% (error) | effective samples a gradient |\n"
        "|---|---|---|---|\n",
        noise == 0 ? "Exact gradients" : "Minibatches of 8");
    for (double const step : {.005, .02, .05}) {
      measure("SGLD", susc::sgld{step}, noise);
      measure("Leimkuhler-Matthews", susc::leimkuhler_matthews{step}, noise);
      measure("exponential integrator", susc::exponential_integrator{step}, noise);
      measure("SGHMC, friction 0.3", susc::sghmc{step, .3}, noise);
      measure("SGNHT, diffusion 0.3", susc::sgnht{step, .3}, noise);
      measure("RMSprop-SGLD, a tenth of the step", susc::rmsprop_sgld{step / 10}, noise);
      if (noise == 0) measure("MALA", susc::mala{step}, noise);
    }
  }
}
