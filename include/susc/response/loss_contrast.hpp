#pragma once
/// The perturbation between two distributions over the same examples.
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/sampling/draw.hpp"

namespace susc {

/// Perturbation. ΔL = Σ_j a_j l_j over the examples j of a probe, one row for each contrast a. With a_j = q'_j - q_j it
/// is L_q' - L_q for two distributions q and q' over these examples: label noise, missing inputs and what else moves
/// mass between examples that can be listed (data/label_noise.hpp, data/missing_inputs.hpp).
class loss_contrast {
 public:
  /// One row.
  struct contrast {
    std::size_t probe = 0;        ///< counted from 0
    std::vector<double> weights;  ///< a_j, one for each example of the probe
  };

  /// Throws susc::error if there is no contrast, or weights are not finite or do not sum to 0 up to rounding.
  explicit loss_contrast(std::vector<contrast> contrasts) : contrasts_(std::move(contrasts)) {
    require(!contrasts_.empty(), "loss_contrast: no contrasts, must have at least 1");
    for (contrast const& c : contrasts_) {
      double sum = 0, size = 0;
      for (double const a : c.weights) sum += a, size += std::abs(a);
      require(std::isfinite(size), "loss_contrast: a weight for probe ", c.probe, " is not finite");
      require(std::abs(sum) <= 1e-9 * size, "loss_contrast: the weights for probe ", c.probe, " sum to ", sum,
              ", must sum to 0: what some examples gain others lose");
    }
  }

  /// Throws susc::error on a probe that does not exist, or has another number of examples than there are weights.
  template <Model M>
  std::size_t count(draw<M> const& at) const {
    auto const& ranges = at.probe_ranges();
    for (contrast const& c : contrasts_) {
      require(c.probe < ranges.size(), "loss_contrast: probe ", c.probe, ", must be below the ", ranges.size(),
              " probes");
      require(c.weights.size() == ranges[c.probe].size(), "loss_contrast: ", c.weights.size(), " weights for probe '",
              at.probes()[c.probe].name, "', which has ", ranges[c.probe].size(), " examples");
    }
    return contrasts_.size();
  }
  /// ΔL of each contrast, shifts (count,), nats.
  template <Model M>
  void loss_shifts(draw<M> const& at, std::span<double> shifts) const {
    auto const losses = at.probe_losses();
    for (std::size_t r = 0; r != contrasts_.size(); ++r) {
      auto const& [probe, weights] = contrasts_[r];
      std::size_t const begin = at.probe_ranges()[probe].begin;
      shifts[r] = 0;
      for (std::size_t j = 0; j != weights.size(); ++j)
        shifts[r] += weights[j] * static_cast<double>(losses[begin + j]);
    }
  }

 private:
  std::vector<contrast> contrasts_;
};

}  // namespace susc
