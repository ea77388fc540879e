// The phases of a run on the demo's model and on the paper's, in tokens/s of one core: training step, restricted step,
// evaluation of a draw. The frozen losses are verified against the plain ones before anything is timed.
#include <benchmark/benchmark.h>

#include <cmath>
#include <string>
#include <vector>

#include "susc/models/transformer.hpp"
#include "susc/models/transformer_init.hpp"

namespace {

constexpr susc::transformer_config demo{.vocabulary = 1024, .context = 64, .width = 128, .layers = 2, .heads = 8};
constexpr susc::transformer_config paper{.vocabulary = 5000, .context = 1024, .width = 256, .layers = 2, .heads = 8};

susc::token_batch random_tokens(susc::transformer_config const& config, std::size_t tokens) {
  susc::random::stream draw({2});
  susc::token_batch batch{{}, tokens / config.context, config.context + 1};
  for (std::size_t i = 0; i != batch.sequences * batch.length; ++i)
    batch.tokens.push_back(static_cast<susc::token>(draw.below(config.vocabulary)));
  return batch;
}

void rate(benchmark::State& state, susc::token_batch const& batch) {
  state.counters["tokens/s"] =
      benchmark::Counter(static_cast<double>(batch.example_count()), benchmark::Counter::kIsIterationInvariantRate);
}

void step(benchmark::State& state, susc::transformer_config config, std::string const& component) {
  susc::dynamic_transformer const model(config);
  auto const w = susc::initial_weights<float>(model.layout(), {1});
  auto const batch = random_tokens(config, 2048);
  auto const part = susc::find_component(model.components(), component);
  std::vector<float> gradient(part.size());
  for (auto _ : state) {
    if (component == "full")
      benchmark::DoNotOptimize(model.loss_and_gradient(w, batch, gradient));
    else
      benchmark::DoNotOptimize(model.loss_and_gradient(w, batch, part, gradient));
  }
  rate(state, batch);
}

void evaluation(benchmark::State& state, susc::transformer_config config, std::string const& component) {
  susc::dynamic_transformer const model(config);
  auto const w = susc::initial_weights<float>(model.layout(), {1});
  auto const batch = random_tokens(config, 2048);
  auto const frozen = model.freeze(w, susc::find_component(model.components(), component), batch);
  std::vector<float> losses(batch.example_count()), plain(batch.example_count());
  model.losses(w, batch, plain);
  model.losses(w, frozen, losses);
  for (std::size_t i = 0; i != plain.size(); ++i)
    if (std::abs(plain[i] - losses[i]) > 1e-4f) return state.SkipWithError("frozen losses are not the plain ones");
  for (auto _ : state) {
    model.losses(w, frozen, losses);
    benchmark::DoNotOptimize(losses.data());
  }
  rate(state, batch);
}

}  // namespace

int main(int argc, char** argv) {
  for (auto const& [name, config] : {std::pair{"demo", demo}, {"paper", paper}})
    for (char const* component : {"full", "l0h3", "l1h3"}) {
      std::string const where = std::string(name) + "/" + component;
      benchmark::RegisterBenchmark((where + "/step").c_str(), step, config, component);
      benchmark::RegisterBenchmark((where + "/evaluation").c_str(), evaluation, config, component);
    }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
