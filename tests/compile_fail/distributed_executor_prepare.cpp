// A distributed executor brings what the first process says to the others.
// expect: a DistributedExecutor needs `template <class F, class G> void prepare(F&& first, G&& others) const`
#include <atomic>
#include <cstddef>

#include "susc/sampling/executor.hpp"

struct remote : susc::sequential {
#ifndef SUSC_FAIL
  template <class F, class G>
  void prepare(F&& first, G&&) const {
    first();
  }
#endif
  template <class T, class R>
  void distribute(std::size_t tasks, T&& task, R&&, std::atomic<bool> const* stop) const {
    while (tasks-- != 0) task(tasks, stop);
  }
};
static_assert(susc::DistributedExecutor<remote>);
