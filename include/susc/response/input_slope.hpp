#pragma once
/// The observable of how much a loss depends on its inputs.
#include <cmath>
#include <cstddef>
#include <span>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/error.hpp"
#include "susc/core/readouts.hpp"
#include "susc/sampling/draw.hpp"

namespace susc {

/// Observable. ‖∂L_p/∂x‖, L_p the mean loss of probe p and x all its inputs: those of an MLP, or the embedded tokens
/// that enter the first layer of a transformer. Of a model that satisfies HasInputGradient; a backward pass over the
/// probe a draw. Throws susc::error where there is no such probe.
struct input_slope {
  std::size_t probe = 0;  ///< counted from 0

  /// φ(w), nats per unit of input.
  template <Model M>
  double value(draw<M> const& at) const {
    static_assert(HasInputGradient<M>,
                  "input_slope needs a model that tells the gradient by its inputs: see HasInputGradient in "
                  "core/readouts.hpp");
    require(probe < at.probes().size(), "input_slope: probe ", probe, ", must be below the ", at.probes().size(),
            " probes");
    auto const& batch = at.probes()[probe].batch;
    aligned_vector<typename M::scalar> gradient(at.model().input_count(batch));
    at.model().input_gradient(at.weights(), batch, std::span(gradient));
    double sum = 0;
    for (auto const g : gradient) sum += static_cast<double>(g) * static_cast<double>(g);
    return std::sqrt(sum);
  }
};

}  // namespace susc
