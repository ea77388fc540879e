// What scripts/reproducibility.py compares between builds. Numbers of every kind go to OUTPUT/NAME.f64 as doubles.
//   reproducibility train OUTPUT             trains a small transformer on the generated language;
//   OUTPUT/model.safetensors reproducibility measure MODEL OUTPUT     losses, random numbers, trajectories of chains
//   and susceptibilities at MODEL
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <ostream>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "susc/data/repeats.hpp"
#include "susc/data/synthetic_language.hpp"
#include "susc/data/token_mixture.hpp"
#include "susc/io/file.hpp"
#include "susc/kernels/langevin.hpp"
#include "susc/models/head_scores.hpp"
#include "susc/models/transformer.hpp"
#include "susc/models/transformer_file.hpp"
#include "susc/models/transformer_init.hpp"
#include "susc/response/estimate.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"
#include "susc/structure/auc.hpp"
#include "susc/structure/principal_components.hpp"
#include "susc/training/adamw.hpp"

namespace {
namespace fs = std::filesystem;

constexpr susc::transformer_config config{.vocabulary = 128, .context = 64, .width = 64, .layers = 2, .heads = 8};
constexpr std::size_t training_steps = 3000, chains = 4, draws = 100, burn_in = 20, trajectory = 1000;
constexpr susc::posterior_settings posterior{.n_beta = 30, .localization = 300};
constexpr susc::leimkuhler_matthews sampler{.step_size = 1. / 300};

struct output_folder {
  fs::path path;
  template <class Values>
  void write(std::string const& name, Values const& values) const {
    std::vector<double> const numbers(values.begin(), values.end());
    susc::write_file_atomically(path / (name + ".f64"), [&](std::ostream& out) {
      out.write(reinterpret_cast<char const*>(numbers.data()),
                static_cast<std::streamsize>(numbers.size() * sizeof(double)));
    });
  }
};

struct language_data {
  susc::token_mixture training;
  std::vector<susc::probe<susc::token_batch>> probes;
  susc::token_batch evaluation;
  language_data() {
    susc::random::key const key{1};
    auto const language = susc::make_synthetic_language(susc::random::fold_in(key, "language"), config.vocabulary);
    for (auto const domain : susc::synthetic_domains) {
      std::string const name{susc::name_of(domain)};
      auto const generate = [&](std::size_t sequences, char const* use) {
        return susc::generate_sequences(language, domain, sequences, config.context + 1,
                                        susc::random::fold_in(susc::random::fold_in(key, use), name));
      };
      training.parts.push_back({name, generate(15'000, "training data")});
      probes.push_back({name, generate(8, "held-out data")});
    }
    evaluation = training.sample(16, susc::random::fold_in(key, "evaluation"));
  }
};

void write_tokens(output_folder const& out, language_data const& data) {
  std::vector<susc::token> tokens = data.evaluation.tokens;
  for (auto const& part : data.training.parts)
    tokens.insert(tokens.end(), part.sequences.tokens.begin(), part.sequences.tokens.end());
  for (auto const& probe : data.probes)
    tokens.insert(tokens.end(), probe.batch.tokens.begin(), probe.batch.tokens.end());
  out.write("tokens", tokens);
}

void train(output_folder const& out, std::size_t last) {
  language_data const data;
  susc::dynamic_transformer const model(config);
  auto w = susc::initial_weights<float>(model.layout(), {1});
  out.write("weights_0", w);
  std::vector<double> losses;
  std::atomic<bool> stop = false;
  try {
    susc::train_adamw(
        model, std::span<float>(w),
        [&](std::size_t size, susc::random::key key) { return data.training.sample(size, key); },
        susc::decayed_ranges(model.layout()),
        {.steps = training_steps,
         .learning_rate = 1e-2,
         .snapshot_steps = {1, 10, 100, 1000, training_steps},
         .stop = &stop},
        susc::threads{},
        [&](std::size_t, double loss) {
          losses.push_back(loss);
          if (losses.size() != last) return;
          out.write("training_losses", losses);
          stop = true;
        },
        [&](std::size_t steps, std::span<float const> at) { out.write("weights_" + std::to_string(steps), at); });
  } catch (susc::interrupted const&) {
    return;
  }
  susc::save_transformer(out.path / "model.safetensors", model.layout(), std::span<float const>(w));
}

// Where one chain of a component is after so many steps, and the weights that move.
void write_trajectory(output_folder const& out, susc::dynamic_transformer const& model, std::span<float const> w,
                      language_data const& data, susc::component const& c,
                      susc::chain_settings<susc::leimkuhler_matthews> const& settings) {
  std::set<std::size_t> const kept{1, 10, 100, 400, trajectory};
  susc::draw<susc::dynamic_transformer> at(model, w, c, data.probes[0].batch, {});
  susc::random::key const noise = susc::random::fold_in({1}, c.name()), minibatches{2};
  auto const moving = [&](std::span<float const> all) {
    std::vector<float> some;
    for (susc::index_range const r : c.ranges())
      some.insert(some.end(), all.begin() + static_cast<std::ptrdiff_t>(r.begin),
                  all.begin() + static_cast<std::ptrdiff_t>(r.end));
    return some;
  };
  out.write(c.name() + "_0", moving(w));
  std::size_t steps = 0;
  susc::run_chain(
      model, w, c, settings.posterior, settings.sampler,
      [&](std::size_t size, susc::random::key key) { return data.training.sample(size, key); },
      {.draws = trajectory, .burn_in = 0, .batch_size = 8}, {noise, minibatches}, at,
      [&](auto const& draw) {
        if (kept.contains(++steps)) out.write(c.name() + "_" + std::to_string(steps), moving(draw.weights()));
      },
      [](std::size_t) {});
}

void measure(fs::path const& file, output_folder const& out) {
  language_data const data;
  write_tokens(out, data);
  auto const loaded = susc::load_transformer<float>(file);
  susc::dynamic_transformer const model(loaded.config);
  std::span<float const> const w(loaded.weights);

  std::vector<float> normals(1 << 16), losses;
  susc::kernels::normals<float>(normals, {1}, 0);
  out.write("normals", normals);
  for (auto const& probe : data.probes) {
    std::vector<float> each(probe.batch.example_count());
    model.losses(w, probe.batch, each);
    losses.insert(losses.end(), each.begin(), each.end());
  }
  out.write("losses", losses);
  std::vector<float> gradient(w.size());
  model.loss_and_gradient(w, data.evaluation, gradient);
  out.write("gradient", gradient);

  auto const repeated = susc::repeated_random_tokens(config.vocabulary, susc::synthetic_language::bos,
                                                     config.context / 2, 32, susc::random::key{3});
  auto const scores = susc::head_scores(model, w, repeated);
  std::vector<char> induction, second_layer;
  for (auto const& s : scores) {
    induction.push_back(s.prefix_matching > .2);
    second_layer.push_back(s.layer == 1);
    std::printf("%s prefix matching %.3f, previous token %.3f\n", susc::head_name(s.layer, s.head).c_str(),
                s.prefix_matching, s.previous_token);
  }
  out.write("induction", induction);

  susc::sampling_options<susc::leimkuhler_matthews> const options{.components = susc::head_names(config),
                                                                  .posterior = posterior,
                                                                  .sampler = sampler,
                                                                  .chains = chains,
                                                                  .draws = draws,
                                                                  .burn_in = burn_in,
                                                                  .batch_size = 8};
  auto const plan = susc::plan_sampling(model, options);
  write_trajectory(out, model, w, data, plan.components.back().moving, plan.components.back().settings);
  write_trajectory(out, model, w, data, plan.all_weights.moving, plan.all_weights.settings);

  susc::data_distribution const distribution{
      data.evaluation, [&](std::size_t size, susc::random::key key) { return data.training.sample(size, key); }};
  auto const result = susc::estimate_susceptibilities(model, w, distribution, data.probes, options, susc::threads{});
  for (auto const how : {susc::centring::full, susc::centring::restricted}) {
    std::string const name = how == susc::centring::full ? "full" : "restricted";
    auto const matrix = result.response_matrix(how), tokens = result.example_susceptibilities(how);
    out.write(name + "_chi", matrix.value);
    out.write(name + "_chi_error", matrix.error);
    out.write(name + "_token_chi", tokens.value);
    out.write(name + "_token_chi_error", tokens.error);
    auto const modes = susc::principal_components(tokens.value);
    out.write(name + "_singular_values", modes.singular_values);
    std::vector<double> loadings, auc;
    for (std::size_t k = 0; k != 3; ++k) {
      auto const row = modes.loading(k);
      loadings.insert(loadings.end(), row.begin(), row.end());
      auc.push_back(susc::separation(row, induction));
      auc.push_back(susc::separation(row, induction, second_layer));
    }
    out.write(name + "_loadings", loadings);
    out.write(name + "_auc", auc);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> const arguments(argv + 1, argv + argc);
  try {
    bool const training = arguments.size() >= 2 && arguments.size() <= 3 && arguments[0] == "train";
    susc::require(training || (arguments.size() == 3 && arguments[0] == "measure"),
                  "usage: reproducibility train OUTPUT [STEPS] | measure MODEL OUTPUT");
    output_folder const out{training ? arguments[1] : arguments[2]};
    fs::create_directories(out.path);
    if (training)
      train(out, arguments.size() == 3 ? std::stoul(arguments[2]) : training_steps);
    else
      measure(arguments[1], out);
    return 0;
  } catch (std::exception const& e) {
    std::fprintf(stderr, "reproducibility: %s\n", e.what());
    return 1;
  }
}
