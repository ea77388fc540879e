// A loss alone: an exponential decay whose gradient nobody wrote; susceptibilities of its weights to early and to late
// observations. Adds to 02: from_loss. Built where Ceres Solver's headers are found, from which the derivatives come.
#include <cmath>
#include <cstdio>
#include <span>
#include <vector>

#include "susc/models/autodiff_model.hpp"
#include "susc/response/estimate.hpp"
#include "susc/training/adamw.hpp"

struct observation {
  double t, y;
};

// y = a exp(-r t) + c + noise, whose deviation is the fourth weight's exponential. T is double, or a number with
// derivatives: with `using std::exp;` the one line serves both.
auto const loss = []<class T>(std::span<T const> w, observation const& o) {
  using std::exp;
  T const standardised = (o.y - (w[0] * exp(-w[1] * o.t) + w[2])) * exp(-w[3]);
  return T(.5 * standardised * standardised + w[3]);  // -log density in nats, up to a constant
};

int main() {
  std::vector<observation> early, late, all;
  susc::random::stream noise({1});
  for (int i = 0; i != 200; ++i) {
    double const t = .02 * i;
    all.push_back({t, 2 * std::exp(-1.5 * t) + .5 + .2 * noise.normal()});
    (t < 1 ? early : late).push_back(all.back());
  }
  auto const minibatch = [&all](std::size_t size, susc::random::key key) {
    susc::random::stream random(key);
    std::vector<observation> batch(size);
    for (observation& o : batch) o = all[random.below(all.size())];
    return batch;
  };

  auto const model = susc::from_loss<observation>(
      4, loss, {{"amplitude", {{0, 1}}}, {"rate", {{1, 2}}}, {"offset", {{2, 3}}}, {"noise", {{3, 4}}}});
  std::vector<double> w{1, 1, 0, 0};
  susc::train_adamw(model, w, minibatch, {}, {.learning_rate = .02}, susc::threads{});
  auto const result = susc::estimate_susceptibilities(model, w, susc::data_distribution{all, minibatch},
                                                      {{"early", early}, {"late", late}},
                                                      {.components = {"amplitude", "rate", "offset", "noise", "full"},
                                                       .posterior = {.n_beta = 100, .localization = 1},
                                                       .sampler = {.step_size = 2e-4},
                                                       .draws = 4000});
  auto const chi = result.response_matrix();
  std::printf("Susceptibility x 1e4 (standard error)\nweights           early          late\n");
  for (std::size_t c = 0; c != result.components.size(); ++c)
    std::printf("%-10s %6.1f (%4.1f) %6.1f (%4.1f)\n", result.components[c].name.c_str(), 1e4 * chi.value(0, c),
                1e4 * chi.error(0, c), 1e4 * chi.value(1, c), 1e4 * chi.error(1, c));
}
