#pragma once
// A skewed target, on which no wrong sign or constant gives the right answer, and exact moments by quadrature.
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "susc/core/component.hpp"

namespace skewed {

using polynomial = std::array<double, 5>;  // lowest power first
inline double value(polynomial const& p, double x) {
  return p[0] + x * (p[1] + x * (p[2] + x * (p[3] + x * p[4])));
}
inline double derivative(polynomial const& p, double x) {
  return p[1] + x * (2 * p[2] + x * (3 * p[3] + x * 4 * p[4]));
}

/// x²/2 + x³/6 + x⁴/8: convex, so one mode, at 0.
inline constexpr polynomial potential{0, 0, 1. / 2, 1. / 6, 1. / 8};

/// Satisfies Model and HasComponents. Example e has the loss Σ_i terms_i(w_i) + product w_0 w_1; a batch is a list of
/// examples. Components: "full" and each weight, "w0", "w1".
class model {
 public:
  using scalar = double;
  using batch = std::vector<std::size_t>;
  struct example {
    std::vector<polynomial> terms;  // one a weight
    double product = 0;
  };

  explicit model(std::vector<example> examples) : examples_(std::move(examples)) {}

  std::size_t parameter_count() const { return examples_.front().terms.size(); }
  std::size_t example_count(batch const& b) const { return b.size(); }
  std::vector<susc::component> components() const {
    std::vector<susc::component> all{susc::full_component(parameter_count())};
    for (std::size_t i = 0; i != parameter_count(); ++i) all.push_back({"w" + std::to_string(i), {{i, i + 1}}});
    return all;
  }
  void losses(std::span<double const> w, batch const& b, std::span<double> losses) const {
    for (std::size_t k = 0; k != b.size(); ++k) losses[k] = loss(w, examples_[b[k]]);
  }
  double loss_and_gradient(std::span<double const> w, batch const& b, std::span<double> gradient) const {
    double sum = 0;
    for (double& g : gradient) g = 0;
    for (std::size_t const e : b) {
      example const& x = examples_[e];
      sum += loss(w, x);
      for (std::size_t i = 0; i != w.size(); ++i)
        gradient[i] += (derivative(x.terms[i], w[i]) + (x.product == 0 ? 0 : x.product * w[1 - i])) /
                       static_cast<double>(b.size());
    }
    return sum / static_cast<double>(b.size());
  }
  static double loss(std::span<double const> w, example const& x) {
    double sum = x.product == 0 ? 0 : x.product * w[0] * w[1];
    for (std::size_t i = 0; i != w.size(); ++i) sum += value(x.terms[i], w[i]);
    return sum;
  }

 private:
  std::vector<example> examples_;
};

/// A density on evenly spaced points; the trapezoidal rule's error is below rounding for what vanishes at both ends.
struct law {
  std::vector<double> x, weight;  // the weights sum to 1

  template <class F>
  double mean(F&& f) const {
    double sum = 0;
    for (std::size_t i = 0; i != x.size(); ++i) sum += weight[i] * f(x[i]);
    return sum;
  }
  double moment(int power) const {
    return mean([&](double v) { return std::pow(v, power); });
  }
};

inline law normalized(law l) {
  double sum = 0;
  for (double const w : l.weight) sum += w;
  for (double& w : l.weight) w /= sum;
  return l;
}

/// exp(-energy(x)) on [low, high].
template <class Energy>
law boltzmann(Energy&& energy, double low, double high, std::size_t points = 2001) {
  law l;
  for (std::size_t i = 0; i != points; ++i) {
    double const x = low + (high - low) * static_cast<double>(i) / static_cast<double>(points - 1);
    l.x.push_back(x);
    l.weight.push_back(std::exp(-energy(x)) * (i == 0 || i + 1 == points ? .5 : 1));
  }
  return normalized(std::move(l));
}

/// The stationary density of w' = w - ε/2 slope(w) + √ε ξ: its transition kernel, applied until nothing changes.
template <class Slope>
law stationary_of_sgld(Slope&& slope, double step_size, double low, double high, std::size_t points = 401) {
  law l = boltzmann([](double x) { return x * x; }, low, high, points);
  std::vector<double> kernel(points * points);
  for (std::size_t from = 0; from != points; ++from) {
    double const mean = l.x[from] - step_size / 2 * slope(l.x[from]);
    for (std::size_t to = 0; to != points; ++to)
      kernel[from * points + to] = std::exp(-std::pow(l.x[to] - mean, 2) / (2 * step_size)) * (l.x[1] - l.x[0]) /
                                   std::sqrt(2 * std::numbers::pi * step_size);
  }
  for (double change = 1; change > 1e-13;) {
    law next{l.x, std::vector<double>(points)};
    for (std::size_t from = 0; from != points; ++from)
      for (std::size_t to = 0; to != points; ++to) next.weight[to] += l.weight[from] * kernel[from * points + to];
    next = normalized(std::move(next));
    change = 0;
    for (std::size_t i = 0; i != points; ++i) change += std::abs(next.weight[i] - l.weight[i]);
    l = std::move(next);
  }
  return l;
}

}  // namespace skewed
