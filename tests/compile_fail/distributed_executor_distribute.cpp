// A distributed executor is told what the results of its tasks are.
// expect: a DistributedExecutor needs `template <class T, class R> void distribute(std::size_t tasks, T&& task,
#include <atomic>
#include <cstddef>

#include "susc/sampling/executor.hpp"

struct remote : susc::sequential {
  template <class F, class G>
  void prepare(F&& first, G&&) const {
    first();
  }
#ifdef SUSC_FAIL
  template <class T>
  void distribute(std::size_t tasks, T&& task, std::atomic<bool> const* stop) const {
    while (tasks-- != 0) task(tasks, stop);
  }
#else
  template <class T, class R>
  void distribute(std::size_t tasks, T&& task, R&&, std::atomic<bool> const* stop) const {
    while (tasks-- != 0) task(tasks, stop);
  }
#endif
};
static_assert(susc::DistributedExecutor<remote>);
