// Susceptibilities of a pretrained transformer: FOLDER holds config.json and safetensors of Hugging Face's, TOKENS.npy
// token ids (scripts/tokenize.py makes them), COMPONENTS are names or unions. The default is a tiny random Llama.
#include <cstdio>
#include <string>
#include <vector>

#include "susc/data/read_tokens.hpp"
#include "susc/models/component_preview.hpp"
#include "susc/models/pretrained_file.hpp"
#include "susc/models/pretrained_transformer.hpp"
#include "susc/response/estimate.hpp"

int main(int count, char** arguments) try {
  std::vector<std::string> const given(arguments + 1, arguments + count);
  std::string const folder = given.size() < 2 ? "tests/fixtures/llama" : given[0];
  std::string const tokens = given.size() < 2 ? "tests/fixtures/llama/tokens.npy" : given[1];
  std::vector<std::string> components{"l0h1", "l1h2+l1h3+l1kv1", "l1mlp"};
  if (given.size() > 2) components.assign(given.begin() + 2, given.end());

  auto const loaded = susc::load_pretrained<double>(folder);  // float for a larger one
  susc::pretrained_transformer<double> const model(loaded.config);
  auto const data = susc::read_tokens(tokens);

  auto const known = model.components();
  for (std::string const& name : components)
    std::printf("%s", susc::preview(model.layout(), susc::find_component(known, name)).c_str());

  // Each sequence is a probe.
  std::vector<susc::probe<susc::token_batch>> probes;
  for (std::size_t s = 0; s != data.sequences && s != 3; ++s) {
    auto const row = data.sequence(s);
    probes.push_back({"sequence " + std::to_string(s), {{row.begin(), row.end()}, 1, data.length}});
  }
  auto const minibatch = [&data](std::size_t size, susc::random::key key) {
    return susc::sample_sequences(data, size, key);
  };
  auto const result =
      susc::estimate_susceptibilities(model, loaded.weights, susc::data_distribution{data, minibatch}, probes,
                                      {.components = components,
                                       .posterior = {.n_beta = 30, .localization = 300},
                                       .sampler = {.step_size = 1e-3},
                                       .draws = 200,
                                       .batch_size = 4});
  auto const chi = result.response_matrix();
  auto const diagnostics = result.diagnostics();
  std::printf("Susceptibility x 1e4 (standard error)\ncomponent      ");
  for (auto const& probe : probes) std::printf("  %15s", probe.name.c_str());
  for (std::size_t c = 0; c != diagnostics.size(); ++c) {
    std::printf("\n%-15s", diagnostics[c].name.c_str());
    for (std::size_t p = 0; p != probes.size(); ++p)
      std::printf("  %7.1f (%5.1f)", 1e4 * chi.value(p, c), 1e4 * chi.error(p, c));
  }
  std::printf("\n");
} catch (std::exception const& problem) {
  std::fprintf(stderr, "%s\n", problem.what());
  return 1;
}
