#include "susc/sampling/checkpoint.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "io/temporary_folder.hpp"
#include "susc/models/mlp.hpp"
#include "susc/response/estimate.hpp"
#include "susc/response/influence.hpp"
#include "susc/response/learning_coefficient.hpp"
#include "susc/response/posterior_predictive.hpp"
#include "susc/sampling/exponential_integrator.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"
#include "susc/sampling/mala.hpp"
#include "susc/sampling/mala_acceptance.hpp"
#include "susc/sampling/rmsprop_sgld.hpp"
#include "susc/sampling/sghmc.hpp"
#include "susc/sampling/sgnht.hpp"

namespace {
using model = susc::mlp<double>;
using everything = susc::visitors<susc::susceptibility_moments<>, susc::loss_trace, susc::posterior_predictive,
                                  susc::influence, susc::mala_acceptance>;

struct only_counts {
  void add(std::size_t);
};
struct extended_by_name {
  void extend(std::string);
};
static_assert(susc::ExtendableVisitor<everything> && susc::ExtendableVisitor<susc::loss_trace> &&
              susc::ExtendableVisitor<susc::influence>);
static_assert(!susc::ExtendableVisitor<only_counts> && !susc::ExtendableVisitor<extended_by_name> &&
              !susc::ExtendableVisitor<susc::visitors<susc::loss_trace, only_counts>>);

model::batch points(std::size_t count, std::uint64_t seed) {
  susc::random::stream random({seed});
  model::batch b;
  for (std::size_t i = 0; i != count; ++i) {
    b.inputs.insert(b.inputs.end(), {random.normal(), random.normal()});
    b.labels.push_back(random.below(3));
  }
  return b;
}

/// A run small enough to be done hundreds of times, with all that can be kept in it.
template <class S = susc::sgld>
struct small_run {
  model const network{{2, 3, 3}};
  std::vector<double> const w = network.initial_weights({1});
  model::batch const evaluation = points(6, 2);
  std::vector<susc::probe<model::batch>> probes{{"first", points(4, 3)}, {"second", points(2, 4)}};
  susc::influence::settings units{};
  susc::sampling_options<S> options{.components = {"layer1", "layer2"},
                                    .posterior = {.n_beta = 10, .localization = 20},
                                    .sampler = {.step_size = .01},
                                    .chains = 3,
                                    .draws = 6,
                                    .burn_in = 3,
                                    .thinning = 2,
                                    .batch_size = 4,
                                    .gradient_accumulation = 2};
  susc::threads workers{2};

  auto operator()() const {
    auto const minibatch = [](std::size_t size, susc::random::key key) { return points(size, key.bits); };
    everything const visitor{susc::susceptibility_moments<>{}, susc::loss_trace{}, susc::posterior_predictive{},
                             susc::influence(units), susc::mala_acceptance{.every = 2}};
    return susc::run_chains(network, w, susc::data_distribution{evaluation, minibatch}, probes,
                            susc::plan_sampling(network, options).components, options, visitor, workers);
  }
};

/// All that visitors hold and how chains ended, to the bit; times apart.
template <class Chains>
std::vector<std::string> bits(std::vector<Chains> const& run) {
  std::vector<std::string> all;
  for (auto const& of : run)
    for (std::size_t chain = 0; chain != of.chains.size(); ++chain) {
      susc::archive_writer to;
      to(of.chains[chain], of.outcomes[chain].steps, of.outcomes[chain].draws, of.outcomes[chain].diverged);
      all.push_back(to.bytes());
    }
  return all;
}

/// Runs until `step` steps of chains were done in this process, all told; true if that was the end of it.
template <class Run>
bool run_for(Run run, std::size_t steps) {
  std::atomic<std::size_t> done = 0;
  std::atomic<bool> stop = false;
  run.options.stop = &stop;
  run.options.progress = [&](std::size_t) {
    if (++done >= steps) stop = true;
  };
  try {
    run();
    return true;
  } catch (susc::interrupted const& reason) {
    check_words(reason.what(), {"interrupted", run.options.run_directory.empty() ? "nothing was kept" : "are kept in"});
    return false;
  }
}
}  // namespace

TEST_CASE_TEMPLATE("checkpoint: interrupted anywhere, any number of times, a run ends with the same bits", S,
                   susc::sgld, susc::leimkuhler_matthews, susc::exponential_integrator, susc::rmsprop_sgld, susc::sghmc,
                   susc::sgnht, susc::mala) {
  small_run<S> run;
  auto const expected = bits(run());
  susc::random::stream random({5});
  for (int attempt = 0; attempt != 12; ++attempt) {
    CAPTURE(attempt);
    temporary_folder const folder;
    run.options.run_directory = folder.path / "run";
    run.options.common_minibatches = true;
    // What is done again is not: progress counts the steps of former processes first.
    for (std::size_t steps = 0, tries = 0;; ++tries) {
      REQUIRE(tries < 1000);
      run.workers.count = 1 + random.below(3);
      steps += 1 + random.below(attempt < 2 ? 3 : 40);
      if (run_for(run, steps)) break;
    }
    run.workers.count = 1;
    CHECK(bits(run()) == expected);
  }
}

TEST_CASE("checkpoint: by time too; a run that is done is not done again") {
  temporary_folder const folder;
  small_run run;
  auto const expected = bits(run());
  run.options.run_directory = folder.path;
  run.options.seconds_between_checkpoints = 0;
  CHECK(bits(run()) == expected);
  auto const first = run(), second = run();
  CHECK(bits(second) == expected);
  for (std::size_t c = 0; c != first.size(); ++c)  // the seconds of the first run: no step was made since
    for (std::size_t chain = 0; chain != 3; ++chain)
      CHECK(first[c].outcomes[chain].step_seconds == second[c].outcomes[chain].step_seconds);
  CHECK(folder.listing().size() == 2 + 2 * 3);
}

TEST_CASE("checkpoint: steps of a former process are told apart where that is asked for, and come first") {
  temporary_folder const folder;
  small_run run;
  run.options.run_directory = folder.path;
  std::size_t const all = 2 * 3 * (3 + 6 * 2);  // components, chains, steps
  REQUIRE_FALSE(run_for(run, all / 2));
  std::atomic<std::size_t> own = 0, former = 0;
  run.options.progress = [&](std::size_t) { ++own; };
  run.options.resumed = [&](std::size_t parameters) {
    CHECK(own == 0);
    former += parameters != 0;
  };
  run();
  CHECK(former >= all / 2);
  CHECK(own > 0);
  CHECK(own + former == all);
}

TEST_CASE("checkpoint: with other minibatches for each chain") {
  temporary_folder const folder;
  small_run run;
  run.options.common_minibatches = false;
  auto const expected = bits(run());
  run.options.run_directory = folder.path;
  for (std::size_t steps = 7; !run_for(run, steps); steps += 11) {
  }
  CHECK(bits(run()) == expected);
}

TEST_CASE("checkpoint: components and chains are added with the bits of a run that had them from the start") {
  temporary_folder const folder;
  small_run run;
  run.options.all_weights = {{run.options.posterior, run.options.sampler}};  // else from the sizes of the components
  auto const expected = bits(run());
  run.options.run_directory = folder.path;
  run.options.components = {"layer2"};
  run.options.chains = 2;
  run();
  auto const kept = susc::read_file(folder.path / "layer2.1.chain");
  run.options.chains = 3;
  run.options.components = {"layer1", "layer2"};
  auto const all = bits(run());
  CHECK(susc::read_file(folder.path / "layer2.1.chain") == kept);
  // The number of batches of the chains that were there is that of two chains.
  REQUIRE(all.size() == expected.size());
  for (std::size_t chain : {0, 1, 2, 5}) CHECK(all[chain] == expected[chain]);
}

TEST_CASE("checkpoint: draws are added: the draws of a longer run, in other batches") {
  temporary_folder const folder;
  small_run run;
  run.options.draws = 20;
  auto const longer = run();
  run.options.run_directory = folder.path;
  for (std::size_t const draws : {6, 13, 20}) {
    run.options.draws = draws;
    run();
  }
  auto const extended = run();
  for (std::size_t c = 0; c != longer.size(); ++c)
    for (std::size_t chain = 0; chain != 3; ++chain) {
      auto const& [a_moments, a_trace, a_predictive, a_influence, a_acceptance] = longer[c].chains[chain].each;
      auto const& [b_moments, b_trace, b_predictive, b_influence, b_acceptance] = extended[c].chains[chain].each;
      CHECK(a_trace.traces == b_trace.traces);
      CHECK(a_acceptance.traces == b_acceptance.traces);
      CHECK(a_moments.observable_traces == b_moments.observable_traces);
      auto const sum = [](auto const& batches) {
        susc::moments all(batches[0].mean_shift.size());
        for (auto const& b : batches) all.merge(b);
        return all;
      };
      for (auto const& [a, b] : {std::pair{sum(a_moments.batches), sum(b_moments.batches)},
                                 {sum(a_predictive.batches), sum(b_predictive.batches)}}) {
        CHECK(a.count == 20);
        CHECK(b.count == 20);
        for (std::size_t j = 0; j != a.comoment.size(); ++j) {
          CHECK(b.mean_shift[j] == doctest::Approx(a.mean_shift[j]).epsilon(1e-10));
          CHECK(b.comoment[j] == doctest::Approx(a.comoment[j]).epsilon(1e-9));
        }
      }
      auto const a = a_influence.covariance(), b = b_influence.covariance();
      for (std::size_t i = 0; i != a.value.size(); ++i)
        CHECK(b.value.flat(i) == doctest::Approx(a.value.flat(i)).epsilon(1e-9));
      CHECK(longer[c].outcomes[chain].steps == extended[c].outcomes[chain].steps);
    }
}

/// Without influence, whose matrix has entries between old probes and new ones.
using following =
    susc::visitors<susc::susceptibility_moments<>, susc::loss_trace, susc::posterior_predictive, susc::mala_acceptance>;
static_assert(susc::JoinsProbes<following, model> && !susc::JoinsProbes<susc::influence, model> &&
              !susc::JoinsProbes<everything, model>);

TEST_CASE_TEMPLATE("checkpoint: probes are added with the bits of a run that had them from the start", S, susc::sgld,
                   susc::leimkuhler_matthews, susc::mala) {
  small_run<S> run;
  run.probes.push_back({"third", points(3, 5)});
  auto const execute = [](small_run<S> const& r) {
    auto const minibatch = [](std::size_t size, susc::random::key key) { return points(size, key.bits); };
    following const visitor{susc::susceptibility_moments<>{}, susc::loss_trace{}, susc::posterior_predictive{},
                            susc::mala_acceptance{.every = 2}};
    return susc::run_chains(r.network, r.w, susc::data_distribution{r.evaluation, minibatch}, r.probes,
                            susc::plan_sampling(r.network, r.options).components, r.options, visitor, r.workers);
  };
  struct resumable : small_run<S> {
    decltype(execute) const* how = nullptr;
    auto operator()() const { return (*how)(*this); }
  };
  for (std::size_t const first : {0, 1, 2})
    for (std::size_t const draws : {6, 10})
      for (std::size_t const stride : {1000, 5}) {  // steps between interruptions
        CAPTURE(first);
        CAPTURE(draws);
        CAPTURE(stride);
        temporary_folder const folder, other;
        resumable all;
        all.how = &execute;
        all.probes = run.probes;
        resumable fewer = all;
        fewer.probes.resize(first);
        auto expected = bits(all());
        fewer.options.run_directory = folder.path;
        fewer();
        if (draws == 10) {  // to which draws were added before, which has batches of its own
          all.options.run_directory = other.path;
          all();
          all.options.draws = fewer.options.draws = draws;
          expected = bits(all());
          fewer();
        }
        all.options.run_directory = folder.path;
        std::size_t tries = 0;
        for (std::size_t steps = stride; !run_for(all, steps); steps += stride) REQUIRE(++tries < 1000);
        CHECK((tries > 3) == (stride == 5));
        auto const after = folder.listing();
        CHECK(after.size() == 2 + 2 * 3);
        CHECK(bits(all()) == expected);
        CHECK(bits(all()) == expected);
        check_words(error_message([&] { fewer(); }), {"third", "not set here"});
      }
}

TEST_CASE("checkpoint: probes are added to chains that have ended, by visitors that can take them") {
  temporary_folder const folder;
  small_run run;
  run.options.run_directory = folder.path;
  auto const more = [&](auto change) {
    auto other = run;
    other.probes.push_back({"third", points(3, 5)});
    change(other);
    return error_message([&] { other(); });
  };
  run_for(run, 20);
  check_words(more([](auto&) {}), {"has 2 of 3 probes", "end the run with these probes before others are added"});
  run();
  check_words(more([](auto&) {}), {"does not take more later"});
  check_words(more([](auto& o) { std::swap(o.probes[0], o.probes[1]); }), {"in another order"});
  check_words(more([](auto& o) { o.probes.erase(o.probes.begin()); }), {"losses of probe 'first' at w*"});
}

TEST_CASE("checkpoint: a run of other settings, weights or data is refused with what differs, and nothing is touched") {
  temporary_folder const folder;
  small_run run;
  run.options.run_directory = folder.path;
  run_for(run, 20);
  auto const before = folder.listing();
  auto const refused = [&](auto change, std::vector<std::string> const& words) {
    auto other = run;
    change(other);
    check_words(error_message([&] { other(); }), words);
    CHECK(folder.listing() == before);
  };
  refused([](auto& o) { o.options.seed = 2; }, {"seed is 1 there, 2 here"});
  refused([](auto& o) { o.options.batch_size = 5; }, {"batch_size is 4 there, 5 here", "losses of a minibatch"});
  refused([](auto& o) { o.options.burn_in = 4; }, {"burn_in is 3 there, 4 here"});
  refused([](auto& o) { o.options.thinning = 1; }, {"thinning is 2 there, 1 here"});
  refused([](auto& o) { o.options.gradient_accumulation = 1; }, {"gradient_accumulation is 2 there, 1 here"});
  refused([](auto& o) { o.options.common_minibatches = false; }, {"common_minibatches is yes there, no here"});
  refused([](auto& o) { o.options.sampler.step_size = .02; }, {".0.chain", "step_size is 0.01 there, 0.02 here"});
  refused([](auto& o) { o.options.sampler.noise = .5; }, {"noise is 1 there, 0.5 here"});
  refused([](auto& o) { o.options.posterior.n_beta = 11; }, {"n_beta is 10 there, 11 here"});
  refused([](auto& o) { o.options.posterior.localization = 11; }, {"localization is 20 there, 11 here"});
  refused([](auto& o) { o.units.rows = {0, 2}; }, {"visitor at w*"});
  refused([](auto& o) { o.options.draws = 5; }, {"6 draws, 5 are wanted"});
  refused([](auto& o) { o.options.draws = 7; }, {"of 6 draws, 7 are wanted: resume with 6"});
  refused([](auto& o) { o.probes[1].batch = points(2, 9); }, {"losses of probe 'second'"});
  refused([](auto& o) { o.probes.pop_back(); }, {"losses of probe 'second'", "not set here"});
}

TEST_CASE("checkpoint: a component of the same name and other coordinates is refused") {
  struct renamed : model {
    using model::model;
    std::size_t first = 0;
    std::vector<susc::component> components() const { return {{"part", {{first, first + 4}}}}; }
  };
  temporary_folder const folder;
  small_run const run;
  auto const execute = [&](std::size_t first) {
    renamed network{{2, 3, 3}};
    network.first = first;
    auto options = run.options;
    options.components = {"part"};
    options.run_directory = folder.path;
    auto const minibatch = [](std::size_t size, susc::random::key key) { return points(size, key.bits); };
    susc::run_chains(network, run.w, susc::data_distribution{run.evaluation, minibatch}, run.probes,
                     susc::plan_sampling(network, options).components, options, susc::loss_trace{});
  };
  execute(0);
  execute(0);
  check_words(error_message([&] { execute(1); }), {"part.0.chain", "coordinates"});
}

TEST_CASE("checkpoint: a damaged chain is refused by name, the others are kept") {
  temporary_folder const folder;
  small_run run;
  auto const expected = bits(run());
  run.options.run_directory = folder.path;
  run_for(run, 40);
  std::string const file = "layer2.0.chain", whole = susc::read_file(folder.path / file);
  for (std::size_t const size : {whole.size() / 2, std::size_t{3}, std::size_t{0}}) {
    folder.file(file, whole.substr(0, size));
    check_words(error_message([&] { run(); }), {file, "cut short"});
  }
  std::string flipped = whole;
  flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 4);
  folder.file(file, flipped);
  check_words(error_message([&] { run(); }), {file, "damaged"});
  // Whole, but of something else.
  susc::write_checked_file(folder.path / file, "suscchn", susc::run_directory::format, "something else");
  CHECK_THROWS_AS(run(), susc::error);
  std::filesystem::remove(folder.path / file);  // what the message leaves to do: that chain is done again
  CHECK(bits(run()) == expected);
}

TEST_CASE("checkpoint: more steps or draws than the run wants are damage, whatever the checksum says") {
  std::vector<susc::run_setting> const settings{{"n_beta", "10"}};
  susc::chain_length const length{.draws = 6, .burn_in = 3, .thinning = 2};
  auto const message = [&](std::size_t steps, std::size_t draws) {
    susc::archive_writer to;
    to(susc::detail::kept_chain{settings, {}, 6, {.steps = steps, .draws = draws}});
    return error_message([&] {
      susc::archive_reader from(to.bytes(), "the chain: ");
      susc::detail::read_kept_chain(from, settings, length, "the chain: ");
      susc::fail("read");
    });
  };
  CHECK(message(15, 6) == "read");
  check_words(message(16, 6), {"the chain: is damaged", "16 steps and 6 draws", "15 and 6 are wanted"});
  check_words(message(15, 7), {"the chain: is damaged", "15 steps and 7 draws"});
  check_words(message(~std::size_t{0}, 6), {"18446744073709551615 steps"});
}

TEST_CASE("checkpoint: a chain that diverged is kept as such, its siblings go on") {
  struct exploding : model {
    using model::model;
    double loss_and_gradient(std::span<double const> w, batch const& b, std::span<double> gradient) const {
      double const loss = model::loss_and_gradient(w, b, gradient);
      return w[0] > limit ? std::numeric_limits<double>::quiet_NaN() : loss;
    }
    double limit = 0;
  };
  temporary_folder const folder;
  small_run run;
  auto const execute = [&](susc::sampling_options<> const& options, double limit) {
    exploding network{{2, 3, 3}};
    network.limit = limit;
    auto const minibatch = [](std::size_t size, susc::random::key key) { return points(size, key.bits); };
    return susc::run_chains(network, run.w, susc::data_distribution{run.evaluation, minibatch}, run.probes,
                            susc::plan_sampling(network, options).components, options, susc::loss_trace{},
                            susc::threads{1});
  };
  run.options.components = {"layer1"};
  run.options.chains = 6;
  double const limit = run.w[0] + .25;
  auto const expected = execute(run.options, limit);
  REQUIRE(expected[0].dropped_chains() > 0);
  REQUIRE(expected[0].dropped_chains() < 6);
  auto options = run.options;
  options.run_directory = folder.path;
  std::atomic<bool> stop = false;
  std::atomic<std::size_t> done = 0;
  options.stop = &stop;
  std::size_t limit_of_steps = 9;
  options.progress = [&](std::size_t) { stop = ++done >= limit_of_steps; };
  for (int tries = 0;; ++tries) {
    REQUIRE(tries < 100);
    done = 0;
    stop = false;
    try {
      CHECK(bits(execute(options, limit)) == bits(expected));
      break;
    } catch (susc::interrupted const&) {
      limit_of_steps += 9;
    }
  }
}

namespace {
/// Calls `at_gradient(n)` before the n-th gradient, `at_losses(n)` before the n-th evaluation, counted from 0.
struct faulty : model {
  using model::model;
  void losses(std::span<double const> w, batch const& b, std::span<double> l) const {
    std::size_t const n = evaluations++;
    if (at_losses) at_losses(n);
    model::losses(w, b, l);
  }
  double loss_and_gradient(std::span<double const> w, batch const& b, std::span<double> gradient) const {
    std::size_t const n = gradients++;
    if (at_gradient) at_gradient(n);
    return model::loss_and_gradient(w, b, gradient);
  }
  std::function<void(std::size_t)> at_gradient, at_losses;
  mutable std::atomic<std::size_t> gradients = 0, evaluations = 0;
};

template <class S = susc::sgld>
auto run_faulty(faulty const& network, small_run<S> const& run, std::function<void()> at_minibatch = {}) {
  auto const minibatch = [&](std::size_t size, susc::random::key key) {
    if (at_minibatch) at_minibatch();
    return points(size, key.bits);
  };
  return susc::run_chains(network, run.w, susc::data_distribution{run.evaluation, minibatch}, run.probes,
                          susc::plan_sampling(network, run.options).components, run.options, susc::loss_trace{},
                          run.workers);
}
/// Throws `what` at the n-th call.
template <class E>
auto throws_at(std::size_t n, E what) {
  return [=](std::size_t call) {
    if (call == n) throw what;
  };
}
}  // namespace

TEST_CASE("checkpoint: a model that throws: the error says where, and all steps before it are kept") {
  small_run run;
  run.workers.count = 1;
  // layer2, the larger one, goes first. 3 + 6 * 2 steps of 2 minibatches of 3 chains in step.
  std::size_t const component = 15 * 6, before = 7 * 6;
  auto const expected = [&] { return bits(run_faulty(faulty({2, 3, 3}), run)); }();
  auto const resumes_with = [&](std::size_t gradients) {
    faulty const mended({2, 3, 3});
    CHECK(bits(run_faulty(mended, run)) == expected);
    CHECK(mended.gradients == gradients);
  };
  faulty network({2, 3, 3});
  SUBCASE("in a gradient") {
    temporary_folder const folder;
    run.options.run_directory = folder.path;
    network.at_gradient = throws_at(component + before + 4, std::runtime_error("made up"));
    try {
      run_faulty(network, run);
      FAIL("nothing was thrown");
    } catch (susc::error const& reason) {
      CHECK(reason.what() == std::string("component 'layer1', chain 1, step 8: made up"));
      CHECK_THROWS_WITH_AS(std::rethrow_if_nested(reason), "made up", std::runtime_error);
    }
    CHECK(folder.listing().size() == 2 + 2 * 3);
    resumes_with(component - before);
  }
  SUBCASE("in the first gradient of all") {
    temporary_folder const folder;
    run.options.run_directory = folder.path;
    network.at_gradient = throws_at(0, std::runtime_error("made up"));
    CHECK(error_message([&] { run_faulty(network, run); }) == "component 'layer2', chain 0, step 1: made up");
    resumes_with(2 * component);
  }
  SUBCASE("in its losses, at a draw: steps since chains were last kept are done again") {
    temporary_folder const folder;
    run.options.run_directory = folder.path;
    faulty const counting({2, 3, 3});
    run_faulty(counting, run);
    std::filesystem::remove_all(folder.path);
    // The fourth evaluation from the end: chain 2 at step 13, the fifth of its six draws.
    network.at_losses = throws_at(counting.evaluations - 4, std::runtime_error("made up"));
    CHECK(error_message([&] { run_faulty(network, run); }) == "component 'layer1', chain 2, step 13: made up");
    resumes_with(component);
    std::filesystem::remove_all(folder.path);
    run.options.seconds_between_checkpoints = 0;
    network.evaluations = 0;
    CHECK(error_message([&] { run_faulty(network, run); }) == "component 'layer1', chain 2, step 13: made up");
    resumes_with(3 * 6);
  }
  SUBCASE("in the minibatches") {
    temporary_folder const folder;
    run.options.run_directory = folder.path;
    int left = 1 + 2 * 15 + 2 * 4 + 1;  // one that describes the run
    CHECK(error_message([&] {
            run_faulty(network, run, [&] {
              if (left-- == 0) throw std::runtime_error("made up");
            });
          }) == "component 'layer1', minibatch of step 5: made up");
    resumes_with(component - 4 * 6);
  }
  SUBCASE("no memory, or an interruption of its own: what it is") {
    temporary_folder const folder;
    run.options.run_directory = folder.path;
    network.at_gradient = throws_at(component + before, std::bad_alloc());
    CHECK_THROWS_AS(run_faulty(network, run), std::bad_alloc);
    network.gradients = 0;
    network.at_gradient = throws_at(6, susc::interrupted("by hand"));
    CHECK_THROWS_WITH_AS(run_faulty(network, run), "by hand", susc::interrupted);
    resumes_with(component - before - 6);
  }
}

TEST_CASE("checkpoint: a model that throws in a chain that accepts or rejects") {
  small_run<susc::mala> run;
  run.workers.count = 1;
  auto const expected = bits(run_faulty(faulty({2, 3, 3}), run));
  temporary_folder const folder;
  run.options.run_directory = folder.path;
  run.options.seconds_between_checkpoints = 0;
  for (std::size_t const n : {0, 3, 7, 20, 50}) {
    faulty network({2, 3, 3});
    network.at_gradient = throws_at(n, std::runtime_error("made up"));
    check_words(error_message([&] { run_faulty(network, run); }), {"component 'layer", "', chain ", ": made up"});
  }
  CHECK(bits(run_faulty(faulty({2, 3, 3}), run)) == expected);
}

TEST_CASE("checkpoint: a task that fails ends the others soon, which keep what they have done") {
  small_run run;
  run.options.draws = 200;  // 403 steps of 2 gradients
  run.workers.count = 2;
  auto const expected = bits(run_faulty(faulty({2, 3, 3}), run));
  temporary_folder const folder;
  run.options.run_directory = folder.path;
  faulty network({2, 3, 3});
  network.at_gradient = [](std::size_t n) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (n == 40) throw std::runtime_error("made up");
  };
  auto const message = error_message([&] { run_faulty(network, run); });
  check_words(message, {"component 'layer2', chain ", ": made up"});
  CHECK(network.gradients < 400);  // a chain has 806
  CHECK(folder.listing().size() == 2 + 2);
  faulty const mended({2, 3, 3});
  CHECK(bits(run_faulty(mended, run)) == expected);
  // Nothing but the steps under way was done twice: two gradients of each of two chains, at most.
  CHECK(mended.gradients + network.gradients <= 6 * 806 + 4);
}

TEST_CASE("checkpoint: of four chains one diverges: the others are those of a run in which none does") {
  small_run run;
  run.options.chains = 4;
  run.options.components = {"layer2"};
  run.workers.count = 1;
  auto const expected = bits(run_faulty(faulty({2, 3, 3}), run));
  struct fatal : faulty {
    using faulty::faulty;
    double loss_and_gradient(std::span<double const> w, batch const& b, std::span<double> gradient) const {
      // 8 gradients a step; that of chain 2 in the first minibatch of step 6.
      double const loss = faulty::loss_and_gradient(w, b, gradient);
      return gradients == 5 * 8 + 3 ? std::numeric_limits<double>::quiet_NaN() : loss;
    }
  };
  fatal const network({2, 3, 3});
  temporary_folder const folder;
  run.options.run_directory = folder.path;
  auto const minibatch = [](std::size_t size, susc::random::key key) { return points(size, key.bits); };
  auto const execute = [&] {
    return susc::run_chains(network, run.w, susc::data_distribution{run.evaluation, minibatch}, run.probes,
                            susc::plan_sampling(network, run.options).components, run.options, susc::loss_trace{},
                            run.workers);
  };
  for (auto const& chains : {execute(), execute()}) {  // sampled, then read
    auto const seen = bits(chains);
    for (std::size_t chain : {0, 1, 3}) CHECK(seen[chain] == expected[chain]);
    CHECK(chains[0].dropped_chains() == 1);
    CHECK(chains[0].outcomes[2].diverged);
    CHECK(chains[0].outcomes[2].steps == 6);
    CHECK(chains[0].merged()->traces.size() == 3);
  }
}

TEST_CASE("checkpoint: files of the future are those of now") {
  small_run run;
  auto const expected = bits(run());
  temporary_folder const folder;
  run.options.run_directory = folder.path;
  CHECK(!run_for(run, 30));
  for (auto const& entry : std::filesystem::directory_iterator(folder.path))
    std::filesystem::last_write_time(entry,
                                     std::filesystem::file_time_type::clock::now() + std::chrono::hours(100'000));
  CHECK(bits(run()) == expected);
}

TEST_CASE("checkpoint: visitors and samplers that cannot be kept are refused in a run directory, and run without") {
  struct counter {
    std::size_t seen = 0;
    void start(susc::draw<model> const&, susc::draw_counts) {}
    void add(susc::draw<model> const&) { ++seen; }
    void merge(counter const& other) { seen += other.seen; }
  };
  temporary_folder const folder;
  small_run run;
  auto const minibatch = [](std::size_t size, susc::random::key key) { return points(size, key.bits); };
  auto const execute = [&] {
    return susc::run_chains(run.network, run.w, susc::data_distribution{run.evaluation, minibatch}, run.probes,
                            susc::plan_sampling(run.network, run.options).components, run.options, counter{});
  };
  CHECK(execute()[0].chains[0].seen == 6);
  run.options.run_directory = folder.path;
  check_words(error_message(execute), {"run_directory", "cannot be kept", "members"});
}

TEST_CASE("checkpoint: processes of a run compare all that they were given") {
  small_run const run;
  auto const shared = [&](auto change) {
    auto other = run.options;
    change(other);
    return susc::detail::settings_to_share({{"weights", "1f"}},
                                           {{{"losses of probe", other.seed == 1 ? "2" : "3"}}, "4"},
                                           susc::plan_sampling(run.network, other).components, other);
  };
  auto const own = shared([](auto&) {});
  susc::detail::require_shared(own, own);
  auto const differ = [&](auto change, std::vector<std::string> const& words) {
    check_words(error_message([&] { susc::detail::require_shared(own, shared(change)); }), words);
  };
  differ([](auto& o) { o.seed = 2; }, {"losses of probe is 2 there, 3 here"});
  differ([](auto& o) { o.chains = 4; }, {"not the run of the first process", "chains is 3 there, 4 here"});
  differ([](auto& o) { o.draws = 7; }, {"draws is 6 there, 7 here"});
  differ([](auto& o) { o.run_directory = "kept"; }, {"run_directory is no there, yes here"});
  differ([](auto& o) { o.sampler.step_size = .02; }, {"component 'layer1': step_size is 0.01 there, 0.02 here"});
  differ([](auto& o) { o.posterior.n_beta = 11; }, {"component 'layer2': n_beta is 10 there, 11 here"});
  differ([](auto& o) { o.components.pop_back(); }, {"component 'layer2': n_beta is 10 there, not set here"});
}

TEST_CASE("checkpoint: without a run directory an interruption says that nothing was kept") {
  CHECK(!run_for(small_run{}, 10));
}
