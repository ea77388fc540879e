#pragma once
/// Binary logistic regression, whose loss is convex: the smallest model of data.
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/core/error.hpp"

namespace susc {

/// Satisfies Model and HasComponents. With z = w·x + intercept and labels y = ±1 the loss is log(1 + e^{-y z}), nats.
/// w is one weight an input, then the intercept: components "weights" and "intercept", and "full".
template <std::floating_point T = double>
class logistic_regression {
 public:
  using scalar = T;  ///< of weights and losses
  /// Examples.
  struct batch {
    std::vector<T> inputs;    ///< (count, inputs) row-major
    std::vector<int> labels;  ///< (count,), +1 or -1
  };

  /// Throws susc::error if there are no inputs.
  explicit logistic_regression(std::size_t inputs) : inputs_(inputs) {
    require(inputs != 0, "logistic_regression: 0 inputs, must have at least 1");
  }

  std::size_t parameter_count() const { return inputs_ + 1; }                  ///< inputs + 1
  std::size_t example_count(batch const& b) const { return b.labels.size(); }  ///< labels of the batch
  /// "full", "weights", "intercept".
  std::vector<component> components() const {
    return {full_component(inputs_ + 1), {"weights", {{0, inputs_}}}, {"intercept", {{inputs_, inputs_ + 1}}}};
  }

  /// w (parameter_count,), losses (count,) in nats.
  void losses(std::span<T const> w, batch const& b, std::span<T> losses) const {
    check(w, b);
    for (std::size_t i = 0; i != b.labels.size(); ++i) losses[i] = loss(margin(w, b, i));
  }

  /// w, gradient (parameter_count,). Throws susc::error on an empty batch, which has no mean.
  T loss_and_gradient(std::span<T const> w, batch const& b, std::span<T> gradient) const {
    require(!b.labels.empty(), "logistic_regression: a gradient over 0 examples, must have at least 1");
    check(w, b);
    std::fill(gradient.begin(), gradient.end(), T(0));
    T const share = 1 / static_cast<T>(b.labels.size());
    T sum = 0;
    for (std::size_t i = 0; i != b.labels.size(); ++i) {
      T const m = margin(w, b, i), slope = -share * static_cast<T>(b.labels[i]) / (1 + std::exp(m));
      sum += loss(m);
      for (std::size_t j = 0; j != inputs_; ++j) gradient[j] += slope * b.inputs[i * inputs_ + j];
      gradient[inputs_] += slope;
    }
    return share * sum;
  }

 private:
  /// y z of example i.
  T margin(std::span<T const> w, batch const& b, std::size_t i) const {
    T z = w[inputs_];
    for (std::size_t j = 0; j != inputs_; ++j) z += w[j] * b.inputs[i * inputs_ + j];
    return static_cast<T>(b.labels[i]) * z;
  }
  /// log(1 + e^{-m}) without overflow.
  static T loss(T m) { return std::max(-m, T(0)) + std::log1p(std::exp(-std::abs(m))); }

  void check(std::span<T const> w, batch const& b) const {
    require(w.size() == parameter_count(), "logistic_regression: ", w.size(), " weights, must have ",
            parameter_count());
    require(b.inputs.size() == b.labels.size() * inputs_, "logistic_regression: a batch of ", b.labels.size(),
            " labels and ", b.inputs.size(), " input values, must have ", b.labels.size(), " x ", inputs_, " = ",
            b.labels.size() * inputs_);
    for (std::size_t i = 0; i != b.labels.size(); ++i)
      require(b.labels[i] == 1 || b.labels[i] == -1, "logistic_regression: label ", b.labels[i], " of example ", i,
              ", must be +1 or -1");
  }

  std::size_t inputs_;
};

}  // namespace susc
