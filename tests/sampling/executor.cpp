#include "susc/sampling/executor.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <fstream>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "susc/models/mlp.hpp"
#include "susc/response/learning_coefficient.hpp"
#include "susc/sampling/chains.hpp"

namespace {
/// A distributed executor whose processes are two threads, with memory of their own but for this.
struct pair_of_processes {
  struct exchange {
    std::barrier<> both{2};
    std::string first;
    std::vector<std::string> results;
    std::size_t alone = 0;  ///< tasks that one of them ran for itself
  };
  exchange* shared;
  std::size_t number;

  template <class F>
  void operator()(std::size_t tasks, F&& task) const {
    susc::sequential{}(tasks, task);
    if (number == 0) shared->alone += tasks;
  }
  template <class F, class G>
  void prepare(F&& first, G&& others) const {
    if (number == 0) shared->first = first();
    shared->both.arrive_and_wait();
    if (number == 1) others(static_cast<std::string const&>(shared->first));
    shared->both.arrive_and_wait();
  }
  template <class T, class R>
  void distribute(std::size_t tasks, T&& task, R&& results, std::atomic<bool> const* stop) const {
    if (number == 0) shared->results.assign(tasks, "");
    shared->both.arrive_and_wait();
    for (std::size_t i = number; i < tasks; i += 2) {
      task(i, stop);
      susc::archive_writer to;
      results(i, to);
      shared->results[i] = to.bytes();
    }
    shared->both.arrive_and_wait();
    for (std::size_t i = 1 - number; i < tasks; i += 2) {
      susc::archive_reader from(shared->results[i], "task: ");
      results(i, from);
      from.finish();
    }
    shared->both.arrive_and_wait();
  }
};

// Almost.
struct mutable_distribute : susc::sequential {
  void prepare(auto&&, auto&&) const {}
  void distribute(std::size_t, auto&&, auto&&, std::atomic<bool> const*) {}
};
struct prepares_without_bytes : susc::sequential {
  void prepare(auto&& first, void (*others)()) const { first(), others(); }
  void distribute(std::size_t, auto&&, auto&&, std::atomic<bool> const*) const {}
};
struct tasks_without_flag : susc::sequential {
  void prepare(auto&&, auto&&) const {}
  void distribute(std::size_t, void (&)(std::size_t), auto&&, std::atomic<bool> const*) const {}
};
struct never_alone {
  void prepare(auto&&, auto&&) const {}
  void distribute(std::size_t, auto&&, auto&&, std::atomic<bool> const*) const {}
};
struct prepares_only : susc::sequential {
  void prepare(auto&&, auto&&) const {}
};
struct of_functions : susc::sequential {
  void prepare(std::string (&)(), void (&)(std::string const&)) const {}
  void distribute(std::size_t, auto&&, auto&&, std::atomic<bool> const*) const {}
};
struct derived : of_functions {};
}  // namespace

static_assert(susc::Executor<susc::sequential> && susc::Executor<susc::threads> && susc::Executor<pair_of_processes>);
static_assert(susc::DistributedExecutor<pair_of_processes> && susc::DistributedExecutor<of_functions> &&
              susc::DistributedExecutor<derived>);
static_assert(!susc::DistributedExecutor<susc::sequential> && !susc::DistributedExecutor<susc::threads> &&
              !susc::DistributedExecutor<mutable_distribute> && !susc::DistributedExecutor<prepares_without_bytes> &&
              !susc::DistributedExecutor<tasks_without_flag> && !susc::DistributedExecutor<never_alone> &&
              !susc::DistributedExecutor<prepares_only> && !susc::DistributedExecutor<int>);

TEST_CASE("executor: every task runs exactly once, for any number of threads") {
  for (std::size_t const count : {1, 2, 3, 4, 5, 6, 7, 8})
    for (std::size_t const tasks : {0, 1, 2, 7, 8, 9, 500}) {
      CAPTURE(count);
      CAPTURE(tasks);
      std::vector<std::atomic<int>> runs(tasks);
      susc::threads{count}(tasks, [&](std::size_t i) { ++runs.at(i); });
      for (auto const& r : runs) CHECK(r == 1);
    }
  std::vector<std::size_t> order;
  susc::sequential{}(5, [&](std::size_t i) { order.push_back(i); });
  CHECK(order == std::vector<std::size_t>{0, 1, 2, 3, 4});
  std::atomic<int> total = 0;
  susc::threads{}(100, [&](std::size_t) { ++total; });  // as many threads as the hardware has
  CHECK(total == 100);
}

TEST_CASE("executor: tasks do run side by side, on no more threads than asked for") {
  for (std::size_t const count : {2, 4}) {
    std::mutex guard;
    std::set<std::thread::id> seen;
    std::atomic<std::size_t> arrived = 0;
    susc::threads{count}(count, [&](std::size_t) {
      {
        std::lock_guard const lock(guard);
        seen.insert(std::this_thread::get_id());
      }
      // Every task waits for all: passes only if each has its own thread.
      ++arrived;
      for (auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
           arrived != count && std::chrono::steady_clock::now() < end;)
        std::this_thread::yield();
      CHECK(arrived == count);
    });
    CHECK(seen.size() == count);
  }
  std::set<std::thread::id> seen;
  susc::threads{1}(20, [&](std::size_t) { seen.insert(std::this_thread::get_id()); });
  CHECK(seen == std::set<std::thread::id>{std::this_thread::get_id()});
}

TEST_CASE("executor: where the system has no more threads to give, those that there are do all tasks") {
  ::pid_t const child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // room for the stacks of a few threads, in a process of its own
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    ::rlim_t const most = pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) + (std::size_t{40} << 20);
    ::rlimit const limit{most, most};
    ::setrlimit(RLIMIT_AS, &limit);
    std::vector<std::atomic<int>> runs(500);
    try {
      susc::threads{64}(runs.size(), [&](std::size_t i) { ++runs[i]; });
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(std::all_of(runs.begin(), runs.end(), [](int n) { return n == 1; }) ? 0 : 2);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("executor: the first exception is rethrown and stops the handing out of tasks") {
  for (std::size_t const count : {1, 2, 3, 4, 5, 6, 7, 8}) {
    CAPTURE(count);
    std::vector<std::atomic<int>> runs(10'000);
    auto const run = [&] {
      susc::threads{count}(runs.size(), [&](std::size_t i) {
        ++runs[i];
        if (i == 5) throw std::runtime_error("task 5");
        std::this_thread::yield();
        // Tasks after the failing one may have begun before it failed; enough are left for it to matter.
        if (i > 5) std::this_thread::sleep_for(std::chrono::microseconds(100));
      });
    };
    CHECK_THROWS_WITH_AS(run(), "task 5", std::runtime_error);
    std::size_t total = 0;
    for (auto const& r : runs) {
      CHECK(r <= 1);
      total += static_cast<std::size_t>(r);
    }
    CHECK(runs[5] == 1);
    CHECK(total < runs.size());
  }
  int ran = 0;
  auto const run = [&] {
    susc::sequential{}(10, [&](std::size_t i) {
      ++ran;
      if (i == 3) susc::fail("task ", i);
    });
  };
  CHECK_THROWS_WITH_AS(run(), "task 3", susc::error);
  CHECK(ran == 4);
}

TEST_CASE("executor: exceptions from every task at once leave one to the caller") {
  auto const run = [] { susc::threads{8}(8, [](std::size_t) { throw std::logic_error("any"); }); };
  CHECK_THROWS_WITH_AS(run(), "any", std::logic_error);
}

TEST_CASE("executor: tasks of either kind are given the flag") {
  std::atomic<bool> const stop = true;
  std::vector<int> seen(5);
  auto const task = [&](std::size_t i, std::atomic<bool> const* flag, std::atomic<bool> const* failed) {
    seen[i] += flag == &stop && !*failed;
  };
  susc::detail::run_tasks(
      susc::sequential{}, seen.size(), task, [](std::size_t, auto&&) { FAIL("there is nothing to bring"); }, &stop);
  CHECK(seen == std::vector(5, 1));
}

TEST_CASE("executor: of several processes, each has all chains, with the bits of one") {
  using model = susc::mlp<double>;
  auto const points = [](std::size_t count, susc::random::key key) {
    susc::random::stream random(key);
    model::batch b;
    for (std::size_t i = 0; i != count; ++i) {
      b.inputs.push_back(random.normal());
      b.labels.push_back(random.below(2));
    }
    return b;
  };
  model const network({1, 2, 2});
  auto const w = network.initial_weights({1});
  susc::data_distribution const data{points(5, {2}), points};
  susc::sampling_options<> options{.components = {"layer1", "layer2"}, .chains = 3, .draws = 5, .batch_size = 4};
  auto const run = [&](auto const& executor, susc::sampling_options<> const& with) {
    susc::archive_writer to;
    for (auto const& of : susc::run_chains(network, w, data, {}, susc::plan_sampling(network, with).components, with,
                                           susc::loss_trace{}, executor))
      for (std::size_t chain = 0; chain != 3; ++chain) to(of.chains[chain], of.outcomes[chain].steps);
    return to.bytes();
  };
  for (bool const common : {true, false}) {
    options.common_minibatches = common;
    options.progress = {};
    auto const expected = run(susc::sequential{}, options);
    std::atomic<std::size_t> steps = 0;
    options.progress = [&](std::size_t) { ++steps; };
    pair_of_processes::exchange shared;
    std::string found[2];
    {
      std::jthread const other([&] { found[1] = run(pair_of_processes{&shared, 1}, options); });
      found[0] = run(pair_of_processes{&shared, 0}, options);
    }
    CHECK(found[0] == expected);
    CHECK(found[1] == expected);
    CHECK(shared.alone == 0);
    CHECK(steps == 2 * 3 * (20 + 5));  // none of them twice
  }
}
