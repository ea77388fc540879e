#pragma once
// Logistic regression of which one weight moves: exact answers by quadrature over a line.
#include <cmath>
#include <cstddef>
#include <vector>

#include "response/quadrature.hpp"
#include "skewed.hpp"
#include "susc/models/mlp.hpp"
#include "susc/response/estimate.hpp"
#include "susc/sampling/mala.hpp"

/// Two classes. The component "slope" is the weight from the first input to the logit of class 1.
struct logistic_model : susc::mlp<double> {
  explicit logistic_model(std::size_t inputs) : susc::mlp<double>({inputs, 2}) {}
  std::vector<susc::component> components() const { return {{"slope", {{1, 2}}}}; }
};
using logistic_batch = logistic_model::batch;

/// One input. w: the input's weight for class 0 and class 1, then their biases.
struct logistic {
  logistic_model model{1};
  std::vector<double> center{.3, 1.1, .2, -.1};
  logistic_batch evaluation{{1, -2, .5, 1.5, -.7}, {1, 0, 0, 1, 1}};
  susc::posterior_settings posterior{.n_beta = 20, .localization = 3};
  susc::component slope{"slope", {{1, 2}}};

  /// Logit of class 1 less that of class 0, the slope being v.
  double margin(double v, double x) const { return (v - center[0]) * x + center[3] - center[2]; }
  double loss(double v, double x, std::size_t label) const {
    return std::log1p(std::exp(label == 1 ? -margin(v, x) : margin(v, x)));
  }
  double mean_loss(double v, logistic_batch const& b) const {
    double sum = 0;
    for (std::size_t i = 0; i != b.labels.size(); ++i) sum += loss(v, b.inputs[i], b.labels[i]);
    return sum / static_cast<double>(b.labels.size());
  }
  /// The posterior of the slope.
  skewed::law law() const {
    return skewed::boltzmann(
        [this](double v) {
          return posterior.n_beta * mean_loss(v, evaluation) +
                 posterior.localization / 2 * (v - center[1]) * (v - center[1]);
        },
        center[1] - 6, center[1] + 6);
  }
  /// -Cov[f, g] over the posterior of the slope.
  template <class F, class G>
  double chi(F&& f, G&& g) const {
    auto const l = law();
    double const mean = l.mean(f);
    return -l.mean([&](double v) { return (f(v) - mean) * g(v); });
  }

  /// What the library says, from chains of MALA, which is exact for any posterior.
  template <class O, class P>
  susc::susceptibility_result sampled(std::vector<susc::probe<logistic_batch>> const& probes, O const& observable,
                                      P const& perturbation, std::uint64_t seed) const {
    susc::data_distribution const data{evaluation, [this](std::size_t, susc::random::key) { return evaluation; }};
    susc::sampling_options<susc::mala> const options{
        .components = {"slope"}, .posterior = posterior, .sampler = {.step_size = .3}, .draws = 25'000, .seed = seed};
    return susc::estimate_susceptibilities(model, center, data, probes, options, susc::threads{2}, observable,
                                           perturbation);
  }
};
