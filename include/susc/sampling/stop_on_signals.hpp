#pragma once
/// SIGINT and SIGTERM as a request to stop: the run keeps its chains and ends by susc::interrupted.
#include <signal.h>

#include <atomic>

#include "susc/core/requirements.hpp"

namespace susc {

namespace detail {
inline std::atomic<bool> signalled = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only touch what needs no lock");
}  // namespace detail

/// While it lives, the first of these signals sets *flag(), for sampling_options::stop; a second one ends the process
/// at once, as without it, which harms no file of a run directory. One at a time in a program.
class stop_on_signals {
 public:
  stop_on_signals() {
    detail::signalled = false;
    struct ::sigaction action {};
    action.sa_handler = [](int) { detail::signalled = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    ::sigaction(SIGINT, &action, &interrupt_);
    ::sigaction(SIGTERM, &action, &terminate_);
  }
  stop_on_signals(stop_on_signals const&) = delete;
  stop_on_signals& operator=(stop_on_signals const&) = delete;
  ~stop_on_signals() {
    ::sigaction(SIGINT, &interrupt_, nullptr);
    ::sigaction(SIGTERM, &terminate_, nullptr);
  }
  std::atomic<bool> const* flag() const {
    return &detail::signalled;
  }  ///< true once a signal came: for sampling_options

 private:
  struct ::sigaction interrupt_ {
  }, terminate_{};  ///< what was there before
};

}  // namespace susc
