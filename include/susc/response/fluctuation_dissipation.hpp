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
  using scalar = typename M::scalar;  ///< the model's
  using batch = typename M::batch;    ///< the model's
  M const& model;                     ///< not owned
  batch const& towards;               ///< q′, not owned
  double shift = 0;                   ///< h

  std::size_t parameter_count() const { return model.parameter_count(); }             ///< the model's
  std::size_t example_count(batch const& b) const { return model.example_count(b); }  ///< the model's
  std::vector<component> components() const { return components_of(model); }          ///< the model's
  /// The model's: those of q.
  void losses(std::span<scalar const> w, batch const& b, std::span<scalar> to) const { model.losses(w, b, to); }

  /// (1 - h) L + h L′ and its gradient (parameter_count,).
  scalar loss_and_gradient(std::span<scalar const> w, batch const& b, std::span<scalar> gradient) const {
    return mixed(
        gradient, [&](batch const& from, std::span<scalar> g) { return model.loss_and_gradient(w, from, g); }, b);
  }
  /// The same with the component's gradient (c.size(),).
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
  std::string component;    ///< its name
  std::string probe;        ///< its name
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
/// difference precise: its error does not grow as h falls. Chains that diverge are left out.
/// Throws susc::error on unusable settings, without probes, or if h is not in (0, 1].
template <Model M, MinibatchSource<typename M::batch> Minibatch, Sampler<typename M::scalar> S = sgld,
          Executor E = threads, Observable<M> O = component_loss>
std::vector<fluctuation_dissipation> check_fluctuation_dissipation(
    M const& model, std::type_identity_t<std::span<detail::scalar_of<M> const>> center,
    data_distribution<detail::batch_of<M>, Minibatch> const& data,
    std::vector<probe<detail::batch_of<M>>> const& probes, sampling_options<S> const& options, double h,
    E const& run = {}, O const& observable = {}) {
  require(h > 0 && h <= 1, "the shift h is ", h, ", must be above 0 and at most 1");
  require(!probes.empty(), "no probes to shift the data towards, must have at least 1");
  auto const plan = plan_sampling(model, options).components;
  susceptibility_moments<O> const visitor{observable};
  auto const fluctuations = run_chains(model, center, data, probes, plan, options, visitor, run);
  std::vector<fluctuation_dissipation> all;
  for (std::size_t p = 0; p != probes.size(); ++p) {
    shifted_model<M> const back{model, probes[p].batch, -h}, forth{model, probes[p].batch, h};
    auto const before = run_chains(back, center, data, {}, plan, options, visitor, run);
    auto const after = run_chains(forth, center, data, {}, plan, options, visitor, run);
    for (std::size_t c = 0; c != plan.size(); ++c) {
      double const scale = 1 / (2 * h * plan[c].settings.posterior.n_beta);
      std::vector<std::vector<double>> differences;
      std::vector<moments> batches;
      for (std::size_t chain = 0; chain != options.chains; ++chain) {
        auto const& seen = fluctuations[c].chains[chain];
        if (!fluctuations[c].outcomes[chain].diverged)
          for (moments const& batch : seen.batches)
            batches.push_back(batch.grouped(std::span(seen.groups).subspan(p, 1)));
        if (before[c].outcomes[chain].diverged || after[c].outcomes[chain].diverged) continue;
        differences.push_back(after[c].chains[chain].observable_traces[0]);
        for (std::size_t t = 0; t != differences.back().size(); ++t)
          differences.back()[t] = scale * (differences.back()[t] - before[c].chains[chain].observable_traces[0][t]);
      }
      estimate chi;
      if (!batches.empty()) {
        auto const of = susceptibilities(batches, {}, centring::restricted);
        chi = {of.value[0], of.error[0]};
      }
      all.push_back({plan[c].moving.name(), probes[p].name, mean_of_traces(differences), chi});
    }
  }
  return all;
}

}  // namespace susc
