#include "susc/kernels/rotary.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "shapes.hpp"

namespace {
namespace kernels = susc::kernels;
using shapes::guarded;

constexpr std::size_t tokens = 5;

TEST_CASE_TEMPLATE("rotate turns pairs by the table's angles, against naive loops: every width and misalignment", T,
                   float, double) {
  susc::random::stream draw{{5}};
  shapes::worst forward, backward;
  for (std::size_t const pairs : shapes::lengths<T>())
    for (std::size_t offset = 0; offset != shapes::offsets; ++offset) {
      std::size_t const stride = 2 * pairs + offset;  // what is beyond the pairs stays: guards tell
      guarded<T> x(tokens, 2 * pairs, stride, offset), cosine(tokens * pairs, offset + 1),
          sine(tokens * pairs, offset + 2);
      x.fill(draw), cosine.fill(draw), sine.fill(draw);
      for (bool const back : {false, true}) {
        auto const before = x.values();
        (back ? kernels::rotate_backward<T> : kernels::rotate<T>)(x.data(), stride, cosine.data(), sine.data(), tokens,
                                                                  pairs);
        for (std::size_t t = 0; t != tokens; ++t)
          for (std::size_t i = 0; i != pairs; ++i) {
            double const a = before[2 * t * pairs + i], b = before[2 * t * pairs + pairs + i];
            double const c = double(cosine[t * pairs + i]), s = double(sine[t * pairs + i]) * (back ? -1 : 1);
            double const bound = kernels::rotary_error * shapes::epsilon<T> *
                                 (std::abs(a * c) + std::abs(b * s) + std::abs(b * c) + std::abs(a * s));
            (back ? backward : forward).add(double(x.at(t, i)), a * c - b * s, bound);
            (back ? backward : forward).add(double(x.at(t, pairs + i)), b * c + a * s, bound);
          }
      }
    }
  CHECK(forward.value() <= 1);
  CHECK(backward.value() <= 1);
}

TEST_CASE("products of a turned query and a turned key depend on their distance alone, and turn at the frequencies") {
  std::vector<double> const frequencies{1, 0.1, 0.003};
  constexpr std::size_t positions = 40, pairs = 3;
  std::vector<double> cosine(positions * pairs), sine(positions * pairs);
  kernels::rotary_table<double>(cosine.data(), sine.data(), frequencies, positions);
  susc::random::stream draw{{6}};
  double q[2 * pairs], k[2 * pairs];
  for (double& x : q) x = draw.normal();
  for (double& x : k) x = draw.normal();
  std::vector<double> queries, keys;
  for (std::size_t t = 0; t != positions; ++t) {
    queries.insert(queries.end(), q, q + 2 * pairs);
    keys.insert(keys.end(), k, k + 2 * pairs);
  }
  kernels::rotate(queries.data(), 2 * pairs, cosine.data(), sine.data(), positions, pairs);
  kernels::rotate(keys.data(), 2 * pairs, cosine.data(), sine.data(), positions, pairs);
  for (std::size_t i = 0; i != positions; ++i)
    for (std::size_t j = 0; j <= i; ++j) {
      double product = 0, exact = 0;
      for (std::size_t d = 0; d != 2 * pairs; ++d) product += queries[i * 2 * pairs + d] * keys[j * 2 * pairs + d];
      for (std::size_t p = 0; p != pairs; ++p) {
        double const angle = double(i - j) * frequencies[p];
        exact += (q[p] * k[p] + q[p + pairs] * k[p + pairs]) * std::cos(angle) +
                 (q[p] * k[p + pairs] - q[p + pairs] * k[p]) * std::sin(angle);
      }
      CHECK(std::abs(product - exact) < 1e-13);
    }
}

TEST_CASE("rotate_backward undoes rotate") {
  std::vector<double> const frequencies{1, 0.3};
  double cosine[6], sine[6], x[12];
  kernels::rotary_table<double>(cosine, sine, frequencies, 3);
  for (std::size_t i = 0; i != 12; ++i) x[i] = double(i) - 4.5;
  kernels::rotate(x, 4, cosine, sine, 3, 2);
  CHECK(std::abs(x[4] + 0.5) > 0.1);
  kernels::rotate_backward(x, 4, cosine, sine, 3, 2);
  for (std::size_t i = 0; i != 12; ++i) CHECK(std::abs(x[i] - (double(i) - 4.5)) < 1e-14);
}
}  // namespace
