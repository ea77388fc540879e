#include "susc/core/broken_law.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <span>

TEST_CASE("written_by: what a call writes, over what it was given, on a boundary of 64 bytes") {
  bool intact = false;
  auto const result = susc::detail::written_by(
      [](std::span<float> to) {
        CHECK(reinterpret_cast<std::uintptr_t>(to.data()) % 64 == 0);
        CHECK(to.size() == 3);
        CHECK(to[1] == 7);
        to[0] = 1;
        to[2] = 2;
        return 5.f;
      },
      3, 7.f, intact);
  CHECK(intact);
  CHECK(result.loss == 5);
  CHECK(result.values == susc::aligned_vector<float>{1, 7, 2});
}

TEST_CASE("written_by: an entry before or behind is noticed, up to 64 bytes away") {
  for (std::ptrdiff_t const where : {-8, -1, 3, 10}) {
    CAPTURE(where);
    bool intact = true;
    susc::detail::written_by([&](std::span<double> to) { to.data()[where] = 0; }, 3, 0., intact);
    CHECK(!intact);
  }
}

TEST_CASE("same: equal, or both undefined; of the same length") {
  double const nan = std::numeric_limits<double>::quiet_NaN();
  using evaluated = susc::detail::evaluated<double>;
  CHECK(susc::detail::same(nan, nan));
  CHECK(!susc::detail::same(nan, 1.));
  CHECK(susc::detail::same(evaluated{{1, nan}, 2}, evaluated{{1, nan}, 2}));
  CHECK(!susc::detail::same(evaluated{{1, nan}, 2}, evaluated{{1, nan}, 3}));
  CHECK(!susc::detail::same(evaluated{{1, nan}, 2}, evaluated{{1, 0}, 2}));
  CHECK(!susc::detail::same(evaluated{{1}, 2}, evaluated{{1, 0}, 2}));
}

TEST_CASE("guess: a sum, a mean twice over, a turned sign, only where they explain every number") {
  using susc::detail::guess;
  CHECK(guess(5, {{5, 1, 1e-9}, {-10, -2, 1e-9}}) == "; it looks like the sum over the 5 examples");
  CHECK(guess(5, {{.2, 1, 1e-9}}) == "; it looks divided by the 5 examples once too often");
  CHECK(guess(5, {{-1, 1, 1e-9}}) == "; its sign is turned");
  CHECK(guess(5, {{5, 1, 1e-9}, {10, 1, 1e-9}}) == "");
  CHECK(guess(1, {{1, 1.1, 1e-9}}) == "");
}
