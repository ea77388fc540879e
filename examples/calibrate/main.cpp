// Which step size and n_beta to sample a model with: short chains at every combination, a table, a page, an advice.
//   calibrate --model results/model.safetensors --pretraining results/pretraining.npy [--component l1h3]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "../network.hpp"
#include "../run_program.hpp"
#include "options.hpp"
#include "page.hpp"
#include "recommendation.hpp"
#include "susc/data/read_tokens.hpp"
#include "susc/io/file.hpp"
#include "susc/report/progress.hpp"
#include "susc/sampling/chains.hpp"
#include "sweep.hpp"

namespace calibrate {

void print(calibration const& c) {
  auto const& r = c.advice;
  std::printf(
      "\n   gamma  n_beta   epsilon    LLC (error)     E[L]-L(w*)  accepted  R-hat    ESS  ESS/s  ESS/gradient"
      "   drift  rules broken\n");
  for (std::size_t i = 0; i != c.table.size(); ++i) {
    measurement const& m = c.table[i];
    std::string broken;
    for (auto const rule : r.broken[i]) broken.append(broken.empty() ? "" : ", ").append(rule);
    std::printf("%s%7.4g %7.4g %9.3g %8.4g (%7.2g) %11.3g %9.3f %6.2f %6.0f %6.3g %13.3g %7.1f  %s\n",
                r.best == i ? "*" : " ", m.localization, m.n_beta, m.step_size, m.learning_coefficient.value,
                m.learning_coefficient.error, m.excess_loss.value, m.acceptance, m.r_hat, m.ess, m.ess_per_second,
                m.ess_per_gradient, m.drift, broken.c_str());
  }
  if (r.best) std::printf("\nRecommended (*): %s\n", arguments(c.table[*r.best]).c_str());
  std::printf("%s%s\n", r.best ? "" : "\n", r.reason.c_str());
}

void run(options const& o) {
  susc::staged_directory results(o.output);
  auto loaded = load_network(o.model, o.activation);
  problem p{std::move(loaded.model), std::move(loaded.weights), susc::read_tokens(o.pretraining), {}, {}, 1};
  auto const [vocabulary, context, layers, heads] = shape_of(p.model);
  susc::check_tokens(p.pretraining, vocabulary, o.pretraining);
  susc::require(p.pretraining.length <= context + 1, o.pretraining, ": sequences of ", p.pretraining.length,
                " tokens, the model's context allows ", context + 1);
  auto const known = known_components(p.model);
  p.moving = susc::find_component(known, o.component);
  p.evaluation = susc::sample_distinct_sequences(
      p.pretraining, std::max<std::size_t>(1, o.evaluation_tokens / (p.pretraining.length - 1)),
      susc::random::fold_in({o.seed}, "evaluation"));
  std::size_t const all = parameter_count(p.model);
  if (p.moving.size() == all && o.all_weights == "scaled") {
    double size = 0;  // of a head, on average
    for (auto const& name : heads_of(p.model))
      size += static_cast<double>(susc::find_component(known, name).size()) / static_cast<double>(layers * heads);
    p.scale = susc::scaled_to_all_weights(susc::posterior_settings{.localization = 1}, susc::sgld{},
                                          static_cast<double>(all), size)
                  .posterior.localization;
  }

  calibration c{.settings = o, .parameters = p.moving.size(), .all_parameters = all, .scale = p.scale};
  std::printf("Model: %s, %zu parameters; component %s: %zu\n%s\n", o.model.c_str(), c.all_parameters,
              o.component.c_str(), c.parameters, note(c).c_str());
  c.table = settings(o);
  double const start = susc::steady_seconds();
  c.spent = sweep(c.table, p, o);
  c.seconds = susc::steady_seconds() - start;
  c.advice = recommend(c.table);
  write(results.path(), c);
  results.commit();
  print(c);
  std::printf("\nOpen %s\n", (o.output / "calibration.html").string().c_str());
}

}  // namespace calibrate

int main(int argc, char** argv) {
  return run_program("calibrate", [&] {
    if (auto const options = calibrate::parse(argc, argv)) calibrate::run(*options);
  });
}
