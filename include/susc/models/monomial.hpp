#pragma once
/// An oracle whose minimum is degenerate: a sum of even powers, one a weight.
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/core/error.hpp"

namespace susc {

/// Satisfies Model and HasComponents. K(w) = ½ Σ_i w_i^{p_i} with even p_i; p_i = 2 is a regular direction. The loss is
/// deterministic: a batch holds nothing and counts as one example. Components: "full" and each weight, "w0", "w1", ...
template <std::floating_point T = double>
class monomial {
 public:
  using scalar = T;  ///< of weights and losses
  struct batch {};   ///< The loss depends on no data.

  /// powers (parameter_count,): p_i. Throws susc::error if there is none or one is odd or zero.
  explicit monomial(std::vector<unsigned> powers) : powers_(std::move(powers)) {
    require(!powers_.empty(), "monomial: no powers, must have one a weight");
    for (std::size_t i = 0; i != powers_.size(); ++i)
      require(powers_[i] != 0 && powers_[i] % 2 == 0, "monomial: power ", i, " is ", powers_[i],
              ", must be even and at least 2");
  }

  std::size_t parameter_count() const { return powers_.size(); }  ///< number of powers
  std::size_t example_count(batch const&) const { return 1; }     ///< 1
  /// "full", "w0", "w1", ...
  std::vector<component> components() const {
    std::vector<component> all{full_component(parameter_count())};
    for (std::size_t i = 0; i != powers_.size(); ++i) all.push_back({"w" + std::to_string(i), {{i, i + 1}}});
    return all;
  }

  /// w (parameter_count,), losses (1,).
  void losses(std::span<T const> w, batch const&, std::span<T> losses) const { losses[0] = loss(w); }

  /// w, gradient (parameter_count,).
  T loss_and_gradient(std::span<T const> w, batch const&, std::span<T> gradient) const {
    T const value = loss(w);
    for (std::size_t i = 0; i != powers_.size(); ++i) {
      T const p = static_cast<T>(powers_[i]);
      gradient[i] = p / 2 * std::pow(w[i], p - 1);
    }
    return value;
  }

  /// Σ 1/p_i: under a flat prior ∫ exp(-nβ w^p/2) dw ∝ nβ^{-1/p}, so nβ E[K] is this at every nβ, not in the limit
  /// only. A component of some of the weights has the sum over these.
  double learning_coefficient() const {
    double sum = 0;
    for (unsigned const p : powers_) sum += 1. / p;
    return sum;
  }

 private:
  T loss(std::span<T const> w) const {
    require(w.size() == powers_.size(), "monomial: ", w.size(), " weights, must have ", powers_.size());
    T sum = 0;
    for (std::size_t i = 0; i != w.size(); ++i) sum += std::pow(w[i], static_cast<T>(powers_[i])) / 2;
    return sum;
  }

  std::vector<unsigned> powers_;
};

}  // namespace susc
