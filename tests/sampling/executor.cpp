#include "susc/sampling/executor.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

static_assert(susc::Executor<susc::sequential> && susc::Executor<susc::threads>);

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
