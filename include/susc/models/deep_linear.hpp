#pragma once
/// A deep linear network: the product of several matrices as regression. Reduced-rank regression with more factors.
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/core/error.hpp"
#include "susc/kernels/gemm.hpp"

namespace susc {

/// Satisfies Model and HasComponents. With widths {n_0, ..., n_L}, n_0 inputs and n_L outputs, the loss is the
/// population's, less its minimum, for x ~ N(0, I) and noise N(0, I):
///   K(w) = ½ ‖W_L ... W_1 - C‖²   (Frobenius), C (n_L, n_0) the true map
/// w = (W_1 (n_1, n_0), W_2 (n_2, n_1), ...), all row-major: components "layer<l>", and "full". With L = 2 it is
/// `reduced_rank`. It is deterministic: a batch holds nothing and counts as one example.
template <std::floating_point T = double>
class deep_linear {
 public:
  using scalar = T;  ///< of weights and losses
  struct batch {};

  /// true_map (n_L, n_0) row-major. Throws susc::error if it is of another size, there are fewer than two widths, or
  /// one is 0.
  deep_linear(std::vector<std::size_t> widths, std::span<T const> true_map)
      : widths_(std::move(widths)), true_map_(true_map.begin(), true_map.end()) {
    require(widths_.size() >= 2, "deep_linear: ", widths_.size(), " widths, must have at least 2, inputs and outputs");
    for (std::size_t i = 0; i != widths_.size(); ++i)
      require(widths_[i] != 0, "deep_linear: width ", i, " is 0, must be at least 1");
    require(true_map.size() == widths_.back() * widths_[0], "deep_linear: the true map has ", true_map.size(),
            " elements, must have ", widths_.back(), " x ", widths_[0], " = ", widths_.back() * widths_[0]);
    for (std::size_t l = 0; l != layers(); ++l) begins_.push_back(begins_[l] + widths_[l] * widths_[l + 1]);
  }

  std::size_t parameter_count() const { return begins_.back(); }  ///< elements of all factors
  std::size_t example_count(batch const&) const { return 1; }     ///< 1: the loss is the population's
  /// "full" and "layer1" to "layer<L>".
  std::vector<component> components() const {
    std::vector<component> all{full_component(parameter_count())};
    for (std::size_t l = 0; l != layers(); ++l)
      all.push_back({"layer" + std::to_string(l + 1), {{begins_[l], begins_[l + 1]}}});
    return all;
  }

  /// w (parameter_count,), losses (1,).
  void losses(std::span<T const> w, batch const&, std::span<T> losses) const {
    losses[0] = half_square(residual(products(w)));
  }

  /// w, gradient (parameter_count,): with R = W_L ... W_1 - C it is (W_L ... W_{l+1})ᵀ R (W_{l-1} ... W_1)ᵀ for W_l.
  T loss_and_gradient(std::span<T const> w, batch const&, std::span<T> gradient) const {
    auto const below = products(w);
    std::vector<T> r = residual(below);
    T const loss = half_square(r);
    std::size_t const inputs = widths_[0];
    // Going down, r (n_l, n_0) is R with what lies above W_l multiplied in.
    for (std::size_t l = layers(); l-- != 0;) {
      matrix const above{r.data(), widths_[l + 1], inputs};
      kernels::matrix<T> const to{gradient.data() + begins_[l], widths_[l + 1], widths_[l]};
      if (l == 0) {
        std::copy(r.begin(), r.end(), to.data);
        break;
      }
      kernels::multiply_transposed<T>(to, above, {below[l - 1].data(), widths_[l], inputs});
      std::vector<T> next(widths_[l] * inputs);
      kernels::transposed_multiply<T>({next.data(), widths_[l], inputs}, factor(l, w), above);
      r = std::move(next);
    }
    return loss;
  }

 private:
  using matrix = kernels::matrix<T const>;
  std::size_t layers() const { return widths_.size() - 1; }
  matrix factor(std::size_t l, std::span<T const> w) const {
    return {w.data() + begins_[l], widths_[l + 1], widths_[l]};
  }

  /// Entry l is W_{l+1} ... W_1 (n_{l+1}, n_0).
  std::vector<std::vector<T>> products(std::span<T const> w) const {
    require(w.size() == parameter_count(), "deep_linear: ", w.size(), " weights, must have ", parameter_count());
    std::vector<std::vector<T>> all{{w.begin(), w.begin() + static_cast<std::ptrdiff_t>(begins_[1])}};
    for (std::size_t l = 1; l != layers(); ++l) {
      std::vector<T> next(widths_[l + 1] * widths_[0]);
      kernels::multiply<T>({next.data(), widths_[l + 1], widths_[0]}, factor(l, w),
                           {all.back().data(), widths_[l], widths_[0]});
      all.push_back(std::move(next));
    }
    return all;
  }
  std::vector<T> residual(std::vector<std::vector<T>> const& products) const {
    std::vector<T> r = products.back();
    for (std::size_t i = 0; i != r.size(); ++i) r[i] -= true_map_[i];
    return r;
  }
  static T half_square(std::span<T const> r) {
    T sum = 0;
    for (T const x : r) sum += x * x;
    return sum / 2;
  }

  std::vector<std::size_t> widths_;
  std::vector<T> true_map_;
  std::vector<std::size_t> begins_{0};  ///< of each factor in w, then parameter_count
};

}  // namespace susc
