// Your own network: a two-layer tanh classifier that the library knows nothing of is trained, then the susceptibility
// of each layer to three regions of the plane is estimated. Adds to 01: a Model, training, minibatches, components.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <span>
#include <vector>

#include "susc/response/estimate.hpp"
#include "susc/training/adamw.hpp"

struct point {
  double x, y, label;  // label: +1 or -1
};

struct tanh_network {
  static constexpr std::size_t hidden = 8;  // units, each with two weights in, a bias and a weight out; one last bias

  // A Model needs two types and four functions.
  using scalar = double;             // of weights and losses; float works too
  using batch = std::vector<point>;  // examples, in whatever form `losses` wants them: the library only passes them on
  std::size_t parameter_count() const { return 4 * hidden + 1; }  // all weights lie in one flat vector w
  std::size_t example_count(batch const& b) const { return b.size(); }

  // The loss of each example, -log p(label | x, y) in nats. Probes are evaluated by it, at each draw of the weights.
  void losses(std::span<double const> w, batch const& b, std::span<double> losses) const {
    for (std::size_t i = 0; i != b.size(); ++i) losses[i] = std::log1p(std::exp(-b[i].label * forward(w, b[i]).logit));
  }

  // The mean loss, and its gradient (by hand here), written over what `gradient` held. It moves the chains.
  double loss_and_gradient(std::span<double const> w, batch const& b, std::span<double> gradient) const {
    std::fill(gradient.begin(), gradient.end(), 0.);
    double const share = 1 / static_cast<double>(b.size());
    double mean = 0;
    for (point const& p : b) {
      activations const a = forward(w, p);
      mean += share * std::log1p(std::exp(-p.label * a.logit));
      double const d_logit = -share * p.label / (1 + std::exp(p.label * a.logit));
      for (std::size_t j = 0; j != hidden; ++j) {
        double const d_input = d_logit * w[3 * hidden + j] * (1 - a.h[j] * a.h[j]);
        gradient[3 * j] += d_input * p.x;
        gradient[3 * j + 1] += d_input * p.y;
        gradient[3 * j + 2] += d_input;
        gradient[3 * hidden + j] += d_logit * a.h[j];
      }
      gradient[4 * hidden] += d_logit;
    }
    return mean;
  }

  // Optional: parts of the weights by name, as ranges of w; without it there is only "full", all of w.
  // Two further options save time only: a gradient of one component alone, and freezing what is upstream of it.
  std::vector<susc::component> components() const {
    return {{"first", {{0, 3 * hidden}}}, {"second", {{3 * hidden, 4 * hidden + 1}}}};
  }

 private:
  struct activations {
    double h[hidden], logit;
  };
  static activations forward(std::span<double const> w, point const& p) {
    activations a;
    a.logit = w[4 * hidden];
    for (std::size_t j = 0; j != hidden; ++j) {
      a.h[j] = std::tanh(w[3 * j] * p.x + w[3 * j + 1] * p.y + w[3 * j + 2]);
      a.logit += w[3 * hidden + j] * a.h[j];
    }
    return a;
  }
};
static_assert(susc::Model<tanh_network>);  // if not, the compiler's message says what is missing

// Three squares side by side: label + above a line, below a line, in opposite quadrants (XOR). A tenth is mislabelled.
std::vector<point> square(int which, std::size_t count) {
  susc::random::stream random(susc::random::fold_in({1}, which));
  std::vector<point> points(count);
  for (point& p : points) {
    double const x = 2 * random.uniform() - 1, y = 2 * random.uniform() - 1;
    bool const positive[] = {y > 0, -y > 0, x * y > 0}, wrong = random.uniform() < .1;
    p = {x + 2 * (which - 1), y, positive[which] != wrong ? 1. : -1.};
  }
  return points;
}

int main() {
  std::vector<susc::probe<std::vector<point>>> const probes{
      {"above", square(0, 100)}, {"below", square(1, 100)}, {"opposite", square(2, 100)}};
  std::vector<point> all;
  for (auto const& probe : probes) all.insert(all.end(), probe.batch.begin(), probe.batch.end());
  // A function of its arguments alone: any chain, in any thread, can ask for any step's minibatch.
  auto const minibatch = [&all](std::size_t size, susc::random::key key) {
    susc::random::stream random(key);
    std::vector<point> batch(size);
    for (point& p : batch) p = all[random.below(all.size())];
    return batch;
  };

  tanh_network const network;
  std::vector<double> w(network.parameter_count());
  susc::random::stream random({2});
  for (double& v : w) v = random.normal();
  susc::train_adamw(network, w, minibatch, {}, {.learning_rate = .02}, susc::threads{});

  auto const result = susc::estimate_susceptibilities(network, w, susc::data_distribution{all, minibatch}, probes,
                                                      {.components = {"first", "second", "full"},
                                                       .posterior = {.n_beta = 30, .localization = 30},
                                                       .sampler = {.step_size = .01},
                                                       .draws = 1000});
  auto const chi = result.response_matrix();
  auto const diagnostics = result.diagnostics();
  std::printf("Susceptibility x 1e4 (standard error)\nlayer           above          below       opposite  R-hat\n");
  for (std::size_t c = 0; c != diagnostics.size(); ++c) {
    std::printf("%-6s", diagnostics[c].name.c_str());
    for (std::size_t p = 0; p != probes.size(); ++p)
      std::printf(" %6.1f (%5.1f)", 1e4 * chi.value(p, c), 1e4 * chi.error(p, c));
    std::printf("  %.2f\n", diagnostics[c].r_hat);
  }
  for (auto const& warning : result.warnings()) std::printf("warning: %s\n", warning.c_str());
}
