#include "susc/sampling/chain.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "susc/models/quadratic.hpp"
#include "susc/response/estimate.hpp"
#include "susc/sampling/mala.hpp"
#include "susc/sampling/sgld.hpp"

namespace {

using model_type = susc::quadratic<double>;

// L = ½ (w0² + 2 w1² + 3 w2²), example 1 with a slope.
model_type const model({0, 0, 0},
                       {{0, {0, 0, 0}, {1, 0, 0, 0, 2, 0, 0, 0, 3}}, {0, {1, 1, 1}, {1, 0, 0, 0, 2, 0, 0, 0, 3}}},
                       {{"ends", {{0, 1}, {2, 3}}}});
std::vector<double> const center{0, 0, 0};
susc::component const ends("ends", {{0, 1}, {2, 3}});
std::vector<std::size_t> const evaluation{0};
auto const first_example = [](std::size_t, susc::random::key) { return std::vector<std::size_t>{0}; };
susc::posterior_settings const target{.n_beta = 1, .localization = 1};

// A sampler that adds 1 to every weight: after step k (counted from 1) all weights are k.
struct counter {
  double step_size = 1;
  struct state {
    std::vector<double> w;
  };
  void check(susc::posterior_settings const&) const {}
  state init(std::span<double const> w0) const { return {{w0.begin(), w0.end()}}; }
  state step(state s, std::span<double const>, susc::posterior<double> const&, susc::random::key) const {
    for (double& w : s.w) w += 1;
    return s;
  }
};
static_assert(susc::Sampler<counter, double> && susc::Sampler<susc::sgld, double>);

struct record {
  std::vector<double> drawn;
  std::vector<std::size_t> progress;
  susc::chain_outcome outcome;
};
template <class S, class Minibatch>
record run(S const& sampler, Minibatch const& minibatch, susc::chain_length const& length,
           susc::chain_keys keys = {{1}, {2}}, susc::component const& c = ends) {
  susc::draw<model_type> at(model, center, c, evaluation, {});
  record r;
  r.outcome = susc::run_chain(
      model, std::span<double const>(center), c, target, sampler, minibatch, length, keys, at,
      [&](auto const& here) {
        CHECK((c.size() == 3 || here.weights()[1] == 0));  // frozen
        r.drawn.push_back(here.weights()[2]);
      },
      [&](std::size_t step) { r.progress.push_back(step); });
  return r;
}

}  // namespace

TEST_CASE("chain: exactly the steps after burn-in, one in `thinning`, are drawn") {
  for (std::size_t const burn_in : {0, 1, 7})
    for (std::size_t const thinning : {1, 2, 3})
      for (std::size_t const draws : {1, 5}) {
        CAPTURE(burn_in);
        CAPTURE(thinning);
        CAPTURE(draws);
        auto const r = run(counter{}, first_example, {draws, burn_in, thinning, 1});
        std::vector<double> expected;
        for (std::size_t d = 1; d <= draws; ++d) expected.push_back(static_cast<double>(burn_in + d * thinning));
        CHECK(r.drawn == expected);
        CHECK(r.outcome.steps == burn_in + draws * thinning);
        CHECK(r.outcome.steps == susc::chain_length{draws, burn_in, thinning, 1}.steps());
        CHECK(!r.outcome.diverged);
        // Progress is told after each step, in order.
        REQUIRE(r.progress.size() == r.outcome.steps);
        for (std::size_t step = 0; step != r.progress.size(); ++step) CHECK(r.progress[step] == step);
      }
}

TEST_CASE("chain: each step has a minibatch of the asked size and a key of its own") {
  std::vector<susc::random::key> seen;
  auto const minibatch = [&](std::size_t size, susc::random::key key) {
    CHECK(size == 6);
    seen.push_back(key);
    return std::vector<std::size_t>(size, 0);
  };
  run(counter{}, minibatch, {4, 3, 2, 6}, {{1}, {77}});
  REQUIRE(seen.size() == 11);
  for (std::size_t step = 0; step != seen.size(); ++step) CHECK(seen[step] == susc::random::fold_in({77}, step));
}

TEST_CASE("chain: noise and minibatches have streams of their own") {
  auto const random = [](std::size_t size, susc::random::key key) {
    susc::random::stream stream(key);
    std::vector<std::size_t> b(size);
    for (auto& e : b) e = stream.below(2);
    return b;
  };
  susc::sgld const sampler{.step_size = .1};
  auto const drawn = [&](std::uint64_t noise, std::uint64_t minibatches) {
    return run(sampler, random, {20, 0, 1, 3}, {{noise}, {minibatches}}).drawn;
  };
  CHECK(drawn(1, 2) == drawn(1, 2));
  CHECK(drawn(1, 2) != drawn(3, 2));
  CHECK(drawn(1, 2) != drawn(1, 3));
  // Without noise, the minibatches alone decide.
  auto const quiet = run(susc::sgld{.step_size = .1, .noise = 0}, random, {20, 0, 1, 3}, {{1}, {2}}).drawn;
  CHECK(quiet == run(susc::sgld{.step_size = .1, .noise = 0}, random, {20, 0, 1, 3}, {{9}, {2}}).drawn);
}

TEST_CASE("chain: a component's gradient is the model's own, or gathered from the whole") {
  // The same quadratic without its restricted gradient.
  struct plain {
    using scalar = double;
    using batch = std::vector<std::size_t>;
    std::size_t parameter_count() const { return 3; }
    std::size_t example_count(batch const& b) const { return b.size(); }
    void losses(std::span<double const> w, batch const& b, std::span<double> l) const { model.losses(w, b, l); }
    double loss_and_gradient(std::span<double const> w, batch const& b, std::span<double> g) const {
      return model.loss_and_gradient(w, b, g);
    }
  };
  static_assert(!susc::RestrictedModel<plain>);
  for (susc::component const& c : {ends, susc::full_component(3)}) {
    std::vector<double> expected, seen;
    plain const network{};
    susc::draw<plain> at(network, center, c, evaluation, {});
    susc::run_chain(
        network, std::span<double const>(center), c, target, susc::sgld{.step_size = .1}, first_example, {30, 2, 1, 1},
        {{1}, {2}}, at, [&](auto const& here) { seen.push_back(here.weights()[2]); }, [](std::size_t) {});
    CHECK(seen == run(susc::sgld{.step_size = .1}, first_example, {30, 2, 1, 1}, {{1}, {2}}, c).drawn);
  }
}

namespace {
int const only_batch = 0;
// The loss, or only the losses of the evaluation set, stop being finite where w passes 4.
struct cliff {
  using scalar = double;
  using batch = int;
  bool in_gradient, infinite;
  std::size_t parameter_count() const { return 1; }
  std::size_t example_count(int) const { return 1; }
  double bad() const { return infinite ? -std::numeric_limits<double>::infinity() : std::nan(""); }
  void losses(std::span<double const> w, int, std::span<double> l) const {
    l[0] = !in_gradient && w[0] > 4 ? bad() : w[0];
  }
  double loss_and_gradient(std::span<double const> w, int, std::span<double> g) const {
    g[0] = 1;
    return in_gradient && w[0] > 4 ? bad() : w[0];
  }
};
}  // namespace

TEST_CASE("chain: a loss that is no longer finite ends the chain at that step") {
  std::vector<double> const zero{0};
  auto const full = susc::full_component(1);
  auto const minibatch = [](std::size_t, susc::random::key) { return 0; };
  for (bool const in_gradient : {true, false})
    for (bool const infinite : {true, false}) {
      CAPTURE(in_gradient);
      cliff const model_of_cliff{in_gradient, infinite};
      susc::draw<cliff> at(model_of_cliff, zero, full, only_batch, {});
      std::vector<double> drawn;
      std::size_t steps_told = 0;
      auto const outcome = susc::run_chain(
          model_of_cliff, std::span<double const>(zero), full, target, counter{}, minibatch, {10, 1, 1, 1}, {{1}, {2}},
          at, [&](auto const& here) { drawn.push_back(here.weights()[0]); }, [&](std::size_t) { ++steps_told; });
      CHECK(outcome.diverged);
      // Weights are k after step k. The minibatch's loss is taken before its step, the draw's after it.
      CHECK(outcome.steps == (in_gradient ? 6 : 5));
      CHECK(drawn == (in_gradient ? std::vector<double>{2, 3, 4, 5} : std::vector<double>{2, 3, 4}));
      CHECK(steps_told == outcome.steps - 1);
    }
}

namespace {
// A dead ReLU: the loss is finite where the weight is not. Batch 1, the probe's, has a loss that is NaN where w
// passes 4.
struct blind {
  using scalar = double;
  using batch = int;
  bool nan_gradient;
  std::size_t parameter_count() const { return 1; }
  std::size_t example_count(int) const { return 1; }
  void losses(std::span<double const> w, int b, std::span<double> l) const {
    l[0] = b == 1 && w[0] > 4 ? std::nan("") : w[0] > 0 ? w[0] : 0;
  }
  double loss_and_gradient(std::span<double const> w, int, std::span<double> g) const {
    g[0] = nan_gradient && w[0] > 4 ? std::nan("") : 1;
    return w[0] > 0 ? w[0] : 0;
  }
};
// `counter`, which adds what a NaN in the gradient leaves of 1.
struct counter_of_gradients : counter {
  state step(state s, std::span<double const> g, susc::posterior<double> const&, susc::random::key) const {
    for (std::size_t i = 0; i != g.size(); ++i) s.w[i] += g[i];
    return s;
  }
};
}  // namespace

TEST_CASE("chain: weights, or losses of a probe that a visitor asks for, that are not finite end the chain") {
  std::vector<double> const zero{0};
  auto const full = susc::full_component(1);
  std::vector<susc::probe<int>> const probes{{"probe", 1}};
  auto const minibatch = [](std::size_t, susc::random::key) { return 0; };
  auto const run_blind = [&](bool nan_gradient, bool asks, std::vector<double>& drawn) {
    blind const model_of_relu{nan_gradient};
    susc::draw<blind> at(model_of_relu, zero, full, only_batch, probes);
    return susc::run_chain(
        model_of_relu, std::span<double const>(zero), full, target, counter_of_gradients{}, minibatch, {10, 0, 2, 1},
        {{1}, {2}}, at,
        [&](auto const& here) {
          drawn.push_back(here.weights()[0]);
          if (asks) here.probe_losses();
        },
        [](std::size_t) {});
  };
  std::vector<double> drawn;
  auto outcome = run_blind(true, false, drawn);  // weights are 1, 2, 3, 4, 5, NaN; every second is drawn
  CHECK(outcome.diverged);
  CHECK(outcome.steps == 6);
  CHECK(drawn == std::vector<double>{2, 4});
  drawn.clear();
  outcome = run_blind(false, true, drawn);
  CHECK(outcome.diverged);
  CHECK(outcome.steps == 6);
  CHECK(drawn == std::vector<double>{2, 4, 6});  // it had been visited by then
  CHECK(outcome.draws == 3);
  drawn.clear();
  outcome = run_blind(false, false, drawn);
  CHECK(!outcome.diverged);
  CHECK(drawn.size() == 10);
}

TEST_CASE("chain: minibatches are shared by all chains and components, or by none") {
  for (bool const common : {true, false}) {
    CAPTURE(common);
    std::vector<std::uint64_t> keys;
    auto const minibatch = [&](std::size_t, susc::random::key key) {
      keys.push_back(key.bits);
      return std::vector<std::size_t>{0};
    };
    susc::data_distribution const data{evaluation, minibatch};
    std::size_t const steps = 3 + 2 * 4;
    susc::sampling_options<> const options{.components = {"ends"},
                                           .posterior = target,
                                           .sampler = {.step_size = .1},
                                           .chains = 3,
                                           .draws = 4,
                                           .burn_in = 3,
                                           .thinning = 2,
                                           .common_minibatches = common};
    auto const result = susc::estimate_susceptibilities(
        model, center, data, std::vector<susc::probe<std::vector<std::size_t>>>{{"one", {1}}}, options,
        susc::sequential{});
    // All weights and "ends", three chains each, which go in step where they share.
    REQUIRE(keys.size() == 2 * (common ? 1 : 3) * steps);
    for (std::size_t a = 0; a != keys.size(); ++a)
      for (std::size_t b = 0; b != a; ++b) CHECK((keys[a] == keys[b]) == (common && a % steps == b % steps));
    // Noise is each chain's own either way.
    auto const& traces = result.components[0].observable_traces;
    for (std::size_t chain : {1, 2}) CHECK(traces[chain] != traces[0]);
    CHECK(traces[1] != traces[2]);
  }
}

TEST_CASE("chain: counts of zero are refused by name") {
  CHECK_NOTHROW(susc::check(susc::chain_length{}));
  CHECK_NOTHROW(susc::check(susc::chain_length{.burn_in = 0}));
  CHECK_THROWS_WITH_AS(susc::check(susc::chain_length{.draws = 0}), "draws is 0, must be at least 1", susc::error);
  CHECK_THROWS_WITH_AS(susc::check(susc::chain_length{.thinning = 0}), "thinning is 0, must be at least 1",
                       susc::error);
  CHECK_THROWS_WITH_AS(susc::check(susc::chain_length{.batch_size = 0}), "batch_size is 0, must be at least 1",
                       susc::error);
}

namespace {
// Plain gradient descent that writes down where it was and what gradient it was given.
struct listener {
  double step_size = .1;
  std::vector<std::vector<double>>*weights = nullptr, *gradients = nullptr;
  using state = counter::state;
  void check(susc::posterior_settings const&) const {}
  state init(std::span<double const> w0) const { return {{w0.begin(), w0.end()}}; }
  state step(state s, std::span<double const> g, susc::posterior<double> const&, susc::random::key) const {
    weights->push_back(s.w);
    gradients->emplace_back(g.begin(), g.end());
    for (std::size_t i = 0; i != s.w.size(); ++i) s.w[i] -= step_size * g[i];
    return s;
  }
};

// Asks for the loss and the gradient twice a step, a little apart, and writes down both losses.
struct corrected_listener {
  double step_size = 1;
  std::vector<double>* losses = nullptr;
  using state = counter::state;
  void check(susc::posterior_settings const&) const {}
  state init(std::span<double const> w0) const { return {{w0.begin(), w0.end()}}; }
  template <class Evaluate>
  state step(state s, Evaluate const& evaluate, susc::posterior<double> const&, susc::random::key) const {
    std::vector<double> gradient(s.w.size());
    for (int i = 0; i != 2; ++i) {
      losses->push_back(evaluate(std::span<double const>(s.w), std::span<double>(gradient)));
      for (double& w : s.w) w += 1;
    }
    return s;
  }
};

struct without_check : counter {
  void check(susc::posterior_settings const&) const = delete;
};
struct without_step_size {
  using state = counter::state;
  void check(susc::posterior_settings const&) const {}
  state init(std::span<double const> w0) const { return counter{}.init(w0); }
  state step(state s, std::span<double const>, susc::posterior<double> const&, susc::random::key) const { return s; }
};
struct without_weights : counter {
  struct state {
    std::vector<double> x;
  };
  state init(std::span<double const>) const { return {}; }
  state step(state s, std::span<double const>, susc::posterior<double> const&, susc::random::key) const { return s; }
};
struct without_step {
  double step_size = 1;
  void check(susc::posterior_settings const&) const {}
  counter::state init(std::span<double const> w0) const { return counter{}.init(w0); }
};
struct returning_nothing : without_step {
  void step(counter::state, std::span<double const>, susc::posterior<double> const&, susc::random::key) const {}
};

static_assert(susc::Sampler<listener, double> && susc::Sampler<corrected_listener, double>);
static_assert(susc::CorrectedSampler<corrected_listener, double> && susc::CorrectedSampler<susc::mala, float>);
static_assert(!susc::CorrectedSampler<counter, double> && !susc::CorrectedSampler<susc::sgld, double>);
static_assert(!susc::Sampler<without_check, double> && !susc::Sampler<without_step_size, double>);
static_assert(!susc::Sampler<without_weights, double> && !susc::Sampler<without_step, double>);
static_assert(!susc::Sampler<returning_nothing, double> && !susc::CorrectedSampler<without_step, double>);
struct corrected_in_double {  // asks for a loss in another type than the weights'
  double step_size = 1;
  void check(susc::posterior_settings const&) const {}
  counter::state init(std::span<double const> w0) const { return counter{}.init(w0); }
  counter::state step(counter::state s, susc::detail::evaluation<float> const&, susc::posterior<double> const&,
                      susc::random::key) const {
    return s;
  }
};
static_assert(susc::CorrectedSampler<susc::mala, double> && !susc::CorrectedSampler<corrected_in_double, double>);
static_assert(!susc::CorrectedSampler<returning_nothing, double>);
static_assert(!susc::Sampler<counter, float> && !susc::Sampler<int, double>);  // its weights are double
}  // namespace

TEST_CASE("chain: gradient accumulation averages exactly the minibatches that the keys name") {
  auto const random = [](std::size_t size, susc::random::key key) {
    susc::random::stream stream(key);
    std::vector<std::size_t> b(size);
    for (auto& e : b) e = stream.below(2);
    return b;
  };
  for (susc::component const& c : {ends, susc::full_component(3)})
    for (std::size_t const parts : {1, 2, 5}) {
      CAPTURE(parts);
      std::vector<std::vector<double>> weights, gradients;
      std::vector<susc::random::key> keys;
      auto const minibatch = [&](std::size_t size, susc::random::key key) {
        keys.push_back(key);
        return random(size, key);
      };
      run(listener{.1, &weights, &gradients}, minibatch, {4, 3, 2, 3, parts}, {{1}, {77}}, c);
      REQUIRE(gradients.size() == 11);
      REQUIRE(keys.size() == 11 * parts);
      for (std::size_t i = 0; i != keys.size(); ++i) CHECK(keys[i] == susc::random::fold_in({77}, i));
      for (std::size_t step = 0; step != gradients.size(); ++step) {
        std::vector<double> w = center, expected(c.size()), part(c.size());
        c.scatter(std::span<double const>(weights[step]), std::span<double>(w));
        for (std::size_t k = 0; k != parts; ++k) {
          auto const batch = random(3, susc::random::fold_in({77}, step * parts + k));
          model.loss_and_gradient(w, batch, c, part);
          for (std::size_t i = 0; i != part.size(); ++i) expected[i] += part[i] / static_cast<double>(parts);
        }
        for (std::size_t i = 0; i != expected.size(); ++i)
          CHECK(gradients[step][i] == doctest::Approx(expected[i]).epsilon(1e-13));
      }
    }
}

TEST_CASE("chain: a corrected sampler sees the same minibatch at every step") {
  for (std::size_t const parts : {1, 3}) {  // it needs no accumulation
    CAPTURE(parts);
    std::vector<susc::random::key> keys;
    std::vector<double> losses;
    auto const minibatch = [&](std::size_t, susc::random::key key) {
      keys.push_back(key);
      return std::vector<std::size_t>{key == susc::random::fold_in({77}, 0) ? 1u : 0u};
    };
    auto const r = run(corrected_listener{1, &losses}, minibatch, {4, 3, 2, 3, parts}, {{1}, {77}});
    REQUIRE(r.outcome.steps == 11);
    REQUIRE(keys.size() == 11);
    for (auto const key : keys) CHECK(key == susc::random::fold_in({77}, 0));
    REQUIRE(losses.size() == 22);
    // Weights 0 and 2 are both t at the t-th evaluation: ½ (t² + 3 t²), and the slope 2 t of the minibatch.
    for (std::size_t i = 0; i != losses.size(); ++i) {
      double const t = static_cast<double>(i);
      CHECK(losses[i] == doctest::Approx(2 * t * t + 2 * t).epsilon(1e-13));
    }
  }
}

TEST_CASE("chain: in a whole run a corrected sampler sees the evaluation set, never a minibatch") {
  std::size_t asked = 0;
  susc::data_distribution const data{evaluation, [&](std::size_t, susc::random::key) {
                                       ++asked;
                                       return std::vector<std::size_t>{1};
                                     }};
  susc::sampling_options<susc::mala> const options{
      .components = {"ends"}, .posterior = target, .sampler = {.step_size = .1}, .chains = 2, .draws = 5};
  auto const of = [&](auto const& distribution) {
    return susc::estimate_susceptibilities(model, center, distribution,
                                           std::vector<susc::probe<std::vector<std::size_t>>>{{"one", {1}}}, options,
                                           susc::sequential{})
        .components[0]
        .observable_traces;
  };
  auto const traces = of(data);
  CHECK(asked == 0);
  CHECK(traces == of(susc::data_distribution{evaluation, first_example}));
}

TEST_CASE("chain: steps, draws and the seconds of both are counted, up to where a chain diverges") {
  auto const r = run(susc::sgld{.step_size = .1}, first_example, {6, 2, 3, 1});
  CHECK(r.outcome.steps == 20);
  CHECK(r.outcome.draws == 6);
  CHECK(r.outcome.step_seconds > 0);
  CHECK(r.outcome.draw_seconds > 0);

  using namespace std::chrono_literals;
  cliff const model_of_cliff{false, false};
  std::vector<double> const zero{0};
  auto const full = susc::full_component(1);
  auto const slow = [](std::size_t, susc::random::key) {
    std::this_thread::sleep_for(2ms);
    return 0;
  };
  susc::draw<cliff> at(model_of_cliff, zero, full, only_batch, {});
  auto const outcome = susc::run_chain(
      model_of_cliff, std::span<double const>(zero), full, target, counter{}, slow, {10, 1, 1, 1}, {{1}, {2}}, at,
      [](auto const&) { std::this_thread::sleep_for(3ms); }, [](std::size_t) {});
  CHECK(outcome.diverged);
  CHECK(outcome.steps == 5);
  CHECK(outcome.draws == 3);
  CHECK(outcome.step_seconds >= 5 * .002);
  CHECK(outcome.draw_seconds >= 3 * .003);
}
