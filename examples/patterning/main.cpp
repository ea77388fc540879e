// Patterning: re-weights the training data along the mode of the induction heads, retrains from the same seeds with
// more and with less of it, and shows when the induction heads form (arXiv 2601.13548).
//   patterning                     on the generated language, writes patterning_results/summary.json and curves.csv
//   patterning --corpus system     on text found on this machine
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "../run_program.hpp"
#include "../structural_inference/data.hpp"
#include "../structural_inference/options.hpp"
#include "../structural_inference/sampling.hpp"
#include "../structural_inference/trained_model.hpp"
#include "susc/data/repeats.hpp"
#include "susc/io/file.hpp"
#include "susc/response/estimate.hpp"
#include "susc/response/localization.hpp"
#include "susc/response/resampled_response.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"
#include "susc/sampling/stop_on_signals.hpp"
#include "susc/structure/auc.hpp"
#include "susc/structure/patterning.hpp"
#include "susc/structure/principal_components.hpp"
#include "susc/training/log_spaced.hpp"
#include "susc/version.hpp"

namespace patterning {

using nlohmann::json;
using structural_inference::prepared_data;
using structural_inference::weights;

struct options : structural_inference::options {
  double strength = .5;           // of the largest shift that leaves no weight of the mixture negative, either way
  double response_strength = .1;  // the same, of the re-sampled response
  double threshold = .2;          // prefix-matching score above which a head is called induction
  std::size_t seeds = 1;          // trainings of each mixture
};

/// Nothing if only help was asked for, which is printed. Throws susc::error.
std::optional<options> parse(int argc, char** argv) {
  options o;
  o.corpus = "synthetic";
  o.output = "patterning_results";
  o.snapshots = 120;
  o.training_steps = 2000;
  o.chains = 2;
  CLI::App app{"Re-weights training data along the mode of the induction heads, and retrains."};
  app.option_defaults()->always_capture_default();
  app.add_option("--corpus", o.corpus, "'synthetic', 'system' (text found on this machine), or a folder of domains");
  app.add_option("--output", o.output, "folder for the results");
  app.add_option("--width", o.width, "of the residual stream (128; synthetic: 64)");
  app.add_option("--heads", o.heads, "a layer (8)");
  app.add_option("--tokens-per-domain", o.tokens_per_domain, "training tokens taken of each domain, at most");
  app.add_option("--training-steps", o.training_steps, "of every training");
  app.add_option("--seeds", o.seeds, "trainings of each mixture: from so many initial weights");
  app.add_option("--snapshots", o.snapshots, "log-spaced steps at which heads are scored while training");
  app.add_option("--threshold", o.threshold, "prefix-matching score above which a head is called induction");
  app.add_option("--strength", o.strength, "of the shift of the training data: at 1 a domain has no weight left")
      ->check(CLI::Range(0., 1.));
  app.add_option("--response-strength", o.response_strength, "the same of the re-sampled response")
      ->check(CLI::Range(0., 1.));
  std::string centring = "restricted";
  app.add_option("--centring", centring, "of the susceptibilities that the mode and the shift are found from")
      ->check(CLI::IsMember({"full", "restricted"}));
  app.add_option("--pilot-target", o.pilot_target,
                 "E[L(w) - L(w*)], in nats, of a head's chains at the localization that a pilot run chooses");
  app.add_option("--chains", o.chains, "a head");
  app.add_option("--draws", o.draws, "a chain");
  app.add_option("--probe-tokens", o.probe_tokens, "of each domain, about");
  app.add_option("--evaluation-tokens", o.evaluation_tokens, "of the set on which the loss is measured, about");
  app.add_option("--seed", o.seed, "of the chains");
  app.add_option("--threads", o.threads, "0: as many as the machine has");
  // CLI11 takes -1 for the largest unsigned number.
  CLI::Validator const unsigned_number(
      [](std::string& text) { return text.starts_with('-') ? text + " is negative" : std::string(); }, "");
  for (auto* option : app.get_options())
    if (option->get_type_name() == "UINT") option->check(unsigned_number);
  try {
    app.parse(argc, argv);
  } catch (CLI::Success const& help) {
    app.exit(help);
    return {};
  } catch (CLI::Error const& e) {
    susc::fail(e.what(), " (see --help)");
  }
  o.centring = centring == "full" ? susc::centring::full : susc::centring::restricted;
  susc::require(o.seeds > 0, "--seeds is 0, must be at least 1");
  susc::require(*o.training_steps > 1, "--training-steps is ", *o.training_steps, ", must be at least 2");
  susc::require(o.snapshots > 1, "--snapshots is ", o.snapshots, ", must be at least 2: the first step and the last");
  susc::require(o.threshold > 0 && o.threshold < 1, "--threshold is ", o.threshold, ", must be between 0 and 1");
  susc::require(o.strength > 0 && o.response_strength > 0, "a strength is 0: that shifts no data");
  susc::check(susc::localization_pilot{.target = o.pilot_target});
  susc::require(o.chains > 0 && o.draws > 0, "--chains and --draws must be at least 1");
  susc::require(o.tokens_per_domain > 0 && o.probe_tokens > 0 && o.evaluation_tokens > 0,
                "numbers of tokens must be at least 1");
  return o;
}

/// What is recorded of a training after some of its steps.
struct snapshot {
  std::size_t step = 0;
  std::vector<susc::head_score> heads;
  std::vector<double> losses;  // held out, of each domain

  double prefix_matching() const {
    double largest = 0;
    for (auto const& h : heads) largest = std::max(largest, h.prefix_matching);
    return largest;
  }
};
struct training {
  std::string mixture;
  std::uint64_t seed = 0;
  std::vector<snapshot> snapshots;
  weights w = {};

  /// The first recorded step at which a head's prefix-matching score exceeds the threshold.
  std::optional<std::size_t> formed(double threshold) const {
    for (auto const& s : snapshots)
      if (s.prefix_matching() > threshold) return s.step;
    return {};
  }
};

double mean_loss(susc::dynamic_transformer const& model, std::span<float const> w, susc::token_batch const& batch) {
  std::vector<float> losses(batch.example_count());
  model.losses(w, batch, losses);
  return susc::detail::mean<float>(losses);
}

/// Trains from the initial weights of the seed on the domains mixed by `mixture`.
training train(options const& o, prepared_data const& data, susc::dynamic_transformer const& model, std::string name,
               std::vector<double> const& mixture, std::uint64_t seed, std::atomic<bool> const* stop) {
  susc::token_mixture mixed = data.training;
  for (std::size_t g = 0; g != mixture.size(); ++g) mixed.parts[g].weight = mixture[g];
  auto settings = structural_inference::training_of(o);
  settings.seed = seed;
  settings.stop = stop;
  settings.run_directory.clear();
  settings.snapshot_steps = susc::log_spaced(1, settings.steps, o.snapshots);
  susc::random::key const fixed{o.data_seed};  // the same sequences at every snapshot of every training
  auto const repeated = susc::repeated_random_tokens(data.vocabulary, data.bos, model.config().context / 2, 32,
                                                     susc::random::fold_in(fixed, "head scores"));
  std::vector<susc::token_batch> held_out;
  for (auto const& part : data.held_out.parts)
    held_out.push_back(susc::sample_distinct_sequences(part.sequences, 32, susc::random::fold_in(fixed, part.name)));
  training result{std::move(name), seed, {}, susc::initial_weights<float>(model.layout(), {seed})};
  susc::train_adamw(
      model, std::span<float>(result.w),
      [&](std::size_t size, susc::random::key key) { return mixed.sample(size, key); },
      susc::decayed_ranges(model.layout()), settings, susc::threads{o.threads}, {},
      [&](std::size_t step, std::span<float const> w) {
        snapshot s{step, susc::head_scores(model, w, repeated), {}};
        for (auto const& batch : held_out) s.losses.push_back(mean_loss(model, w, batch));
        result.snapshots.push_back(std::move(s));
      });
  auto const step = result.formed(o.threshold);
  std::printf("  %-14s seed %llu: %s\n", result.mixture.c_str(), static_cast<unsigned long long>(seed),
              step ? ("step " + std::to_string(*step)).c_str() : "none forms");
  std::fflush(stdout);
  return result;
}

/// The principal component of the tokens' susceptibilities whose loadings separate induction heads best.
struct induction_mode {
  std::size_t number = 0;
  double explained = 0, separation = 0;
  std::vector<double> target;      // (heads,) towards more of it, of length 1, in units of the deviations
  std::vector<double> deviations;  // (heads,) standard deviations of the tokens' susceptibilities
};
induction_mode find_mode(xt::xtensor<double, 2> const& tokens, std::vector<susc::head_score> const& scores,
                         double threshold) {
  std::vector<char> induction;
  for (auto const& s : scores) induction.push_back(s.prefix_matching > threshold);
  auto const count = std::count(induction.begin(), induction.end(), 1);
  double largest = 0;
  for (auto const& s : scores) largest = std::max(largest, s.prefix_matching);
  susc::require(count != 0, "no induction head to take the mode of: the largest prefix-matching score is ", largest,
                ", must exceed ", threshold, "; more --training-steps would help, or a lower --threshold");
  susc::require(count != static_cast<std::ptrdiff_t>(induction.size()), "every head's prefix-matching score exceeds ",
                threshold, ", so no mode can separate them: a higher --threshold would help");
  auto const modes = susc::principal_components(tokens);
  induction_mode found;
  for (std::size_t k = 0; k != std::min<std::size_t>(3, modes.singular_values.size()); ++k) {
    double const separation = susc::separation(modes.loading(k), induction);
    if (separation > found.separation) found = {k, modes.explained(k), separation, {}, {}};
  }
  // nβ E[φ] is a head's learning coefficient, which grows as a head forms: more of the mode is more of it.
  auto const loading = modes.loading(found.number);
  double const sign = susc::area_under_curve(loading, induction) > .5 ? 1 : -1;
  for (std::size_t c = 0; c != loading.size(); ++c) {
    double mean = 0, square = 0;
    double const rows = static_cast<double>(tokens.shape(0));
    for (std::size_t j = 0; j != tokens.shape(0); ++j) mean += tokens(j, c) / rows;
    for (std::size_t j = 0; j != tokens.shape(0); ++j) square += std::pow(tokens(j, c) - mean, 2) / rows;
    found.target.push_back(sign * loading[c]);
    found.deviations.push_back(std::sqrt(square));
  }
  return found;
}

std::vector<double> times(double scale, std::vector<double> values) {
  for (double& v : values) v *= scale;
  return values;
}

struct named_mixture {
  std::string name;
  std::vector<double> weights;  // of the domains, sum 1
};

/// Controls of `more`: the share of this domain alone is that of `more`, the others in proportion as they were; and its
/// share as it was, the others in proportion as in `more`.
std::vector<named_mixture> controls(std::vector<double> const& base, std::vector<double> const& more,
                                    std::size_t domain, std::string const& name) {
  auto const joined = [&](std::vector<double> const& share, std::vector<double> const& others) {
    auto weights = times((1 - share[domain]) / (1 - others[domain]), others);
    weights[domain] = share[domain];
    return weights;
  };
  return {{"more " + name, joined(more, base)}, {"more others", joined(base, more)}};
}

void write(std::filesystem::path const& folder, json const& summary, std::vector<training> const& trainings,
           prepared_data const& data) {
  susc::write_file_atomically(folder / "summary.json", [&](std::ostream& out) { out << summary.dump(2) << '\n'; });
  susc::write_file_atomically(folder / "curves.csv", [&](std::ostream& out) {
    out << "mixture,seed,step";
    for (auto const& h : trainings.front().snapshots.front().heads) out << ',' << susc::head_name(h.layer, h.head);
    for (auto const& part : data.held_out.parts) out << ",loss " << part.name;
    for (auto const& t : trainings)
      for (auto const& s : t.snapshots) {
        out << '\n' << t.mixture << ',' << t.seed << ',' << s.step;
        for (auto const& h : s.heads) out << ',' << h.prefix_matching;
        for (double const l : s.losses) out << ',' << l;
      }
    out << '\n';
  });
}

void run(options const& o, std::atomic<bool> const* stop) {
  double const start = susc::steady_seconds();
  susc::staged_directory results(o.output);  // before anything is computed, so that no long run fails at its end
  prepared_data const data =
      o.synthetic() ? structural_inference::synthetic_data(o) : structural_inference::text_data(o);
  auto const config = structural_inference::configuration(o, data);
  susc::check(config);
  susc::check(structural_inference::training_of(o));
  susc::dynamic_transformer const model(config);
  std::vector<double> base;
  for (auto const& part : data.training.parts) base.push_back(part.weight);
  base = susc::mixture_weights(base, std::vector<double>(base.size()));
  std::printf("Model: %zu layers of %zu heads, width %zu; %zu parameters\n", config.layers, config.heads, config.width,
              model.parameter_count());
  std::printf("Step at which a head's prefix-matching score first exceeds %g, of %zu recorded up to %zu\n", o.threshold,
              o.snapshots, *o.training_steps);
  std::fflush(stdout);
  std::vector<training> trainings{train(o, data, model, "unchanged", base, o.training_seed, stop)};
  std::span<float const> const w(trainings.front().w);

  double const first = o.synthetic() ? 300 : 200;  // where the pilot run begins
  susc::sampling_options<susc::leimkuhler_matthews> settings{.components = susc::head_names(config),
                                                             .posterior = {.n_beta = o.n_beta, .localization = first},
                                                             .sampler = {.step_size = 1 / first},
                                                             .chains = o.chains,
                                                             .draws = o.draws,
                                                             .burn_in = o.burn_in,
                                                             .batch_size = o.batch_size,
                                                             .seed = o.seed,
                                                             .stop = stop};
  susc::data_distribution const distribution{
      data.evaluation, [&](std::size_t size, susc::random::key key) { return data.training.sample(size, key); }};
  susc::threads const threads{o.threads};
  std::vector<std::string> warnings;
  json localizations;
  std::printf("\nLocalization that puts E[phi] at %g:", o.pilot_target);
  for (auto const& c :
       susc::choose_localization(model, w, distribution, settings, {.target = o.pilot_target}, threads)) {
    if (localizations.empty())  // all weights come first
      settings.all_weights = c.settings;
    else
      settings.component_settings[c.component] = c.settings;
    localizations[c.component] = c.settings.posterior.localization;
    if (!c.warning.empty()) warnings.push_back(c.warning);
    std::printf(" %s %.4g", c.component.c_str(), c.settings.posterior.localization);
  }
  std::printf("\n");
  auto const response = susc::estimate_susceptibilities(model, w, distribution, data.probes, settings, threads);
  auto const chi = response.response_matrix(o.centring);
  auto const& heads = trainings.front().snapshots.back().heads;
  induction_mode const mode = find_mode(response.example_susceptibilities(o.centring).value, heads, o.threshold);

  // In units in which the mode was found, with the noise of a row of χ, on average over rows, as ridge. χ towards the
  // mixture itself is 0; that of its probes is not quite, as they are other text than the evaluation set.
  auto scaled = chi.value;
  double ridge = 0;
  for (std::size_t c = 0; c != scaled.shape(1); ++c) {
    double all = 0;
    for (std::size_t p = 0; p != scaled.shape(0); ++p) all += base[p] * chi.value(p, c);
    for (std::size_t p = 0; p != scaled.shape(0); ++p) {
      scaled(p, c) = (chi.value(p, c) - all) / mode.deviations[c];
      ridge += std::pow(chi.error(p, c) / mode.deviations[c], 2) / static_cast<double>(scaled.shape(0));
    }
  }
  auto const shift = susc::patterning(scaled, mode.target, ridge);
  double const largest =
      std::min(susc::largest_scale(base, shift.shifts), susc::largest_scale(base, times(-1, shift.shifts)));
  susc::require(std::isfinite(largest) && largest > 0, "the shift found changes no weight of the mixture");
  auto const more = susc::mixture_weights(base, times(o.strength * largest, shift.shifts));
  // The same mixture by shifts that sum to 0: they leave the minibatches' gradient, and its noise, as it is.
  auto h = more;
  for (std::size_t g = 0; g != h.size(); ++g) h[g] -= base[g];
  auto const less = susc::mixture_weights(base, times(-1, h));
  std::printf("\nInduction mode: PC%zu of the tokens' susceptibilities, %s centring, %.1f %% of variance, AUC %.2f\n",
              mode.number + 1, o.centring == susc::centring::full ? "full" : "restricted", 100 * mode.explained,
              mode.separation);
  std::printf("Effective rank %.2f of %zu, singular values", shift.effective_rank, shift.rank);
  for (double const s : shift.singular_values) std::printf(" %.2f", s);
  std::printf("; left of the target: %.0f %%\n", 100 * shift.residual);
  std::vector<named_mixture> all{{"less", less}, {"unchanged", base}, {"more", more}};
  for (std::size_t g = 0; g != base.size(); ++g)
    if (auto const& name = data.training.parts[g].name; name == structural_inference::repeats || name == "induction")
      for (auto& control : controls(base, more, g, name)) all.push_back(std::move(control));
  std::printf("\n%-20s %8s", "domain", "h");
  for (auto const& mixture : all) std::printf(" %14s", mixture.name.c_str());
  std::printf("\n");
  for (std::size_t g = 0; g != base.size(); ++g) {
    std::printf("%-20s %+8.3f", data.training.parts[g].name.c_str(), h[g]);
    for (auto const& mixture : all) std::printf(" %14.3f", mixture.weights[g]);
    std::printf("\n");
  }

  double sizes = 0;
  for (double const x : h) sizes += std::abs(x);
  double const response_scale = std::min(o.response_strength / o.strength, 1 / sizes);
  auto const rows = susc::resample_response(model, w, distribution, data.probes, times(response_scale, h), response,
                                            settings, threads);
  std::printf("\nResponse of the heads to %.3g h, x 1e4 (error), of all x 1e4: nβ times it is a change of E[phi]\n",
              response_scale);
  std::printf("%-6s %8s %9s %18s %18s %7s\n", "head", "prefix", "target", "predicted", "re-sampled", "z");
  json responses = json::array();
  for (std::size_t c = 0; c != rows.size(); ++c) {
    auto const& r = rows[c];
    double const target = response_scale * o.strength * largest * mode.target[c] * mode.deviations[c];
    std::printf("%-6s %8.2f %9.3f %9.3f (%6.3f) %9.3f (%6.3f) %+7.1f\n", r.component.c_str(), heads[c].prefix_matching,
                1e4 * target, 1e4 * r.predicted.value, 1e4 * r.predicted.error, 1e4 * r.resampled.value,
                1e4 * r.resampled.error, r.z());
    responses.push_back({{"head", r.component},
                         {"prefix_matching", heads[c].prefix_matching},
                         {"target", target},
                         {"predicted", r.predicted.value},
                         {"predicted_error", r.predicted.error},
                         {"resampled", r.resampled.value},
                         {"resampled_error", r.resampled.error}});
  }
  for (std::string const& warning : response.warnings()) warnings.push_back(warning);
  for (std::string const& warning : warnings) std::printf("warning: %s\n", warning.c_str());
  std::printf("\nRetraining\n");
  std::fflush(stdout);

  for (std::size_t i = 0; i != o.seeds; ++i) {
    std::uint64_t const seed = o.training_seed + i;
    for (auto const& mixture : all)
      if (i != 0 || mixture.name != "unchanged")
        trainings.push_back(train(o, data, model, mixture.name, mixture.weights, seed, stop));
  }

  json mixtures, formed = json::array();
  for (std::size_t g = 0; g != base.size(); ++g) {
    mixtures.push_back({{"domain", data.training.parts[g].name}, {"shift", h[g]}});
    for (auto const& mixture : all) mixtures.back()[mixture.name] = mixture.weights[g];
  }
  std::printf("\n%-14s %5s %10s %7s   held-out loss", "mixture", "seed", "formed at", "prefix");
  for (auto const& part : data.held_out.parts) std::printf(" %9.9s", part.name.c_str());
  std::printf("\n");
  for (auto const& mixture : all)
    for (auto const& t : trainings) {
      if (t.mixture != mixture.name) continue;
      auto const step = t.formed(o.threshold);
      auto const& end = t.snapshots.back();
      std::printf("%-14s %5llu %10s %7.2f                ", t.mixture.c_str(), static_cast<unsigned long long>(t.seed),
                  step ? std::to_string(*step).c_str() : "never", end.prefix_matching());
      for (double const l : end.losses) std::printf(" %9.3f", l);
      std::printf("\n");
      formed.push_back({{"mixture", t.mixture},
                        {"seed", t.seed},
                        {"formed", step ? json(*step) : json(nullptr)},
                        {"prefix_matching", end.prefix_matching()},
                        {"losses", end.losses}});
    }
  json const summary{{"settings",
                      {{"corpus", o.corpus},
                       {"width", config.width},
                       {"heads", config.heads},
                       {"training_steps", *o.training_steps},
                       {"snapshots", o.snapshots},
                       {"threshold", o.threshold},
                       {"centring", o.centring == susc::centring::full ? "full" : "restricted"},
                       {"strength", o.strength},
                       {"response_strength", o.response_strength},
                       {"tokens_per_domain", o.tokens_per_domain},
                       {"probe_tokens", o.probe_tokens},
                       {"evaluation_tokens", o.evaluation_tokens},
                       {"seeds", o.seeds},
                       {"chains", o.chains},
                       {"draws", o.draws},
                       {"n_beta", o.n_beta},
                       {"pilot_target", o.pilot_target},
                       {"localization", localizations},  // and 1 / step size
                       {"seed", o.seed}}},
                     {"mode",
                      {{"number", mode.number + 1},
                       {"explained", mode.explained},
                       {"separation", mode.separation},
                       {"target", mode.target},
                       {"deviations", mode.deviations}}},
                     {"ridge", ridge},
                     {"singular_values", shift.singular_values},
                     {"rank", shift.rank},
                     {"effective_rank", shift.effective_rank},
                     {"residual", shift.residual},
                     {"mixtures", mixtures},
                     {"response_scale", response_scale},
                     {"responses", responses},
                     {"warnings", warnings},
                     {"trainings", formed},
                     {"versions", {{"susc", std::string(susc::version)}, {"compiler", __VERSION__}}}};
  write(results.path(), summary, trainings, data);
  results.commit();
  std::printf("\n%.0f s; results in %s\n", susc::steady_seconds() - start, o.output.string().c_str());
}

}  // namespace patterning

int main(int argc, char** argv) {
  return run_program("patterning", [&] {
    susc::stop_on_signals const stop;
    if (auto const options = patterning::parse(argc, argv)) patterning::run(*options, stop.flag());
  });
}
