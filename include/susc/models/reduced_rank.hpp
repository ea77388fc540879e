#pragma once
/// Reduced-rank regression, y = B A x + noise: the smallest network whose learning coefficient is known in closed form
/// (Aoyagi & Watanabe 2005, "Stochastic complexities of reduced rank regression in Bayesian estimation").
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/core/error.hpp"
#include "susc/kernels/gemm.hpp"

namespace susc {

/// Satisfies Model and HasComponents. The loss is the population's, less its minimum, for x ~ N(0, I) and noise N(0,
/// I):
///   K(w) = ½ ‖B A - C‖²   (Frobenius), C (outputs, inputs) the true map, of rank <= hidden
/// w = (A (hidden, inputs), B (outputs, hidden)), both row-major: components "A" and "B", and "full".
/// It is deterministic: a batch holds nothing and counts as one example.
template <std::floating_point T = double>
class reduced_rank {
 public:
  using scalar = T;  ///< of weights and losses
  struct batch {};   ///< The loss depends on no data.

  /// true_map (outputs, inputs) row-major. Throws susc::error if it is of another size or a width is 0.
  reduced_rank(std::size_t inputs, std::size_t hidden, std::size_t outputs, std::span<T const> true_map)
      : inputs_(inputs), hidden_(hidden), outputs_(outputs), true_map_(true_map.begin(), true_map.end()) {
    require(inputs != 0 && hidden != 0 && outputs != 0, "reduced_rank: ", inputs, " inputs, ", hidden, " hidden, ",
            outputs, " outputs, must have at least 1 of each");
    require(true_map.size() == outputs * inputs, "reduced_rank: the true map has ", true_map.size(),
            " elements, must have ", outputs, " x ", inputs, " = ", outputs * inputs);
  }

  std::size_t parameter_count() const { return hidden_ * (inputs_ + outputs_); }  ///< hidden (inputs + outputs)
  std::size_t example_count(batch const&) const { return 1; }                     ///< 1
  /// "full", "A" and "B".
  std::vector<component> components() const {
    std::size_t const split = hidden_ * inputs_;
    return {full_component(parameter_count()), {"A", {{0, split}}}, {"B", {{split, parameter_count()}}}};
  }

  /// w (parameter_count,), losses (1,).
  void losses(std::span<T const> w, batch const&, std::span<T> losses) const { losses[0] = half_square(residual(w)); }

  /// w, gradient (parameter_count,): with R = B A - C it is Bᵀ R for A and R Aᵀ for B.
  T loss_and_gradient(std::span<T const> w, batch const&, std::span<T> gradient) const {
    std::vector<T> const r = residual(w);
    matrix const R{r.data(), outputs_, inputs_};
    kernels::transposed_multiply<T>({gradient.data(), hidden_, inputs_}, B(w), R);
    kernels::multiply_transposed<T>({gradient.data() + hidden_ * inputs_, outputs_, hidden_}, R, A(w));
    return half_square(r);
  }

 private:
  using matrix = kernels::matrix<T const>;
  matrix A(std::span<T const> w) const { return {w.data(), hidden_, inputs_}; }
  matrix B(std::span<T const> w) const { return {w.data() + hidden_ * inputs_, outputs_, hidden_}; }

  std::vector<T> residual(std::span<T const> w) const {
    require(w.size() == parameter_count(), "reduced_rank: ", w.size(), " weights, must have ", parameter_count());
    std::vector<T> r(true_map_.size());
    kernels::multiply<T>({r.data(), outputs_, inputs_}, B(w), A(w));
    for (std::size_t i = 0; i != r.size(); ++i) r[i] -= true_map_[i];
    return r;
  }
  static T half_square(std::span<T const> r) {
    T sum = 0;
    for (T const x : r) sum += x * x;
    return sum / 2;
  }

  std::size_t inputs_, hidden_, outputs_;
  std::vector<T> true_map_;
};

/// -log ∫ exp(-nβ K) dw = learning_coefficient · log nβ - (multiplicity - 1) · log log nβ + O(1).
struct singularity {
  double learning_coefficient = 0;  ///< λ
  unsigned multiplicity = 1;        ///< m, at least 1
};

/// That of reduced_rank with a true map of rank `rank`, under any prior positive on the minima (Aoyagi & Watanabe 2005,
/// Main Theorem). Throws susc::error if the rank exceeds a width.
inline singularity aoyagi_watanabe(std::size_t inputs, std::size_t hidden, std::size_t outputs, std::size_t rank) {
  require(rank <= inputs && rank <= hidden && rank <= outputs, "aoyagi_watanabe: rank ", rank, " with ", inputs,
          " inputs, ", hidden, " hidden, ", outputs, " outputs, must be at most the least of them");
  double const M = static_cast<double>(inputs), H = static_cast<double>(hidden), N = static_cast<double>(outputs),
               r = static_cast<double>(rank);
  if (M + H < N + r) return {(H * M - H * r + N * r) / 2};
  if (N + H < M + r) return {(H * N - H * r + M * r) / 2};
  if (M + N < H + r) return {M * N / 2};
  double const eightfold = -(H + r) * (H + r) - M * M - N * N + 2 * (H + r) * (M + N) + 2 * M * N;
  if ((inputs + hidden + outputs + rank) % 2 == 0) return {eightfold / 8};
  return {(eightfold + 1) / 8, 2};
}

}  // namespace susc
