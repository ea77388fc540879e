#include "susc/training/checkpoint.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/temporary_folder.hpp"
#include "susc/models/mlp.hpp"
#include "susc/sampling/executor.hpp"
#include "susc/training/adamw.hpp"

namespace {
using model = susc::mlp<float>;
using weights = std::vector<float>;

model::batch points(std::size_t count, susc::random::key key) {
  susc::random::stream random(key);
  model::batch b;
  for (std::size_t i = 0; i != count; ++i) {
    b.inputs.insert(b.inputs.end(), {static_cast<float>(random.normal()), static_cast<float>(random.normal())});
    b.labels.push_back(random.below(3));
  }
  return b;
}

/// A training small enough to be done hundreds of times.
struct small_training {
  model network{{2, 3, 3}};
  weights before = network.initial_weights({1});
  std::vector<susc::index_range> decayed{{0, 6}};
  susc::training_options options{
      .steps = 23, .batch_size = 8, .learning_rate = .05, .warm_up = 4, .snapshot_steps = {0, 1, 2, 4, 8, 16, 23}};
  std::function<model::batch(std::size_t, susc::random::key)> minibatch = points;
  std::function<void(std::size_t)> report = [](std::size_t) {};
  std::map<std::size_t, std::vector<weights>>* snapshots = nullptr;  ///< every one that was made
  std::function<void(std::size_t)> on_snapshot = [](std::size_t) {};
  susc::threads workers{1};

  weights operator()() const {
    weights w = before;
    susc::train_adamw(
        network, std::span<float>(w), minibatch, decayed, options, workers,
        [&](std::size_t step, double) { report(step); },
        [&](std::size_t steps, std::span<float const> at) {
          on_snapshot(steps);  // what fails here has not written it yet
          if (snapshots != nullptr) (*snapshots)[steps].emplace_back(at.begin(), at.end());
        });
    return w;
  }
};

/// Every snapshot was made, and where it was made again, with the same bits.
void check_same(std::map<std::size_t, std::vector<weights>> const& made,
                std::map<std::size_t, std::vector<weights>> const& expected) {
  CHECK(made.size() == expected.size());
  for (auto const& [snapshot_steps, copies] : made) {
    std::size_t const steps = snapshot_steps;  // clang 14 captures no binding
    CAPTURE(steps);
    REQUIRE(expected.contains(steps));
    for (weights const& copy : copies) CHECK(copy == expected.at(steps)[0]);
  }
}

struct undisturbed {
  std::map<std::size_t, std::vector<weights>> snapshots;
  weights w;
  undisturbed() {
    small_training run;
    run.snapshots = &snapshots;
    w = run();
    REQUIRE(snapshots.size() == run.options.snapshot_steps.size());
    REQUIRE(snapshots[0][0] == run.before);
    REQUIRE(snapshots[23][0] == w);
  }
};
}  // namespace

TEST_CASE(
    "training checkpoint: told to stop, any number of times and with any number of threads, ends with the same bits") {
  undisturbed const expected;
  susc::random::stream random({5});
  for (int attempt = 0; attempt != 40; ++attempt) {
    CAPTURE(attempt);
    temporary_folder const folder;
    std::map<std::size_t, std::vector<weights>> made;
    small_training run;
    run.snapshots = &made;
    run.options.run_directory = folder.path / "training";
    std::atomic<bool> stop = false;
    run.options.stop = &stop;
    std::vector<std::size_t> reported;
    for (bool ended = false; !ended;) {
      REQUIRE(reported.size() <= 23);
      std::size_t left = attempt < 3 ? 1 : 1 + random.below(23);
      run.report = [&](std::size_t step) {
        reported.push_back(step);
        stop = --left == 0;
      };
      run.workers.count = 1 + random.below(3);
      stop = false;
      try {
        CHECK(run() == expected.w);
        ended = true;
      } catch (susc::interrupted const& reason) {
        check_words(reason.what(), {"interrupted", "is kept in", run.options.run_directory.string()});
      }
    }
    // No step and no snapshot was made twice.
    REQUIRE(reported.size() == 23);
    for (std::size_t step = 0; step != 23; ++step) CHECK(reported[step] == step);
    check_same(made, expected.snapshots);
    for (auto const& [steps, copies] : made) CHECK(copies.size() == 1);
  }
}

TEST_CASE("training checkpoint: from what a process leaves that is killed at any moment, the same bits") {
  undisturbed const expected;
  for (double const seconds : {0., 1e9}) {
    CAPTURE(seconds);
    temporary_folder const folder;
    small_training run;
    run.options.seconds_between_checkpoints = seconds;
    run.options.run_directory = folder.path / "training";
    // Copies of the folder after each step, and before each snapshot, with what snapshots there were.
    std::map<std::size_t, std::vector<weights>> made;
    std::vector<std::map<std::size_t, std::vector<weights>>> made_then;
    auto const copy = [&](std::size_t) {
      std::filesystem::copy(run.options.run_directory, folder.path / std::to_string(made_then.size()),
                            std::filesystem::copy_options::recursive);
      made_then.push_back(made);
    };
    run.snapshots = &made;
    run.report = copy;
    run.on_snapshot = copy;
    CHECK(run() == expected.w);
    REQUIRE(made_then.size() == 23 + 7);
    for (std::size_t i = 0; i != made_then.size(); ++i) {
      CAPTURE(i);
      std::size_t steps = 0;
      small_training again;
      again.options.seconds_between_checkpoints = 3;
      again.options.run_directory = folder.path / std::to_string(i);
      again.snapshots = &made_then[i];
      again.report = [&](std::size_t) { ++steps; };
      again.workers.count = 1 + i % 3;
      CHECK(again() == expected.w);
      check_same(made_then[i], expected.snapshots);
      if (seconds > 1) CHECK(steps == 23);
      if (seconds == 0 && i > 8) CHECK(steps < 23);
    }
  }
}

TEST_CASE("training checkpoint: what the caller's functions throw ends it; the same call goes on") {
  undisturbed const expected;
  for (std::size_t const at : {0, 1, 7, 22}) {
    CAPTURE(at);
    for (int const where : {0, 1, 2}) {
      CAPTURE(where);
      temporary_folder const folder;
      std::map<std::size_t, std::vector<weights>> made;
      small_training run;
      run.options.run_directory = folder.path;
      run.options.seconds_between_checkpoints = 0;
      run.snapshots = &made;
      auto failing = run;
      std::atomic<std::size_t> calls = 0;
      std::size_t const wanted = where == 1 ? 4 * at + 2 : where == 2 ? std::min<std::size_t>(at, 6) : at;
      auto const fall = [&] {
        if (calls++ == wanted) throw std::runtime_error("no more");
      };
      if (where == 0) failing.report = [&](std::size_t) { fall(); };
      if (where == 1)
        failing.minibatch = [&](std::size_t size, susc::random::key key) {
          fall();
          return points(size, key);
        };
      if (where == 2) failing.on_snapshot = [&](std::size_t) { fall(); };
      CHECK_THROWS_WITH_AS(failing(), "no more", std::runtime_error);
      CHECK(run() == expected.w);
      check_same(made, expected.snapshots);
    }
  }
}

TEST_CASE("training checkpoint: one that is done is not done again, and its weights are there") {
  undisturbed const expected;
  temporary_folder const folder;
  small_training run;
  run.options.run_directory = folder.path;
  CHECK(run() == expected.w);
  CHECK(folder.listing() == std::set<std::string>{"lock", "run", "training.state"});
  std::atomic<bool> const stop = true;  // nothing is left to stop
  run.options.stop = &stop;
  run.report = [](std::size_t step) { FAIL_CHECK("step " << step); };
  run.on_snapshot = [](std::size_t steps) { FAIL_CHECK("snapshot " << steps); };
  CHECK(run() == expected.w);
}

TEST_CASE("training checkpoint: without a folder it stops where it is told to, and says that nothing was kept") {
  small_training run;
  std::atomic<bool> stop = false;
  std::size_t last = 0;
  run.options.stop = &stop;
  run.report = [&](std::size_t step) {
    last = step;
    stop = step == 5;
  };
  CHECK_THROWS_WITH_AS(run(), "interrupted; nothing was kept, as there is no run directory", susc::interrupted);
  CHECK(last == 5);
}

TEST_CASE(
    "training checkpoint: of other settings, weights or data it is refused with what differs, nothing is touched") {
  temporary_folder const folder;
  small_training run;
  run.options.run_directory = folder.path;
  std::atomic<bool> stop = false;
  run.options.stop = &stop;
  run.report = [&](std::size_t step) { stop = step == 9; };
  CHECK_THROWS_AS(run(), susc::interrupted);
  auto const kept = susc::read_file(folder.path / "training.state"), description = susc::read_file(folder.path / "run");
  run.report = [](std::size_t step) { FAIL_CHECK("step " << step); };
  auto const refused = [&](auto change, std::vector<std::string> const& words) {
    auto other = run;
    change(other);
    check_words(error_message([&] { other(); }), words);
    CHECK(susc::read_file(folder.path / "training.state") == kept);
    CHECK(susc::read_file(folder.path / "run") == description);
  };
  refused([](auto& o) { o.options.steps = 24; }, {folder.path.string(), "steps is 23 there, 24 here"});
  refused([](auto& o) { o.options.batch_size = 4; }, {"batch_size is 8 there, 4 here", "losses of a minibatch"});
  refused([](auto& o) { o.options.learning_rate = .06; }, {"learning_rate is 0.05 there, 0.06 here"});
  refused([](auto& o) { o.options.beta1 = .8; }, {"beta1 is 0.9 there, 0.8 here"});
  refused([](auto& o) { o.options.beta2 = .9; }, {"beta2 is 0.98 there, 0.9 here"});
  refused([](auto& o) { o.options.epsilon = 1e-7; }, {"epsilon is 1e-08 there, 1e-07 here"});
  refused([](auto& o) { o.options.weight_decay = 0; }, {"weight_decay is 0.3 there, 0 here"});
  refused([](auto& o) { o.options.clip = 2; }, {"clip is 1 there, 2 here"});
  refused([](auto& o) { o.options.warm_up = 5; }, {"warm_up is 4 there, 5 here"});
  refused([](auto& o) { o.options.decay_fraction = 0; }, {"decay_fraction is 0.3 there, 0 here"});
  refused([](auto& o) { o.options.seed = 2; }, {"seed is 1 there, 2 here"});
  refused([](auto& o) { o.options.snapshot_steps = {23}; }, {"snapshot_steps is 0,1,2,4,8,16,23 there, 23 here"});
  refused([](auto& o) { o.options.snapshot_steps.clear(); }, {"snapshot_steps", "none here"});
  refused([](auto& o) { o.decayed = {{0, 7}}; }, {"decayed coordinates"});
  refused([](auto& o) { o.before[5] = 0; }, {"weights before training", "losses of a minibatch"});
  refused([](auto& o) { o.minibatch = [](std::size_t n, susc::random::key key) { return points(n, {key.bits + 1}); }; },
          {"losses of a minibatch"});
  undisturbed const expected;
  run.report = [](std::size_t) {};
  stop = false;
  CHECK(run() == expected.w);
}

TEST_CASE("training checkpoint: a damaged file is refused by name") {
  temporary_folder const folder;
  small_training run;
  run.options.run_directory = folder.path;
  auto const w = run();
  std::string const file = "training.state", whole = susc::read_file(folder.path / file);
  for (std::size_t const size : {whole.size() / 2, std::size_t{3}, std::size_t{0}}) {
    folder.file(file, whole.substr(0, size));
    check_words(error_message([&] { run(); }), {file, "cut short"});
  }
  std::string flipped = whole;
  flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 4);
  folder.file(file, flipped);
  check_words(error_message([&] { run(); }), {file, "damaged"});
  susc::archive_writer other;  // whole, but of something else
  other(std::size_t{3}, weights(21), weights(20), weights(21));
  susc::write_checked_file(folder.path / file, "suscstt", susc::run_directory::format, other.bytes());
  check_words(error_message([&] { run(); }), {file, "holds 20 numbers for 21 weights"});
  std::filesystem::remove(folder.path / file);
  CHECK(run() == w);
}
