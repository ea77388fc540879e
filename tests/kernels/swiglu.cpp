#include "susc/kernels/swiglu.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "shapes.hpp"

namespace {
namespace kernels = susc::kernels;
using shapes::guarded;

double silu(double x) {
  return x / (1 + std::exp(-x));
}
double silu_slope(double x) {
  return (1 + x / (1 + std::exp(x))) / (1 + std::exp(-x));
}

template <class T>
void compare(shapes::worst& forward, shapes::worst& backward, std::size_t count, std::size_t offset, double size,
             susc::random::stream& draw) {
  guarded<T> gate(count, offset), up(count, offset + 1), y(count, offset + 2), dy(count, offset),
      dgate(count, offset + 1), dup(count, offset + 2);
  gate.fill(draw, size), up.fill(draw), dy.fill(draw);
  kernels::swiglu(y.data(), gate.data(), up.data(), count);
  kernels::swiglu_backward(dgate.data(), dup.data(), dy.data(), gate.data(), up.data(), count);
  for (std::size_t i = 0; i != count; ++i) {
    double const g = double(gate[i]), u = double(up[i]), d = double(dy[i]);
    double const bound = kernels::swiglu_error * shapes::epsilon<T> * (1 + std::abs(g));
    forward.add(double(y[i]), silu(g) * u, bound * std::abs(u));
    backward.add(double(dup[i]), silu(g) * d, bound * std::abs(d));
    backward.add(double(dgate[i]), silu_slope(g) * u * d, bound * std::abs(u * d));
  }
  kernels::swiglu(up.data(), gate.data(), up.data(), count);  // in place
  for (std::size_t i = 0; i != count; ++i) CHECK(up[i] == y[i]);
}

TEST_CASE_TEMPLATE("swiglu and its gradient against references in double: lengths, offsets and large gates", T, float,
                   double) {
  susc::random::stream draw{{4}};
  shapes::worst forward, backward;
  for (std::size_t const count : shapes::lengths<T>())
    for (std::size_t offset = 0; offset != shapes::offsets; ++offset)
      for (double const size : {3., 300.}) compare<T>(forward, backward, count, offset, size, draw);
  CHECK(forward.value() <= 1);
  CHECK(backward.value() <= 1);
}

TEST_CASE("silu's slope is its derivative, by central differences") {
  double const h = 1e-5;  // error: h^2 f'''/6 + eps/h, about 2e-11 each
  for (double x = -6; x <= 6; x += 0.37) {
    double const at[]{x - h, x + h}, one[]{1, 1};
    double f[2], slope, unused;
    kernels::swiglu(f, at, one, 2);
    kernels::swiglu_backward(&slope, &unused, one, &x, one, 1);
    CHECK(std::abs((f[1] - f[0]) / (2 * h) - slope) < 1e-9);
  }
}
}  // namespace
