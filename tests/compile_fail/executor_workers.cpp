// An executor that has workers() counts them.
// expect: the workers() of an Executor must be `std::size_t workers() const`
#include <cstddef>
#include <string>

#include "susc/core/concepts.hpp"

struct pool {
  template <class F>
  void operator()(std::size_t tasks, F&& task) const {
    while (tasks-- != 0) task(tasks);
  }
#ifdef SUSC_FAIL
  std::string workers() const {
    return "many";
  }
#else
  std::size_t workers() const {
    return 1;
  }
#endif
};
static_assert(susc::Executor<pool>);
