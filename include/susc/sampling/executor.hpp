#pragma once
/// Executors: how independent tasks (component x chain) are run. Results do not depend on the choice.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "susc/core/concepts.hpp"

namespace susc {

/// One task after the other, in the calling thread.
struct sequential {
  /// Calls task(i) for i = 0 ... tasks - 1.
  template <class F>
  void operator()(std::size_t tasks, F&& task) const {
    for (std::size_t i = 0; i != tasks; ++i) task(i);
  }
};

/// How many tasks an executor runs at a time: its workers(), or one where it does not say.
template <Executor E>
std::size_t workers_of(E const& run) {
  if constexpr (requires { run.workers(); })
    return run.workers();
  else
    return 1;
}

/// Tasks on `count` threads (0: as many as the hardware has), each taking the next one when it is free. The first
/// exception stops the handing out of tasks and is rethrown.
struct threads {
  std::size_t count = 0;  ///< 0: all of the hardware's

  /// Threads, the calling one among them.
  std::size_t workers() const { return count != 0 ? count : std::max(1u, std::thread::hardware_concurrency()); }

  /// Calls task(i) for i = 0 ... tasks - 1.
  template <class F>
  void operator()(std::size_t tasks, F&& task) const {
    std::size_t const active = std::min(tasks, workers());
    std::atomic<std::size_t> next = 0;
    std::exception_ptr failure;
    std::mutex guard;
    auto const work = [&] {
      for (std::size_t i; (i = next.fetch_add(1)) < tasks;) {
        try {
          task(i);
        } catch (...) {
          std::lock_guard const lock(guard);
          if (!failure) failure = std::current_exception();
          next = tasks;
        }
      }
    };
    {
      std::vector<std::jthread> pool;
      for (std::size_t i = 1; i < active; ++i) pool.emplace_back(work);
      work();
    }
    if (failure) std::rethrow_exception(failure);
  }
};

}  // namespace susc
