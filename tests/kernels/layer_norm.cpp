#include "susc/kernels/layer_norm.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "shapes.hpp"

namespace {
namespace kernels = susc::kernels;
using shapes::guarded;
using shapes::worst;

// Rows that differ in kind: ordinary; far from zero; of a variance near epsilon; constant.
template <class T>
void fill_rows(guarded<T>& x, susc::random::stream& draw, std::size_t width) {
  for (std::size_t t = 0; t != x.columns() / width; ++t) {
    double const size[]{1, 2, 3e-3, 0}, shift[]{0.1, -100, 0.01, 0.7};
    for (std::size_t i = 0; i != width; ++i)
      x[t * width + i] = static_cast<T>(shift[t % 4] + size[t % 4] * draw.normal());
  }
}

struct errors {
  worst y, mean, rstd, dx, dgain, dbias;
};

template <class T>
void compare(errors& found, std::size_t tokens, std::size_t width, std::size_t offset, susc::random::stream& draw) {
  double const unit = kernels::layer_norm_error * shapes::epsilon<T> * (1 + double(width / kernels::lane_count<T>) / 8);
  double const over_tokens = kernels::layer_norm_error * shapes::epsilon<T> * (1 + double(tokens) / 8);
  double const n = double(width);
  guarded<T> x(tokens * width, offset), y(tokens * width, offset + 1), gain(width, offset + 2), bias(width, offset + 3),
      mean(tokens, offset), rstd(tokens, offset + 1);
  fill_rows(x, draw, width);
  gain.fill(draw, 0.5, 1), bias.fill(draw);
  kernels::layer_norm(y.data(), mean.data(), rstd.data(), x.data(), gain.data(), bias.data(), tokens, width);

  guarded<T> dx(tokens * width, offset), dy(tokens * width, offset + 1), dgain(width, offset + 2),
      dbias(width, offset + 3);
  dx.fill(draw), dy.fill(draw), dgain.fill(draw), dbias.fill(draw);
  auto const dx_before = dx.values(), dgain_before = dgain.values(), dbias_before = dbias.values();
  kernels::layer_norm_backward(dx.data(), dgain.data(), dbias.data(), dy.data(), x.data(), mean.data(), rstd.data(),
                               gain.data(), tokens, width);
  guarded<T> dx_alone(tokens * width, offset + 1);
  for (std::size_t i = 0; i != tokens * width; ++i) dx_alone[i] = static_cast<T>(dx_before[i]);
  kernels::layer_norm_backward<T>(dx_alone.data(), nullptr, nullptr, dy.data(), x.data(), mean.data(), rstd.data(),
                                  gain.data(), tokens, width);

  std::vector<double> dgain_exact = dgain_before, dbias_exact = dbias_before, dgain_size(width), dbias_size(width);
  for (std::size_t i = 0; i != width; ++i) {
    dgain_size[i] = std::abs(dgain_before[i]);
    dbias_size[i] = std::abs(dbias_before[i]);
  }
  for (std::size_t t = 0; t != tokens; ++t) {
    auto const at = [&](guarded<T>& m, std::size_t i) { return double(m[t * width + i]); };
    // Sums of thousands of doubles, to be compared with sums of doubles: the reference must be the more exact.
    long double total = 0, squares = 0;
    for (std::size_t i = 0; i != width; ++i) total += at(x, i);
    double m = static_cast<double>(total / n);
    for (std::size_t i = 0; i != width; ++i) squares += std::pow(at(x, i) - total / n, 2);
    double const r = 1 / std::sqrt(static_cast<double>(squares / n) + 1e-5);
    found.mean.add(mean[t], m, unit * (std::abs(m) + 1 / r));
    found.rstd.add(rstd[t], r, unit * r * (1 + std::abs(m) * r));
    for (std::size_t i = 0; i != width; ++i) {
      double const normalised = (at(x, i) - m) * r, g = double(gain[i]), exact = g * normalised + double(bias[i]);
      found.y.add(at(y, i), exact,
                  unit * (std::abs(g) * (1 + std::abs(normalised) + std::abs(m) * r) + std::abs(exact)));
    }
    // The backward pass is a function of the mean and rstd that it is given.
    m = double(mean[t]);
    double const given = double(rstd[t]);
    long double total_slope = 0, total_product = 0;
    double sum_size = 0, product_size = 0;
    for (std::size_t i = 0; i != width; ++i) {
      double const scaled = at(dy, i) * double(gain[i]), normalised = (at(x, i) - m) * given;
      total_slope += scaled;
      total_product += scaled * normalised;
      sum_size += std::abs(scaled) / n;
      product_size += std::abs(scaled * normalised) / n;
      dgain_exact[i] += at(dy, i) * normalised;
      dgain_size[i] += std::abs(at(dy, i) * normalised);
      dbias_exact[i] += at(dy, i);
      dbias_size[i] += std::abs(at(dy, i));
    }
    double const sum = static_cast<double>(total_slope / n), product = static_cast<double>(total_product / n);
    for (std::size_t i = 0; i != width; ++i) {
      double const scaled = at(dy, i) * double(gain[i]), normalised = (at(x, i) - m) * given;
      double const before = dx_before[t * width + i];
      double const exact = before + given * (scaled - sum - normalised * product);
      double const bound =
          unit * (std::abs(before) + given * (std::abs(scaled) + sum_size + std::abs(normalised) * product_size));
      found.dx.add(at(dx, i), exact, bound);
      found.dx.add(at(dx_alone, i), exact, bound);
    }
  }
  for (std::size_t i = 0; i != width; ++i) {
    found.dgain.add(dgain[i], dgain_exact[i], over_tokens * dgain_size[i]);
    found.dbias.add(dbias[i], dbias_exact[i], over_tokens * dbias_size[i]);
  }
}

void check(errors const& e) {
  for (worst const& w : {e.y, e.mean, e.rstd, e.dx, e.dgain, e.dbias}) CHECK(w.value() <= 1);
}

TEST_CASE_TEMPLATE("layer_norm and its gradient against naive loops: every width and misalignment", T, float, double) {
  susc::random::stream draw{{5}};
  errors found;
  for (std::size_t const width : shapes::lengths<T>())
    for (std::size_t offset = 0; offset != shapes::offsets; ++offset) compare<T>(found, 5, width, offset, draw);
  check(found);
}

TEST_CASE_TEMPLATE("layer_norm of wide rows and of many tokens", T, float, double) {
  susc::random::stream draw{{6}};
  errors found;
  for (std::size_t const width : {128, 768, 4096}) compare<T>(found, 4, width, 1, draw);
  compare<T>(found, 2000, 3, 2, draw);
  check(found);
}

TEST_CASE("layer_norm with another epsilon") {
  double const x[]{1e-3, -1e-3}, gain[]{1, 2}, bias[]{0, 3};  // a variance of 1e-6
  double y[2], mean, rstd;
  kernels::layer_norm(y, &mean, &rstd, x, gain, bias, 1, 2, 3e-6);
  CHECK(std::abs(y[0] - .5) < 1e-14);
  CHECK(std::abs(y[1] - 2) < 1e-14);
}

TEST_CASE("layer_norm's gradient by central differences") {
  // f = sum of dy * y; error: h^2 f'''/6 + eps f/h, about 1e-8 of the slopes at a unit variance.
  constexpr std::size_t width = 7;
  susc::random::stream draw{{7}};
  guarded<double> x(width), gain(width), bias(width), dy(width), y(width), mean(1), rstd(1), dx(width), dgain(width),
      dbias(width);
  x.fill(draw), gain.fill(draw), bias.fill(draw), dy.fill(draw);
  for (auto* buffer : {&dx, &dgain, &dbias}) buffer->fill_constant(0);
  auto const f = [&] {
    kernels::layer_norm(y.data(), mean.data(), rstd.data(), x.data(), gain.data(), bias.data(), 1, width);
    double sum = 0;
    for (std::size_t i = 0; i != width; ++i) sum += dy[i] * y[i];
    return sum;
  };
  f();
  kernels::layer_norm_backward(dx.data(), dgain.data(), dbias.data(), dy.data(), x.data(), mean.data(), rstd.data(),
                               gain.data(), 1, width);
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
    CHECK(std::abs(slope(bias[i]) - dbias[i]) < 1e-7);
  }
}
}  // namespace
