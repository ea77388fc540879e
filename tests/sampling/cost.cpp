#include "susc/sampling/cost.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "susc/models/quadratic.hpp"
#include "susc/models/transformer.hpp"
#include "susc/models/transformer_init.hpp"
#include "susc/response/estimate.hpp"
#include "susc/sampling/mala.hpp"

namespace {

using susc::pass;

// Counts passes, and how often each is asked for: an oracle for the sums of a run. Losses and gradients are those of a
// quadratic.
struct counting : susc::quadratic<double> {
  struct frozen {
    batch examples;
  };
  std::vector<susc::component> parts{{"first", {{0, 1}}}, {"second", {{1, 2}}}};
  counting() : quadratic<double>({0, 0}, {{0, {0, 0}, {1, 0, 0, 2}}}) {}

  using quadratic<double>::losses;
  using quadratic<double>::loss_and_gradient;
  std::vector<susc::component> components() const { return parts; }
  frozen freeze(std::span<double const>, susc::component const&, batch const& b) const { return {b}; }
  void freeze(std::span<double const>, susc::component const&, batch const& b, frozen& to) const { to.examples = b; }
  void losses(std::span<double const> w, frozen const& f, std::span<double> losses) const {
    this->losses(w, f.examples, losses);
  }
  double loss_and_gradient(std::span<double const> w, frozen const& f, susc::component const& c,
                           std::span<double> gradient) const {
    return this->loss_and_gradient(w, f.examples, c, gradient);
  }
  double operations(pass what, susc::component const&, batch const& b) const {
    double const each[] = {1e0, 1e3, 1e6, 1e9, 1e12};  // losses, gradient, freeze, frozen losses, frozen gradient
    return static_cast<double>(b.size()) * each[static_cast<int>(what)];
  }
  std::size_t frozen_bytes(susc::component const&, batch const& b) const { return 1000 * b.size(); }
  std::size_t workspace_bytes(batch const& b) const { return 1'000'000 * b.size(); }
};

using batch = counting::batch;

struct setting {
  susc::data_distribution<batch, batch (*)(std::size_t, susc::random::key)> data{
      batch(3), [](std::size_t size, susc::random::key) { return batch(size); }};
  std::vector<susc::probe<batch>> probes{{"a", batch(1)}, {"b", batch(2)}};
  std::vector<double> center{0, 0};
  susc::sampling_options<> options{.posterior = {.n_beta = 3, .localization = 10},
                                   .sampler = {.step_size = .05},
                                   .chains = 4,
                                   .draws = 5,
                                   .burn_in = 2,
                                   .thinning = 3,
                                   .batch_size = 7};
};

bool usable(double seconds) {
  return std::isfinite(seconds) && seconds > 0;
}

}  // namespace

TEST_CASE("estimate_cost: operations are those of every pass of the run") {
  setting s;
  counting const model;
  static_assert(susc::FreezableGradientModel<counting> && susc::CountsOperations<counting> &&
                susc::CountsBytes<counting>);
  auto const cost = susc::estimate_cost(model, s.center, s.data, s.probes, s.options, susc::sequential{});
  CHECK(cost.chains == 12);
  CHECK(cost.workers == 1);
  REQUIRE(cost.components.size() == 3);
  CHECK(cost.components[0].name == "full");
  CHECK(cost.components[1].name == "first");
  CHECK(cost.components[2].name == "second");
  // One worker: the four chains of a component are one task, which freezes each minibatch once.
  double const steps = 2 + 5 * 3, fixed = 3 + 1 + 2;
  auto const of_batches = [&](double per_example) { return fixed * per_example; };
  for (auto const& c : cost.components) {
    CAPTURE(c.name);
    CHECK(c.tasks == 1);
    CHECK(c.steps == 4 * 17);
    CHECK(c.draws == 4 * 5);
    bool const whole = c.name == "full";
    double const step = whole ? 4 * 7e3 : 7e6 + 4 * 7e12;
    CHECK(*c.total_operations() == doctest::Approx(of_batches(1e6 + 1e9) + steps * step + 20 * of_batches(1e9)));
  }
  double sum = 0, seconds = 0;
  for (auto const& c : cost.components) sum += *c.total_operations(), seconds += c.total_seconds();
  CHECK(*cost.operations == doctest::Approx(sum));
  CHECK(usable(cost.seconds));
  CHECK(cost.seconds == doctest::Approx(seconds));
  CHECK(usable(cost.pilot_seconds));

  // Gradient accumulation takes several minibatches a step.
  s.options.gradient_accumulation = 2;
  auto const twice = susc::estimate_cost(model, s.center, s.data, s.probes, s.options, susc::sequential{});
  CHECK(twice.components[1].operations->step == doctest::Approx(2 * cost.components[1].operations->step));
}

TEST_CASE("estimate_cost: bytes are those of workers, running tasks and visitors") {
  setting s;
  counting const model;
  for (std::size_t const workers : {1, 3}) {
    auto const cost = susc::estimate_cost(model, s.center, s.data, s.probes, s.options, susc::threads{workers});
    CHECK(cost.workers == workers);
    CHECK(cost.workspace_bytes == static_cast<double>(workers) * 7e6);
    double largest = 0, visitors = 0;
    for (auto const& c : cost.components) {
      std::size_t const gang = 4 / c.tasks;
      bool const whole = c.name == "full";
      // w, start, gradient and state; losses; frozen evaluation set, probes, and minibatch.
      double const numbers = static_cast<double>(gang) * (whole ? 2 + 3 * 2 : 2 + 3 * 1) + 6;
      CHECK(c.task_bytes == 8 * numbers + 6e3 + (whole ? 0 : 7e3));
      susc::susceptibility_moments<> seen;
      susc::draw<counting> const at(model, s.center, model.parts[0], s.data.evaluation, s.probes);
      seen.start(at, {s.options.draws, s.options.chains, 0});
      CHECK(c.visitor_bytes == 4. * static_cast<double>(seen.bytes()));
      CHECK(seen.bytes() > 8 * (2 * 3 + 2 * 5 + seen.batches.size() * 6));
      largest = std::max(largest, c.task_bytes);
      visitors += c.visitor_bytes;
    }
    CHECK(cost.bytes >= cost.workspace_bytes + largest);
    CHECK(cost.bytes >= cost.workspace_bytes + 2 * visitors);
    CHECK(cost.bytes <= cost.workspace_bytes + static_cast<double>(workers) * largest + 2 * visitors);
  }
}

TEST_CASE("estimate_cost: a model that counts nothing still has seconds and bytes") {
  setting s;
  susc::quadratic<double> const model({0, 0}, {{0, {0, 0}, {1, 0, 0, 2}}}, {{"first", {{0, 1}}}});
  auto const cost = susc::estimate_cost(model, s.center, s.data, s.probes, s.options, susc::threads{2});
  CHECK(!cost.operations);
  CHECK(!cost.components[0].total_operations());
  CHECK(cost.workspace_bytes == 0);
  CHECK(cost.bytes > 0);
  CHECK(usable(cost.seconds));

  // A sampler that sees the evaluation set at each step.
  susc::sampling_options<susc::mala> options{
      .posterior = s.options.posterior, .sampler = {.step_size = .1}, .draws = 3};
  CHECK(usable(susc::estimate_cost(model, s.center, s.data, s.probes, options, susc::threads{2}).seconds));
}

TEST_CASE("estimate_cost: the pilot of a long run is a hundred steps") {
  setting s;
  std::atomic<std::size_t> minibatches = 0;
  auto const draw = [&](std::size_t size, susc::random::key) {
    ++minibatches;
    return batch(size);
  };
  susc::data_distribution<batch, decltype(draw)> const data{batch(3), draw};
  s.options.draws = 3'000'000;
  s.options.thinning = 10;
  susc::estimate_cost(counting{}, s.center, data, s.probes, s.options, susc::sequential{});
  std::size_t const long_run = minibatches.exchange(0);
  // Two kinds of component, the chains of each on the same minibatches, after one or two to warm up.
  CHECK(long_run >= 2 * (100 + 1));
  CHECK(long_run <= 2 * (100 + 2));
  s.options.draws = 30'000'000;
  susc::estimate_cost(counting{}, s.center, data, s.probes, s.options, susc::sequential{});
  CHECK(minibatches == long_run);
}

TEST_CASE("estimate_cost: a request to stop ends the pilot") {
  setting s;
  std::atomic<bool> const stop = true;
  s.options.stop = &stop;
  CHECK_THROWS_WITH_AS(susc::estimate_cost(counting{}, s.center, s.data, s.probes, s.options, susc::sequential{}),
                       "interrupted in the trial before the run; chains that are kept are as they were",
                       susc::interrupted);
}

TEST_CASE("estimate_cost: leaves options and run as they are") {
  setting s;
  counting const model;
  std::size_t steps = 0;
  s.options.progress = [&](std::size_t) { ++steps; };
  auto const before = susc::estimate_susceptibilities(model, s.center, s.data, s.probes, s.options, susc::sequential{});
  std::size_t const of_a_run = std::exchange(steps, 0);
  susc::estimate_cost(model, s.center, s.data, s.probes, s.options, susc::sequential{});
  CHECK(steps == 0);
  auto const after = susc::estimate_susceptibilities(model, s.center, s.data, s.probes, s.options, susc::sequential{});
  CHECK(steps == of_a_run);
  CHECK(before.components[0].observable_traces == after.components[0].observable_traces);
}

TEST_CASE("schedule_of: workers take the next task when they are free, and visitors stay") {
  std::vector<susc::component_cost> const components{
      {.name = "long", .tasks = 1, .steps = 3, .draws = 0, .seconds = {0, 1, 0}, .task_bytes = 100, .visitor_bytes = 1},
      {.name = "short",
       .tasks = 4,
       .steps = 4,
       .draws = 4,
       .seconds = {.5, .25, .25},
       .task_bytes = 10,
       .visitor_bytes = 40}};
  std::vector<susc::chain_task> const tasks{{0, 0, 1}, {1, 0, 1}, {1, 1, 1}, {1, 2, 1}, {1, 3, 1}};
  auto const two = susc::detail::schedule_of(tasks, components, 2);
  CHECK(two.seconds == 4);  // 3 beside three tasks of 1, and one more
  CHECK(two.bytes == 141);  // long beside the third short one: 100 + 10 + 1 + 3 * 10
  auto const one = susc::detail::schedule_of(tasks, components, 1);
  CHECK(one.seconds == 7);
  CHECK(one.bytes == 101);
}

TEST_CASE("estimate_cost: what cannot be run is refused with the run's own message") {
  setting s;
  counting const model;
  auto const message = [&](auto change) {
    auto options = s.options;
    change(options);
    try {
      susc::estimate_cost(model, s.center, s.data, s.probes, options, susc::sequential{});
    } catch (susc::error const& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(message([](auto& o) { o.draws = 0; }) == "draws is 0, must be at least 1");
  CHECK(message([](auto& o) { o.chains = 0; }) == "chains is 0, must be at least 1");
  CHECK(message([](auto& o) { o.components = {"third"}; }).starts_with("unknown component 'third'"));
  CHECK(message([](auto& o) { o.posterior.n_beta = 1e300; }).empty());  // a run that diverges has its cost
  s.center = {1};
  CHECK(message([](auto&) {}) == "the center has 1 weights, the model 2");
  s.center = {0, std::numeric_limits<double>::infinity()};
  CHECK(message([](auto&) {}) == "weight 1 of the center is inf, must be finite");
}
