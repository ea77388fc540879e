// Development over training: one training, and the same sampling around each of its checkpoints (arXiv 2410.02984,
// 2508.00331).
//   development                           trains on text found on this machine, writes development/
//   development --corpus synthetic        on a small generated language
//   development --checkpoints 30 ...      options are those of structural_inference
#include <atomic>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "../run_program.hpp"
#include "../structural_inference/data.hpp"
#include "../structural_inference/options.hpp"
#include "../structural_inference/prepare.hpp"
#include "../structural_inference/results.hpp"
#include "../structural_inference/sampling.hpp"
#include "../structural_inference/trained_model.hpp"
#include "aligned_modes.hpp"
#include "measure.hpp"
#include "page.hpp"
#include "susc/io/file.hpp"
#include "susc/io/run_directory.hpp"
#include "susc/report/progress.hpp"
#include "susc/sampling/stop_on_signals.hpp"
#include "susc/version.hpp"

namespace development {

/// A row a checkpoint: what can be read without the page.
void print(results const& r) {
  std::printf(
      "\n    step   loss   LLC of all weights (error)   highest prefix matching   singular values of PC1, PC2\n");
  for (std::size_t t = 0; t != r.checkpoints.size(); ++t) {
    checkpoint const& c = r.checkpoints[t];
    double loss = 0, prefix = 0;
    for (double const l : c.losses) loss += l / static_cast<double>(c.losses.size());
    susc::head_score best;
    for (auto const& s : c.scores)
      if (s.prefix_matching >= prefix) prefix = s.prefix_matching, best = s;
    std::printf("%8zu  %5.2f   %18.1f (%5.1f)   %16s %6.2f   %18.1f %8.1f\n", c.step, loss,
                c.all_weights.learning_coefficient.value, c.all_weights.learning_coefficient.error,
                susc::head_name(best.layer, best.head).c_str(), prefix, r.modes.singular_values(t, 0),
                r.modes.singular_values.shape(1) > 1 ? r.modes.singular_values(t, 1) : std::nan(""));
  }
}

void run(options const& o, std::atomic<bool> const* stop) {
  using namespace structural_inference;
  double const start = susc::steady_seconds();
  susc::staged_directory folder(o.output);
  check_sampling(o);
  prepared_data const data = o.synthetic() ? synthetic_data(o) : text_data(o);
  susc::transformer_config const config = configuration(o, data);
  susc::check(config);
  check_memory(config);
  results r;
  r.components = components_of(o, susc::dynamic_transformer(config));
  for (auto const& probe : data.probes) r.probes.push_back(probe.name);
  if (o.prepare) return prepare(o, data);
  trained_model const trained = train(o, data, stop);
  double const training_seconds = susc::steady_seconds() - start;

  std::vector<structural_inference::chosen_localization> chosen;
  if (!o.localization) {
    chosen = structural_inference::choose_localization(o, r.components, trained, data, stop);
    structural_inference::print_localization(chosen, o.pilot_target);
  }
  auto const steps = training_of(o).snapshot_steps;
  auto const cost = expected_cost(o, r.components, trained, data, stop, chosen);
  std::printf("\nSampling at each of %zu checkpoints: %zu chains, about %.0f s on %zu thread%s, %.0f s in all\n",
              steps.size(), cost.chains, cost.seconds, cost.workers, cost.workers == 1 ? "" : "s",
              static_cast<double>(steps.size()) * cost.seconds);
  std::fflush(stdout);
  auto const chains = o.run_directory.empty() ? o.output / "checkpoint_chains" : o.run_directory;
  susc::progress shown(std::cout, "Sampling", steps.size() * cost.chains * (o.burn_in + o.draws * o.thinning),
                       susc::is_terminal(1), "steps");
  for (std::size_t const step : steps) {
    options here = o;  // the same settings, localization and step size among them, whatever the checkpoint
    here.run_directory = chains / std::to_string(step);
    trained_model const at{
        trained.model,
        read_weights(snapshot_file(o, step), parameter_count(trained.model), snapshot_settings(trained.training, step)),
        trained.training};
    r.checkpoints.push_back(measure(here, r.components, at, data, step, shown, stop, chosen));
  }
  shown.finish();
  try {
    std::vector<xt::xtensor<double, 2>> tokens;
    for (checkpoint const& c : r.checkpoints) tokens.push_back(c.tokens);
    r.modes = modes_of(tokens);
  } catch (susc::error const&) {
    if (o.run_directory.empty()) std::filesystem::remove_all(chains);  // there is nothing in it to go on from
    throw;
  }

  r.settings = settings_of(o, trained);
  for (auto const& c : chosen) {
    r.settings["localization"][c.component] = c.localization;
    if (!c.warning.empty()) r.checkpoints.back().warnings.push_back(c.warning);  // where it was looked for
  }
  r.versions = {{"susc", std::string(susc::version)}, {"compiler", __VERSION__}};
  write(folder.path(), r, data);
  folder.commit();
  std::filesystem::remove_all(training_directory_of(o));
  if (o.run_directory.empty()) std::filesystem::remove_all(chains);

  print(r);
  double const seconds = susc::steady_seconds() - start;
  std::printf("\nData and training took %.0f s, everything %.0f s; open %s\n", training_seconds, seconds,
              (o.output / "development.html").string().c_str());
}

}  // namespace development

int main(int argc, char** argv) {
#ifdef __GLIBC__
  // Large blocks go back to the system when they are freed.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 17);
#endif
  return run_program("development", [&] {
    susc::stop_on_signals const stop;
    auto const options = structural_inference::parse(argc, argv, structural_inference::program::development);
    if (options) development::run(*options, stop.flag());
  });
}
