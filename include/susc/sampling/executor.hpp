#pragma once
/// Executors: how independent tasks (component x chain) are run. Results do not depend on the choice.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <string>
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
/// exception stops the handing out of tasks and is rethrown. Where the system has fewer threads to give, fewer.
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
      try {
        for (std::size_t i = 1; i < active; ++i) pool.emplace_back(work);
      } catch (std::exception const&) {  // no more threads, or no memory for them: those there are do all the work
      }
      work();
    }
    if (failure) std::rethrow_exception(failure);
  }
};

namespace detail {
/// Stands for what names a task's results.
struct any_results {
  void operator()(std::size_t, auto&&) const {}
};
template <class E>
concept has_prepare = requires(E const& run, std::string (&first)(), void (&others)(std::string const&)) {
  run.prepare(first, others);
};
template <class E>
concept has_distribute = requires(E const& run, std::size_t tasks, void (&task)(std::size_t, std::atomic<bool> const*),
                                  any_results const& results, std::atomic<bool> const* stop) {
  run.distribute(tasks, task, results, stop);
};
}  // namespace detail

/// An executor of several processes, all of which make the same calls and have all results at their end; what one of
/// them throws makes all throw. What has no way between them, operator() runs in each.
///   prepare(first, others)  std::string first() in one process; then, in each of the others, others(std::string
///                           const&), with what it returned
///   distribute(tasks, task, results, stop)  task(i, stop) for each i in one of the processes, with a flag that is set
///                           if `stop` is in any process, or a task throws; then results(i, each) calls each(values...)
///                           where the task ran, to have the bytes of these Archivable values, and everywhere else, to
///                           set them
// clang-format off
template <class E>
concept DistributedExecutor = Executor<E> &&
    (detail::has_prepare<E> ||
     detail::because<"a DistributedExecutor needs `template <class F, class G> void prepare(F&& first, G&& others) const`, with `std::string first()` and `others(std::string const&)`">) &&
    (detail::has_distribute<E> ||
     detail::because<"a DistributedExecutor needs `template <class T, class R> void distribute(std::size_t tasks, T&& task, R&& results, std::atomic<bool> const* stop) const`, with task(i, stop) and results(i, each)">);
// clang-format on

namespace detail {
/// Almost a DistributedExecutor, it would leave the results of other processes out.
template <class E>
consteval void check_executor() {
  static_assert(DistributedExecutor<E> || !names_distribute<E>,
                "the executor has a member `distribute`, so it must have `template <class F, class G> void prepare(F&& "
                "first, G&& others) const` and `template <class T, class R> void distribute(std::size_t tasks, T&& "
                "task, R&& results, std::atomic<bool> const* stop) const`, public (or have another name)");
}

/// Tasks of either kind of executor; task(i, stop, failed), which one that fails tells to end soon.
template <Executor E, class Task, class Results>
void run_tasks(E const& run, std::size_t tasks, Task&& task, Results&& results, std::atomic<bool> const* stop) {
  check_executor<E>();
  if constexpr (DistributedExecutor<E>) {
    run.distribute(
        tasks, [&](std::size_t i, std::atomic<bool> const* halt) { task(i, halt, nullptr); }, results, stop);
  } else {
    std::atomic<bool> failed = false;
    std::exception_ptr failure;
    std::mutex guard;
    try {
      run(tasks, [&](std::size_t i) {
        try {
          task(i, stop, &failed);
        } catch (...) {
          std::lock_guard const lock(guard);
          if (!failure) failure = std::current_exception();
          failed = true;
          throw;
        }
      });
    } catch (...) {
      if (failure) std::rethrow_exception(failure);  // not that of a task which it ended
      throw;
    }
  }
}
}  // namespace detail

}  // namespace susc
