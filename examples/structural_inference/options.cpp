#include "options.hpp"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <system_error>

#include "susc/core/error.hpp"

namespace structural_inference {

std::optional<options> parse(int argc, char** argv, program called) {
  options o;
  bool const development = called == program::development;
  CLI::App app{
      development
          ? "Development over training: learning coefficients, susceptibilities, their modes and head scores at\n"
            "checkpoints of a training, all sampled with the same settings and probes; a report with a slider.\n"
          : "Structural inference: from a language model and datasets to its response matrix and its modes.\n"
            "Trains a small transformer on text, or takes one trained elsewhere; samples around its weights; writes\n"
            "the susceptibilities of every attention head to each dataset, with errors, and a report.\n"};
  if (development) o.output = "development", o.snapshots = 20;
  app.option_defaults()->always_capture_default();
  std::string centring = "full";

  auto* data = app.add_option_group("Data");
  data->add_option("--corpus", o.corpus,
                   "'system' (text found on this machine), 'synthetic', or a folder with a subfolder a domain");
  data->add_option("--tokens-per-domain", o.tokens_per_domain, "training tokens taken of each domain, at most");
  data->add_option(
      "--model", o.model,
      "weights trained elsewhere: safetensors of TransformerLens's names, or the folder of a GPT-2, Pythia or Llama of "
      "Hugging Face's");
  data->add_option("--pretraining", o.pretraining, "with --model: its training data, token ids as a 2-D integer .npy");
  data->add_option("--probe", o.probes, "with --model: NAME=FILE.npy, a dataset to respond to; repeat for more");
  data->add_option("--activation", o.activation, "with --model: gelu, gelu_new or relu, if the file does not say");
  data->add_option("--tokenizer", o.tokenizer,
                   "with --model: the SentencePiece model or tokenizer.json that its token ids are of, for their text");
  auto* data_seed =
      data->add_option("--data-seed", o.data_seed, "of tokenizer, split, training data and probes (that of training)");
  data_seed->default_str("");
  data->add_flag("--prepare", o.prepare, "write what scripts/train.py trains from to OUTPUT/prepared, and stop");
  if (!development)
    data->add_flag("--preview", o.preview, "print which weights each component has, tensor by tensor, and stop");
  data->add_option("--output", o.output, "folder for the results");

  auto* model = app.add_option_group("Model and training");
  model->add_option("--vocabulary", o.vocabulary, "tokens of the BPE vocabulary (1024; synthetic: 128)");
  model->add_option("--context", o.context, "tokens (64)");
  model->add_option("--width", o.width, "of the residual stream (128; synthetic: 64)");
  model->add_option("--layers", o.layers, "(2)");
  model->add_option("--heads", o.heads, "a layer (8)");
  model->add_option("--mlp-width", o.mlp_width, "0: attention only");
  model->add_flag("--tied", o.tied, "unembed with the transposed embedding");
  model->add_option("--training-steps", o.training_steps, "(2000; synthetic: 5000)");
  model->add_option("--training-batch-size", o.training_batch_size, "sequences");
  model->add_option("--learning-rate", o.learning_rate, "of AdamW (5e-3; synthetic: 1e-2)");
  model->add_option("--weight-decay", o.weight_decay, "of AdamW, on the matrices of heads, MLP and unembedding");
  model
      ->add_option("--training-precision", o.training_precision,
                   "of matrix products: single, or bfloat16, half as fast again on CPUs that have it")
      ->check(CLI::IsMember({"single", "bfloat16"}));
  model->add_option("--training-seed", o.training_seed,
                    "of initial weights, training and, unless they have their own, data");
  std::string const snapshots = development ? "--checkpoints" : "--snapshots";
  model->add_option(snapshots, o.snapshots,
                    "weights saved while training, after log-spaced steps: OUTPUT/snapshots/STEP.safetensors");

  auto* sampling = app.add_option_group("Sampling");
  sampling
      ->add_option("--components", o.components,
                   "default: every head; names and unions like l0h3, l1, embed, l0h1+l1h4")
      ->delimiter(',');
  sampling->add_option("--sampler", o.sampler, "leimkuhler_matthews or sgld")
      ->check(CLI::IsMember({"leimkuhler_matthews", "sgld"}));
  sampling->add_option("--n-beta", o.n_beta, "effective sample size times inverse temperature");
  sampling->add_option("--localization", o.localization, "gamma (chosen for each component by a pilot run)");
  sampling->add_option(
      "--pilot-target", o.pilot_target,
      "E[L(w) - L(w*)], in nats, of a component's chains at the localization that a pilot run chooses");
  sampling->add_option("--step-size", o.step_size, "epsilon, with --localization (1 / localization)");
  sampling->add_option("--chains", o.chains, "a component");
  sampling->add_option("--draws", o.draws, "a chain");
  sampling->add_option("--burn-in", o.burn_in, "steps before the first draw");
  sampling->add_option("--thinning", o.thinning, "steps a draw");
  sampling->add_option("--batch-size", o.batch_size, "sequences of a minibatch");
  sampling->add_option("--centring", centring, "of the report: full or restricted (both are written)")
      ->check(CLI::IsMember({"full", "restricted"}));
  sampling
      ->add_option("--all-weights", o.all_weights,
                   "with --localization, chains with all weights free: it and the step 'scaled' (see docs/results.md), "
                   "or the 'same'")
      ->check(CLI::IsMember({"scaled", "same"}));
  sampling->add_option("--probe-tokens", o.probe_tokens, "of each probe, about");
  sampling->add_option("--evaluation-tokens", o.evaluation_tokens, "of the set on which the loss is measured, about");
  sampling->add_option("--seed", o.seed, "of the chains");
  sampling->add_option("--threads", o.threads, "0: as many as the machine has");
  sampling->add_option("--run-directory", o.run_directory,
                       "where chains are kept, to resume or extend the run (OUTPUT/chains, removed when it is done)");
  sampling->add_option("--checkpoint-seconds", o.checkpoint_seconds,
                       "between two times at which training and chains are kept");

  // CLI11 takes -1 and what is too large for the largest unsigned number.
  CLI::Validator const unsigned_number(
      [](std::string& text) -> std::string {
        if (text.starts_with('-')) return text + " is negative";
        std::uint64_t value = 0;
        auto const read = std::from_chars(text.data(), text.data() + text.size(), value);
        return read.ec == std::errc::result_out_of_range ? text + " is too large" : "";
      },
      "");
  for (auto* group : {data, model, sampling})
    for (auto* option : group->get_options())
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
  if (data_seed->count() == 0) o.data_seed = o.training_seed;
  auto const positive = [](std::size_t value, char const* name) {
    susc::require(value > 0, name, " is 0, must be at least 1");
  };
  for (char const* name : {"--step-size", "--all-weights"})
    susc::require(o.localization || app.count(name) == 0, name,
                  " needs --localization: without it, a pilot run chooses both");
  susc::require(!o.localization || app.count("--pilot-target") == 0,
                "--pilot-target goes without --localization, which it chooses");
  positive(o.chains, "--chains");
  positive(o.evaluation_tokens, "--evaluation-tokens");
  positive(o.probe_tokens, "--probe-tokens");
  positive(o.tokens_per_domain, "--tokens-per-domain");
  susc::require(app.count("--model") == 0 || o.external(), "--model is empty, must be FILE.safetensors or a folder");
  susc::require(!development || !o.external(), "--model is one set of weights; a development is that of a training");
  if (o.external()) {
    susc::require(!o.pretraining.empty(), "--model needs --pretraining FILE.npy, token ids of its training data");
    susc::require(!o.probes.empty(), "--model needs at least one --probe NAME=FILE.npy");
    for (auto* option : model->get_options())
      susc::require(option->count() == 0 || option->get_name() == "--training-seed", option->get_name(),
                    " is for a model that is trained here, without --model");
    for (char const* name : {"--corpus", "--tokens-per-domain", "--probe-tokens", "--prepare"})
      susc::require(app.count(name) == 0, name, " is for a model that is trained here, without --model");
    return o;
  }
  susc::require(o.pretraining.empty() && o.probes.empty() && o.activation.empty() && o.tokenizer.empty(),
                "--pretraining, --probe, --activation and --tokenizer go with --model FILE.safetensors");
  susc::require(o.context.value_or(64) >= shortest_context, "--context is ", o.context.value_or(64),
                ", must be at least ", shortest_context, " to score heads on repeated tokens");
  susc::require(o.training_steps.value_or(1) > 0, "--training-steps is 0, must be at least 1");
  susc::require(o.snapshots != 1 && (o.snapshots > 0 || !development), snapshots, " is ", o.snapshots, ", must be ",
                development ? "" : "0 or ", "at least 2: the first step and the last");
  double const rate = o.learning_rate.value_or(1);
  susc::require(std::isfinite(rate) && rate > 0, "--learning-rate is ", rate, ", must be positive");
  susc::require(std::isfinite(o.weight_decay) && o.weight_decay >= 0, "--weight-decay is ", o.weight_decay,
                ", must not be negative");
  return o;
}

}  // namespace structural_inference
