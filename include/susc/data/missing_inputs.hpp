#pragma once
/// Data whose inputs are sometimes missing, in expectation where all cases can be listed.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/core/random.hpp"
#include "susc/data/classification_batch.hpp"

namespace susc {

namespace detail {
/// Example i once more, without the inputs for which missing(k); `weight` is its share of the changed distribution.
template <ClassificationBatch B, class Missing>
void append_masked(contrasted_batch<B>& to, B const& from, std::size_t i, double weight, Missing&& missing) {
  std::size_t const width = input_width(from);
  for (std::size_t k = 0; k != width; ++k) {
    auto const input = from.inputs[i * width + k];
    to.batch.inputs.push_back(missing(k) ? decltype(input)(0) : input);
  }
  to.batch.labels.push_back(from.labels[i]);
  to.weights.push_back(weight);
}
inline void check_missing_probability(double probability) {
  require(probability >= 0 && probability <= 1, "missing_inputs: probability is ", probability, ", must be in [0, 1]");
}
}  // namespace detail

/// Each input is missing with this probability, independently: it is 0, the mean of standardised inputs. Every example
/// is listed with every mask, count * 2^width examples, so that with its weights
///   ΔL = mean_i [ Σ_m P(m) l(m ∘ x_i, y_i) - l(x_i, y_i) ]
/// is exact. Throws susc::error on a probability outside of [0, 1] or more than 12 inputs, for which masks are drawn
/// by the function below.
template <ClassificationBatch B>
contrasted_batch<B> missing_inputs(B const& whole, double probability) {
  detail::check_missing_probability(probability);
  std::size_t const width = input_width(whole), count = whole.labels.size();
  require(width <= 12, "missing_inputs: ", width, " inputs make 2^", width,
          " masks, at most 2^12 are listed; give a number of masks and a key");
  contrasted_batch<B> result;
  for (std::size_t i = 0; i != count; ++i)
    for (std::size_t mask = 0; mask != std::size_t{1} << width; ++mask) {
      auto const missing = [mask](std::size_t k) { return (mask >> k & 1) != 0; };
      double share = 1;
      for (std::size_t k = 0; k != width; ++k) share *= missing(k) ? probability : 1 - probability;
      if (mask == 0) share -= 1;  // nothing is missing: the example as it is
      detail::append_masked(result, whole, i, share / static_cast<double>(count), missing);
    }
  return result;
}

/// The same expectation from `masks` masks for each example, drawn once by the key: count * (masks + 1) examples, each
/// example as it is before those with its masks.
template <ClassificationBatch B>
contrasted_batch<B> missing_inputs(B const& whole, double probability, std::size_t masks, random::key key) {
  detail::check_missing_probability(probability);
  require(masks != 0, "missing_inputs: 0 masks, must be at least 1");
  require(!whole.labels.empty(), "missing_inputs: a batch without examples");
  std::size_t const count = whole.labels.size();
  double const share = 1 / static_cast<double>(count);
  contrasted_batch<B> result;
  random::stream stream(key);
  for (std::size_t i = 0; i != count; ++i) {
    detail::append_masked(result, whole, i, -share, [](std::size_t) { return false; });
    for (std::size_t m = 0; m != masks; ++m)
      detail::append_masked(result, whole, i, share / static_cast<double>(masks),
                            [&](std::size_t) { return stream.uniform() < probability; });
  }
  return result;
}

}  // namespace susc
