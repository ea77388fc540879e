// An executor that is almost distributed would leave out what other processes computed, in silence.
// expect: the executor has a member `distribute`, so it must have `template <class F, class G> void prepare(
#include <atomic>
#include <cstddef>

#include "susc/sampling/executor.hpp"

struct remote : susc::sequential {
  template <class F, class G>
  void prepare(F&& first, G&&) const {
    first();
  }
  template <class T, class R>
  void distribute(std::size_t tasks, T&& task, R&&, std::atomic<bool> const* stop)
#ifndef SUSC_FAIL
      const
#endif
  {
    while (tasks-- != 0) task(tasks, stop);
  }
};

void test() {
  susc::detail::run_tasks(
      remote{}, 1, [](std::size_t, auto, auto) {}, [](std::size_t, auto&&) {}, nullptr);
}
