#pragma once
/// A model as trained on shifted data: the loss of (1 - Σ h_p) q + Σ h_p q_p, the q_p being batches.
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/component.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/error.hpp"
#include "susc/sampling/chain.hpp"

namespace susc {

/// The gradient is that of L_h = L + Σ h_p (L_p - L), L_p being the mean loss of a batch; losses are the model's own.
/// The model and the batches must outlive it. A gradient costs that of the minibatch and of each batch with h_p ≠ 0.
template <Model M>
class shifted_model {
 public:
  using scalar = typename M::scalar;  ///< the model's
  using batch = typename M::batch;    ///< the model's

  /// Of the data towards one batch.
  struct shift {
    batch const* towards = nullptr;  ///< q_p, not owned
    double amount = 0;               ///< h_p
  };

  /// Shifted towards several batches at once. Throws susc::error for an h_p that is not finite, or towards nothing.
  shifted_model(M const& model, std::vector<shift> shifts) : model_(model), shifts_(std::move(shifts)) {
    for (shift const& s : shifts_) {
      require(std::isfinite(s.amount), "a shift by ", s.amount, ", must be finite");
      require(s.towards != nullptr || s.amount == 0, "a shift by ", s.amount, " towards no batch");
    }
  }
  /// Shifted towards one, by h.
  shifted_model(M const& model, batch const& towards, double h) : shifted_model(model, {{&towards, h}}) {}
  shifted_model(M const& model, batch const&& towards, double h) = delete;  ///< The batch must outlive it.

  std::size_t parameter_count() const { return model_.parameter_count(); }             ///< the model's
  std::size_t example_count(batch const& b) const { return model_.example_count(b); }  ///< the model's
  std::vector<component> components() const { return components_of(model_); }          ///< the model's
  /// The model's: those of q.
  void losses(std::span<scalar const> w, batch const& b, std::span<scalar> to) const { model_.losses(w, b, to); }

  /// L_h and its gradient (parameter_count,).
  scalar loss_and_gradient(std::span<scalar const> w, batch const& b, std::span<scalar> gradient) const {
    return mixed(
        gradient, [&](batch const& from, std::span<scalar> g) { return model_.loss_and_gradient(w, from, g); }, b);
  }
  /// The same with the component's gradient (c.size(),).
  scalar loss_and_gradient(std::span<scalar const> w, batch const& b, component const& c,
                           std::span<scalar> gradient) const {
    aligned_vector<scalar> whole;
    return mixed(
        gradient,
        [&](batch const& from, std::span<scalar> g) {
          return detail::component_gradient(model_, w, from, c, g, whole);
        },
        b);
  }

 private:
  template <class Gradient>
  scalar mixed(std::span<scalar> gradient, Gradient&& of, batch const& b) const {
    scalar const loss = of(b, gradient);
    scalar all = loss;
    aligned_vector<scalar> const own(gradient.begin(), gradient.end());
    aligned_vector<scalar> other(gradient.size());
    for (shift const& s : shifts_) {
      if (s.amount == 0) continue;
      scalar const h = static_cast<scalar>(s.amount);
      all += h * (of(*s.towards, std::span<scalar>(other)) - loss);
      for (std::size_t i = 0; i != gradient.size(); ++i) gradient[i] += h * (other[i] - own[i]);
    }
    return all;
  }

  M const& model_;
  std::vector<shift> shifts_;
};

}  // namespace susc
