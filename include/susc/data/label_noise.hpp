#pragma once
/// Data whose labels are sometimes wrong, in expectation: every label listed, none drawn.
#include <cstddef>

#include "susc/core/error.hpp"
#include "susc/data/classification_batch.hpp"

namespace susc {

/// Symmetric label noise: with probability `rate` an example has another label than its own, each of the others alike.
/// Every example is listed with every label, count * classes examples, so that with its weights
///   ΔL = mean_i [ Σ_y' π(y'|y_i) l(x_i, y') - l(x_i, y_i) ],    π(y'|y) = 1 - rate if y' = y, else rate / (classes -
///   1)
/// is exact. ΔL is proportional to the rate: χ at one rate tells that at any.
/// Throws susc::error on a rate outside of [0, 1], fewer than two classes, or a label that is none of them.
template <ClassificationBatch B>
contrasted_batch<B> label_noise(B const& clean, std::size_t classes, double rate) {
  require(rate >= 0 && rate <= 1, "label_noise: rate is ", rate, ", must be in [0, 1]");
  require(classes >= 2, "label_noise: ", classes, " classes, must be at least 2");
  std::size_t const width = input_width(clean), count = clean.labels.size();
  contrasted_batch<B> result;
  for (std::size_t i = 0; i != count; ++i) {
    require(clean.labels[i] < classes, "label_noise: label ", clean.labels[i], " of example ", i,
            ", must be below the ", classes, " classes");
    for (std::size_t y = 0; y != classes; ++y) {
      for (std::size_t k = 0; k != width; ++k) result.batch.inputs.push_back(clean.inputs[i * width + k]);
      result.batch.labels.push_back(y);
      double const moved = y == clean.labels[i] ? -rate : rate / static_cast<double>(classes - 1);
      result.weights.push_back(moved / static_cast<double>(count));
    }
  }
  return result;
}

}  // namespace susc
