// A module of libtorch: trained by its optimiser, then the susceptibilities of parts of its weights to three regions of
// the plane. Adds to 02: from_torch, torch_slice. Built where libtorch is found.
#include <cstdio>
#include <memory>
#include <vector>

#include "susc/models/torch_model.hpp"  // and with it torch/torch.h
#include "susc/response/estimate.hpp"

// A batch is yours to define; size() is the number of its losses.
struct labelled {
  torch::Tensor inputs, labels;  // (examples, 2), (examples,)
  std::size_t size() const { return static_cast<std::size_t>(labels.size(0)); }
};

// Chains run in threads on clones of the module: hence Cloneable, and layers made in reset().
struct network : torch::nn::Cloneable<network> {
  torch::nn::Linear hidden = nullptr, output = nullptr;
  network() { reset(); }
  void reset() override {
    hidden = register_module("hidden", torch::nn::Linear(2, 8));
    output = register_module("output", torch::nn::Linear(8, 2));
  }
  torch::Tensor forward(torch::Tensor const& x) { return output(torch::tanh(hidden(x))); }
};

// The loss of each example, (examples,), in nats.
torch::Tensor losses(network& n, labelled const& b) {
  return torch::nn::functional::cross_entropy(n.forward(b.inputs), b.labels,
                                              torch::nn::functional::CrossEntropyFuncOptions().reduction(torch::kNone));
}

// Three squares side by side: label 1 above a line, below a line, in opposite quadrants. A tenth is mislabelled.
labelled square(int which, std::int64_t count) {
  susc::random::stream random(susc::random::fold_in({1}, which));
  labelled b{torch::empty({count, 2}, torch::kFloat64), torch::empty(count, torch::kInt64)};
  for (std::int64_t i = 0; i != count; ++i) {
    double const x = 2 * random.uniform() - 1, y = 2 * random.uniform() - 1;
    bool const positive[] = {y > 0, -y > 0, x * y > 0}, wrong = random.uniform() < .1;
    b.inputs[i][0] = x + 2 * (which - 1);
    b.inputs[i][1] = y;
    b.labels[i] = positive[which] != wrong ? 1 : 0;
  }
  return b;
}

int main() {
  torch::set_num_threads(1);  // each chain has a thread of ours
  std::vector<susc::probe<labelled>> const probes{
      {"above", square(0, 100)}, {"below", square(1, 100)}, {"opposite", square(2, 100)}};
  labelled const all{torch::cat({probes[0].batch.inputs, probes[1].batch.inputs, probes[2].batch.inputs}),
                     torch::cat({probes[0].batch.labels, probes[1].batch.labels, probes[2].batch.labels})};
  auto const minibatch = [&all](std::size_t size, susc::random::key key) {
    susc::random::stream random(key);
    std::vector<std::int64_t> chosen(size);
    for (std::int64_t& i : chosen) i = static_cast<std::int64_t>(random.below(all.size()));
    torch::Tensor const index = torch::tensor(chosen);
    return labelled{all.inputs.index_select(0, index), all.labels.index_select(0, index)};
  };

  torch::manual_seed(1);
  auto const net = std::make_shared<network>();
  net->to(torch::kFloat64);
  torch::optim::Adam adam(net->parameters(), torch::optim::AdamOptions(.02));
  for (std::uint64_t step = 0; step != 2000; ++step) {
    adam.zero_grad();
    losses(*net, minibatch(32, susc::random::fold_in({2}, step))).mean().backward();
    adam.step();
  }

  // The weights into half of the hidden units: four rows of a matrix.
  auto const model =
      susc::from_torch<labelled, double>(net, losses, {{"half", susc::torch_slice(*net, "hidden.weight", 0, 0, 4)}});
  auto const result =
      susc::estimate_susceptibilities(model, model.weights(), susc::data_distribution{all, minibatch}, probes,
                                      {.components = {"hidden", "output.bias", "half", "full"},
                                       .posterior = {.n_beta = 30, .localization = 30},
                                       .sampler = {.step_size = .01},
                                       .draws = 500});
  auto const chi = result.response_matrix();
  auto const diagnostics = result.diagnostics();
  std::printf(
      "Susceptibility x 1e4 (standard error)\nweights             above          below       opposite  R-hat\n");
  for (std::size_t c = 0; c != diagnostics.size(); ++c) {
    std::printf("%-12s", diagnostics[c].name.c_str());
    for (std::size_t p = 0; p != probes.size(); ++p)
      std::printf(" %6.1f (%5.1f)", 1e4 * chi.value(p, c), 1e4 * chi.error(p, c));
    std::printf("  %.2f\n", diagnostics[c].r_hat);
  }
  for (auto const& warning : result.warnings()) std::printf("warning: %s\n", warning.c_str());
}
