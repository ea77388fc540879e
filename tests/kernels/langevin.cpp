#include "susc/kernels/langevin.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "shapes.hpp"

namespace {
namespace kernels = susc::kernels;
using shapes::guarded;
using susc::random::key;

// One lane's words; the upper halves start as rubbish, as they may.
susc::random::words philox_by_lanes(susc::random::words counter, key k, std::size_t lane) {
  kernels::long_words const rubbish(~std::uint64_t{0} << 32);
  auto const words = [&](std::uint32_t w) { return kernels::long_words(std::uint64_t{w}) ^ rubbish; };
  kernels::detail::philox_lanes x{words(counter[0]), words(counter[1]), words(counter[2]), words(counter[3])};
  kernels::detail::round_keys const keys(k);
  for (int round = 0; round != 10; ++round) x.round(keys.k0[round], keys.k1[round]);
  auto const low = [&](kernels::long_words w) { return static_cast<std::uint32_t>(w.get(lane)); };
  return {low(x.x0), low(x.x1), low(x.x2), low(x.x3)};
}

TEST_CASE("philox in lanes: the known-answer vectors of Random123, and the plain generator's words") {
  using susc::random::words;
  for (std::size_t const lane : {std::size_t{0}, kernels::long_words::size - 1}) {
    CHECK(philox_by_lanes({0, 0, 0, 0}, {0}, lane) == words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    CHECK(philox_by_lanes({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffffffffffff}, lane) ==
          words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(philox_by_lanes({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0x299f31d0a4093822}, lane) ==
          words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
    for (std::uint32_t i = 0; i != 1000; ++i) {
      words const counter{i, i * i, 7 * i, i << 20};
      CHECK(philox_by_lanes(counter, key{i * 0x9E3779B97F4A7C15}, lane) ==
            susc::random::philox(counter, key{i * 0x9E3779B97F4A7C15}));
    }
  }
}

TEST_CASE("normals far along: counters on both sides of 2^32") {
  constexpr std::size_t group = susc::random::normal_group, count = 8;
  kernels::detail::round_keys const keys(key{5});
  shapes::worst error;
  for (std::uint64_t const first : {(std::uint64_t{1} << 28) - count, std::uint64_t{1} << 28}) {
    std::vector<float> to(count * group);
    kernels::detail::normal_groups(to.data(), keys, 9, first, count);
    for (std::size_t i = 0; i != to.size(); ++i)
      error.add(to[i], susc::random::normal<float>(key{5}, 9, first * group + i),
                kernels::langevin_error * shapes::epsilon<float>);
  }
  CHECK(error.value() <= 1);
}

TEST_CASE("normals<float> against the plain reference: keys, steps, tails, misalignments") {
  shapes::worst error;
  for (std::uint64_t const bits : {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{0xFEDCBA9876543210}})
    for (std::uint64_t const step : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0xFFFFFFFF}})
      for (std::size_t count = 0; count <= 17 * susc::random::normal_group + 3; count += 1 + count / 70) {
        guarded<float> to(count, count);
        kernels::normals<float>({to.data(), count}, key{bits}, step);
        for (std::size_t i = 0; i != count; ++i)
          error.add(to[i], susc::random::normal<float>(key{bits}, step, i),
                    kernels::langevin_error * shapes::epsilon<float>);
      }
  CHECK(error.value() <= 1);
}

#if defined(__FMA__)
TEST_CASE("normals have the same bits in registers of any width") {
  std::vector<float> values(10'000);
  kernels::normals<float>(values, key{11}, 4);
  std::uint64_t digest = 0;
  for (float const x : values) digest = (digest ^ std::bit_cast<std::uint32_t>(x)) * 0x9E3779B97F4A7C15;
  CHECK(digest == 811412298916565565u);
}
#endif

TEST_CASE("a number depends on its index only, not on how many are drawn") {
  std::vector<float> many(1000), few(77);
  kernels::normals<float>(many, key{3}, 5);
  kernels::normals<float>(few, key{3}, 5);
  for (std::size_t i = 0; i != few.size(); ++i) CHECK(few[i] == many[i]);
}

TEST_CASE("normals<double> are the reference exactly") {
  for (std::size_t const count : {1, 63, 64, 65, 131}) {
    guarded<double> to(count, count);
    kernels::normals<double>({to.data(), count}, key{11}, 42);
    for (std::size_t i = 0; i != count; ++i) CHECK(to[i] == susc::random::normal<double>(key{11}, 42, i));
  }
}

TEST_CASE("a million normals<float>: error against the reference, and moments within 5 standard errors") {
  constexpr std::size_t n = 1'000'000;
  std::vector<float> x(n);
  kernels::normals<float>(x, key{17}, 3);
  shapes::worst error;
  double moment[5]{}, neighbours = 0, pairs = 0;
  for (std::size_t i = 0; i != n; ++i) {
    double const v = double(x[i]);
    if (i % 4 == 0)
      error.add(v, double(susc::random::normal<float>(key{17}, 3, i)),
                kernels::langevin_error * shapes::epsilon<float>);
    for (int power = 1; power <= 4; ++power) moment[power] += std::pow(v, power) / double(n);
    if (i != 0) neighbours += v * double(x[i - 1]) / double(n);
    if (i >= 16) pairs += v * double(x[i - 16]) / double(n);  // 16 apart: cosine and sine of one pair
  }
  CHECK(error.value() <= 1);
  // Variances of x, x^2, x^3, x^4: 1, 2, 15, 96; of a product of two: 1.
  CHECK(std::abs(moment[1]) < 5 * std::sqrt(1.0 / n));
  CHECK(std::abs(moment[2] - 1) < 5 * std::sqrt(2.0 / n));
  CHECK(std::abs(moment[3]) < 5 * std::sqrt(15.0 / n));
  CHECK(std::abs(moment[4] - 3) < 5 * std::sqrt(96.0 / n));
  CHECK(std::abs(neighbours) < 5 * std::sqrt(1.0 / n));
  CHECK(std::abs(pairs) < 5 * std::sqrt(1.0 / n));
}

TEST_CASE("streams of different keys and steps are uncorrelated") {
  constexpr std::size_t n = 100'000;
  std::vector<float> a(n), b(n), c(n);
  kernels::normals<float>(a, key{1}, 0);
  kernels::normals<float>(b, key{2}, 0);
  kernels::normals<float>(c, key{1}, 1);
  double ab = 0, ac = 0;
  for (std::size_t i = 0; i != n; ++i) ab += double(a[i]) * double(b[i]), ac += double(a[i]) * double(c[i]);
  CHECK(std::abs(ab / n) < 5 * std::sqrt(1.0 / n));
  CHECK(std::abs(ac / n) < 5 * std::sqrt(1.0 / n));
}
}  // namespace
