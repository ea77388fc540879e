// An executor is a const callable.
// expect: an Executor needs `template <class F> void operator()(std::size_t tasks, F&& task) const`
#include <cstddef>

#include "susc/core/concepts.hpp"

struct backwards {
#ifdef SUSC_FAIL
  template <class F>
  void operator()(std::size_t tasks, F&& task) {
    while (tasks-- != 0) task(tasks);
  }
#else
  template <class F>
  void operator()(std::size_t tasks, F&& task) const {
    while (tasks-- != 0) task(tasks);
  }
#endif
};
static_assert(susc::Executor<backwards>);
