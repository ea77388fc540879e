// Your own observable and your own perturbation, beside those of the library: what the posterior of a small classifier
// does when its data changes in five ways. docs/observables.md explains each.
#include <cmath>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "susc/data/label_noise.hpp"
#include "susc/data/missing_inputs.hpp"
#include "susc/models/mlp.hpp"
#include "susc/response/counterfactual_pairs.hpp"
#include "susc/response/estimate.hpp"
#include "susc/response/function_reweighting.hpp"
#include "susc/response/input_slope.hpp"
#include "susc/response/loss_contrast.hpp"
#include "susc/response/squared_norm.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"
#include "susc/training/adamw.hpp"

using network = susc::mlp<double>;

// An observable: the share of examples that a classifier of two classes gets right, those that cost less than log 2.
struct accuracy {
  template <susc::Model M>
  double value(susc::draw<M> const& at) const {
    double right = 0;
    for (double const loss : at.evaluation_losses()) right += loss < std::log(2.);
    return right / static_cast<double>(at.evaluation_losses().size());
  }
};

// A perturbation: examples of class 1 become more frequent, those of class 0 less. ΔL is the difference of their
// losses.
struct class_balance {
  std::size_t count(susc::draw<network> const&) const { return 1; }  // rows
  void loss_shifts(susc::draw<network> const& at, std::span<double> shifts) const {
    double sum[2]{}, examples[2]{};
    for (std::size_t i = 0; i != at.evaluation_losses().size(); ++i) {
      std::size_t const label = at.evaluation_batch().labels[i];
      sum[label] += at.evaluation_losses()[i];
      ++examples[label];
    }
    shifts[0] = sum[1] / examples[1] - sum[0] / examples[0];
  }
};

// Points of a square, class 1 above a parabola; a fifth are mislabelled.
network::batch points(std::size_t count, susc::random::key key) {
  susc::random::stream random(key);
  network::batch batch;
  for (std::size_t i = 0; i != count; ++i) {
    double const x = 2 * random.uniform() - 1, y = 2 * random.uniform() - 1;
    bool const above = y > x * x - .4, wrong = random.uniform() < .2;
    batch.inputs.insert(batch.inputs.end(), {x, y});
    batch.labels.push_back(above != wrong ? 1 : 0);
  }
  return batch;
}

int main() {
  auto const all = points(100, {1});
  auto const minibatch = [&all](std::size_t size, susc::random::key key) {
    susc::random::stream random(key);
    network::batch batch;
    for (std::size_t n = 0; n != size; ++n) {
      std::size_t const i = random.below(all.labels.size());
      batch.inputs.insert(batch.inputs.end(), {all.inputs[2 * i], all.inputs[2 * i + 1]});
      batch.labels.push_back(all.labels[i]);
    }
    return batch;
  };
  network const model({2, 6, 2});
  auto w = model.initial_weights({2});
  susc::train_adamw(model, w, minibatch, {}, {.learning_rate = .02}, susc::threads{});

  // Probes: examples and their mirror images, and the lists behind label noise and missing inputs.
  auto const given = points(50, {3});
  auto mirrored = given;
  for (std::size_t i = 0; i != mirrored.labels.size(); ++i) mirrored.inputs[2 * i + 1] *= -1;
  auto const noisy = susc::label_noise(all, 2, .1);
  auto const holed = susc::missing_inputs(all, .1);
  std::vector<susc::probe<network::batch>> const probes{
      {"given", given}, {"mirrored", mirrored}, {"label noise", noisy.batch}, {"missing inputs", holed.batch}};

  std::printf("Susceptibility x 1e4 (standard error)\n%-17s %17s %17s %17s %17s\n", "more of", "loss", "accuracy",
              "squared norm", "slope by inputs");
  auto const show = [&](std::vector<std::string> const& rows, auto const& perturbation) {
    auto const chi = [&](auto const& observable) {
      return susc::estimate_susceptibilities(
                 model, w, susc::data_distribution{all, minibatch}, probes,
                 susc::sampling_options<susc::leimkuhler_matthews>{.components = {"full"},
                                                                   .posterior = {.n_beta = 100, .localization = 50},
                                                                   .sampler = {.step_size = .02},
                                                                   .draws = 300,
                                                                   .thinning = 2},
                 susc::threads{}, observable, perturbation)
          .response_matrix();
    };
    susc::response_estimates const columns[]{chi(susc::component_loss{}), chi(accuracy{}), chi(susc::squared_norm{}),
                                             chi(susc::input_slope{.probe = 0})};
    for (std::size_t r = 0; r != rows.size(); ++r) {
      std::printf("%-17s", rows[r].c_str());
      for (auto const& column : columns)
        std::printf(" %8.1f (%6.1f)", 1e4 * column.value(r, 0), 1e4 * column.error(r, 0));
      std::printf("\n");
    }
  };
  show({"class 1"}, class_balance{});
  susc::function_reweighting const by_inputs(
      {function_of_examples("x", model, all, [](auto const& batch, std::size_t i) { return batch.inputs[2 * i]; }),
       function_of_examples("y", model, all,
                            [](auto const& batch, std::size_t i) { return batch.inputs[2 * i + 1]; })});
  show({"large x", "large y"}, by_inputs);
  show({"mirror images"}, susc::counterfactual_pairs({{.from = 0, .to = 1}}));
  show({"label noise 10 %", "missing inputs"}, susc::loss_contrast({{2, noisy.weights}, {3, holed.weights}}));
}
