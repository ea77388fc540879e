#pragma once
/// The whole contract between the library and a user's network, on one screen.
///
/// To plug in a network, write a type that satisfies `Model`. Optional, each with a generic fallback:
///   HasComponents     components(): names for subsets of the weights ("l0h3"); else only "full"
///   RestrictedModel   loss_and_gradient(w, batch, component, gradient): computes the component's gradient alone
///   FreezableModel    freeze(w, component, batch): what does not depend on the component, computed once
///   CountsOperations  operations(pass, component, batch), CountsBytes: so that a run's cost is known before it
/// See examples/02_your_own_network.cpp.
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include "susc/core/component.hpp"

namespace susc {

namespace detail {
template <std::size_t N>
struct sentence {
  char characters[N]{};
  consteval sentence(char const (&text)[N]) {
    for (std::size_t i = 0; i != N; ++i) characters[i] = text[i];
  }
};
/// Never true: it exists so that the compiler prints the sentence when a type misses a concept.
template <sentence Text>
inline constexpr bool because = false;

template <class M>
concept has_model_types = std::floating_point<typename M::scalar> && requires {
  typename M::batch;
};
template <class M>
concept has_counts = requires(M const& m, typename M::batch const& batch) {
  { m.parameter_count() } -> std::same_as<std::size_t>;
  { m.example_count(batch) } -> std::same_as<std::size_t>;
};
template <class M>
concept has_losses = requires(M const& m, std::span<typename M::scalar const> w, typename M::batch const& batch,
                              std::span<typename M::scalar> losses) {
  m.losses(w, batch, losses);
};
template <class M>
concept has_gradient = requires(M const& m, std::span<typename M::scalar const> w, typename M::batch const& batch,
                                std::span<typename M::scalar> gradient) {
  { m.loss_and_gradient(w, batch, gradient) } -> std::same_as<typename M::scalar>;
};
}  // namespace detail

/// A loss over a flat weight vector w (parameter_count,). Semantics that no compiler checks: `losses` are per example,
/// in nats; loss_and_gradient returns their mean over the batch and overwrites `gradient` with the gradient of that
/// mean; same arguments, same bits; const members may be called from several threads at once.
// clang-format off
template <class M>
concept Model =
    (detail::has_model_types<M> ||
     detail::because<"a Model needs `using scalar = float;` (or double) and a type `batch`">) &&
    (detail::has_counts<M> ||
     detail::because<"a Model needs `std::size_t parameter_count() const` and `std::size_t example_count(batch const&) const`">) &&
    (detail::has_losses<M> ||
     detail::because<"a Model needs `void losses(std::span<scalar const> w, batch const&, std::span<scalar> losses) const`">) &&
    (detail::has_gradient<M> ||
     detail::because<"a Model needs `scalar loss_and_gradient(std::span<scalar const> w, batch const&, std::span<scalar> gradient) const`">);
// clang-format on

/// Names subsets of the weights.
template <class M>
concept HasComponents = requires(M const& m) {
  { m.components() } -> std::convertible_to<std::vector<component>>;
};

/// Computes the gradient (component.size(),) of one component alone.
template <class M>
concept RestrictedModel = requires(M const& m, std::span<typename M::scalar const> w, typename M::batch const& batch,
                                   component const& c, std::span<typename M::scalar> gradient) {
  { m.loss_and_gradient(w, batch, c, gradient) } -> std::same_as<typename M::scalar>;
};

/// Computes once what does not depend on a component: `losses` at any w that differs from the frozen one in that
/// component only, equal to the plain losses up to rounding.
template <class M>
concept FreezableModel = requires(M const& m, std::span<typename M::scalar const> w, typename M::batch const& batch,
                                  component const& c, typename M::frozen const& frozen,
                                  std::span<typename M::scalar> losses) {
  { m.freeze(w, c, batch) } -> std::same_as<typename M::frozen>;
  m.losses(w, frozen, losses);
};

/// The same for gradients: `freeze` into memory that is used again, and the component's gradient from what was frozen.
/// Chains that see the same minibatch share what is upstream of their component.
template <class M>
concept FreezableGradientModel = FreezableModel<M> &&
    requires(M const& m, std::span<typename M::scalar const> w, typename M::batch const& batch, component const& c,
             typename M::frozen& to, typename M::frozen const& frozen, std::span<typename M::scalar> gradient) {
  m.freeze(w, c, batch, to);
  { m.loss_and_gradient(w, frozen, c, gradient) } -> std::same_as<typename M::scalar>;
};

/// What may be asked of a model about one batch: the functions above by their cost. frozen_losses and frozen_gradient
/// are what remains to be done with a batch that freeze was called for.
enum class pass { losses, gradient, freeze, frozen_losses, frozen_gradient };

/// Tells the floating-point operations of a pass (of `gradient` and `frozen_gradient`: with the losses), multiply and
/// add counted apart, by the shape of the batch.
template <class M>
concept CountsOperations = requires(M const& m, pass what, component const& c, typename M::batch const& batch) {
  { m.operations(what, c, batch) } -> std::same_as<double>;
};

/// Tells the bytes of a frozen batch, and of the working memory that a thread needs for batches of this shape.
template <class M>
concept CountsBytes = requires(M const& m, component const& c, typename M::batch const& batch) {
  { m.frozen_bytes(c, batch) } -> std::same_as<std::size_t>;
  { m.workspace_bytes(batch) } -> std::same_as<std::size_t>;
};

/// Every component a model offers; a model without names has one, "full".
template <Model M>
std::vector<component> components_of(M const& model) {
  if constexpr (HasComponents<M>)
    return model.components();
  else
    return {full_component(model.parameter_count())};
}

}  // namespace susc
