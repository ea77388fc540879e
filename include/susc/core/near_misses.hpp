#pragma once
/// What tells a member that almost fits an optional part of the contract (core/concepts.hpp) from one that is not
/// there.
#include <concepts>
#include <span>
#include <type_traits>

#include "susc/core/component.hpp"

namespace susc::detail {

// names_X: there is a member X, of whatever kind, type and access. A name that a class has is ambiguous in what derives
// from it and from another class that has it too. Nothing can derive from a final class: of its members nothing is
// known.
/// \cond
#define SUSC_NAMES(member)                                                          \
  struct other_##member {                                                           \
    int member;                                                                     \
  };                                                                                \
  template <class M>                                                                \
  struct both_##member : M, other_##member {};                                      \
  template <class M>                                                                \
  concept names_##member = std::is_class_v<M> && !std::is_final_v<M> && !requires { \
    &both_##member<M>::member;                                                      \
  }
SUSC_NAMES(components);
SUSC_NAMES(freeze);
SUSC_NAMES(operations);
SUSC_NAMES(frozen_bytes);
SUSC_NAMES(workspace_bytes);
SUSC_NAMES(distribute);
#undef SUSC_NAMES
/// \endcond

/// The gradient of one component, const or not, whatever it returns, two arguments swapped or not.
template <class M>
concept calls_restricted_gradient = requires(M& m, std::span<typename M::scalar> w, typename M::batch& batch,
                                             component& c, std::span<typename M::scalar> gradient) {
  m.loss_and_gradient(w, batch, c, gradient);
}
|| requires(M& m, std::span<typename M::scalar> w, typename M::batch& batch, component& c,
            std::span<typename M::scalar> gradient) {
  m.loss_and_gradient(w, c, batch, gradient);
};
template <class M>
concept calls_freeze_into = requires(M& m, std::span<typename M::scalar> w, typename M::batch& batch, component& c,
                                     typename M::frozen& to) {
  m.freeze(w, c, batch, to);
};
/// Where what is frozen passes for a batch, the call may be the restricted gradient.
template <class M>
concept calls_frozen_gradient = !std::convertible_to<typename M::frozen&, typename M::batch const&> &&
                                requires(M & m, std::span<typename M::scalar> w, typename M::frozen& frozen,
                                         component& c, std::span<typename M::scalar> gradient) {
  m.loss_and_gradient(w, frozen, c, gradient);
};

}  // namespace susc::detail
