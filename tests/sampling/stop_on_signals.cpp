#include "susc/sampling/stop_on_signals.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace {
/// The wait status of a process that does `act`, then ends with code 3.
template <class Act>
int status_of(Act act) {
  pid_t const child = ::fork();
  if (child == 0) {
    for (int const signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);  // a shell's background job ignores SIGINT
    act();
    ::_exit(3);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}
}  // namespace

TEST_CASE("stop_on_signals: the first signal sets the flag, the second ends the process, and none is caught after") {
  for (int const signal : {SIGINT, SIGTERM}) {
    CAPTURE(signal);
    int const once = status_of([&] {
      susc::stop_on_signals const stop;
      if (*stop.flag()) ::_exit(1);
      ::raise(signal);
      if (!*stop.flag()) ::_exit(2);
    });
    CHECK(WIFEXITED(once));
    CHECK(WEXITSTATUS(once) == 3);
    int const twice = status_of([&] {
      susc::stop_on_signals const stop;
      ::raise(signal);
      ::raise(signal);
    });
    CHECK(WIFSIGNALED(twice));
    CHECK(WTERMSIG(twice) == signal);
    int const after = status_of([&] {
      { susc::stop_on_signals const stop; }
      ::raise(signal);
    });
    CHECK(WIFSIGNALED(after));
  }
  susc::stop_on_signals const again;
  CHECK(!*again.flag());
}
