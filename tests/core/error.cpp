#include "susc/core/error.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string_view>
#include <type_traits>

TEST_CASE("fail: the message is the arguments, one after the other") {
  CHECK_THROWS_WITH_AS(susc::fail("width ", 12, " is no multiple of ", 5u, " heads"),
                       "width 12 is no multiple of 5 heads", susc::error);
}

TEST_CASE("require: throws if and only if the condition does not hold") {
  CHECK_NOTHROW(susc::require(true, "never seen"));
  CHECK_THROWS_WITH_AS(susc::require(false, "step size ", 0.5, std::string_view(" is too long")),
                       "step size 0.5 is too long", susc::error);
}

TEST_CASE("error: a handler of std::runtime_error catches it") {
  static_assert(std::is_base_of_v<std::runtime_error, susc::error>);
  CHECK_THROWS_AS(susc::fail("x"), std::runtime_error);
}
