#include "susc/io/numbers.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "temporary_folder.hpp"

TEST_CASE("numbers: every float16 is what IEEE 754 says") {
  for (std::uint32_t bits = 0; bits != 0x10000; ++bits) {
    float const value = susc::float16{static_cast<std::uint16_t>(bits)};
    double const sign = (bits & 0x8000) != 0 ? -1 : 1, fraction = (bits & 0x3FF) / 1024.0;
    int const exponent = static_cast<int>(bits >> 10 & 0x1F);
    double const expected = exponent == 0    ? sign * fraction * 0x1p-14
                            : exponent != 31 ? sign * (1 + fraction) * std::pow(2.0, exponent - 15)
                            : fraction == 0  ? sign * std::numeric_limits<double>::infinity()
                                             : std::numeric_limits<double>::quiet_NaN();
    bool const same = std::isnan(expected) ? std::isnan(value) : value == expected && std::signbit(value) == (sign < 0);
    if (!same) FAIL_CHECK("bits " << bits << ": " << value << ", expected " << expected);
  }
}

TEST_CASE("numbers: bfloat16 is the upper half of a float") {
  CHECK(float(susc::bfloat16{0x3F80}) == 1.0f);
  CHECK(float(susc::bfloat16{0xC049}) == -3.140625f);
  CHECK(float(susc::bfloat16{0x0001}) == 0x1p-133f);
  CHECK(std::isinf(float(susc::bfloat16{0x7F80})));
  CHECK(std::isnan(float(susc::bfloat16{0x7FC0})));
}

TEST_CASE("numbers: shapes") {
  using shape = std::vector<std::size_t>;
  CHECK(susc::element_count(shape{}) == 1u);
  CHECK(susc::element_count(shape{2, 3, 4}) == 24u);
  CHECK(susc::element_count(shape{0, 1u << 31}) == 0u);
  CHECK(!susc::element_count(shape{std::size_t{1} << 32, std::size_t{1} << 32}));
  CHECK(susc::shape_text(shape{}) == "()");
  CHECK(susc::shape_text(shape{3}) == "(3,)");
  CHECK(susc::shape_text(shape{2, 3}) == "(2, 3)");
  CHECK(susc::index_text(23, shape{2, 3, 4}) == "(1, 2, 3)");
  CHECK(susc::index_text(0, shape{}) == "()");
}

TEST_CASE("numbers: reading converts and checks, across the boundaries of its chunks") {
  temporary_folder const folder;
  std::vector<std::int16_t> stored(200'001);
  for (std::size_t i = 0; i != stored.size(); ++i) stored[i] = static_cast<std::int16_t>(i % 30'000);
  susc::input_file const file(folder.file("x", "abc" + bytes_of(stored)));
  std::vector<std::size_t> const shape{3, 66'667};
  std::vector<std::int64_t> wide(stored.size());
  susc::read_numbers<std::int16_t>(file, 3, std::span(wide), shape, "it");
  CHECK(wide == std::vector<std::int64_t>(stored.begin(), stored.end()));

  stored[70'000] = -1;
  susc::input_file const negative(folder.file("y", bytes_of(stored)));
  std::vector<std::uint32_t> unsigned_numbers(stored.size());
  check_words(error_message([&] {
                susc::read_numbers<std::int16_t>(negative, 0, std::span(unsigned_numbers), shape, "array 'it'");
              }),
              {"y'", "array 'it'", "holds -1", "(1, 3333)", "unsigned 32-bit integer"});
}

TEST_CASE("numbers: a double beyond the range of float is refused, but infinity and NaN are kept") {
  temporary_folder const folder;
  double const infinity = std::numeric_limits<double>::infinity();
  std::vector<float> out(3);
  std::vector<std::size_t> const shape{3};
  susc::input_file const good(folder.file("x", bytes_of<double>({-infinity, std::nan(""), 3.4e38})));
  susc::read_numbers<double>(good, 0, std::span(out), shape, "it");
  CHECK(out[0] == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(out[1]));
  CHECK(out[2] == 3.4e38f);
  susc::input_file const large(folder.file("y", bytes_of<double>({0, 0, -1e39})));
  check_words(error_message([&] { susc::read_numbers<double>(large, 0, std::span(out), shape, "it"); }),
              {"y'", "-1e+39", "(2,)", "32-bit float"});
}

TEST_CASE("numbers: require_finite names the first offender") {
  std::vector<std::size_t> const shape{2, 2};
  std::vector<double> values{1, 2, 3, 4};
  CHECK_NOTHROW(susc::require_finite(std::span<double const>(values), shape, "w"));
  values[3] = std::nan("");
  values[2] = std::numeric_limits<double>::infinity();
  check_words(error_message([&] { susc::require_finite(std::span<double const>(values), shape, "w"); }),
              {"w is inf", "(1, 0)"});
  CHECK_NOTHROW(susc::require_finite(std::span<double const>{}, std::vector<std::size_t>{0, 2}, "w"));
}
