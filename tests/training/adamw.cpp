#include "susc/training/adamw.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "susc/models/quadratic.hpp"
#include "susc/models/transformer.hpp"
#include "susc/models/transformer_init.hpp"
#include "susc/sampling/executor.hpp"

namespace {

using susc::training_options;

// ½ Σ a_i (w_i - c_i)², the mean of two examples.
susc::quadratic<double> parabola() {
  std::vector<double> const c{.3, -1, .25}, slope{.5, -.25, 1};
  auto const example = [&](double sign) {
    return susc::quadratic<double>::example{
        0, {sign * slope[0], sign * slope[1], sign * slope[2]}, {2 + sign, 0, 0, 0, .5, 0, 0, 0, 8 - sign}};
  };
  return susc::quadratic<double>(c, {example(1), example(-1)});
}
auto const both = [](std::size_t, susc::random::key) { return std::vector<std::size_t>{0, 1}; };

struct trace {
  std::vector<std::vector<double>> weights;
  std::vector<double> losses;
};

trace run_parabola(training_options const& options, std::vector<susc::index_range> const& decayed) {
  trace result;
  std::vector<double> w{1, -.5, .75};
  susc::train_adamw(parabola(), std::span<double>(w), both, decayed, options, susc::sequential{},
                    [&](std::size_t step, double loss) {
                      CHECK(step == result.losses.size());
                      result.losses.push_back(loss);
                      result.weights.push_back(w);
                    });
  return result;
}

}  // namespace

TEST_CASE("adamw: five steps are those of torch.optim.AdamW") {
  // import torch
  // torch.set_default_dtype(torch.float64)
  // a, c = torch.tensor([2.0, 0.5, 8.0]), torch.tensor([0.3, -1.0, 0.25])
  // for clip in (100.0, 1.0):
  //     p = [torch.nn.Parameter(torch.tensor([x])) for x in (1.0, -0.5, 0.75)]
  //     optimizer = torch.optim.AdamW(
  //         [{"params": p[:2], "weight_decay": 0.3}, {"params": p[2:], "weight_decay": 0.0}],
  //         betas=(0.9, 0.98), eps=1e-8)
  //     for rate in (0.05, 0.1, 0.1, 0.1, 0.05):  # warm-up over 2 steps, decay over the last 40 %
  //         for group in optimizer.param_groups:
  //             group["lr"] = rate
  //         optimizer.zero_grad()
  //         loss = 0.5 * (a * (torch.cat(p) - c) ** 2).sum()
  //         loss.backward()
  //         norm = torch.cat([x.grad for x in p]).norm().item()
  //         for x in p:
  //             x.grad *= min(1, clip / norm)
  //         optimizer.step()
  //         print(f"{loss.item():.15g}", *(f"{x.item():.15g}" for x in p))
  struct {
    double clip;
    double expected[5][4];  // the loss before the step, the weights after it
  } const cases[]{{100,
                   {{1.5525, .935000000357143, -.542499998, .700000000125},
                    {1.26555156386107, .807275360784956, -.625937876665739, .600362004449671},
                    {.783323046335806, .684792249936067, -.705662021170956, .50236145149378},
                    {.424468995856342, .568583038129913, -.78081933878731, .407539828534775},
                    {.183422079232567, .514260059545235, -.8156122083485, .362749674623493}}},
                  {1,
                   {{1.5525, .935000001516175, -.542499991509418, .700000000530661},
                    {1.26555156827814, .8069357685233, -.626255112800207, .600001977119053},
                    {.781910719534289, .682650070905681, -.707609638832467, .500013725373472},
                    {.41782155909053, .561938619489311, -.786740748548737, .400054159949523},
                    {.170046721134983, .503239570986269, -.825247939614204, .350120450793899}}}};
  for (auto const& c : cases) {
    CAPTURE(c.clip);
    auto const seen = run_parabola({.steps = 5,
                                    .batch_size = 8,
                                    .learning_rate = .1,
                                    .beta1 = .9,
                                    .beta2 = .98,
                                    .epsilon = 1e-8,
                                    .weight_decay = .3,
                                    .clip = c.clip,
                                    .warm_up = 2,
                                    .decay_fraction = .4},
                                   {{0, 2}});
    REQUIRE(seen.losses.size() == 5);
    for (std::size_t step = 0; step != 5; ++step) {
      CAPTURE(step);
      CHECK(seen.losses[step] == doctest::Approx(c.expected[step][0]).epsilon(1e-12));
      for (std::size_t i = 0; i != 3; ++i)
        CHECK(seen.weights[step][i] == doctest::Approx(c.expected[step][1 + i]).epsilon(1e-12));
    }
  }
}

TEST_CASE("adamw: many steps are those of the formula, with an epsilon that matters") {
  // Loshchilov & Hutter 2019, Algorithm 2, with the decay times the rate (as PyTorch has it).
  training_options const o{.steps = 60,
                           .batch_size = 4,
                           .learning_rate = .02,
                           .beta1 = .8,
                           .beta2 = .95,
                           .epsilon = .3,
                           .weight_decay = .5,
                           .clip = 2,
                           .warm_up = 7,
                           .decay_fraction = .25};
  auto const seen = run_parabola(o, {{1, 3}});
  double const a[]{2, .5, 8}, c[]{.3, -1, .25};
  double w[]{1, -.5, .75}, m[3]{}, v[3]{};
  for (std::size_t t = 1; t <= o.steps; ++t) {
    double g[3], norm = 0;
    for (int i = 0; i != 3; ++i) g[i] = a[i] * (w[i] - c[i]), norm += g[i] * g[i];
    norm = std::sqrt(norm);
    double rate = o.learning_rate;
    if (t < 7) rate *= static_cast<double>(t) / 7;
    if (t > 46) rate *= static_cast<double>(61 - t) / 15;
    for (int i = 0; i != 3; ++i) {
      if (norm > 2) g[i] *= 2 / norm;
      m[i] = .8 * m[i] + .2 * g[i];
      v[i] = .95 * v[i] + .05 * g[i] * g[i];
      double const first = m[i] / (1 - std::pow(.8, t)), second = v[i] / (1 - std::pow(.95, t));
      w[i] -= rate * (first / (std::sqrt(second) + .3) + (i > 0 ? .5 * w[i] : 0));
      CHECK(seen.weights[t - 1][static_cast<std::size_t>(i)] == doctest::Approx(w[i]).epsilon(1e-12));
    }
  }
}

TEST_CASE("adamw: weight decay shrinks the coordinates it is asked to, and no other") {
  // At the minimum of a flat loss nothing else moves them.
  susc::quadratic<double> const flat(std::vector<double>(5), {{1, std::vector<double>(5), std::vector<double>(25)}});
  std::vector<double> w{1, 2, 3, 4, 5};
  std::vector<susc::index_range> const decayed{{0, 1}, {3, 4}};
  susc::train_adamw(
      flat, std::span<double>(w), [](std::size_t, susc::random::key) { return std::vector<std::size_t>{0}; }, decayed,
      {.steps = 3, .batch_size = 4, .learning_rate = .1, .weight_decay = 2, .warm_up = 0, .decay_fraction = 0},
      susc::sequential{});
  double const kept = std::pow(1 - .1 * 2, 3);
  CHECK(w[0] == doctest::Approx(kept).epsilon(1e-14));
  CHECK(w[3] == doctest::Approx(4 * kept).epsilon(1e-14));
  CHECK(w[1] == 2);
  CHECK(w[2] == 3);
  CHECK(w[4] == 5);
}

TEST_CASE("learning rate: rises to the full rate at warm_up, falls over the last part, and its corners") {
  training_options o{.steps = 1000, .learning_rate = 2, .warm_up = 100, .decay_fraction = .3};
  CHECK(susc::learning_rate(o, 0) == doctest::Approx(.02).epsilon(1e-14));
  CHECK(susc::learning_rate(o, 49) == doctest::Approx(1).epsilon(1e-14));
  CHECK(susc::learning_rate(o, 98) == doctest::Approx(1.98).epsilon(1e-14));
  CHECK(susc::learning_rate(o, 99) == 2);
  CHECK(susc::learning_rate(o, 700) == 2);
  CHECK(susc::learning_rate(o, 701) == doctest::Approx(2 * 299 / 300.).epsilon(1e-14));
  CHECK(susc::learning_rate(o, 850) == doctest::Approx(1).epsilon(1e-14));
  CHECK(susc::learning_rate(o, 999) == doctest::Approx(2 / 300.).epsilon(1e-14));
  o.warm_up = 0;
  CHECK(susc::learning_rate(o, 0) == 2);
  o.decay_fraction = 0;
  CHECK(susc::learning_rate(o, 999) == 2);
  // Warm-up and decay may overlap, in a run that is shorter than both.
  o = {.steps = 10, .learning_rate = 2, .warm_up = 100, .decay_fraction = 1};
  CHECK(susc::learning_rate(o, 4) == doctest::Approx(2 * .05 * .6).epsilon(1e-14));
}

TEST_CASE("adamw: each part of each step has a minibatch key of its own, and a quarter of the batch") {
  std::mutex guard;
  std::set<std::uint64_t> keys;
  auto const minibatch = [&](std::size_t size, susc::random::key key) {
    std::lock_guard const lock(guard);
    CHECK(size == 6);
    keys.insert(key.bits);
    return std::vector<std::size_t>{0, 1};
  };
  std::vector<double> w(3);
  training_options const o{.steps = 10, .batch_size = 24};
  susc::train_adamw(parabola(), std::span<double>(w), minibatch, {}, o, susc::threads{2});
  CHECK(keys.size() == 40);
}

namespace {

// Tokens 0, 1, ..., 6 in a circle, from a random start: entropy ln 7 without context, 0 with it.
constexpr std::size_t circle = 7;
susc::token_batch cyclic(std::size_t size, susc::random::key key) {
  susc::token_batch batch{{}, size, 9};
  susc::random::stream stream(key);
  for (std::size_t i = 0; i != size; ++i)
    for (std::size_t start = stream.below(circle), t = 0; t != batch.length; ++t)
      batch.tokens.push_back(static_cast<susc::token>((start + t) % circle));
  return batch;
}

}  // namespace

TEST_CASE("adamw: a tiny transformer learns a cyclic language, with the same bits for 1 and 2 threads") {
  constexpr susc::transformer_config config{
      .vocabulary = circle, .context = 8, .width = 16, .layers = 1, .heads = 2, .mlp_width = 16};
  susc::transformer<config> const model;
  training_options const options{.steps = 60, .batch_size = 16, .learning_rate = 1e-2, .warm_up = 10};
  auto const train = [&](auto const& run, std::uint64_t seed) {
    auto w = susc::initial_weights<float>(model.layout(), {1});
    double first = 0, last = 0;
    auto with_seed = options;
    with_seed.seed = seed;
    susc::train_adamw(model, std::span<float>(w), cyclic, susc::decayed_ranges(model.layout()), with_seed, run,
                      [&](std::size_t step, double loss) { (step == 0 ? first : last) = loss; });
    CHECK(first > .9 * std::log(7));
    CHECK(last < .1 * std::log(7));
    return w;
  };
  auto const one = train(susc::sequential{}, 1);
  CHECK(one == train(susc::threads{1}, 1));
  CHECK(one == train(susc::threads{2}, 1));
  CHECK(one == train(susc::threads{3}, 1));
  CHECK(one != train(susc::sequential{}, 2));
}

TEST_CASE("adamw: snapshots are the weights after so many steps, at the steps asked for and at no other") {
  training_options const plain{.steps = 12, .batch_size = 4, .learning_rate = .1, .warm_up = 3};
  std::vector<double> const before{1, -.5, .75};
  auto after = run_parabola(plain, {{0, 2}}).weights;
  after.insert(after.begin(), before);  // what is reported after step t are the weights after t + 1 steps
  for (std::vector<std::size_t> const& asked : {std::vector<std::size_t>{0, 1, 5, 12}, {3}, {0}, {12}, {}}) {
    auto o = plain;
    o.snapshot_steps = asked;
    std::vector<std::size_t> seen;
    auto w = before;
    susc::train_adamw(parabola(), std::span<double>(w), both, std::vector<susc::index_range>{{0, 2}}, o,
                      susc::sequential{}, {}, [&](std::size_t steps, std::span<double const> weights) {
                        seen.push_back(steps);
                        CHECK(std::equal(weights.begin(), weights.end(), after[steps].begin(), after[steps].end()));
                      });
    CHECK(seen == asked);
    CHECK(w == after[12]);
  }
}

TEST_CASE("adamw: what cannot be trained is refused") {
  auto const refused = [](training_options const& o, std::size_t weights, char const* message) {
    std::vector<double> w(weights);
    CHECK_THROWS_WITH_AS(susc::train_adamw(parabola(), std::span<double>(w), both, {}, o, susc::sequential{}), message,
                         susc::error);
  };
  refused({.steps = 0, .batch_size = 4}, 3, "training steps is 0, must be at least 1");
  refused({.steps = 1, .batch_size = 0}, 3, "training batch_size is 0, must be a multiple of 4");
  refused({.steps = 1, .batch_size = 6}, 3, "training batch_size is 6, must be a multiple of 4");
  refused({.steps = 1, .batch_size = 4}, 4, "training: 4 weights given, the model has 3");
  refused({.steps = 9, .snapshot_steps = {1, 8}}, 3,
          "training: snapshot_steps are given, but no on_snapshot to take them");
  refused({.seconds_between_checkpoints = -1}, 3, "training seconds_between_checkpoints is -1, must not be negative");
  auto const snapshots = [](std::vector<std::size_t> steps, char const* message) {
    std::vector<double> w(3);
    training_options const o{.steps = 9, .snapshot_steps = std::move(steps)};
    CHECK_THROWS_WITH_AS(susc::train_adamw(parabola(), std::span<double>(w), both, {}, o, susc::sequential{}, {},
                                           [](std::size_t, std::span<double const>) {}),
                         message, susc::error);
  };
  snapshots({1, 10}, "training: a snapshot is wanted after step 10, there are 9");
  snapshots({1, 5, 5}, "training: snapshot_steps must ascend, each given once");
  snapshots({5, 1}, "training: snapshot_steps must ascend, each given once");
  std::vector<double> w{1, 1, std::numeric_limits<double>::infinity()};
  CHECK_THROWS_WITH_AS(susc::train_adamw(parabola(), std::span<double>(w), both, {}, {}, susc::threads{2}),
                       doctest::Contains("at step 0; a smaller learning rate would help"), susc::training_diverged);
}
