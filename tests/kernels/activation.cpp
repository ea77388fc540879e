#include "susc/kernels/activation.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "shapes.hpp"

namespace {
namespace kernels = susc::kernels;
using shapes::guarded;

// Plain references in double, from the definitions.
struct value_and_slope {
  double value, slope;
};
value_and_slope reference(kernels::relu, double x) {
  return {x > 0 ? x : 0, x > 0 ? 1.0 : 0.0};
}
value_and_slope reference(kernels::gelu, double x) {
  double const below = std::erfc(-x / std::numbers::sqrt2) / 2;
  return {x * below, below + x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi)};
}
value_and_slope reference(kernels::gelu_new, double x) {
  double const c = std::sqrt(2 / std::numbers::pi), t = std::tanh(c * (x + 0.044715 * x * x * x));
  double const cosh = std::cosh(c * (x + 0.044715 * x * x * x));
  return {x / 2 * (1 + t), (1 + t) / 2 + x / 2 / (cosh * cosh) * c * (1 + 3 * 0.044715 * x * x)};
}

template <class T, class Activation>
void check_grid() {
  susc::random::stream draw{{4}};
  shapes::worst forward, backward;
  for (std::size_t const count : shapes::lengths<T>())
    for (std::size_t offset = 0; offset != shapes::offsets; ++offset) {
      guarded<T> x(count, offset), y(count, offset + 1), dy(count, offset + 2);
      x.fill(draw, 3), dy.fill(draw);
      auto const slopes = dy.values();
      kernels::activate<Activation>(y.data(), x.data(), count);
      kernels::activate_backward<Activation>(dy.data(), x.data(), count);
      for (std::size_t i = 0; i != count; ++i) {
        auto const exact = reference(Activation{}, double(x[i]));
        double const bound = kernels::activation_error * shapes::epsilon<T> * (1 + std::abs(double(x[i])));
        forward.add(y[i], exact.value, bound);
        backward.add(dy[i], slopes[i] * exact.slope, std::abs(slopes[i]) * bound);
      }
      kernels::activate<Activation>(x.data(), x.data(), count);  // in place
      for (std::size_t i = 0; i != count; ++i) CHECK(x[i] == y[i]);
    }
  CHECK(forward.value() <= 1);
  CHECK(backward.value() <= 1);
}

template <class T, class Activation>
void check_range() {
  shapes::worst forward, backward;
  for (int i = -40000; i <= 40000; ++i) {
    // Dense near zero, out to 1e4.
    T const x = static_cast<T>(i % 2 == 0 ? i / 2000.0 : std::copysign(std::exp2(std::abs(i) / 3000.0), i));
    T y, dy = 1;
    kernels::activate<Activation>(&y, &x, 1);
    kernels::activate_backward<Activation>(&dy, &x, 1);
    auto const exact = reference(Activation{}, double(x));
    double const bound = kernels::activation_error * shapes::epsilon<T> * (1 + std::abs(double(x)));
    forward.add(y, exact.value, bound);
    backward.add(dy, exact.slope, bound);
  }
  CHECK(forward.value() <= 1);
  CHECK(backward.value() <= 1);
}

TEST_CASE_TEMPLATE("activations against references in double: lengths, offsets and the range to 1e4", T, float,
                   double) {
  check_grid<T, kernels::relu>();
  check_grid<T, kernels::gelu>();
  check_grid<T, kernels::gelu_new>();
  check_range<T, kernels::relu>();
  check_range<T, kernels::gelu>();
  check_range<T, kernels::gelu_new>();
}

TEST_CASE("slopes are the derivatives, by central differences") {
  auto const check = [](auto activation) {
    using A = decltype(activation);
    double const h = 1e-5;  // error: h^2 f'''/6 + eps/h, about 2e-11 each
    for (double x = -4; x <= 4; x += 0.37) {
      double const at[]{x - h, x + h};
      double f[2], slope = 1;
      kernels::activate<A>(f, at, 2);
      kernels::activate_backward<A>(&slope, &x, 1);
      CHECK(std::abs((f[1] - f[0]) / (2 * h) - slope) < 1e-9);
    }
  };
  check(kernels::relu{});
  check(kernels::gelu{});
  check(kernels::gelu_new{});
}
}  // namespace
