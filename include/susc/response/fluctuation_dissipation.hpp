#pragma once
/// Does the susceptibility predict what happens when the data is really shifted? χ from fluctuations beside the
/// difference of two runs, on q_h = (1 - h) q + h q′ and on q_{-h}, with the same noise and minibatches.
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/concepts.hpp"
#include "susc/response/component_response.hpp"
#include "susc/response/estimate.hpp"

namespace susc {

/// A model as trained on data shifted towards a batch: the gradient is that of (1 - h) L + h L′, L′ being the batch's
/// mean loss; losses are the model's own. The model and the batch must outlive it.
template <Model M>
struct shifted_model {
  using scalar = typename M::scalar;
  using batch = typename M::batch;
  M const& model;
  batch const& towards;
  double shift = 0;  ///< h

  std::size_t parameter_count() const { return model.parameter_count(); }
  std::size_t example_count(batch const& b) const { return model.example_count(b); }
  std::vector<component> components() const { return components_of(model); }
  void losses(std::span<scalar const> w, batch const& b, std::span<scalar> to) const { model.losses(w, b, to); }

  scalar loss_and_gradient(std::span<scalar const> w, batch const& b, std::span<scalar> gradient) const {
    return mixed(
        gradient, [&](batch const& from, std::span<scalar> g) { return model.loss_and_gradient(w, from, g); }, b);
  }
  scalar loss_and_gradient(std::span<scalar const> w, batch const& b, component const& c,
                           std::span<scalar> gradient) const {
    aligned_vector<scalar> whole;
    return mixed(
        gradient,
        [&](batch const& from, std::span<scalar> g) { return detail::component_gradient(model, w, from, c, g, whole); },
        b);
  }

 private:
  template <class Gradient>
  scalar mixed(std::span<scalar> gradient, Gradient&& of, batch const& b) const {
    scalar const h = static_cast<scalar>(shift);
    aligned_vector<scalar> other(gradient.size());
    scalar const loss = of(b, gradient), shifted = of(towards, std::span<scalar>(other));
    for (std::size_t i = 0; i != gradient.size(); ++i) gradient[i] += h * (other[i] - gradient[i]);
    return loss + h * (shifted - loss);
  }
};

/// The two sides of d⟨φ⟩/dh = nβ χ for one component and one probe.
struct fluctuation_dissipation {
  std::string component;
  std::string probe;
  estimate difference;      ///< (⟨φ⟩_h - ⟨φ⟩_{-h}) / (2 h nβ)
  estimate susceptibility;  ///< χ from the fluctuations at h = 0, `restricted` centring

  /// Of the difference between the two sides, in standard errors. The two share their noise, so it is conservative.
  double z() const {
    return (difference.value - susceptibility.value) / std::hypot(difference.error, susceptibility.error);
  }
};

/// For every component of the options and every probe. At a finite step size the two sides differ by the sampler's
/// bias, along an eigenvalue m of a Gaussian posterior's precision by a factor 1 - ε m/2 for SGLD, and not at all for
/// `leimkuhler_matthews`. h should be small enough for the response to be linear; the shared noise keeps the
/// difference precise.
/// Throws susc::error on unusable settings or if |h| is not in (0, 1].
template <Model M, class Minibatch, class S = sgld, class Executor = threads, Observable<M> O = component_loss>
std::vector<fluctuation_dissipation> check_fluctuation_dissipation(
    M const& model, std::type_identity_t<std::span<typename M::scalar const>> center,
    data_distribution<typename M::batch, Minibatch> const& data, std::vector<probe<typename M::batch>> const& probes,
    sampling_options<S> const& options, double h, Executor const& run = {}, O const& observable = {}) {
  require(h > 0 && h <= 1, "the shift h is ", h, ", must be above 0 and at most 1");
  auto const result = estimate_susceptibilities(model, center, data, probes, options, run, observable);
  auto const chi = result.response_matrix(centring::restricted);
  auto const plan = plan_sampling(model, options).components;
  std::vector<fluctuation_dissipation> all;
  for (std::size_t p = 0; p != probes.size(); ++p) {
    std::vector<component_response> sides[2];
    for (int side : {0, 1}) {
      shifted_model<M> const shifted{model, probes[p].batch, side == 0 ? -h : h};
      for (auto const& of :
           run_chains(shifted, center, data, {}, plan, options, susceptibility_moments<O>{observable}, run))
        sides[side].push_back(response_of(of, options.thinning));
    }
    for (std::size_t c = 0; c != plan.size(); ++c) {
      component_response const &minus = sides[0][c], &plus = sides[1][c];
      double const scale = 1 / (2 * h * plan[c].settings.posterior.n_beta);
      std::vector<std::vector<double>> differences;
      for (std::size_t chain = 0; chain != options.chains; ++chain) {
        if (minus.diverged[chain] || plus.diverged[chain]) continue;
        differences.push_back(plus.observable_traces[chain]);
        for (std::size_t t = 0; t != differences.back().size(); ++t)
          differences.back()[t] = scale * (differences.back()[t] - minus.observable_traces[chain][t]);
      }
      all.push_back(
          {plan[c].moving.name(), probes[p].name, mean_of_traces(differences), {chi.value(p, c), chi.error(p, c)}});
    }
  }
  return all;
}

}  // namespace susc
