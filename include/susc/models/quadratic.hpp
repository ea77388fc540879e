#pragma once
/// The exact oracle: losses that are quadratic in w, whose posterior is Gaussian.
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/core/error.hpp"

namespace susc {

/// Satisfies Model, HasComponents and RestrictedModel. Example e has loss
///   l_e(w) = constant_e + linear_e·(w - center) + ½ (w - center)ᵀ curvature_e (w - center),
/// and a batch is a list of examples.
template <std::floating_point T = double>
class quadratic {
 public:
  using scalar = T;                        ///< of weights and losses
  using batch = std::vector<std::size_t>;  ///< numbers of examples

  /// The coefficients of one loss.
  struct example {
    T constant = 0;            ///< nats
    std::vector<T> linear;     ///< (parameter_count,)
    std::vector<T> curvature;  ///< (parameter_count, parameter_count) row-major, symmetric
  };

  /// Throws susc::error if an example's extents do not match the center's.
  explicit quadratic(std::vector<T> center, std::vector<example> examples, std::vector<component> components = {})
      : center_(std::move(center)), examples_(std::move(examples)), components_(std::move(components)) {
    for (std::size_t e = 0; e != examples_.size(); ++e)
      require(examples_[e].linear.size() == center_.size() &&
                  examples_[e].curvature.size() == center_.size() * center_.size(),
              "quadratic: example ", e, " has ", examples_[e].linear.size(), " linear and ",
              examples_[e].curvature.size(), " curvature terms, must have ", center_.size(), " and ",
              center_.size() * center_.size());
    components_.insert(components_.begin(), full_component(center_.size()));
  }

  std::size_t parameter_count() const { return center_.size(); }        ///< number of weights
  std::size_t example_count(batch const& b) const { return b.size(); }  ///< size of the list
  std::vector<component> components() const { return components_; }     ///< "full", then those of the constructor

  /// w (parameter_count,), losses (b.size(),). Throws susc::error if w is of another length than parameter_count() or
  /// there is no such example, as does loss_and_gradient.
  void losses(std::span<T const> w, batch const& b, std::span<T> losses) const {
    check_length(w);
    for (std::size_t i = 0; i != b.size(); ++i) losses[i] = loss(w, checked(b[i]));
  }

  /// gradient (parameter_count,). Returns the mean loss.
  T loss_and_gradient(std::span<T const> w, batch const& b, std::span<T> gradient) const {
    return loss_and_gradient(w, b, components_.front(), gradient);
  }

  /// gradient (c.size(),). Returns the mean loss.
  T loss_and_gradient(std::span<T const> w, batch const& b, component const& c, std::span<T> gradient) const {
    check_length(w);
    T sum = 0;
    std::fill(gradient.begin(), gradient.end(), T(0));
    for (std::size_t const e : b) {
      example const& x = checked(e);
      sum += loss(w, x);
      std::size_t position = 0;
      for (index_range const r : c.ranges())
        for (std::size_t i = r.begin; i != r.end; ++i) {
          T slope = x.linear[i];
          for (std::size_t j = 0; j != w.size(); ++j) slope += x.curvature[i * w.size() + j] * (w[j] - center_[j]);
          gradient[position++] += slope / static_cast<T>(b.size());
        }
    }
    return sum / static_cast<T>(b.size());
  }

  /// Every example, once.
  batch all() const {
    batch b(examples_.size());
    std::iota(b.begin(), b.end(), std::size_t{0});
    return b;
  }

 private:
  void check_length(std::span<T const> w) const {
    require(w.size() == center_.size(), "quadratic: ", w.size(), " weights, must have ", center_.size());
  }
  example const& checked(std::size_t e) const {
    require(e < examples_.size(), "quadratic: example ", e, ", must be below the ", examples_.size(), " examples");
    return examples_[e];
  }
  T loss(std::span<T const> w, example const& x) const {
    T sum = x.constant;
    for (std::size_t i = 0; i != w.size(); ++i) {
      T row = 0;
      for (std::size_t j = 0; j != w.size(); ++j) row += x.curvature[i * w.size() + j] * (w[j] - center_[j]);
      sum += (w[i] - center_[i]) * (x.linear[i] + row / 2);
    }
    return sum;
  }

  std::vector<T> center_;
  std::vector<example> examples_;
  std::vector<component> components_;
};

}  // namespace susc
