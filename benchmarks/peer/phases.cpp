// Our side of the comparison with devinterp; compare.py drives it. SETTINGS is a JSON file that compare.py writes.
//   bench_peer make FOLDER               the paper's shape: initial weights and random tokens
//   bench_peer evaluation SETTINGS FILE  the evaluation set that structural_inference draws from its pretraining data
//   bench_peer phases SETTINGS           times each line ["PHASE", THREADS, COUNT] of standard input: seconds a call by
//                                        the clock and by processors
//   bench_peer sample SETTINGS           response matrix and its errors by either of two samplers
#include <array>
#include <cmath>
#include <ctime>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "susc/data/read_tokens.hpp"
#include "susc/data/token_mixture.hpp"
#include "susc/io/npy.hpp"
#include "susc/models/transformer.hpp"
#include "susc/models/transformer_file.hpp"
#include "susc/models/transformer_init.hpp"
#include "susc/report/progress.hpp"
#include "susc/response/estimate.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"

namespace {

using nlohmann::json;
using weights = susc::aligned_vector<float>;

json read_settings(std::string const& file) {
  std::ifstream in(file);
  susc::require(in.good(), file, ": cannot be read");
  return json::parse(in);
}

susc::loaded_transformer<float> load(json const& settings) {
  return susc::load_transformer<float>(settings["model"].get<std::string>());
}

susc::token_batch tokens(json const& settings, std::string const& key) {
  return susc::read_tokens(settings[key].get<std::string>());
}

template <class S>
susc::chain_settings<S> chain_settings(json const& settings, std::string const& prefix) {
  susc::chain_settings<S> s;
  s.posterior.n_beta = settings["n_beta"];
  s.posterior.localization = settings[prefix + "localization"];
  s.sampler.step_size = settings[prefix + "step_size"];
  return s;
}

void make(std::string const& folder) {
  susc::transformer_config const config{.vocabulary = 5000, .context = 1024, .width = 256, .layers = 2, .heads = 8};
  susc::transformer_layout const layout{config};
  auto const w = susc::initial_weights<float>(layout, {1});
  susc::save_transformer(folder + "/model.safetensors", layout, std::span<float const>(w));
  susc::random::stream draw({2});
  std::size_t const rows = 4, length = config.context + 1;
  std::vector<susc::token> ids(rows * length);
  for (auto& id : ids) id = static_cast<susc::token>(draw.below(config.vocabulary));
  susc::write_npy<susc::token>(folder + "/pretraining.npy", ids, {rows, length});
}

void evaluation(json const& settings, std::string const& file) {
  susc::token_mixture const pretraining{{{"pretraining", tokens(settings, "pretraining")}}};
  std::size_t const positions = pretraining.parts[0].sequences.length - 1;
  std::size_t const wanted = settings["evaluation_tokens"];
  auto const sample =
      pretraining.sample(std::max<std::size_t>(1, wanted / positions), susc::random::fold_in({1}, "evaluation"));
  susc::write_npy<susc::token>(file, sample.tokens, {sample.sequences, sample.length});
}

/// What is timed. A step is all that a chain does between draws; an evaluation is what it does at a draw for one probe.
class phases {
 public:
  explicit phases(json const& settings)
      : loaded_(load(settings)),
        model_(loaded_.config),
        batch_(tokens(settings, "batch")),
        own_(chain_settings<susc::sgld>(settings, "")),
        free_(chain_settings<susc::sgld>(settings, "all_")) {
    auto const known = model_.components();
    for (std::string const name : {"l0h3", "l1h3", "full"}) parts_[name] = susc::find_component(known, name);
    expected_ = plain_losses();
    for (auto const& [name, part] : parts_) {
      frozen_[name] = model_.freeze(w(), part, batch_);
      weights losses(batch_.example_count());
      model_.losses(w(), frozen_[name], losses);
      for (std::size_t i = 0; i != losses.size(); ++i)
        susc::require(std::isfinite(losses[i]) && std::abs(losses[i] - expected_[i]) < 1e-4f, "frozen losses of ", name,
                      " are not the plain ones");
      std::vector<float> gradient(part.size());
      float const mean = model_.loss_and_gradient(w(), batch_, part, gradient);
      susc::require(std::abs(mean - susc::detail::mean<float>(expected_)) < 1e-4, "the loss of a step of ", name,
                    " is not the mean of the losses");
      std::vector<float> shared(part.size());
      model_.loss_and_gradient(w(), frozen_[name], part, shared);
      for (std::size_t i = 0; i != shared.size(); ++i)
        susc::require(std::abs(shared[i] - gradient[i]) < 1e-5f, "the gradient of ", name,
                      " from frozen activations is not the plain one");
    }
  }
  weights const& losses() const { return expected_; }

  /// Seconds a call, of the clock and of processors: `threads` chains make `count` calls each, as
  /// estimate_susceptibilities runs them.
  std::array<double, 2> seconds(std::string const& phase, std::size_t threads, std::size_t count) const {
    auto const work = find(phase);
    double const calls = static_cast<double>(threads * count), start = susc::steady_seconds();
    std::clock_t const processors = std::clock();
    susc::threads{threads}(threads, [&](std::size_t chain) { work(chain, count); });
    double const used = static_cast<double>(std::clock() - processors) / CLOCKS_PER_SEC;
    return {(susc::steady_seconds() - start) / calls, used / calls};
  }

 private:
  std::span<float const> w() const { return loaded_.weights; }

  weights plain_losses() const {
    weights losses(batch_.example_count());
    model_.losses(w(), batch_, losses);
    return losses;
  }

  std::function<void(std::size_t, std::size_t)> find(std::string const& phase) const {
    std::string const kind = phase.substr(0, phase.find(' ')), name = phase.substr(phase.find(' ') + 1);
    if (kind == "step" || kind == "shared") {
      auto const& part = parts_.at(name);
      return [&part, shared = kind == "shared", this](std::size_t chain, std::size_t count) {
        steps(part, chain, count, shared);
      };
    }
    if (phase == "evaluation plain")
      return [&](std::size_t, std::size_t count) {
        for (std::size_t i = 0; i != count; ++i) plain_losses();
      };
    susc::require(kind == "evaluation", "unknown phase ", phase);
    auto const& frozen = frozen_.at(name);
    return [&](std::size_t, std::size_t count) {
      weights losses(batch_.example_count());
      for (std::size_t i = 0; i != count; ++i) model_.losses(w(), frozen, losses);
    };
  }

  /// `shared`: what is upstream of the component is computed once for 4 steps, as for 4 chains in step.
  void steps(susc::component const& part, std::size_t chain, std::size_t count, bool shared) const {
    auto const& settings = part.size() == model_.parameter_count() ? free_ : own_;
    weights all(w().begin(), w().end()), center(part.size()), gradient(part.size());
    part.gather(w(), std::span<float>(center));
    auto state = settings.sampler.init(std::span<float const>(center));
    susc::posterior<float> const target{settings.posterior, center};
    susc::dynamic_transformer::frozen frozen;
    for (std::size_t i = 0; i != count; ++i) {
      part.scatter(std::span<float const>(state.w), std::span<float>(all));
      if (shared && i % 4 == 0) model_.freeze(w(), part, batch_, frozen);
      float const loss = shared ? model_.loss_and_gradient(all, frozen, part, gradient)
                                : model_.loss_and_gradient(all, batch_, part, gradient);
      susc::require(std::isfinite(loss), "a step's loss is not finite");
      state = settings.sampler.step(std::move(state), std::span<float const>(gradient), target, {chain + 1});
    }
  }

  susc::loaded_transformer<float> loaded_;
  susc::dynamic_transformer model_;
  susc::token_batch batch_;
  susc::chain_settings<susc::sgld> own_, free_;
  std::map<std::string, susc::component> parts_;
  std::map<std::string, susc::dynamic_transformer::frozen> frozen_;
  weights expected_;
};

void serve(json const& settings) {
  phases const timed(settings);
  susc::write_npy<float>(settings["losses"].get<std::string>(), timed.losses(), {timed.losses().size()});
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    auto const request = json::parse(line);
    std::cout << json(timed.seconds(request[0], request[1], request[2])) << std::endl;
  }
}

template <class S>
void sample(json const& settings) {
  auto const loaded = load(settings);
  susc::dynamic_transformer const model(loaded.config);
  auto const pretraining = tokens(settings, "pretraining");
  susc::data_distribution const data{tokens(settings, "evaluation"), [&](std::size_t size, susc::random::key key) {
                                       return susc::sample_sequences(pretraining, size, key);
                                     }};
  std::vector<susc::probe<susc::token_batch>> probes;
  for (auto const& [name, file] : settings["probes"].items())
    probes.push_back({name, susc::read_tokens(std::string(file))});
  auto const own = chain_settings<S>(settings, "");
  susc::sampling_options<S> const options{.components = settings["components"],
                                          .posterior = own.posterior,
                                          .sampler = own.sampler,
                                          .all_weights = chain_settings<S>(settings, "all_"),
                                          .chains = settings["chains"],
                                          .draws = settings["draws"],
                                          .burn_in = settings["burn_in"],
                                          .thinning = settings["thinning"],
                                          .batch_size = settings["batch_size"],
                                          .common_minibatches = settings["common_minibatches"],
                                          .seed = settings["seed"]};
  double const start = susc::steady_seconds();
  auto const result = susc::estimate_susceptibilities(model, std::span<float const>(loaded.weights), data, probes,
                                                      options, susc::threads{settings["threads"]});
  auto const chi = result.response_matrix();
  json out{{"seconds", susc::steady_seconds() - start}};
  for (std::size_t c = 0; c != result.components.size(); ++c)
    for (std::size_t p = 0; p != probes.size(); ++p) {
      out["value"][p][c] = chi.value(p, c);
      out["error"][p][c] = chi.error(p, c);
    }
  for (auto const& d : result.diagnostics()) {
    out["mean_observable"].push_back(d.observable.value);
    out["mean_observable_error"].push_back(d.observable.error);
  }
  std::cout << out << std::endl;
}

void run(std::vector<std::string> const& arguments) {
  std::string const command = arguments.empty() ? "" : arguments[0];
  std::size_t const wanted = command == "evaluation" ? 3 : 2;
  susc::require(arguments.size() == wanted, "see the head of benchmarks/peer/phases.cpp for the arguments");
  if (command == "make") return make(arguments[1]);
  json const settings = read_settings(arguments[1]);
  if (command == "evaluation") return evaluation(settings, arguments[2]);
  if (command == "phases") return serve(settings);
  susc::require(command == "sample", "unknown command '", command, "'");
  std::string const sampler = settings["sampler"];
  if (sampler == "sgld") return sample<susc::sgld>(settings);
  susc::require(sampler == "leimkuhler_matthews", "unknown sampler '", sampler, "'; sgld or leimkuhler_matthews");
  sample<susc::leimkuhler_matthews>(settings);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run({argv + 1, argv + argc});
    return 0;
  } catch (std::exception const& e) {
    std::cerr << "bench_peer: " << e.what() << '\n';
    return 1;
  }
}
