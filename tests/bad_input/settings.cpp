// Arguments of the library's functions that make no sense: settings of a run, data, weights, training options.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "susc/data/ngram.hpp"
#include "susc/data/repeats.hpp"
#include "susc/data/synthetic_language.hpp"
#include "susc/data/token_batch.hpp"
#include "susc/data/token_mixture.hpp"
#include "susc/data/tokenizer.hpp"
#include "susc/data/unigram.hpp"
#include "susc/models/quadratic.hpp"
#include "susc/models/transformer.hpp"
#include "susc/response/diagnostics.hpp"
#include "susc/response/estimate.hpp"
#include "susc/response/fluctuation_dissipation.hpp"
#include "susc/response/learning_coefficient.hpp"
#include "susc/sampling/exponential_integrator.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"
#include "susc/sampling/mala.hpp"
#include "susc/sampling/rmsprop_sgld.hpp"
#include "susc/sampling/sghmc.hpp"
#include "susc/sampling/sgnht.hpp"
#include "susc/training/adamw.hpp"
#include "table.hpp"

namespace {
double const no_number = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
constexpr std::size_t most = std::numeric_limits<std::size_t>::max(), half = std::size_t{1} << 63;

using examples = std::vector<std::size_t>;
using probes = std::vector<susc::probe<examples>>;
auto const minibatch = [](std::size_t, susc::random::key) { return examples{0}; };
std::vector<double> const center{.5, -1, 0};

/// Example 0 is the data, 1 a probe, 2 costs an infinity and 3 no number.
susc::quadratic<double> model_of(std::vector<susc::component> components) {
  std::vector<double> const flat(3), curved{1, 0, 0, 0, 2, 0, 0, 0, 3};
  return susc::quadratic<double>(center,
                                 {{0, flat, curved}, {1, flat, curved}, {inf, flat, curved}, {no_number, flat, curved}},
                                 std::move(components));
}
susc::quadratic<double> const model = model_of({{"left", {{0, 1}}}, {"middle", {{1, 2}}}, {"right", {{2, 3}}}});

/// What may be wrong with a run, beside what is right.
struct a_run {
  susc::quadratic<double> of = model;
  std::vector<double> weights = center;
  examples evaluation = {0};
  probes towards = {{"first", {1}}};

  void operator()(susc::sampling_options<> const& options) const {
    susc::data_distribution const data{evaluation, minibatch};
    susc::estimate_susceptibilities(of, weights, data, towards, options, susc::sequential{});
  }
  void operator()() const { (*this)(susc::sampling_options<>{.draws = 4}); }
};

void run_of(susc::sampling_options<> const& options) {
  a_run const right;
  right(options);
}
/// Of a run with this sampler.
template <class S>
std::function<void()> sampler(S of) {
  susc::sampling_options<S> options;
  options.sampler = of;
  return [options] { susc::plan_sampling(model, options); };
}

/// A perturbation whose loss shifts and groups are given.
struct given_shifts {
  std::vector<double> shifts;
  std::vector<susc::index_range> rows;
  template <susc::Model M>
  std::size_t count(susc::draw<M> const&) const {
    return shifts.size();
  }
  template <susc::Model M>
  void loss_shifts(susc::draw<M> const&, std::span<double> to) const {
    std::copy(shifts.begin(), shifts.end(), to.begin());
  }
  template <susc::Model M>
  std::vector<susc::index_range> groups(susc::draw<M> const&) const {
    return rows;
  }
};
struct given_value {
  double of;
  template <susc::Model M>
  double value(susc::draw<M> const&) const {
    return of;
  }
};
void respond(given_value const& observable, given_shifts const& perturbation) {
  susc::data_distribution const data{examples{0}, minibatch};
  susc::estimate_susceptibilities(model, center, data, {}, susc::sampling_options<>{.draws = 4}, susc::sequential{},
                                  observable, perturbation);
}
}  // namespace

TEST_CASE("bad input: what is sampled") {
  auto const run = [](susc::sampling_options<> options) { return [=] { run_of(options); }; };
  auto const components = [&](std::vector<std::string> names) { return run({.components = std::move(names)}); };
  CHECK_NOTHROW(run_of(susc::sampling_options<>{.draws = 4}));
  check_refused({
      {"an unknown component", components({"midle"}), {"unknown component 'midle'", "nearest valid names: middle, "}},
      {"a component in other letters", components({"Left"}), {"unknown component 'Left'", "names: left"}},
      {"an unknown part of a union", components({"left+rihgt"}), {"unknown component 'rihgt'", "names: right"}},
      {"a union that goes on", components({"left+"}), {"unknown component ''", "left", "right"}},
      {"no component's name", components({""}), {"unknown component ''", "middle"}},
      {"a component twice", components({"left", "right", "left"}), {"component 'left' is asked for twice"}},
      {"a model's two components of one name",
       a_run{.of = model_of({{"part", {{0, 1}}}, {"part", {{1, 2}}}})},
       {"component 'part' is asked for twice"}},
      {"a model's component beyond its weights",
       a_run{.of = model_of({{"beyond", {{1, 4}}}})},
       {"component 'beyond' is not within the model's 3 weights"}},
      {"settings of a component that is not there",
       run({.components = {"left"}, .component_settings = {{"right", {}}}}),
       {"component_settings has 'right', which is no component of this run"}},
      {"settings of all weights as of a component",
       run({.components = {"left", "full"}, .component_settings = {{"full", {}}}}),
       {"component_settings has 'full', which is all weights: their settings are all_weights"}},
      {"a component's step size that its localization cannot have",
       run({.components = {"left"}, .component_settings = {{"left", {{.localization = 300}, {.step_size = .02}}}}}),
       {"step_size 0.02 is unstable with localization 300"}},
      {"no chains", run({.chains = 0}), {"chains is 0, must be at least 1"}},
      {"no draws", run({.draws = 0}), {"draws is 0, must be at least 1"}},
      {"no steps a draw", run({.thinning = 0}), {"thinning is 0, must be at least 1"}},
      {"empty minibatches", run({.batch_size = 0}), {"batch_size is 0, must be at least 1"}},
      {"no minibatch a step", run({.gradient_accumulation = 0}), {"gradient_accumulation is 0, must be at least 1"}},
      {"2^64 steps of draws",
       run({.draws = 2, .thinning = half}),
       {"draws 2 x thinning 9223372036854775808", "fewer than 2^48 steps"}},
      {"2^64 steps with the burn-in",
       run({.draws = 1, .burn_in = most}),
       {"burn_in 18446744073709551615", "draws 1 x thinning 1", "2^48"}},
      {"more steps than a run takes",
       run({.draws = std::size_t{1} << 40, .thinning = 256}),
       {"draws 1099511627776 x thinning 256", "fewer than 2^48 steps"}},
      {"more chains than a run takes", run({.chains = half}), {"chains is 9223372036854775808, of 220 steps", "2^48"}},
      {"checkpoints at negative times",
       run({.seconds_between_checkpoints = -1}),
       {"seconds_between_checkpoints is -1, must not be negative"}},
      {"checkpoints at no time",
       run({.seconds_between_checkpoints = no_number}),
       {"seconds_between_checkpoints is nan"}},
      {"a run directory that is a device", run({.run_directory = "/dev/null"}), {"'/dev/null'", "cannot make it"}},
  });
}

TEST_CASE("bad input: posterior and sampler") {
  auto const posterior = [](susc::posterior_settings of) {
    return [=] { run_of(susc::sampling_options<>{.posterior = of}); };
  };
  auto const free = [](susc::posterior_settings posterior, double step) {
    return [=] { run_of(susc::sampling_options<>{.all_weights = susc::chain_settings<>{posterior, {step}}}); };
  };
  std::vector<bad_input> table{
      {"no temperature", posterior({.n_beta = 0}), {"n_beta is 0, must be positive"}},
      {"an infinite temperature", posterior({.n_beta = inf}), {"n_beta is inf", "all must be finite"}},
      {"a localization that drives away",
       posterior({.localization = -1}),
       {"localization is -1, must not be negative"}},
      {"an infinite weight decay", posterior({.weight_decay = inf}), {"weight_decay inf", "all must be finite"}},
      {"a box without room", posterior({.bounding_box = 0}), {"bounding_box is 0, must be positive"}},
      {"of all weights alone: a temperature", free({.n_beta = no_number}, 1e-3), {"n_beta is nan, must be positive"}},
      {"of all weights alone: a step",
       free({.localization = 300}, .1),
       {"step_size 0.1 is unstable with localization"}},
      {"noise of no size", sampler(susc::sgld{1e-3, no_number}), {"noise is nan, must not be negative or infinite"}},
      {"infinite noise", sampler(susc::sgld{1e-3, inf}), {"noise is inf, must not be negative or infinite"}},
      {"preconditioned: infinite noise",
       sampler(susc::rmsprop_sgld{.step_size = 1e-4, .noise = inf}),
       {"noise is inf"}},
      {"preconditioned: memory beyond 1",
       sampler(susc::rmsprop_sgld{.decay = 1.5}),
       {"decay is 1.5, must be from 0 to 1"}},
      {"preconditioned: infinite stability",
       sampler(susc::rmsprop_sgld{.stability = inf}),
       {"stability is inf, must be positive and finite"}},
      {"friction of no size",
       sampler(susc::sghmc{.friction = no_number}),
       {"friction is nan, must be above 0 and at most 1"}},
      {"diffusion beyond 1", sampler(susc::sgnht{.diffusion = 2}), {"diffusion is 2, must be above 0 and at most 1"}}};
  for (auto const& [step, words] : {std::pair(0., "step_size is 0, must be positive and finite"),
                                    {-.1, "step_size is -0.1, must be"},
                                    {no_number, "step_size is nan, must be"},
                                    {inf, "step_size is inf, must be positive and finite"}}) {
    table.push_back({"sgld", sampler(susc::sgld{.step_size = step}), {words}});
    table.push_back({"rmsprop_sgld", sampler(susc::rmsprop_sgld{.step_size = step}), {words}});
    table.push_back({"sghmc", sampler(susc::sghmc{.step_size = step}), {words}});
    table.push_back({"sgnht", sampler(susc::sgnht{.step_size = step}), {words}});
    table.push_back({"leimkuhler_matthews", sampler(susc::leimkuhler_matthews{.step_size = step}), {words}});
    table.push_back({"exponential_integrator", sampler(susc::exponential_integrator{.step_size = step}), {words}});
    table.push_back({"mala", sampler(susc::mala{.step_size = step}), {words}});
  }
  for (auto give : {sampler(susc::sgld{.step_size = 1})})
    table.push_back({"an unstable step", give, {"step_size 1 is unstable with localization 300", "below 4"}});
  check_refused(table);
}

TEST_CASE("bad input: weights, evaluation set and probes") {
  auto const center_with = [](double value) { return a_run{.weights = {.5, value, 0}}; };
  auto const cost = [](examples evaluation) {
    return [=] {
      susc::data_distribution const data{evaluation, minibatch};
      susc::estimate_cost(model, center, data, {}, susc::sampling_options<>{.draws = 4}, susc::sequential{});
    };
  };
  auto const check_shift = [](probes const& towards, double h) {
    return [=] {
      susc::data_distribution const data{examples{0}, minibatch};
      susc::check_fluctuation_dissipation(model, center, data, towards, susc::sampling_options<>{.draws = 4}, h);
    };
  };
  auto const coefficients = [](examples evaluation) {
    return [=] {
      susc::data_distribution const data{evaluation, minibatch};
      susc::estimate_learning_coefficients(model, center, data, susc::sampling_options<>{.draws = 4});
    };
  };
  check_refused({
      {"too few weights", a_run{.weights = {1, 2}}, {"the center has 2 weights, the model 3"}},
      {"a weight that is no number", center_with(no_number), {"weight 1 of the center is nan, must be finite"}},
      {"an infinite weight", center_with(-inf), {"weight 1 of the center is -inf, must be finite"}},
      {"an example that is not there", a_run{.evaluation = {4}}, {"example 4, must be below the 4 examples"}},
      {"an empty evaluation set", a_run{.evaluation = {}}, {"evaluation set has 0 examples, must have at least 1"}},
      {"the same for a cost", cost({}), {"evaluation set has 0 examples, must have at least 1"}},
      {"the same for a learning coefficient", coefficients({}), {"evaluation set has 0 examples"}},
      {"an infinite loss", a_run{.evaluation = {0, 2}}, {"loss of the evaluation set at the center is inf"}},
      {"a loss that is no number", a_run{.evaluation = {3}}, {"loss of the evaluation set at the center is nan"}},
      {"the same for a cost", cost({3}), {"loss of the evaluation set at the center is nan, must be finite"}},
      {"two probes of one name",
       a_run{.towards = {{"a", {1}}, {"b", {1}}, {"a", {0}}}},
       {"probes 0 and 2 are both called 'a'", "a name of its own"}},
      {"a probe without name", a_run{.towards = {{"a", {1}}, {"", {1}}}}, {"probe 1 has no name"}},
      {"an empty probe", a_run{.towards = {{"none", {}}}}, {"probe 'none' has 0 examples, must have at least 1"}},
      {"a probe's infinite loss",
       a_run{.towards = {{"a", {1, 2}}}},
       {"loss shift 1 of the perturbation is inf at the center, must be finite"}},
      {"a shift that is no number",
       [] {
         respond({0}, {{0, no_number}, {}});
       },
       {"loss shift 1", "is nan", "must be finite"}},
      {"a group beyond the shifts",
       [] {
         respond({0}, {{0, 0}, {{0, 3}}});
       },
       {"group [0, 3) is not within its 2 loss shifts"}},
      {"a group of no shifts",
       [] {
         respond({0}, {{0, 0}, {{1, 1}}});
       },
       {"group [1, 1) is not within"}},
      {"an observable that is no number",
       [] {
         respond({no_number}, {{0}, {{0, 1}}});
       },
       {"observable is nan at the center"}},
      {"nothing to shift towards", check_shift({}, .1), {"no probes to shift the data towards"}},
      {"a shift of no size", check_shift({{"a", {1}}}, no_number), {"shift h is nan, must be above 0 and at most 1"}},
      {"infinitely many examples", [] { susc::wbic_n_beta(inf); }, {"temperature of inf examples", "at least 2"}},
      {"batches of no chains", [] { susc::batches_per_chain(10, 0); }, {"0 chains, must be at least 1"}},
      {"no chain to diagnose", [] { susc::split_r_hat({}); }, {"at least one chain", "none was given"}},
  });
}

TEST_CASE("bad input: training") {
  auto const train = [](susc::training_options options, std::vector<susc::index_range> decayed = {}) {
    return [=] {
      std::vector<double> w = center;
      susc::train_adamw(model, std::span<double>(w), minibatch, decayed, options, susc::sequential{});
    };
  };
  std::vector<bad_input> table{
      {"decay beyond the weights", train({.steps = 1}, {{1, 4}}), {"decayed range [1, 4)", "the model's 3 weights"}},
      {"decay from the end", train({.steps = 1}, {{2, 1}}), {"decayed range [2, 1)", "the model's 3 weights"}}};
  struct {
    char const* name;
    double susc::training_options::*field;
    std::vector<double> bad;
    char const* wanted;
  } const options[]{
      {"learning_rate", &susc::training_options::learning_rate, {0, -1, no_number, inf}, "positive and finite"},
      {"beta1", &susc::training_options::beta1, {1, -.1, no_number}, "at least 0 and below 1"},
      {"beta2", &susc::training_options::beta2, {1, -.1, no_number}, "at least 0 and below 1"},
      {"epsilon", &susc::training_options::epsilon, {0, -1, no_number, inf}, "positive and finite"},
      {"weight_decay", &susc::training_options::weight_decay, {-1, no_number, inf}, "finite and not negative"},
      {"clip", &susc::training_options::clip, {0, -1, no_number}, "positive"},
      {"decay_fraction", &susc::training_options::decay_fraction, {-.1, 1.1, no_number}, "from 0 to 1"}};
  for (auto const& o : options)
    for (double const value : o.bad) {
      susc::training_options bad{.steps = 1};
      bad.*o.field = value;
      table.push_back({o.name,
                       train(bad),
                       {susc::detail::concatenate("training ", o.name, " is ", value, ", must be ", o.wanted)}});
    }
  check_refused(table);
  CHECK_NOTHROW(train({.steps = 1, .weight_decay = 0, .clip = inf, .decay_fraction = 0})());
}

TEST_CASE("bad input: transformers and their batches") {
  susc::transformer_config const good{.vocabulary = 5, .context = 3, .width = 4, .layers = 1, .heads = 2};
  susc::dynamic_transformer const transformer(good);
  std::vector<float> const w(transformer.parameter_count(), .1f);
  susc::token_batch const right{{0, 1, 2, 3, 4, 0}, 2, 3};
  auto const shaped = [&](auto change) {
    return [=] {
      auto bad = good;
      change(bad);
      susc::dynamic_transformer const refused(bad);
    };
  };
  auto const losses = [&](susc::token_batch const& batch, std::size_t room) {
    return [=, &transformer, &w] {
      std::vector<float> to(room);
      transformer.losses(w, batch, to);
    };
  };
  auto const frozen = [&](susc::token_batch const& batch, std::size_t room) {
    return [=, &transformer, &w] {
      std::vector<float> to(room);
      transformer.losses(w, transformer.freeze(w, transformer.components()[1], batch), to);
    };
  };
  auto const gradient = [&](susc::token_batch const& batch, std::size_t room) {
    return [=, &transformer, &w] {
      std::vector<float> to(room);
      transformer.loss_and_gradient(w, batch, std::span(to));
    };
  };
  auto const part = susc::find_component(transformer.components(), "l0h1");
  std::size_t const all = w.size();
  std::string const weights = std::to_string(all), head = std::to_string(part.size());
  CHECK_NOTHROW(losses(right, 4)());
  CHECK_NOTHROW(frozen(right, 4)());
  CHECK_NOTHROW(gradient(right, all)());
  check_refused({
      {"weights beyond 64 bits",
       shaped([](auto& c) { c.vocabulary = c.width = std::size_t{1} << 40, c.heads = 1; }),
       {"vocabulary 1099511627776", "width 1099511627776", "must be fewer than 2^60"}},
      {"layers beyond 64 bits", shaped([](auto& c) { c.layers = half; }), {"layers 9223372036854775808", "2^60"}},
      {"a head beyond 64 bits", shaped([](auto& c) { c.head_width = most; }), {"head_width 18446744073709551615"}},
      {"an MLP beyond 64 bits", shaped([](auto& c) { c.mlp_width = half; }), {"mlp_width 9223372036854775808"}},
      {"a context beyond 64 bits", shaped([](auto& c) { c.context = half; }), {"context 9223372036854775808"}},
      {"heads that do not fit", shaped([](auto& c) { c.heads = 3; }), {"width 4", "heads 3", "set head_width"}},
      {"an id of no token", losses({{0, 5}, 1, 2}, 1), {"token id 5 at sequence 0, position 1", "vocabulary has 5"}},
      {"a negative id", losses({{0, 1, -1, 2}, 2, 2}, 2), {"token id -1 at sequence 1, position 0"}},
      {"longer than the context", losses({{0, 1, 2, 3, 4}, 1, 5}, 4), {"sequences of 5 tokens", "context allows 4"}},
      {"sequences of one token", losses({{0}, 1, 1}, 0), {"sequences of 1 tokens", "at least 2"}},
      {"no sequence", losses({{}, 0, 3}, 0), {"a batch of 0 sequences, must have at least 1"}},
      {"fewer tokens than it says", losses({{0, 1, 2}, 2, 3}, 4), {"a batch of 3 tokens, must have 2 x 3"}},
      {"the same for a gradient", gradient({{0, 1, 2}, 2, 3}, all), {"a batch of 3 tokens, must have 2 x 3"}},
      {"the same for what is frozen", frozen({{0, 1, 2}, 2, 3}, 4), {"a batch of 3 tokens, must have 2 x 3"}},
      {"a gradient of no sequence", gradient({{}, 0, 3}, all), {"a batch of 0 sequences"}},
      {"too little room for losses", losses(right, 3), {"transformer: 3 losses, must have 4"}},
      {"the same for what is frozen", frozen(right, 5), {"transformer: 5 losses, must have 4"}},
      {"too little room for a gradient", gradient(right, 7), {"transformer: 7 gradient entries, must have " + weights}},
      {"too little room for a component's gradient",
       [&] {
         std::vector<float> to(part.size() - 1);
         transformer.loss_and_gradient(w, right, part, to);
       },
       {"gradient entries, must have " + head}},
      {"the same for what is frozen",
       [&] {
         std::vector<float> to(all);
         transformer.loss_and_gradient(w, transformer.freeze(w, part, right), part, to);
       },
       {"transformer: " + weights + " gradient entries, must have " + head}},
      {"too few weights",
       [&] {
         std::vector<float> to(4);
         transformer.losses(std::span<float const>(w).first(all - 1), right, to);
       },
       {"weights, must have " + weights}},
  });
}

TEST_CASE("bad input: data") {
  constexpr susc::token bos = 1;
  using batch = susc::token_batch;
  using weights = std::vector<std::uint64_t>;
  auto const mixture = [](susc::token_mixture::part second) {
    return [=] { susc::token_mixture{{{"a", {{1, 2}, 1, 2}}, second}}.sample(3, {1}); };
  };
  auto const weighted = [&](double weight) { return mixture({"b", {{1, 2}, 1, 2}, weight}); };
  auto const repeat = [](weights const& of, std::size_t length, std::size_t shortest, std::size_t longest) {
    return [=] { susc::repeat_sequences(of, bos, 1, length, {1}, shortest, longest); };
  };
  auto const sampler = [](weights const& of) { return [=] { susc::unigram_sampler{of}; }; };
  auto const unigram = [](batch const& of, double alpha) { return [=] { susc::unigram_model(of, 4, alpha); }; };
  auto const held_out = [](batch const& of) {
    return [=] { susc::mean_loss(susc::bigram_model({{0, 1, 2}, 1, 3}, 4), of); };
  };
  auto const language = [](std::size_t vocabulary) { return [=] { susc::make_synthetic_language({1}, vocabulary); }; };
  auto const spoken = susc::make_synthetic_language({1}, 32);
  weights const flat{1, 1, 1};
  batch const good{{0, 1, 2}, 1, 3};
  check_refused({
      {"minibatches of nothing",
       [] {
         susc::sample_sequences({{}, 0, 3}, 2, {4});
       },
       {"without sequences"}},
      {"fewer tokens than it says",
       [] {
         susc::sample_sequences({{1, 2, 3}, 2, 3}, 2, {4});
       },
       {"a dataset of 3 tokens, must have 2 x 3"}},
      {"a negative weight", weighted(-1), {"domain 'b' has weight -1, must be finite and not negative"}},
      {"a weight that is no number", weighted(no_number), {"domain 'b' has weight nan"}},
      {"an infinite weight", weighted(inf), {"domain 'b' has weight inf"}},
      {"a part of fewer tokens", mixture({"b", {{1, 2, 3}, 2, 2}}), {"domain 'b' has 3 tokens, must have 2 x 2"}},
      {"no weight at all", sampler({0, 0}), {"all 2 weights are 0"}},
      {"no weights", sampler({}), {"all 0 weights are 0"}},
      {"weights that add up to 2^64", sampler({half, half, 1}), {"weights of tokens up to 1", "64 bits"}},
      {"counts of a token beyond", [&] { susc::unigram_counts(good, 2); }, {"token 2", "vocabulary of 2"}},
      {"counts of a negative token",
       [] {
         susc::unigram_counts({{0, -1}, 1, 2}, 4);
       },
       {"token -1", "vocabulary of 4"}},
      {"a unigram's token beyond", unigram({{0, 4}, 1, 2}, 1), {"token 4", "vocabulary of 4"}},
      {"a bigram's first token beyond",
       [] {
         susc::bigram_model({{4, 1}, 1, 2}, 4);
       },
       {"sequence 0 holds token 4", "vocabulary of 4"}},
      {"nothing for the unseen", unigram(good, 0), {"alpha is 0, it must be above 0 and finite"}},
      {"alpha that is no number", unigram(good, no_number), {"alpha is nan"}},
      {"an infinite alpha", unigram(good, inf), {"alpha is inf"}},
      {"a loss of nothing", held_out({}), {"without tokens"}},
      {"a loss of a token beyond", held_out({{0, 4}, 1, 2}), {"token 4", "vocabulary of 4"}},
      {"segments of nothing", repeat(flat, 8, 0, 3), {"segments of 0 to 3 tokens", "at least 1"}},
      {"segments from long to short", repeat(flat, 8, 4, 3), {"segments of 4 to 3 tokens", "at least 1"}},
      {"repeats that predict nothing", repeat(flat, 1, 1, 3), {"length 1", "the least is 2"}},
      {"repeats of the first token alone", repeat({0, 1, 0}, 8, 1, 3), {"all 3 weights are 0"}},
      {"repeats that begin beyond the vocabulary", repeat({1}, 8, 1, 3), {"BOS is 1", "vocabulary of 1"}},
      {"weights of another vocabulary",
       [&] { susc::repeated_random_tokens(4, bos, 5, 1, {1}, flat); },
       {"3 weights for a vocabulary of 4"}},
      {"random segments of nothing", [] { susc::repeated_random_tokens(3, bos, 0, 1, {1}); }, {"segments of 0 to 0"}},
      {"a language of brackets alone", language(31), {"a vocabulary of 31", "least: 32"}},
      {"a language beyond tokens", language(std::size_t{1} << 33), {"a vocabulary of 8589934592", "31 bits"}},
      {"a token of no language", [&] { spoken.piece(32); }, {"token 32", "vocabulary of 32"}},
      {"sentences that predict nothing",
       [&] { susc::generate_sequences(spoken, susc::synthetic_domain::bigram, 1, 1, {3}); },
       {"length 1", "the least is 2"}},
      {"more text than memory",
       [&] { susc::generate_sequences(spoken, susc::synthetic_domain::bigram, half, 2, {3}); },
       {"9223372036854775808 sequences of 2 tokens", "64 bits"}},
      {"a byte beyond", [] { susc::byte_tokenizer().piece(257); }, {"token 257", "vocabulary of 257"}},
      {"a negative byte", [] { susc::byte_tokenizer().piece(-1); }, {"token -1", "vocabulary of 257"}},
      {"text of a byte beyond",
       [] { susc::byte_tokenizer().decode(std::vector<susc::token>{257}); },
       {"token 257", "vocabulary of 257"}},
  });
}
