// The ladder, step 2: components. The model of 03 with names for parts of its weights: one function more, and a
// susceptibility of each part.
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <span>
#include <vector>

#include "susc/core/check_model.hpp"
#include "susc/response/estimate.hpp"
#include "susc/training/adamw.hpp"

constexpr std::size_t size = 13;  // weights: of 6 inputs on the left, 6 on the right, and of a constant
struct example {
  std::array<double, size> x;  // the last is 1
  double y;                    // +1 or -1
};
std::atomic<std::size_t> multiply_adds = 0;  // of all calls; atomic, because several threads may call at once

struct logistic_regression {
  using scalar = double;
  using batch = std::vector<example>;
  std::size_t parameter_count() const { return size; }
  std::size_t example_count(batch const& b) const { return b.size(); }
  void losses(std::span<double const> w, batch const& b, std::span<double> losses) const {
    for (std::size_t i = 0; i != b.size(); ++i) losses[i] = std::log1p(std::exp(-b[i].y * score(w, b[i])));
  }
  double loss_and_gradient(std::span<double const> w, batch const& b, std::span<double> gradient) const {
    std::fill(gradient.begin(), gradient.end(), 0.);
    double mean = 0, share = 1 / static_cast<double>(b.size());
    for (example const& e : b) {
      double const margin = e.y * score(w, e), slope = -share * e.y / (1 + std::exp(margin));
      for (std::size_t j = 0; j != size; ++j) gradient[j] += slope * e.x[j];
      mean += share * std::log1p(std::exp(-margin));
    }
    multiply_adds += size * b.size();
    return mean;
  }

  std::vector<susc::component> components() const {
    return {{"left", {{0, 6}}}, {"right", {{6, 12}}}, {"constant", {{12, 13}}}, susc::full_component(size)};
  }

 private:
  static double score(std::span<double const> w, example const& e) {
    multiply_adds += size;
    double sum = 0;
    for (std::size_t j = 0; j != size; ++j) sum += w[j] * e.x[j];
    return sum;
  }
};
static_assert(susc::HasComponents<logistic_regression>);

// Examples that show one side alone: its inputs are normal, and the sign of their sum is the label; a tenth is
// mislabelled. The inputs of the other side are 0.
std::vector<example> shown(std::size_t side, std::size_t count) {
  susc::random::stream random(susc::random::fold_in({1}, side));
  std::vector<example> examples(count);
  for (example& e : examples) {
    e.x.fill(0);
    double sum = 0;
    for (std::size_t j = 6 * side; j != 6 * side + 6; ++j) sum += e.x[j] = random.normal();
    e.x[size - 1] = 1;
    e.y = (sum > 0) != (random.uniform() < .1) ? 1 : -1;
  }
  return examples;
}

int main() {
  std::vector<susc::probe<std::vector<example>>> const probes{{"left shown", shown(0, 150)},
                                                              {"right shown", shown(1, 100)}};
  std::vector<example> all;  // the data: both
  for (auto const& probe : probes) all.insert(all.end(), probe.batch.begin(), probe.batch.end());
  auto const minibatch = [&all](std::size_t count, susc::random::key key) {
    susc::random::stream random(key);
    std::vector<example> batch(count);
    for (example& e : batch) e = all[random.below(all.size())];
    return batch;
  };

  logistic_regression const model;
  std::vector<double> w(size);
  susc::random::stream random({2});
  for (double& v : w) v = random.normal();
  for (auto const& broken : susc::check_model(model, w, all))
    std::printf("breaks the law \"%s\": %s\n", broken.law.c_str(), broken.what.c_str());
  susc::train_adamw(model, w, minibatch, {}, {.learning_rate = .02}, susc::threads{});

  multiply_adds = 0;
  susc::posterior_settings const posterior{.n_beta = 30, .localization = 10};
  susc::sgld const sampler{.step_size = .01};
  auto const result = susc::estimate_susceptibilities(model, w, susc::data_distribution{all, minibatch}, probes,
                                                      {.posterior = posterior,
                                                       .sampler = sampler,
                                                       .all_weights = susc::chain_settings<>{posterior, sampler},
                                                       .draws = 600,
                                                       .thinning = 5},
                                                      susc::sequential{});
  auto const chi = result.response_matrix();
  auto const diagnostics = result.diagnostics();
  std::printf("Susceptibility x 1e5 (standard error)\ncomponent      left shown     right shown  R-hat\n");
  for (std::size_t c = 0; c != diagnostics.size(); ++c) {
    std::printf("%-9s", diagnostics[c].name.c_str());
    for (std::size_t p = 0; p != probes.size(); ++p)
      std::printf("  %6.1f (%5.1f)", 1e5 * chi.value(p, c), 1e5 * chi.error(p, c));
    std::printf("   %.2f\n", diagnostics[c].r_hat);
  }
  for (auto const& warning : result.warnings()) std::printf("warning: %s\n", warning.c_str());
  std::printf("multiply-adds: %.1f million\n", 1e-6 * static_cast<double>(multiply_adds));
}
