// The main job: from a trained language model and datasets to its response matrix and its modes (arXiv 2504.18274).
//   structural_inference                          trains on text found on this machine, samples, writes results/
//   structural_inference --corpus DIR             each subfolder of DIR a domain
//   structural_inference --model FILE.safetensors --pretraining FILE.npy --probe NAME=FILE.npy ...
//   structural_inference --model FOLDER ...       a GPT-2, Pythia or Llama of Hugging Face's
#include <Eigen/Core>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <xsimd/xsimd.hpp>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "../run_program.hpp"
#include "data.hpp"
#include "options.hpp"
#include "prepare.hpp"
#include "results.hpp"
#include "sampling.hpp"
#include "susc/data/ngram.hpp"
#include "susc/io/file.hpp"
#include "susc/io/npy.hpp"
#include "susc/io/run_directory.hpp"
#include "susc/report/progress.hpp"
#include "susc/sampling/stop_on_signals.hpp"
#include "susc/version.hpp"
#include "trained_model.hpp"

namespace structural_inference {

struct stopwatch {
  double start = susc::steady_seconds();
  double seconds() const { return susc::steady_seconds() - start; }
};

std::string instruction_set() {
#if defined(__AVX512F__)
  return "AVX-512";
#elif defined(__AVX2__)
  return "AVX2";
#elif defined(__SSE2__)
  return "SSE2";
#else
  return "portable";
#endif
}

nlohmann::json versions() {
  auto const dotted = [](int major, int minor, int patch) {
    return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
  };
  return {{"susc", std::string(susc::version)},
          {"Eigen", dotted(EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION)},
          {"xsimd", dotted(XSIMD_VERSION_MAJOR, XSIMD_VERSION_MINOR, XSIMD_VERSION_PATCH)},
          {"compiler", __VERSION__},
          {"instruction_set", instruction_set()}};
}

/// Held-out loss of the model against n-grams fitted to the same domain's training text.
std::vector<domain_losses> baselines(trained_model const& trained, prepared_data const& data) {
  std::vector<domain_losses> losses;
  for (std::size_t i = 0; i != data.held_out.parts.size(); ++i) {
    auto const& held_out = data.held_out.parts[i];
    auto const& fitted = data.training.parts[std::min(i, data.training.parts.size() - 1)].sequences;
    token_batch sample = held_out.sequences;
    if (std::size_t const most = 256; sample.sequences > most)
      sample = susc::sample_distinct_sequences(sample, most, susc::random::fold_in({1}, held_out.name));
    losses.push_back({held_out.name, mean_loss(trained, sample),
                      susc::mean_loss(susc::unigram_model(fitted, data.vocabulary), sample),
                      susc::mean_loss(susc::bigram_model(fitted, data.vocabulary), sample)});
  }
  return losses;
}

void print_model(run_results const& results) {
  std::printf("\nHeld-out loss (nats a token)      model  unigram   bigram\n");
  for (auto const& l : results.losses)
    std::printf("  %-28s %8.3f %8.3f %8.3f\n", l.domain.c_str(), l.model, l.unigram, l.bigram);
  std::printf("\nHeads on repeated random tokens (prefix matching / previous token)\n");
  for (std::size_t i = 0; i != results.scores.size(); ++i) {
    auto const& s = results.scores[i];
    std::printf("%s  %-6s %.2f / %.2f%s", i % 4 == 0 ? "" : " ", susc::head_name(s.layer, s.head).c_str(),
                s.prefix_matching, s.previous_token,
                s.prefix_matching > induction_threshold ? " induction" : "          ");
    if (i % 4 == 3 || i + 1 == results.scores.size()) std::printf("\n");
  }
  std::fflush(stdout);
}

void print_response(run_results const& results, susc::centring how) {
  auto const chi = results.response.response_matrix(how);
  std::printf("\nResponse matrix x 1e4, %s centring (error)\n%-10s", name_of(how), "");
  for (auto const& probe : results.response.probes) std::printf(" %16.16s", probe.c_str());
  std::printf("   E[phi]   LLC\n");
  auto const diagnostics = results.response.diagnostics();
  for (std::size_t c = 0; c != results.response.components.size(); ++c) {
    std::printf("%-10s", results.response.components[c].name.c_str());
    for (std::size_t p = 0; p != chi.value.shape(0); ++p)
      std::printf(" %8.2f (%5.2f)", 1e4 * chi.value(p, c), 1e4 * chi.error(p, c));
    std::printf("   %6.3f %5.1f\n", diagnostics[c].observable.value, diagnostics[c].learning_coefficient.value);
  }
}

void print_modes(nlohmann::json const& summary) {
  for (auto const& [centring, modes] : summary["principal_components"].items()) {
    auto const& tokens = modes["tokens"];
    std::printf("\nPrincipal components of the per-token matrix, %s centring\n", centring.c_str());
    for (std::size_t k = 0; k != std::min<std::size_t>(3, tokens["explained"].size()); ++k) {
      std::printf("  PC%zu  %4.1f %% of variance", k + 1, 100 * tokens["explained"][k].get<double>());
      if (tokens["auc"][k].is_number())
        std::printf(", separates induction heads with AUC %.2f", tokens["auc"][k].get<double>());
      if (tokens["auc_l1"][k].is_number())
        std::printf(", within the second layer %.2f", tokens["auc_l1"][k].get<double>());
      std::printf("\n");
    }
  }
}

/// What the sampling will take, before it.
void print_cost(susc::cost const& c, network const& model) {
  bool const counts_bytes = std::visit([]<class M>(M const&) { return susc::CountsBytes<M>; }, model);
  std::printf("\nSampling: %zu chains, ", c.chains);
  if (c.operations) std::printf("%.1e FLOP, ", *c.operations);
  std::printf("%s%.0f MB, about %.*f s on %zu thread%s (tried out for %.1f s)\n", counts_bytes ? "" : "at least ",
              c.bytes / 1e6, c.seconds < 9.95 ? 1 : 0, c.seconds, c.workers, c.workers == 1 ? "" : "s",
              c.pilot_seconds);
  std::fflush(stdout);
}

/// Moves the results into the output folder, and removes those of an earlier run that this one has none of.
void commit(susc::staged_directory& results, std::filesystem::path const& output) {
  std::set<std::string> written;
  for (auto const& entry : std::filesystem::directory_iterator(results.path()))
    written.insert(entry.path().filename().string());
  results.commit();
  for (auto const& entry : std::filesystem::directory_iterator(output)) {
    std::string const name = entry.path().filename().string();
    bool const array =
        name.ends_with(".npy") && (name.starts_with("response_matrix") || name.starts_with("token_susceptibilities") ||
                                   name.starts_with("principal_components"));
    if ((array || name == "tokenizer.model" || name == "results.nc") && !written.contains(name))
      std::filesystem::remove(entry.path());
  }
}

void run(options const& o, std::atomic<bool> const* stop) {
  stopwatch const whole;
  // Checked before anything is computed, so that no long run fails at its end.
  susc::staged_directory results_folder(o.output);
  check_sampling(o);
  run_results results;
  results.versions = versions();
  auto const timed = [&](std::string name, double tokens, auto&& work) {
    stopwatch const watch;
    work();
    results.phases.push_back({std::move(name), watch.seconds(), tokens});
  };

  prepared_data data;
  std::optional<trained_model> trained;
  if (o.external()) {
    timed("load", 0, [&] {
      trained.emplace(load(o));
      model_shape const shape = shape_of(trained->model);
      data = external_data(o, shape.vocabulary, shape.context);
    });
  } else {
    timed("data", 0, [&] { data = o.synthetic() ? synthetic_data(o) : text_data(o); });
  }
  // Settings are checked against the model before it is trained.
  network const untrained = o.external() ? trained->model : susc::dynamic_transformer(configuration(o, data));
  if (!o.external()) check_memory(configuration(o, data));
  std::size_t const context = shape_of(untrained).context;
  susc::require(context >= shortest_context, "the model's context is ", context, " tokens, at least ", shortest_context,
                " are needed to score heads on repeated tokens");
  auto const components = components_of(o, untrained);
  if (o.preview) {
    auto const known = known_components(untrained);
    for (std::string const& name : components) std::cout << preview_of(untrained, susc::find_component(known, name));
    return;
  }
  if (o.prepare) return prepare(o, data);
  if (!o.external()) {
    timed("training", 0, [&] { trained.emplace(train(o, data, stop)); });
    results.phases.back().tokens = static_cast<double>(trained->trained_tokens);
  }

  timed("evaluation", 0, [&] {
    results.scores = scores_of(*trained, data, o);
    results.losses = baselines(*trained, data);
    for (auto const& probe : data.probes) {
      std::vector<float> losses(probe.batch.example_count());
      losses_of(*trained, probe.batch, losses);
      results.token_losses.insert(results.token_losses.end(), losses.begin(), losses.end());
    }
  });
  print_model(results);

  if (!o.localization) {
    timed("pilot", 0, [&] { results.localizations = choose_localization(o, components, *trained, data, stop); });
    print_localization(results.localizations, o.pilot_target);
  }
  std::size_t const positions = data.training.parts.front().sequences.length - 1;
  timed("trial", 0,
        [&] { results.expected = expected_cost(o, components, *trained, data, stop, results.localizations); });
  print_cost(results.expected, trained->model);
  std::size_t const chains = results.expected.chains;
  std::size_t const steps = o.burn_in + o.draws * o.thinning;
  double const tokens = static_cast<double>(chains * steps * o.batch_size * positions) +
                        static_cast<double>(chains * o.draws) *
                            static_cast<double>(results.token_losses.size() + data.evaluation.example_count());
  susc::progress shown(std::cout, "Sampling " + std::to_string(chains) + " chains", chains * steps,
                       susc::is_terminal(1), "steps");
  timed("sampling", tokens,
        [&] { results.response = sample(o, components, *trained, data, shown, stop, results.localizations); });
  shown.finish();
  auto const& responses = results.response.components;
  bool const any_left =
      std::any_of(responses.begin(), responses.end(), [&](auto const& c) { return c.dropped_chains() != o.chains; });
  if (!any_left && o.run_directory.empty()) {
    std::filesystem::remove_all(run_directory_of(o));  // there is nothing in it to go on from
    std::error_code not_empty;
    std::filesystem::remove(o.output, not_empty);
  }
  susc::require(any_left,
                "every chain diverged; a smaller --step-size or --n-beta, or a larger --localization, would help");

  results.settings = settings_of(o, *trained);
  for (auto const& part : data.training.parts)
    results.data_sizes["training_tokens"][part.name] = part.sequences.example_count();
  for (auto const& probe : data.probes) results.data_sizes["probe_tokens"][probe.name] = probe.batch.example_count();
  results.data_sizes["evaluation_tokens"] = data.evaluation.example_count();
  results.phases.push_back({"all", whole.seconds(), 0});

  auto const summary = write(results_folder.path(), results, data, o.centring);
  if (!data.tokenizer.empty())
    susc::write_file_atomically(results_folder.path() / "tokenizer.model",
                                [&](std::ostream& out) { out << data.tokenizer; });
  if (!o.external()) {
    // With the model, all that a program needs to sample around it: calibrate takes both.
    auto const sample = data.training.sample(1024, susc::random::fold_in({o.data_seed}, "pretraining sample"));
    susc::write_npy<susc::token>(results_folder.path() / "pretraining.npy", sample.tokens,
                                 {sample.sequences, sample.length});
  }
  commit(results_folder, o.output);
  std::filesystem::remove_all(training_directory_of(o));  // where a kill came between saving the model and removing it
  if (o.run_directory.empty()) std::filesystem::remove_all(run_directory_of(o));

  print_response(results, o.centring);
  print_modes(summary);
  for (auto const& warning : summary["warnings"])
    std::printf("warning: %s\n", warning.get_ref<std::string const&>().c_str());
  std::printf("\nPhase          seconds   tokens/s\n");
  for (auto const& p : results.phases) {
    std::printf("  %-12s %7.1f", p.name.c_str(), p.seconds);
    if (p.tokens > 0) std::printf(" %10.0f", p.tokens / p.seconds);
    if (p.name == "sampling") std::printf("  (expected %.1f s)", results.expected.seconds);
    std::printf("\n");
  }
  std::printf("\nResults in %s; open %s\n", o.output.string().c_str(), (o.output / "report.html").string().c_str());
}

}  // namespace structural_inference

int main(int argc, char** argv) {
#ifdef __GLIBC__
  // Large blocks go back to the system when they are freed, so that memory is what was told.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 17);
#endif
  return run_program("structural_inference", [&] {
    susc::stop_on_signals const stop;
    if (auto const options = structural_inference::parse(argc, argv)) structural_inference::run(*options, stop.flag());
  });
}
