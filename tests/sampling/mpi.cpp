#include "susc/sampling/mpi.hpp"

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "io/temporary_folder.hpp"
#include "susc/models/mlp.hpp"
#include "susc/response/estimate.hpp"
#include "susc/response/influence.hpp"
#include "susc/response/learning_coefficient.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"
#include "susc/training/adamw.hpp"

// Every rank runs these tests: mpirun -n 4 test_mpi. Or, for mpi_kill.py, one run (see main).

namespace {
using namespace std::chrono_literals;
using model = susc::mlp<double>;
using everything = susc::visitors<susc::susceptibility_moments<>, susc::loss_trace, susc::influence>;

static_assert(susc::DistributedExecutor<susc::mpi>);

std::string uninitialised;  // what is said before MPI_Init_thread
susc::mpi const ranks;
std::size_t own_rank = 0;  // asked for once: tasks are in another thread, which may not call MPI
bool last = false;         // of all ranks
/// Summed over all ranks.
std::size_t total(std::size_t own) {
  std::uint64_t const here = own;
  std::uint64_t sum = 0;
  MPI_Allreduce(&here, &sum, 1, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
  return sum;
}

/// One folder of all ranks, gone when all are done with it.
struct shared_folder {
  std::optional<temporary_folder> own;
  std::filesystem::path path;
  shared_folder() {
    std::vector<char> name(4096);
    if (own_rank == 0) own.emplace().path.string().copy(name.data(), name.size() - 1);
    MPI_Bcast(name.data(), static_cast<int>(name.size()), MPI_CHAR, 0, MPI_COMM_WORLD);
    path = name.data();
  }
  ~shared_folder() { MPI_Barrier(MPI_COMM_WORLD); }
};

model::batch points(std::size_t count, std::uint64_t seed) {
  susc::random::stream random({seed});
  model::batch b;
  for (std::size_t i = 0; i != count; ++i) {
    b.inputs.insert(b.inputs.end(), {random.normal(), random.normal()});
    b.labels.push_back(random.below(3));
  }
  return b;
}
auto const minibatch = [](std::size_t size, susc::random::key key) { return points(size, key.bits); };

/// A network whose loss is no number where a weight of the last layer has moved `limit` up.
struct fragile : model {
  using model::model;
  double limit = std::numeric_limits<double>::infinity();
  double start = 0;
  double loss_and_gradient(std::span<double const> w, batch const& b, std::span<double> gradient) const {
    double const loss = model::loss_and_gradient(w, b, gradient);
    return w[w.size() - 1] > start + limit ? std::numeric_limits<double>::quiet_NaN() : loss;
  }
};

/// Eight components of a few weights, so that their chains go in gangs even with four ranks.
template <class S = susc::sgld>
struct small_run {
  fragile network{{2, 3, 3, 3, 3, 3, 3, 3, 3}};
  std::vector<double> const w = network.initial_weights({1});
  model::batch const evaluation = points(6, 2);
  std::vector<susc::probe<model::batch>> probes{{"first", points(4, 3)}, {"second", points(2, 4)}};
  susc::sampling_options<S> options{
      .components = {"layer1", "layer2", "layer3", "layer4", "layer5", "layer6", "layer7", "layer8"},
      .posterior = {.n_beta = 10, .localization = 20},
      .sampler = {.step_size = .01},
      .chains = 4,
      .draws = 6,
      .burn_in = 3,
      .thinning = 2,
      .batch_size = 4,
      .gradient_accumulation = 2};

  auto plan() const { return susc::plan_sampling(network, options).components; }
  template <class E>
  auto operator()(E const& run) const {
    return susc::run_chains(network, w, susc::data_distribution{evaluation, minibatch}, probes, plan(), options,
                            everything{susc::susceptibility_moments<>{}, susc::loss_trace{}, susc::influence{}}, run);
  }
};

/// All that visitors hold and how chains ended, to the bit; times apart.
template <class Chains>
std::string bits(std::vector<Chains> const& run) {
  susc::archive_writer to;
  for (auto const& of : run)
    for (std::size_t chain = 0; chain != of.chains.size(); ++chain)
      to(of.chains[chain], of.outcomes[chain].steps, of.outcomes[chain].draws, of.outcomes[chain].diverged);
  return to.bytes();
}

/// Waits for `done`, a minute at most.
template <class Done>
void wait_until(Done done) {
  for (auto const end = std::chrono::steady_clock::now() + 60s; !done() && std::chrono::steady_clock::now() < end;)
    std::this_thread::sleep_for(1ms);
}
}  // namespace

TEST_CASE("mpi: without MPI_Init_thread it says what to call") {
  check_words(uninitialised, {"MPI is not initialised", "MPI_Init_thread", "MPI_THREAD_FUNNELED"});
}

TEST_CASE("mpi: every rank has all results, of any number of tasks") {
  for (std::size_t const tasks : {0, 1, 2, 3, 4, 5, 300}) {
    CAPTURE(tasks);
    std::vector<std::string> texts(tasks);
    std::vector<std::size_t> numbers(tasks);
    std::atomic<std::size_t> ran = 0;
    ranks.distribute(
        tasks,
        [&](std::size_t i, std::atomic<bool> const* stop) {
          if (*stop) susc::fail("told to stop");
          ++ran;
          texts[i] = std::string(i * i, static_cast<char>('a' + i % 26));  // the first is empty
          numbers[i] = i + 1;
        },
        [&](std::size_t i, auto&& each) { each(texts[i], numbers[i]); }, nullptr);
    for (std::size_t i = 0; i != tasks; ++i) {
      CHECK(texts[i] == std::string(i * i, static_cast<char>('a' + i % 26)));
      CHECK(numbers[i] == i + 1);
    }
    CHECK(total(ran) == tasks);
  }
}

TEST_CASE("mpi: ranks work side by side, rank 0 too") {
  shared_folder const folder;
  std::size_t const all = ranks.workers();
  std::vector<int> met(all);
  std::atomic<int> own = 0;
  ranks.distribute(
      all,
      [&](std::size_t i, std::atomic<bool> const*) {  // passes only if each rank has one at the same time
        ++own;
        std::ofstream(folder.path / std::to_string(i)) << "here";
        wait_until([&] {
          std::size_t arrived = 0;
          for (std::size_t other = 0; other != all; ++other)
            arrived += std::filesystem::exists(folder.path / std::to_string(other));
          met[i] = arrived == all;
          return met[i] == 1;
        });
      },
      [&](std::size_t i, auto&& each) { each(met[i]); }, nullptr);
  CHECK(met == std::vector<int>(all, 1));
  CHECK(own == 1);
}

TEST_CASE_TEMPLATE("mpi: the bits of the sequential executor, on every rank", S, susc::sgld,
                   susc::leimkuhler_matthews) {
  small_run<S> run;
  for (bool const common : {true, false})
    for (double const limit : {std::numeric_limits<double>::infinity(), .1}) {
      CAPTURE(common);
      CAPTURE(limit);
      run.network.start = run.w.back();
      run.network.limit = limit;
      run.options.common_minibatches = common;
      run.options.progress = {};
      auto const expected = run(susc::sequential{});
      std::size_t dropped = 0, steps = 0;
      for (auto const& of : expected) {
        dropped += of.dropped_chains();
        for (auto const& o : of.outcomes) steps += o.steps - o.diverged;
      }
      if (std::isinf(limit)) CHECK(dropped == 0);
      if (!std::isinf(limit)) CHECK((dropped > 0 && dropped < 8 * 4));
      if (common)
        CHECK(susc::tasks_of(run.network, run.evaluation, run.plan(), run.options, ranks.workers()).front().count >
              1);  // a gang
      std::atomic<std::size_t> own = 0;
      run.options.progress = [&](std::size_t) { ++own; };
      CHECK(bits(run(ranks)) == bits(expected));
      CHECK(total(own) == steps);  // each step once, by one of the ranks
    }
}

TEST_CASE("mpi: fewer tasks than ranks") {
  small_run run;
  run.options.components = {"layer2"};
  run.options.chains = 1;
  CHECK(bits(run(ranks)) == bits(run(susc::sequential{})));
  CHECK(susc::run_chains(run.network, run.w, susc::data_distribution{run.evaluation, minibatch}, run.probes,
                         decltype(run.plan()){}, run.options, susc::loss_trace{}, ranks)
            .empty());
}

TEST_CASE("mpi: the estimators, and training, give every rank the same") {
  small_run run;
  susc::data_distribution const data{run.evaluation, minibatch};
  auto const estimate = [&](auto const& executor) {
    auto const chi =
        susc::estimate_susceptibilities(run.network, run.w, data, run.probes, run.options, executor).response_matrix();
    std::vector<double> all(chi.value.begin(), chi.value.end());
    all.insert(all.end(), chi.error.begin(), chi.error.end());
    for (auto const& d : susc::estimate_learning_coefficients(run.network, run.w, data, run.options, executor))
      all.push_back(d.learning_coefficient.value);
    auto w = run.w;
    susc::train_adamw(run.network, w, minibatch, {}, {.steps = 5, .batch_size = 8}, executor);
    all.insert(all.end(), w.begin(), w.end());
    return bytes_of(all);
  };
  CHECK(estimate(ranks) == estimate(susc::sequential{}));

  auto const cost = susc::estimate_cost(run.network, run.w, data, run.probes, run.options, ranks);
  CHECK(cost.workers == ranks.workers());
  CHECK(cost.chains == 9 * 4);
  double seconds = cost.seconds;
  MPI_Bcast(&seconds, 1, MPI_DOUBLE, 0, MPI_COMM_WORLD);
  CHECK(seconds == cost.seconds);
  CHECK(seconds > 0);
}

TEST_CASE("mpi: what a task throws makes every rank throw, and ends the tasks of the others") {
  std::size_t const thrower = 5, tasks = 100;
  std::atomic<std::size_t> began = 0, unheard = 0;
  bool here = false;
  std::string message;
  try {
    ranks.distribute(
        tasks,
        [&](std::size_t i, std::atomic<bool> const* stop) {
          ++began;
          if (i == thrower) throw std::logic_error("task five");
          if (i < thrower) return;
          wait_until([&] { return stop->load(); });
          unheard += !*stop;
          throw susc::interrupted("told to stop");
        },
        [](std::size_t, auto&&) {}, nullptr);
  } catch (std::logic_error const& e) {
    here = true;
    message = e.what();
  } catch (susc::interrupted const&) {
    message = "no error";
  } catch (susc::error const& e) {
    message = e.what();
  }
  CHECK(total(here) == 1);
  if (here)
    CHECK(message == "task five");
  else
    check_words(message, {"rank ", ": task five"});
  CHECK(unheard == 0);
  CHECK(total(began) <= thrower + ranks.workers());
  CHECK(bits(small_run{}(ranks)) == bits(small_run{}(susc::sequential{})));  // and goes on
}

TEST_CASE("mpi: an error of one rank's model, or before the tasks, is an error of all") {
  struct broken : fragile {
    using fragile::fragile;
    double loss_and_gradient(std::span<double const> w, batch const& b, std::span<double> gradient) const {
      if (total_calls++ == 20 && last) susc::fail("out of order");
      std::this_thread::sleep_for(1ms);
      return fragile::loss_and_gradient(w, b, gradient);
    }
    mutable std::atomic<std::size_t> total_calls = 0;
  };
  small_run<> run;
  broken const network{{2, 3, 3, 3, 3, 3, 3, 3, 3}};
  run.options.draws = 20'000;  // for a minute, if nobody stopped it
  check_words(error_message([&] {
                susc::run_chains(network, run.w, susc::data_distribution{run.evaluation, minibatch}, run.probes,
                                 run.plan(), run.options, susc::loss_trace{}, ranks);
              }),
              {last ? "" : "rank " + std::to_string(ranks.workers() - 1) + ": ", "out of order"});

  auto const prepare = [&](bool first, bool other) {
    ranks.prepare(
        [&] {
          if (first) susc::fail("no first");
          return std::string("from the first");
        },
        [&](std::string const& text) {
          CHECK(text == "from the first");
          if (other && last) susc::fail("no last");
        });
  };
  prepare(false, false);
  check_words(error_message([&] { prepare(true, true); }), {"no first"});
  if (ranks.workers() > 1) check_words(error_message([&] { prepare(false, true); }), {"no last"});
}

TEST_CASE("mpi: ranks that were given different things are told so") {
  if (ranks.workers() == 1) return;
  auto const refused = [&](auto change, std::vector<std::string> const& words) {
    for (bool const kept : {false, true}) {
      shared_folder const folder;
      small_run run;
      if (kept) run.options.run_directory = folder.path / "run";
      if (last) change(run);
      check_words(error_message([&] { run(ranks); }), words);
    }
  };
  refused([](auto& r) { r.options.seed = 2; }, {"not the run of the first process", "seed is 1 there, 2 here"});
  refused([](auto& r) { r.options.draws = 8; }, {"draws is 6 there, 8 here"});
  refused([](auto& r) { r.options.sampler.step_size = .02; }, {"component 'layer3': step_size is 0.01 there, 0.02"});
  refused([](auto& r) { r.options.components.pop_back(); }, {"component 'layer8': n_beta is 10 there, not set here"});
  refused([](auto& r) { const_cast<double&>(r.w[3]) += 1e-9; }, {"weights is "});
  refused([](auto& r) { r.probes[1].batch = points(2, 9); }, {"losses of probe 'second' at w* is "});
  check_words(error_message([] {
                ranks.distribute(
                    last ? 2 : 3, [](std::size_t, auto) {}, [](std::size_t, auto&&) {}, nullptr);
              }),
              {"ranks have from 2 to 3 tasks"});
}

TEST_CASE("mpi: one run directory of all ranks, locked against others") {
  shared_folder const folder;
  small_run run;
  auto const expected = bits(run(susc::sequential{}));
  run.options.run_directory = folder.path / "run";
  std::atomic<std::size_t> refused = 0;
  run.options.progress = [&](std::size_t) {
    if (refused != 0) return;
    try {
      susc::run_directory const other(run.options.run_directory, {});
    } catch (susc::error const& e) {
      refused += std::string(e.what()).find("another process is using it") != std::string::npos;
    }
  };
  CHECK(bits(run(ranks)) == expected);
  CHECK(total(refused) > 0);
  run.options.progress = {};
  std::set<std::string> names{"run", "run/lock", "run/run"};
  for (std::string const& c : run.options.components)
    for (char const chain : {'0', '1', '2', '3'}) names.insert("run/" + c + '.' + chain + ".chain");
  std::set<std::string> listing;
  for (auto const& entry : std::filesystem::recursive_directory_iterator(folder.path))
    listing.insert(entry.path().lexically_relative(folder.path).string());
  CHECK(listing == names);
  CHECK(bits(run(ranks)) == expected);  // read, not run

  {
    std::optional<susc::run_directory> user;  // another process has it
    if (last) user.emplace(folder.path / "taken", std::vector<susc::run_setting>{});
    MPI_Barrier(MPI_COMM_WORLD);
    run.options.run_directory = folder.path / "taken";
    check_words(error_message([&] { run(ranks); }), {"another process is using it"});
  }
  if (ranks.workers() > 1) {
    run.options.run_directory = folder.path / (last ? "elsewhere" : "here");
    check_words(error_message([&] { run(ranks); }), {"elsewhere", "not to be seen from here"});
  }
}

TEST_CASE("mpi: probes are added to a run that has ended, with the bits of the sequential executor") {
  small_run run;
  auto const extended = [&](auto const& executor, std::filesystem::path const& folder) {
    auto options = run.options;
    options.run_directory = folder;
    std::string found;
    for (std::size_t const count : {1, 2})
      found = bits(susc::run_chains(run.network, run.w, susc::data_distribution{run.evaluation, minibatch},
                                    std::span(run.probes).first(count), run.plan(), options,
                                    susc::susceptibility_moments<>{}, executor));
    return found;
  };
  shared_folder const folder;
  temporary_folder const own;
  CHECK(extended(ranks, folder.path) == extended(susc::sequential{}, own.path));
}

TEST_CASE("mpi: told to stop on one rank, all stop, and the run goes on from there") {
  shared_folder const folder;
  small_run run;
  {
    std::atomic<bool> const stop = last;
    auto endless = run;
    endless.options.stop = &stop;
    endless.options.draws = 1'000'000;
    CHECK_THROWS_WITH_AS(endless(ranks), "interrupted; nothing was kept, as there is no run directory",
                         susc::interrupted);
  }
  auto const expected = bits(run(susc::sequential{}));
  run.options.run_directory = folder.path / "run";
  std::size_t interruptions = 0;
  for (std::size_t limit = 40;; limit += 90) {
    REQUIRE(limit < 10'000);
    std::atomic<bool> stop = false;
    std::atomic<std::size_t> done = 0;
    auto attempt = run;
    attempt.options.stop = &stop;
    attempt.options.progress = [&](std::size_t) {
      if (++done < limit || !last) return;
      stop = true;
      std::this_thread::sleep_for(20ms);  // in which all hear of it
    };
    try {
      CHECK(bits(attempt(ranks)) == expected);
      break;
    } catch (susc::interrupted const& e) {
      check_words(e.what(), {"the chains are kept in", "run"});
      ++interruptions;
    }
  }
  CHECK(interruptions > 0);
  CHECK(bits(run(ranks)) == expected);
}

/// test_mpi run FOLDER OUTPUT [sequential | kill RANK]: the small run in FOLDER ("-": nowhere), its bits to OUTPUT; all
/// ranks but the one that is to kill itself stay in their first task.
int one_run(std::vector<std::string> const& arguments) {
  small_run run;
  std::string const folder = arguments.at(0), output = arguments.at(1);
  if (folder != "-") run.options.run_directory = folder;
  run.options.seconds_between_checkpoints = 0;
  std::atomic<std::size_t> own = 0;
  if (arguments.size() > 3)
    run.options.progress = [&](std::size_t) {
      if (++own < 25) return;
      if (own_rank == std::stoul(arguments[3])) std::raise(SIGKILL);
      std::this_thread::sleep_for(60s);
    };
  bool const alone = arguments.size() == 3;
  std::string const result = bits(alone ? run(susc::sequential{}) : run(ranks));
  if (own_rank == 0) std::ofstream(output, std::ios::binary) << result;
  return 0;
}

int main(int argc, char** argv) {
  uninitialised = error_message([] { ranks.workers(); });
  int provided = MPI_THREAD_SINGLE, result = 1;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  own_rank = ranks.rank();
  last = own_rank + 1 == ranks.workers();
  if (argc > 1 && std::string(argv[1]) == "run")
    result = one_run({argv + 2, argv + argc});
  else
    result = doctest::Context(argc, argv).run();
  MPI_Finalize();
  return result;
}
