#include "susc/core/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace {
using susc::random::fold_in;
using susc::random::key;
using susc::random::philox;
using susc::random::stream;
using susc::random::words;

// Chi-square quantile at 1 - 1e-6 (normal 4.7534), by Wilson and Hilferty's cube, within 0.3 % for n >= 15.
double chi_square_limit(double n) {
  return n * std::pow(1 - 2 / (9 * n) + 4.7534 * std::sqrt(2 / (9 * n)), 3);
}

double chi_square(std::vector<std::uint64_t> const& counts) {
  double const total = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
  double const expected = total / static_cast<double>(counts.size());
  double sum = 0;
  for (std::uint64_t const n : counts) {
    double const excess = static_cast<double>(n) - expected;
    sum += excess * excess / expected;
  }
  return sum;
}

// The standard errors of the sample mean, variance and fourth moment of n standard normals: Var x = 1, Var x^2 = 2,
// Var x^4 = 105 - 9 = 96. Catches a variance off by 0.71 % at n = 1e6.
void check_standard_normal(std::vector<double> const& x) {
  double const n = static_cast<double>(x.size());
  double first = 0, second = 0, third = 0, fourth = 0;
  for (double const v : x) {
    first += v;
    second += v * v;
    third += v * v * v;
    fourth += v * v * v * v;
  }
  CHECK(std::abs(first / n) < 5 * std::sqrt(1 / n));
  CHECK(std::abs(second / n - 1) < 5 * std::sqrt(2 / n));
  CHECK(std::abs(third / n) < 5 * std::sqrt(15 / n));
  CHECK(std::abs(fourth / n - 3) < 5 * std::sqrt(96 / n));
}

// The correlation of two independent standard normal samples has standard error 1 / sqrt(n).
void check_uncorrelated(std::vector<double> const& x, std::vector<double> const& y) {
  double const n = static_cast<double>(x.size());
  double plain = 0, squares = 0;
  for (std::size_t i = 0; i != x.size(); ++i) {
    plain += x[i] * y[i];
    squares += (x[i] * x[i] - 1) * (y[i] * y[i] - 1);  // variance 2 * 2
  }
  CHECK(std::abs(plain / n) < 5 / std::sqrt(n));
  CHECK(std::abs(squares / n) < 5 * 2 / std::sqrt(n));
}

std::vector<double> normals(key k, std::uint64_t step, std::size_t count) {
  std::vector<double> x(count);
  for (std::size_t i = 0; i != count; ++i) x[i] = susc::random::normal<double>(k, step, i);
  return x;
}
}  // namespace

TEST_CASE("philox: the known-answer vectors of Random123") {
  // At compile time too: the generator is constexpr.
  static_assert(philox({0, 0, 0, 0}, {0}) == words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({0, 0, 0, 0}, {0}) == words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffffffffffff}) ==
        words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0x299f31d0a4093822}) ==
        words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("normal: moments of a million within five standard errors") {
  check_standard_normal(normals({1}, 0, 1'000'000));
}

TEST_CASE("normal: a pure function of key, step and index, and another one for each") {
  CHECK(normals({3}, 7, 200) == normals({3}, 7, 200));
  CHECK(normals({3}, 7, 1)[0] == susc::random::normal<double>({3}, 7, 0));
  std::set<double> different;
  for (std::uint64_t k = 0; k != 3; ++k)
    for (std::uint64_t step = 0; step != 3; ++step)
      for (std::uint64_t index = 0; index != 500; ++index)
        different.insert(susc::random::normal<double>({k}, step, index));
  // Of 4500 independent numbers from 2^48 pairs of 24-bit uniforms two agree with probability below 1e-7.
  CHECK(different.size() == 3 * 3 * 500);
}

TEST_CASE("normal: float and double see the same bits") {
  for (std::uint64_t i = 0; i != 1000; ++i) {
    double const exact = susc::random::normal<double>({5}, 1, i);
    // float rounds the angle (below 2 pi) three times, 2^-24 each, and the radius (below 5.9) scales that: 6.6e-6.
    CHECK(std::abs(susc::random::normal<float>({5}, 1, i) - exact) < 8e-6);
  }
}

TEST_CASE("normal: neighbours, steps, keys and both halves of a Box-Muller pair are uncorrelated") {
  constexpr std::size_t n = 200'000;
  std::vector<double> const x = normals({2}, 0, n + 64);
  std::vector<double> const first(x.begin(), x.begin() + n);
  for (std::size_t const lag : {std::size_t{1}, std::size_t{16}, std::size_t{32}, std::size_t{64}})
    check_uncorrelated(
        first, {x.begin() + static_cast<std::ptrdiff_t>(lag), x.begin() + static_cast<std::ptrdiff_t>(lag + n)});
  check_uncorrelated(first, normals({2}, 1, n));
  check_uncorrelated(first, normals({3}, 0, n));
}

TEST_CASE("fold_in: sub-streams are uncorrelated with their parent and with each other") {
  constexpr std::size_t n = 200'000;
  key const parent{9};
  std::vector<double> const a = normals(fold_in(parent, 0), 0, n), b = normals(fold_in(parent, 1), 0, n);
  check_standard_normal(a);
  check_uncorrelated(a, b);
  check_uncorrelated(a, normals(parent, 0, n));
  check_uncorrelated(a, normals(fold_in(parent, "l0h3"), 0, n));
}

TEST_CASE("fold_in: keys differ by number, by name and by order") {
  std::set<std::uint64_t> keys;
  for (std::uint64_t parent = 0; parent != 100; ++parent)
    for (std::uint64_t number = 0; number != 1000; ++number) keys.insert(fold_in(key{parent}, number).bits);
  CHECK(keys.size() == 100 * 1000);  // 64-bit keys: two of 1e5 agree with probability 3e-10
  CHECK(fold_in(key{1}, "l0h1") != fold_in(key{1}, "l1h0"));
  CHECK(fold_in(key{1}, "l0h1") == fold_in(key{1}, std::string("l0h1")));
  CHECK(fold_in(fold_in(key{1}, 2), 3) != fold_in(fold_in(key{1}, 3), 2));
}

TEST_CASE("fold_in: a derived key is none of the numbers drawn with the parent") {
  auto const front = [](words const& w) { return w[0] | std::uint64_t{w[1]} << 32; };
  for (std::uint32_t n = 0; n != 100; ++n) {
    CHECK(fold_in(key{5}, n).bits != front(philox({n, 0, 0, 0}, {5})));  // normal, step 0
    CHECK(fold_in(key{5}, n).bits != front(philox({n, 0, 0, 1}, {5})));  // stream
  }
}

TEST_CASE("fold_in: every bit of a derived key is set half the time") {
  constexpr int n = 100'000;
  std::vector<int> set(64);
  for (int i = 0; i != n; ++i) {
    std::uint64_t const bits = fold_in(key{4}, static_cast<std::uint64_t>(i)).bits;
    for (unsigned b = 0; b != 64; ++b) set[b] += static_cast<int>(bits >> b & 1);
  }
  for (int const count : set) CHECK(std::abs(count - n / 2) < 5 * std::sqrt(n / 4.0));
}

TEST_CASE("stream: a uniform random bit generator whose numbers repeat with the key") {
  static_assert(std::uniform_random_bit_generator<stream>);
  stream a(key{6}), b(key{6}), c(key{7});
  std::vector<std::uint32_t> x(1000), y(1000), z(1000);
  std::generate(x.begin(), x.end(), [&] { return a(); });
  std::generate(y.begin(), y.end(), [&] { return b(); });
  std::generate(z.begin(), z.end(), [&] { return c(); });
  CHECK(x == y);
  CHECK(x != z);
  CHECK(std::set(x.begin(), x.end()).size() == 1000);  // a repeated block would show; by chance 1e-4
}

TEST_CASE("stream: below is uniform, also for a count that does not divide 2^64") {
  for (std::uint64_t const count : {std::uint64_t{17}, std::uint64_t{64}, std::uint64_t{1000}}) {
    stream s(fold_in(key{8}, count));
    std::vector<std::uint64_t> counts(count);
    for (int i = 0; i != 1'000'000; ++i) ++counts.at(s.below(count));
    CHECK(chi_square(counts) < chi_square_limit(static_cast<double>(count - 1)));
  }
  stream s(key{8});
  CHECK(s.below(1) == 0);
}

TEST_CASE("stream: below does not favour small numbers where the remainder is large") {
  // Without rejection, values below 2^62 of count = 3 * 2^62 would come up twice as often as the others.
  std::uint64_t const quarter = std::uint64_t{1} << 62;
  stream s(key{11});
  std::vector<std::uint64_t> thirds(3);
  constexpr int n = 300'000;
  for (int i = 0; i != n; ++i) ++thirds.at(s.below(3 * quarter) / quarter);
  for (std::uint64_t const count : thirds)
    CHECK(std::abs(static_cast<double>(count) - n / 3.0) < 5 * std::sqrt(n * 2 / 9.0));
}

TEST_CASE("stream: uniform lies in [0, 1) and fills it evenly; its low bits are random too") {
  stream s(key{12});
  std::vector<std::uint64_t> coarse(100), fine(128);
  for (int i = 0; i != 1'000'000; ++i) {
    double const u = s.uniform();
    REQUIRE(u >= 0);
    REQUIRE(u < 1);
    ++coarse[static_cast<std::size_t>(u * 100)];
    ++fine[static_cast<std::uint64_t>(u * 0x1p53) % 128];
  }
  CHECK(chi_square(coarse) < chi_square_limit(99));
  CHECK(chi_square(fine) < chi_square_limit(127));
}

TEST_CASE("stream: moments of a million normals within five standard errors") {
  stream s(key{13});
  std::vector<double> x(1'000'000);
  std::generate(x.begin(), x.end(), [&] { return s.normal(); });
  check_standard_normal(x);
}
