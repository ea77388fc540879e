#pragma once
/// The whole contract between the library and a user's network.
///
/// To plug in a network, write a type that satisfies `Model`. Optional, each with a generic fallback:
///   HasComponents     components(): names for subsets of the weights ("l0h3"); else only "full"
///   RestrictedModel   loss_and_gradient(w, batch, component, gradient): computes the component's gradient alone
///   FreezableModel    freeze(w, component, batch): what does not depend on the component, computed once
///   HasLogits, HasInputGradient: core/readouts.hpp, for the observables that need them
///   CountsOperations  operations(pass, component, batch), CountsBytes: so that a run's cost is known before it
/// A member with the name of an optional part must be that part: else what runs the model does not compile.
/// docs/models.md climbs them one by one; core/check_model.hpp checks a model at run time.
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/core/near_misses.hpp"

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

/// Names subsets of the weights.
template <class M>
concept HasComponents =
    (requires(M const& m) { { m.components() } -> std::convertible_to<std::vector<component>>; } ||
     detail::because<"HasComponents needs `std::vector<susc::component> components() const`">);

/// Computes the gradient (component.size(),) of one component alone.
template <class M>
concept RestrictedModel =
    (requires(M const& m, std::span<typename M::scalar const> w, typename M::batch const& batch, component const& c,
              std::span<typename M::scalar> gradient) {
       { m.loss_and_gradient(w, batch, c, gradient) } -> std::same_as<typename M::scalar>; } ||
     detail::because<"a RestrictedModel needs `scalar loss_and_gradient(std::span<scalar const> w, batch const&, susc::component const&, std::span<scalar> gradient) const`">);

/// Computes once what does not depend on a component: `losses` at any w that differs from the frozen one in that
/// component only, equal to the plain losses up to rounding.
template <class M>
concept FreezableModel =
    (requires(M const& m, std::span<typename M::scalar const> w, typename M::batch const& batch, component const& c) {
       { m.freeze(w, c, batch) } -> std::same_as<typename M::frozen>; } ||
     detail::because<"a FreezableModel needs a type `frozen` and `frozen freeze(std::span<scalar const> w, susc::component const&, batch const&) const`">) &&
    (requires(M const& m, std::span<typename M::scalar const> w, typename M::frozen const& frozen,
              std::span<typename M::scalar> losses) { m.losses(w, frozen, losses); } ||
     detail::because<"a FreezableModel needs `void losses(std::span<scalar const> w, frozen const&, std::span<scalar> losses) const`">);

/// The same for gradients: `freeze` into memory that is used again, and the component's gradient from what was frozen.
/// Chains that see the same minibatch share what is upstream of their component.
template <class M>
concept FreezableGradientModel = FreezableModel<M> &&
    (requires(M const& m, std::span<typename M::scalar const> w, typename M::batch const& batch, component const& c,
              typename M::frozen& to) { m.freeze(w, c, batch, to); } ||
     detail::because<"a FreezableGradientModel needs `void freeze(std::span<scalar const> w, susc::component const&, batch const&, frozen& to) const`">) &&
    (requires(M const& m, std::span<typename M::scalar const> w, typename M::frozen const& frozen, component const& c,
              std::span<typename M::scalar> gradient) {
       { m.loss_and_gradient(w, frozen, c, gradient) } -> std::same_as<typename M::scalar>; } ||
     detail::because<"a FreezableGradientModel needs `scalar loss_and_gradient(std::span<scalar const> w, frozen const&, susc::component const&, std::span<scalar> gradient) const`">);

/// What may be asked of a model about one batch: the functions above by their cost. frozen_losses and frozen_gradient
/// are what remains to be done with a batch that freeze was called for.
enum class pass { losses, gradient, freeze, frozen_losses, frozen_gradient };

/// Tells the floating-point operations of a pass (of `gradient` and `frozen_gradient`: with the losses), multiply and
/// add counted apart, by the shape of the batch.
template <class M>
concept CountsOperations =
    (requires(M const& m, pass what, component const& c, typename M::batch const& batch) {
       { m.operations(what, c, batch) } -> std::same_as<double>; } ||
     detail::because<"CountsOperations needs `double operations(susc::pass, susc::component const&, batch const&) const`">);

/// Tells the bytes of a frozen batch (0 where nothing is frozen), and of the working memory that a thread needs for
/// batches of this shape.
template <class M>
concept CountsBytes =
    (requires(M const& m, component const& c, typename M::batch const& batch) {
       { m.frozen_bytes(c, batch) } -> std::same_as<std::size_t>; } ||
     detail::because<"CountsBytes needs `std::size_t frozen_bytes(susc::component const&, batch const&) const`">) &&
    (requires(M const& m, typename M::batch const& batch) { { m.workspace_bytes(batch) } -> std::same_as<std::size_t>; } ||
     detail::because<"CountsBytes needs `std::size_t workspace_bytes(batch const&) const`">);

/// Runs task(0), ..., task(tasks - 1), in whatever order and threads of this process, and returns when all are done.
/// Optional: workers(), how many run at a time; for several processes, a DistributedExecutor (sampling/executor.hpp). An
/// exception of a task must come out of it.
template <class E>
concept Executor =
    (requires(E const& run, std::size_t tasks, void (&task)(std::size_t)) { run(tasks, task); } ||
     detail::because<"an Executor needs `template <class F> void operator()(std::size_t tasks, F&& task) const`, which calls task(0), ..., task(tasks - 1)">) &&
    (!requires(E& run) { run.workers(); } ||
     requires(E const& run) { { run.workers() } -> std::convertible_to<std::size_t>; } ||
     detail::because<"the workers() of an Executor must be `std::size_t workers() const`">);
// clang-format on

namespace detail {
/// Without an optional part the slow way is taken; a slip in the part's signature must not have this effect unseen.
template <class M>
consteval void check_refinements() {
  static_assert(HasComponents<M> || !names_components<M>,
                "the model has a member `components`, which must be `std::vector<susc::component> components() const`, "
                "public (or have another name)");
  static_assert(RestrictedModel<M> || !calls_restricted_gradient<M>,
                "the model has a loss_and_gradient of a component, which must be `scalar loss_and_gradient("
                "std::span<scalar const> w, batch const&, susc::component const&, std::span<scalar> gradient) const`");
  static_assert(FreezableModel<M> || !(names_freeze<M> || requires { typename M::frozen; }),
                "the model has a member `freeze` or `frozen`, so it must have a type `frozen`, `frozen freeze("
                "std::span<scalar const> w, susc::component const&, batch const&) const` and `void losses("
                "std::span<scalar const> w, frozen const&, std::span<scalar> losses) const`, public");
  static_assert(FreezableGradientModel<M> || !(calls_freeze_into<M> || calls_frozen_gradient<M>),
                "the model has one of two functions, and must have both or none: `void freeze(std::span<scalar const> "
                "w, susc::component const&, batch const&, frozen& to) const` and `scalar loss_and_gradient("
                "std::span<scalar const> w, frozen const&, susc::component const&, std::span<scalar> gradient) const`");
  static_assert(CountsOperations<M> || !names_operations<M>,
                "the model has a member `operations`, which must be `double operations(susc::pass, susc::component "
                "const&, batch const&) const`, public (or have another name)");
  static_assert(CountsBytes<M> || !(names_frozen_bytes<M> || names_workspace_bytes<M>),
                "the model has a member `frozen_bytes` or `workspace_bytes`, so it must have `std::size_t frozen_bytes("
                "susc::component const&, batch const&) const` and `std::size_t workspace_bytes(batch const&) const`, "
                "public");
}

/// The types of a model. Of what is none they are stand-ins, with which the compiler comes as far as the sentences
/// above.
struct no_batch {};
template <class M>
struct model_types {
  using scalar = double;
  using batch = no_batch;
};
template <has_model_types M>
struct model_types<M> {
  using scalar = typename M::scalar;
  using batch = typename M::batch;
};
template <class M>
using scalar_of = typename model_types<M>::scalar;
template <class M>
using batch_of = typename model_types<M>::batch;
}  // namespace detail

/// Every component a model offers; a model without names has one, "full".
template <Model M>
std::vector<component> components_of(M const& model) {
  detail::check_refinements<M>();
  if constexpr (HasComponents<M>)
    return model.components();
  else
    return {full_component(model.parameter_count())};
}

}  // namespace susc
