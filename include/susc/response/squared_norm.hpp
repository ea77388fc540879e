#pragma once
/// The observable of how far a component's weights are, from where they were trained or from 0.
#include <cstddef>

#include "susc/core/component.hpp"
#include "susc/sampling/draw.hpp"

namespace susc {

/// What weights are measured from: w*, or 0.
enum class origin { center, zero };

/// Observable. ‖w_C - w*_C‖² or, from 0, ‖w_C‖², over the weights of the moving component C. By the second, a positive
/// χ means that more of such data lets the posterior's weights grow.
struct squared_norm {
  origin from = origin::center;  ///< what weights are measured from

  /// φ(w).
  template <Model M>
  double value(draw<M> const& at) const {
    double sum = 0;
    for (index_range const r : at.moving().ranges())
      for (std::size_t i = r.begin; i != r.end; ++i) {
        double const start = from == origin::center ? static_cast<double>(at.center()[i]) : 0;
        double const distance = static_cast<double>(at.weights()[i]) - start;
        sum += distance * distance;
      }
    return sum;
  }
};

}  // namespace susc
