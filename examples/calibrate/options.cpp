#include "options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>

#include "susc/core/error.hpp"

namespace calibrate {

std::optional<options> parse(int argc, char** argv) {
  options o;
  CLI::App app{
      "Calibration: which step size and n_beta to sample a model with.\n"
      "Runs short chains at every combination of the settings given, and writes learning coefficient, acceptance,\n"
      "R-hat, effective draws a second and drift of each as a table, a page and JSON, with a recommendation.\n"};
  app.option_defaults()->always_capture_default();
  app.add_option("--model", o.model,
                 "weights: safetensors of TransformerLens's names (results/model.safetensors), or the folder of a "
                 "GPT-2, Pythia or Llama of Hugging Face's");
  app.add_option("--pretraining", o.pretraining,
                 "a sample of its training data, token ids as a 2-D integer .npy (results/pretraining.npy)");
  app.add_option("--activation", o.activation, "gelu, gelu_new or relu, if the file does not say");
  app.add_option("--component", o.component, "whose weights move; names and unions like l1h3, l1, l0h1+l1h4");
  app.add_option("--step-size", o.step_sizes,
                 "epsilon, a list (default: 1/16, 1/8, ... 2 over the localization; rmsprop_sgld: a tenth)")
      ->delimiter(',');
  app.add_option("--n-beta", o.n_betas, "a list")->delimiter(',');
  app.add_option("--localization", o.localizations, "gamma, a list")->delimiter(',');
  app.add_option("--all-weights", o.all_weights,
                 "for a component that is all weights: 'scaled' from the size of a head, as structural_inference does, "
                 "or the 'same'")
      ->check(CLI::IsMember({"scaled", "same"}));
  app.add_option("--sampler", o.sampler, "the dynamics")->check(CLI::IsMember(samplers));
  app.add_option("--chains", o.chains, "of each setting");
  app.add_option("--draws", o.draws, "a chain");
  app.add_option("--burn-in", o.burn_in, "steps before the first draw (default: from the step size, 20 to 200)");
  app.add_option("--thinning", o.thinning, "steps a draw");
  app.add_option("--batch-size", o.batch_size, "sequences of a minibatch");
  app.add_option("--evaluation-tokens", o.evaluation_tokens, "of the set on which the loss is measured, about");
  app.add_option("--seed", o.seed, "of the chains and the evaluation set");
  app.add_option("--threads", o.threads, "0: as many as the machine has");
  app.add_option("--output", o.output, "folder for calibration.html and calibration.json");

  // CLI11 takes -1 and what is too large for the largest unsigned number.
  CLI::Validator const unsigned_number(
      [](std::string& text) -> std::string {
        if (text.starts_with('-')) return text + " is negative";
        std::uint64_t value = 0;
        auto const read = std::from_chars(text.data(), text.data() + text.size(), value);
        return read.ec == std::errc::result_out_of_range ? text + " is too large" : "";
      },
      "");
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
  susc::require(!o.model.empty(), "--model FILE_OR_FOLDER is missing: the weights to sample around");
  susc::require(!o.pretraining.empty(), "--pretraining FILE.npy is missing: token ids of the model's training data");
  auto const list = [](std::vector<double>& values, char const* name, bool zero) {
    for (double const x : values)
      susc::require(std::isfinite(x) && (x > 0 || (zero && x == 0)), name, " is ", x, ", must be ",
                    zero ? "finite and not negative" : "finite and positive");
    std::sort(values.begin(), values.end());
    auto const twice = std::adjacent_find(values.begin(), values.end());
    if (twice != values.end()) susc::fail(name, " ", *twice, " is given twice");
  };
  list(o.step_sizes, "--step-size", false);
  list(o.n_betas, "--n-beta", false);
  list(o.localizations, "--localization", true);
  susc::require(o.localizations.front() > 0 || !o.step_sizes.empty(), "--localization 0 needs a --step-size");
  auto const positive = [](std::size_t value, char const* name) {
    susc::require(value > 0, name, " is 0, must be at least 1");
  };
  positive(o.chains, "--chains");
  positive(o.thinning, "--thinning");
  positive(o.batch_size, "--batch-size");
  positive(o.evaluation_tokens, "--evaluation-tokens");
  susc::require(o.draws >= 8, "--draws is ", o.draws, ", must be at least 8 to tell whether chains drift");
  return o;
}

}  // namespace calibrate
