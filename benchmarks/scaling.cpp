// The same chains on one thread and on two: the same bits, and how much faster.
#include <chrono>

#include "subject.hpp"
#include "susc/response/estimate.hpp"

namespace {

constexpr susc::transformer_config config{.vocabulary = 128, .context = 32, .width = 32, .layers = 2, .heads = 4};

/// All draws of all chains, by what the result keeps of them.
struct outcome {
  std::vector<std::vector<std::vector<double>>> traces;
  double seconds;
};

outcome chains_on(std::size_t threads) {
  static bench::subject const on(32 * 64, config);
  susc::data_distribution const data{
      susc::sample_sequences(on.batch, 4, {1}),
      [](std::size_t size, susc::random::key key) { return susc::sample_sequences(on.batch, size, key); }};
  susc::sampling_options<> const options{.components = on.model.heads(), .draws = 4, .burn_in = 4, .batch_size = 8};
  auto const start = std::chrono::steady_clock::now();
  auto const result = susc::estimate_susceptibilities(on.model, on.w, data, {{"probe", data.evaluation}}, options,
                                                      susc::threads{threads});
  outcome found{{}, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
  for (auto const& component : result.components) {
    found.traces.push_back(component.observable_traces);
    found.traces.push_back(component.loss_traces);
  }
  return found;
}

void scaling(benchmark::State& state, std::size_t threads) {
  outcome const before = chains_on(1);
  if (chains_on(threads).traces != before.traces) return bench::skip(state, "other bits than on one thread");
  double best = std::numeric_limits<double>::infinity();
  for (auto _ : state) best = std::min(best, chains_on(threads).seconds);
  state.counters["speed_up"] = std::min(before.seconds, chains_on(1).seconds) / best;
}

}  // namespace

int main(int argc, char** argv) {
  for (std::size_t const threads : {1, 2})
    benchmark::RegisterBenchmark(("scaling/" + std::to_string(threads) + "_threads").c_str(), scaling, threads)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  return bench::run(argc, argv);
}
