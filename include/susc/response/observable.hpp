#pragma once
/// Observables: scalar functions of the weights whose response is measured.
#include <concepts>

#include "susc/sampling/draw.hpp"

namespace susc {

/// value(draw) is φ(w). A draw offers the model, the weights, and the losses of evaluation set and probes.
// clang-format off
template <class O, class M>
concept Observable = Model<M> && (requires(O const& o, draw<M> const& at) { { o.value(at) } -> std::convertible_to<double>; } ||
                                  detail::because<"an Observable needs `double value(susc::draw<M> const&) const`">);
// clang-format on

/// φ_C(w) = L(w) - L(w*) on the evaluation set: the paper's observable of a component, in nats.
struct component_loss {
  /// Nats.
  template <Model M>
  double value(draw<M> const& at) const {
    return at.evaluation_loss() - at.center_loss();
  }
};

}  // namespace susc
