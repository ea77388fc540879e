#include "susc/kernels/rms_norm.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "shapes.hpp"

namespace {
namespace kernels = susc::kernels;
using shapes::guarded;
using shapes::worst;

constexpr double epsilon = 3e-5;

// Rows that differ in kind: ordinary; far from zero; of a mean square near epsilon; zero.
template <class T>
void fill_rows(guarded<T>& x, susc::random::stream& draw, std::size_t width) {
  for (std::size_t t = 0; t != x.columns() / width; ++t) {
    double const size[]{1, 2, 3e-3, 0}, shift[]{0.1, -100, 0.001, 0};
    for (std::size_t i = 0; i != width; ++i)
      x[t * width + i] = static_cast<T>(shift[t % 4] + size[t % 4] * draw.normal());
  }
}

struct errors {
  worst y, scale, dx, dgain;
};

template <class T>
void compare(errors& found, std::size_t tokens, std::size_t width, std::size_t offset, susc::random::stream& draw) {
  double const unit = kernels::rms_norm_error * shapes::epsilon<T> * (1 + double(width / kernels::lane_count<T>) / 8);
  double const over_tokens = kernels::rms_norm_error * shapes::epsilon<T> * (1 + double(tokens) / 8);
  double const n = double(width);
  guarded<T> x(tokens * width, offset), y(tokens * width, offset + 1), gain(width, offset + 2), scale(tokens, offset);
  fill_rows(x, draw, width);
  gain.fill(draw, 0.5, 1);
  kernels::rms_norm(y.data(), scale.data(), x.data(), gain.data(), tokens, width, epsilon);

  guarded<T> dx(tokens * width, offset), dy(tokens * width, offset + 1), dgain(width, offset + 2);
  dx.fill(draw), dy.fill(draw), dgain.fill(draw);
  auto const dx_before = dx.values(), dgain_before = dgain.values();
  kernels::rms_norm_backward(dx.data(), dgain.data(), dy.data(), x.data(), scale.data(), gain.data(), tokens, width);
  guarded<T> dx_alone(tokens * width, offset + 1);
  for (std::size_t i = 0; i != tokens * width; ++i) dx_alone[i] = static_cast<T>(dx_before[i]);
  kernels::rms_norm_backward<T>(dx_alone.data(), nullptr, dy.data(), x.data(), scale.data(), gain.data(), tokens,
                                width);

  std::vector<double> dgain_exact = dgain_before, dgain_size(width);
  for (std::size_t i = 0; i != width; ++i) dgain_size[i] = std::abs(dgain_before[i]);
  for (std::size_t t = 0; t != tokens; ++t) {
    auto const at = [&](guarded<T>& m, std::size_t i) { return double(m[t * width + i]); };
    double square = 0;
    for (std::size_t i = 0; i != width; ++i) square += at(x, i) * at(x, i) / n;
    double const s = 1 / std::sqrt(square + epsilon);
    found.scale.add(scale[t], s, unit * s);
    for (std::size_t i = 0; i != width; ++i) {
      double const exact = double(gain[i]) * at(x, i) * s;
      found.y.add(at(y, i), exact, unit * std::abs(exact));
    }
    // The backward pass is a function of the scale that it is given.
    double const given = double(scale[t]);
    double product = 0, product_size = 0;
    for (std::size_t i = 0; i != width; ++i) {
      double const term = at(dy, i) * double(gain[i]) * at(x, i) * given / n;
      product += term;
      product_size += std::abs(term);
      dgain_exact[i] += at(dy, i) * at(x, i) * given;
      dgain_size[i] += std::abs(at(dy, i) * at(x, i) * given);
    }
    for (std::size_t i = 0; i != width; ++i) {
      double const scaled = at(dy, i) * double(gain[i]), normalised = at(x, i) * given;
      double const before = dx_before[t * width + i], exact = before + given * (scaled - normalised * product);
      double const bound = unit * (std::abs(before) + given * (std::abs(scaled) + std::abs(normalised) * product_size));
      found.dx.add(at(dx, i), exact, bound);
      found.dx.add(at(dx_alone, i), exact, bound);
    }
  }
  for (std::size_t i = 0; i != width; ++i) found.dgain.add(dgain[i], dgain_exact[i], over_tokens * dgain_size[i]);

  kernels::rms_norm(x.data(), scale.data(), x.data(), gain.data(), tokens, width, epsilon);  // in place
  std::size_t same = 0;
  for (std::size_t i = 0; i != tokens * width; ++i) same += x[i] == y[i];
  CHECK(same == tokens * width);
}

void check(errors const& e) {
  for (worst const& w : {e.y, e.scale, e.dx, e.dgain}) CHECK(w.value() <= 1);
}

TEST_CASE_TEMPLATE("rms_norm and its gradient against naive loops: every width and misalignment", T, float, double) {
  susc::random::stream draw{{5}};
  errors found;
  for (std::size_t const width : shapes::lengths<T>())
    for (std::size_t offset = 0; offset != shapes::offsets; ++offset) compare<T>(found, 5, width, offset, draw);
  check(found);
}

TEST_CASE_TEMPLATE("rms_norm of wide rows and of many tokens", T, float, double) {
  susc::random::stream draw{{6}};
  errors found;
  for (std::size_t const width : {128, 768, 4096}) compare<T>(found, 4, width, 1, draw);
  compare<T>(found, 2000, 3, 2, draw);
  check(found);
}

TEST_CASE("rms_norm's gradient by central differences") {
  // f = sum of dy * y; error: h^2 f'''/6 + eps f/h, about 1e-8 of the slopes at a unit mean square.
  constexpr std::size_t width = 7;
  susc::random::stream draw{{7}};
  guarded<double> x(width), gain(width), dy(width), y(width), scale(1), dx(width), dgain(width);
  x.fill(draw), gain.fill(draw), dy.fill(draw);
  for (auto* buffer : {&dx, &dgain}) buffer->fill_constant(0);
  auto const f = [&] {
    kernels::rms_norm(y.data(), scale.data(), x.data(), gain.data(), 1, width, epsilon);
    double sum = 0;
    for (std::size_t i = 0; i != width; ++i) sum += dy[i] * y[i];
    return sum;
  };
  f();
  kernels::rms_norm_backward(dx.data(), dgain.data(), dy.data(), x.data(), scale.data(), gain.data(), 1, width);
  auto const slope = [&](double& at) {
    double const h = 1e-5, middle = at;
    at = middle + h;
    double const above = f();
    at = middle - h;
    double const below = f();
    at = middle;
    return (above - below) / (2 * h);
  };
  for (std::size_t i = 0; i != width; ++i) {
    CHECK(std::abs(slope(x[i]) - dx[i]) < 1e-7);
    CHECK(std::abs(slope(gain[i]) - dgain[i]) < 1e-7);
  }
}
}  // namespace
