#include "susc/kernels/cross_entropy.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "shapes.hpp"

namespace {
namespace kernels = susc::kernels;
using shapes::guarded;
using shapes::worst;

struct errors {
  worst loss, dx, dw, dbias;
};

struct problem {
  std::size_t tokens, width, vocabulary, offset = 0;
  bool has_bias = true;
  double size = 1;    // of the weights
  double masked = 0;  // -1e30: the bias of every third word, targets among them
};

template <class T>
void compare(errors& found, problem const& of, susc::random::stream& draw) {
  auto const [tokens, width, vocabulary, offset, has_bias, size, masked] = of;
  guarded<T> x(tokens, width, width + 2, offset), w(width * vocabulary, offset + 1), bias(vocabulary, offset + 2),
      loss(tokens, offset), losses_alone(tokens, offset + 1), dx(tokens * width, offset + 2),
      dw(width * vocabulary, offset + 3), dbias(vocabulary, offset);
  x.fill(draw), w.fill(draw, size), bias.fill(draw), dw.fill(draw), dbias.fill(draw);
  if (masked != 0)
    for (std::size_t v = 0; v < vocabulary; v += 3) bias[v] = static_cast<T>(masked);
  std::vector<std::int32_t> target(tokens);
  for (auto& t : target) t = static_cast<std::int32_t>(draw.below(vocabulary));
  T const* const bias_or_none = has_bias ? bias.data() : nullptr;
  T const weight = T(0.25);
  kernels::cross_entropy_scratch<T> scratch;
  auto dw_exact = dw.values(), dbias_exact = dbias.values();
  std::vector<double> dw_size, dbias_size;
  for (double const value : dw_exact) dw_size.push_back(std::abs(value));
  for (double const value : dbias_exact) dbias_size.push_back(std::abs(value));

  kernels::matrix<T const> const mx{x.data(), tokens, width, x.stride()}, mw{w.data(), width, vocabulary};
  kernels::cross_entropy<T>(losses_alone.data(), mx, mw, bias_or_none, target.data(), scratch);
  kernels::cross_entropy_gradient<T>(loss.data(), dx.data(), dw.data(), has_bias ? dbias.data() : nullptr, weight, mx,
                                     mw, bias_or_none, target.data(), scratch);
  guarded<T> loss_only(tokens), dx_only(tokens * width);
  kernels::cross_entropy_gradient<T>(loss_only.data(), dx_only.data(), nullptr, nullptr, weight, mx, mw, bias_or_none,
                                     target.data(), scratch);

  CHECK(scratch.w.size() + scratch.transposed.size() + scratch.logits.size() + scratch.target_rows.size() ==
        kernels::cross_entropy_scratch_size<T>(tokens, width, vocabulary));

  double const unit = kernels::cross_entropy_error * shapes::epsilon<T>,
               product = double(width) * x.largest() * w.largest();
  for (std::size_t t = 0; t != tokens; ++t) {
    std::vector<double> logits(vocabulary);
    double largest = -1e300, sum = 0;
    for (std::size_t v = 0; v != vocabulary; ++v) {
      for (std::size_t d = 0; d != width; ++d) logits[v] += double(x.at(t, d)) * double(w[d * vocabulary + v]);
      if (has_bias) logits[v] += double(bias[v]);
      largest = std::max(largest, logits[v]);
    }
    for (double const logit : logits) sum += std::exp(logit - largest);
    std::size_t const correct = static_cast<std::size_t>(target[t]);
    double const exact = std::log(sum) + (largest - logits[correct]),
                 m = 1 + double(vocabulary + tokens) / 16 + product + std::abs(largest);
    for (T const result : {loss[t], losses_alone[t], loss_only[t]})
      found.loss.add(result, exact, unit * (m + std::abs(exact)));
    std::vector<double> slopes(vocabulary), slope_sizes(vocabulary);
    for (std::size_t v = 0; v != vocabulary; ++v) {
      double const p = std::exp(logits[v] - largest) / sum;
      slopes[v] = double(weight) * (p - (v == correct));
      slope_sizes[v] = m * double(weight) * (p + (v == correct));
      dbias_exact[v] += slopes[v];
      dbias_size[v] += slope_sizes[v];
    }
    for (std::size_t d = 0; d != width; ++d) {
      double value = 0, absolute = 0;
      for (std::size_t v = 0; v != vocabulary; ++v) {
        double const weights = double(w[d * vocabulary + v]);
        value += slopes[v] * weights;
        absolute += slope_sizes[v] * std::abs(weights);
        dw_exact[d * vocabulary + v] += double(x.at(t, d)) * slopes[v];
        dw_size[d * vocabulary + v] += std::abs(double(x.at(t, d))) * slope_sizes[v];
      }
      for (T const result : {dx[t * width + d], dx_only[t * width + d]}) found.dx.add(result, value, unit * absolute);
    }
  }
  double const underflow = double(tokens) * 1e3 * double(std::numeric_limits<T>::min());
  for (std::size_t i = 0; i != dw_exact.size(); ++i) found.dw.add(dw[i], dw_exact[i], unit * dw_size[i] + underflow);
  if (!has_bias) return;
  for (std::size_t v = 0; v != vocabulary; ++v)
    found.dbias.add(dbias[v], dbias_exact[v], unit * dbias_size[v] + underflow);
}

void check(errors const& e) {
  for (worst const& w : {e.loss, e.dx, e.dw, e.dbias}) CHECK(w.value() <= 1);
}

TEST_CASE_TEMPLATE("cross-entropy and its gradient against naive loops: every vocabulary and misalignment", T, float,
                   double) {
  susc::random::stream draw{{11}};
  errors found;
  for (std::size_t const vocabulary : shapes::lengths<T>())
    for (std::size_t offset = 0; offset != shapes::offsets; ++offset)
      compare<T>(found, {3, 1 + (vocabulary + offset) % 9, vocabulary, offset, offset % 2 == 0}, draw);
  check(found);
}

TEST_CASE_TEMPLATE("cross-entropy of more than a block of tokens and of a large vocabulary", T, float, double) {
  susc::random::stream draw{{12}};
  errors found;
  for (std::size_t const tokens : {127, 128, 129, 300}) compare<T>(found, {tokens, 5, 11, 1}, draw);
  compare<T>(found, {4, 16, 4099}, draw);
  check(found);
}

TEST_CASE_TEMPLATE("cross-entropy with logits of size 1e3 and words masked by a bias of -1e30", T, float, double) {
  susc::random::stream draw{{13}};
  for (std::size_t const vocabulary : {7, 33}) {
    errors large, masked, both;
    compare<T>(large, {20, 4, vocabulary, 1, true, 500}, draw);
    compare<T>(masked, {20, 4, vocabulary, 2, true, 1, -1e30}, draw);
    compare<T>(both, {20, 4, vocabulary, 3, true, 500, -1e30}, draw);
    check(large);
    check(masked);
    check(both);
  }
}

TEST_CASE("cross-entropy's gradient by central differences") {
  // f = weight * sum of losses; error: h^2 f'''/6 + eps f/h, about 1e-9.
  constexpr std::size_t tokens = 4, width = 3, vocabulary = 6;
  susc::random::stream draw{{14}};
  guarded<double> x(tokens * width), w(width * vocabulary), bias(vocabulary), loss(tokens), dx(tokens * width),
      dw(width * vocabulary), dbias(vocabulary);
  kernels::cross_entropy_scratch<double> scratch;
  x.fill(draw), w.fill(draw), bias.fill(draw), dw.fill_constant(0), dbias.fill_constant(0);
  std::int32_t const target[tokens]{5, 0, 2, 2};
  double const weight = 0.7;
  kernels::matrix<double const> const mx{x.data(), tokens, width}, mw{w.data(), width, vocabulary};
  kernels::cross_entropy_gradient<double>(loss.data(), dx.data(), dw.data(), dbias.data(), weight, mx, mw, bias.data(),
                                          target, scratch);
  auto const f = [&] {
    kernels::cross_entropy<double>(loss.data(), mx, mw, bias.data(), target, scratch);
    return weight * (loss[0] + loss[1] + loss[2] + loss[3]);
  };
  auto const check_slopes = [&](guarded<double>& at, guarded<double>& slopes) {
    for (std::size_t i = 0; i != at.columns(); ++i) {
      double const h = 1e-5, middle = at[i];
      at[i] = middle + h;
      double const above = f();
      at[i] = middle - h;
      double const below = f();
      at[i] = middle;
      CHECK(std::abs((above - below) / (2 * h) - slopes[i]) < 1e-7);
    }
  };
  check_slopes(x, dx);
  check_slopes(w, dw);
  check_slopes(bias, dbias);
}
}  // namespace
