#pragma once
/// Batches of inputs with a class each, whatever network reads them.
#include <concepts>
#include <cstddef>
#include <ranges>
#include <type_traits>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/core/error.hpp"

namespace susc {

namespace detail {
template <class B>
concept has_inputs_and_labels = std::default_initializable<B> && requires(B b) {
  requires std::floating_point<typename std::remove_cvref_t<decltype(b.inputs)>::value_type>;
  requires std::unsigned_integral<typename std::remove_cvref_t<decltype(b.labels)>::value_type>;
  b.inputs.push_back(b.inputs[std::size_t{}]);
  b.labels.push_back(b.labels[std::size_t{}]);
};
}  // namespace detail

/// inputs (count, width) row-major and labels (count,), as `mlp<T>::batch` has them.
template <class B>
concept ClassificationBatch = detail::has_inputs_and_labels<B> || detail::because<
    "a ClassificationBatch needs vectors `inputs`, of floating point, and `labels`, of unsigned integers">;

/// A list of examples, and how two distributions over them differ: `weights` (count,) are those of the changed less
/// those of the given distribution, and sum to 0. For response/loss_contrast.hpp.
template <ClassificationBatch B>
struct contrasted_batch {
  B batch;                      ///< the examples
  std::vector<double> weights;  ///< (count,)
};

/// Inputs of each example. Throws susc::error if there are no examples, or the inputs are not a multiple of them.
template <ClassificationBatch B>
std::size_t input_width(B const& batch) {
  require(!batch.labels.empty(), "a batch without examples");
  require(batch.inputs.size() % batch.labels.size() == 0, "a batch of ", batch.labels.size(), " labels and ",
          batch.inputs.size(), " input values, must have as many for each example");
  return batch.inputs.size() / batch.labels.size();
}

}  // namespace susc
