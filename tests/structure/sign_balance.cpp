#include "susc/structure/sign_balance.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace {
using sequences = std::vector<std::size_t>;
}  // namespace

TEST_CASE("balance_of_signs: by hand") {
  auto const found = susc::balance_of_signs(std::vector<double>{-2, -1, 3, 0}, sequences{0, 0, 1, 1});
  CHECK(found.expressed_share.value == doctest::Approx(.5));
  CHECK(found.expressed_share.error == doctest::Approx(.5));  // two sequences, all and none of it
  CHECK(found.expressed_mean.value == doctest::Approx(-1.5));
  CHECK(std::isnan(found.expressed_mean.error));  // of one sequence only
  CHECK(found.suppressed_share.value == doctest::Approx(.25));
  CHECK(found.suppressed_share.error == doctest::Approx(.25));
  CHECK(found.suppressed_mean.value == doctest::Approx(3));
}

TEST_CASE("balance_of_signs: the other sign is the other side") {
  std::vector<double> const chi{-2, .5, 3, -.25, 4, -1};
  std::vector<double> turned;
  for (double const x : chi) turned.push_back(-x);
  sequences const sequence{0, 0, 1, 1, 2, 2};
  auto const found = susc::balance_of_signs(chi, sequence), other = susc::balance_of_signs(turned, sequence);
  CHECK(found.expressed_share.value == other.suppressed_share.value);
  CHECK(found.expressed_share.error == other.suppressed_share.error);
  CHECK(found.expressed_mean.value == -other.suppressed_mean.value);
  CHECK(found.expressed_mean.error == other.suppressed_mean.error);
  CHECK(found.suppressed_share.value == other.expressed_share.value);
  CHECK(found.suppressed_mean.error == other.expressed_mean.error);
  CHECK(found.expressed_mean.error > 0);
}

TEST_CASE("balance_of_signs: undefined numbers are NaN") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  auto const unknown = susc::balance_of_signs(std::vector<double>{-2, nan}, sequences{0, 1});
  CHECK(std::isnan(unknown.expressed_share.value));
  CHECK(std::isnan(unknown.suppressed_share.error));
  CHECK(std::isnan(unknown.expressed_mean.value));
  auto const one_sided = susc::balance_of_signs(std::vector<double>{-2, -3}, sequences{0, 1});
  CHECK(one_sided.suppressed_share.value == 0);
  CHECK(one_sided.suppressed_share.error == 0);
  CHECK(std::isnan(one_sided.suppressed_mean.value));
  CHECK(std::isnan(susc::balance_of_signs({}, {}).expressed_share.value));
}
