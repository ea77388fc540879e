#pragma once
/// What a model may tell beside its losses, for the observables that ask for it.
#include <concepts>
#include <cstddef>
#include <span>

#include "susc/core/concepts.hpp"

namespace susc {

namespace detail {
template <class M>
concept has_logits = requires(M const& m, std::span<typename M::scalar const> w, typename M::batch const& batch,
                              std::size_t example, std::span<typename M::scalar> logits) {
  { m.class_count() } -> std::same_as<std::size_t>;
  m.logits(w, batch, example, logits);
};
template <class M>
concept has_input_gradient = requires(M const& m, std::span<typename M::scalar const> w, typename M::batch const& batch,
                                      std::span<typename M::scalar> gradient) {
  { m.input_count(batch) } -> std::same_as<std::size_t>;
  { m.input_gradient(w, batch, gradient) } -> std::same_as<typename M::scalar>;
};
}  // namespace detail

/// A classifier that tells logits (class_count(),) of one example of a batch, so that -log softmax(logits)[label] is
/// that example's loss. One example at a time: all of a batch would be tokens x vocabulary.
// clang-format off
template <class M>
concept HasLogits =
    detail::has_logits<M> ||
    detail::because<"HasLogits needs `std::size_t class_count() const` and `void logits(std::span<scalar const> w, batch const&, std::size_t example, std::span<scalar> logits) const`">;

/// Tells the gradient (input_count(batch),) of a batch's mean loss by its inputs, those of an MLP or the embedded tokens
/// of a language model, and returns that mean.
template <class M>
concept HasInputGradient =
    detail::has_input_gradient<M> ||
    detail::because<"HasInputGradient needs `std::size_t input_count(batch const&) const` and `scalar input_gradient(std::span<scalar const> w, batch const&, std::span<scalar> gradient) const`">;
// clang-format on

}  // namespace susc
