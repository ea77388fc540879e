#include "susc/core/requirements.hpp"

#include <doctest/doctest.h>

#include <string_view>

// What the compiler prints where one is missing: tests/compile_fail/requirements.py.
TEST_CASE("versions: major before minor") {
  using susc::detail::version_at_least;
  static_assert(version_at_least(8, 1, 8, 1));
  static_assert(version_at_least(8, 2, 8, 1));
  static_assert(version_at_least(9, 0, 8, 1));
  static_assert(!version_at_least(8, 0, 8, 1));
  static_assert(!version_at_least(7, 9, 8, 1));
  static_assert(version_at_least(0, 24, 0, 24));
  static_assert(!version_at_least(0, 9, 0, 24));  // numbers, not text
  static_assert(version_at_least(1, 0, 0, 24));
}

#define SUSC_SEVEN 7
TEST_CASE("versions: a macro's text is what it stands for") {
  CHECK(std::string_view("found " SUSC_TEXT(SUSC_SEVEN) "." SUSC_TEXT(2)) == "found 7.2");
}

SUSC_REQUIRE_VERSION("seven", SUSC_SEVEN, 2, 7, 2);
