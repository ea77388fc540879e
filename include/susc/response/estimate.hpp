#pragma once
/// Runs the chains of every component and collects moments and traces in one pass: the library's main entry.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/response/moments.hpp"
#include "susc/response/observable.hpp"
#include "susc/response/perturbation.hpp"
#include "susc/response/result.hpp"
#include "susc/sampling/chains.hpp"
#include "susc/sampling/cost.hpp"

namespace susc {

/// The visitor behind `estimate_susceptibilities`: moments of an observable with every loss shift, and traces. Both are
/// evaluated at w* before the first step, so that what they refuse is refused then, and taken relative to that.
template <class O = component_loss, class P = example_reweighting>
struct susceptibility_moments {
  O observable = {};                                                          ///< φ
  P perturbation = {};                                                        ///< ΔL
  std::vector<index_range> groups = {};                                       ///< rows of the response matrix
  std::vector<moments> batches = {};                                          ///< of consecutive draws, chain by chain
  std::vector<std::vector<double>> observable_traces = {}, loss_traces = {};  ///< (chains) x (draws)

  /// Begins at w*, whose ΔL is subtracted from all later ones.
  template <Model M>
  void start(draw<M> const& center, draw_counts counts) {
    static_assert(Observable<O, M> && Perturbation<P, M>);
    schedule = {counts.draws, batches_per_chain(counts.draws, counts.chains)};
    groups = groups_of<M>(perturbation, center);
    baseline.resize(perturbation.count(center));
    shifts.resize(baseline.size());
    for (index_range const g : groups)
      require(g.begin < g.end && g.end <= baseline.size(), "the perturbation's group [", g.begin, ", ", g.end,
              ") is not within its ", baseline.size(), " loss shifts");
    // A constant in ΔL changes no covariance; taking out its value at w* removes the cancellation in float32. The full
    // centring does depend on a constant in φ: it is taken relative to w*, as the component's loss is.
    perturbation.loss_shifts(center, std::span(baseline));
    for (std::size_t j = 0; j != baseline.size(); ++j)
      require(std::isfinite(baseline[j]), "loss shift ", j, " of the perturbation is ", baseline[j],
              " at the center, must be finite");
    observable_at_center = static_cast<double>(observable.value(center));
    require(std::isfinite(observable_at_center), "the observable is ", observable_at_center,
            " at the center, must be finite");
    batches.assign(schedule.batches(), moments(baseline.size()));
    for (auto* traces : {&observable_traces, &loss_traces}) {
      traces->assign(1, {});
      traces->front().reserve(counts.draws);
    }
  }
  /// Takes in φ and all ΔL of one draw.
  template <Model M>
  void add(draw<M> const& at) {
    double const value = observable.value(at) - observable_at_center;
    perturbation.loss_shifts(at, std::span(shifts));
    for (std::size_t j = 0; j != shifts.size(); ++j) shifts[j] -= baseline[j];
    batches[schedule.batch_of(observable_traces[0].size())].add(value, shifts);
    observable_traces[0].push_back(value);
    loss_traces[0].push_back(at.evaluation_loss() - at.center_loss());
  }
  /// The chain gets more draws, `draws` in all.
  void extend(std::size_t draws) {
    schedule.extend(draws);
    batches.resize(schedule.batches(), moments(baseline.size()));
  }
  /// Sees the same draws as another, in its batches.
  void batch_like(susceptibility_moments const& other) {
    schedule = other.schedule;
    batches.assign(schedule.batches(), moments(baseline.size()));
  }
  /// Takes in what was seen of further probes at the same draws; `all` stands at w* and has all probes. Throws
  /// susc::error if the perturbations of all probes are not those of either, one after the other.
  template <Model M>
  void join_probes(susceptibility_moments const& more, draw<M> const& all) {
    std::size_t const before = baseline.size();
    baseline.insert(baseline.end(), more.baseline.begin(), more.baseline.end());
    shifts.insert(shifts.end(), more.shifts.begin(), more.shifts.end());
    for (index_range const& g : more.groups) groups.push_back({before + g.begin, before + g.end});
    for (std::size_t b = 0; b != batches.size(); ++b) batches[b].append(more.batches[b]);
    susceptibility_moments whole{observable, perturbation};
    whole.start(all, {1, 1, 0});
    require(whole.baseline == baseline && whole.groups == groups,
            "probes cannot be added: the perturbations of each depend on the other probes; name another run directory");
  }
  static void members(auto& self, auto&& each) {
    each(self.groups, self.batches, self.observable_traces, self.loss_traces, self.schedule, self.baseline, self.shifts,
         self.observable_at_center);
  }
  /// Appends the other chain's batches and traces.
  void merge(susceptibility_moments const& other) {
    batches.insert(batches.end(), other.batches.begin(), other.batches.end());
    observable_traces.insert(observable_traces.end(), other.observable_traces.begin(), other.observable_traces.end());
    loss_traces.insert(loss_traces.end(), other.loss_traces.begin(), other.loss_traces.end());
  }

  /// Held between start and the end of the run.
  std::size_t bytes() const {
    std::size_t sum = sizeof(double) * (baseline.capacity() + shifts.capacity()) + schedule.bytes();
    for (auto const* traces : {&observable_traces, &loss_traces})
      for (auto const& trace : *traces) sum += sizeof(double) * trace.capacity();
    for (moments const& batch : batches) sum += batch.bytes();
    return sum;
  }

  batch_schedule schedule = {};                    ///< of the chain
  std::vector<double> baseline = {}, shifts = {};  ///< at w*, and of the last draw
  double observable_at_center = 0;                 ///< φ(w*)
};

/// One component's chains as a response, which takes over what they have seen.
template <class O, class P, class S>
component_response response_of(component_chains<susceptibility_moments<O, P>, S>&& of, std::size_t thinning) {
  component_response response = described(of, thinning);
  for (std::size_t chain = 0; chain != of.chains.size(); ++chain) {
    auto& seen = of.chains[chain];
    response.observable_traces.push_back(std::move(seen.observable_traces.at(0)));
    response.loss_traces.push_back(std::move(seen.loss_traces.at(0)));
    if (!of.outcomes[chain].diverged)
      std::move(seen.batches.begin(), seen.batches.end(), std::back_inserter(response.batches));
  }
  return response;
}

/// What `estimate_susceptibilities` with these arguments will take; tries it out for about 2 % of its time, see
/// sampling/cost.hpp. Its components are those of the chains, all weights first. Throws susc::error as that would.
template <Model M, MinibatchSource<typename M::batch> Minibatch, Sampler<typename M::scalar> S = sgld,
          Executor E = threads, Observable<M> O = component_loss, Perturbation<M> P = example_reweighting>
cost estimate_cost(M const& model, std::type_identity_t<std::span<detail::scalar_of<M> const>> center,
                   data_distribution<detail::batch_of<M>, Minibatch> const& data,
                   std::vector<probe<detail::batch_of<M>>> const& probes, sampling_options<S> const& options,
                   E const& run = {}, O const& observable = {}, P const& perturbation = {}) {
  return estimate_cost(model, center, data, probes, sampled_components(plan_sampling(model, options)), options,
                       susceptibility_moments<O, P>{observable, perturbation}, run);
}

/// Susceptibilities of `model` at trained weights `center` (parameter_count,): the response of an observable in each
/// component's posterior to each perturbation. `data` is the distribution the model was trained on, `probes` the data
/// towards which it is shifted. Same bits for every executor and number of threads.
/// Throws susc::error on unusable settings; a chain that diverges is left out and counted in the result.
template <Model M, MinibatchSource<typename M::batch> Minibatch, Sampler<typename M::scalar> S = sgld,
          Executor E = threads, Observable<M> O = component_loss, Perturbation<M> P = example_reweighting>
susceptibility_result estimate_susceptibilities(M const& model,
                                                std::type_identity_t<std::span<detail::scalar_of<M> const>> center,
                                                data_distribution<detail::batch_of<M>, Minibatch> const& data,
                                                std::vector<probe<detail::batch_of<M>>> const& probes,
                                                sampling_options<S> const& options, E const& run = {},
                                                O const& observable = {}, P const& perturbation = {}) {
  auto const plan = plan_sampling(model, options);
  auto chains = run_chains(model, center, data, probes, sampled_components(plan), options,
                           susceptibility_moments<O, P>{observable, perturbation}, run);

  susceptibility_result result;
  result.groups = chains[0].chains[0].groups;
  for (auto const& p : probes) result.probes.push_back(p.name);
  result.all_weights = response_of(std::move(chains[0]), options.thinning);
  std::size_t next = 1;
  for (auto const& c : plan.components) {
    bool const whole = c.moving.size() == model.parameter_count();
    result.components.push_back(whole ? result.all_weights : response_of(std::move(chains[next++]), options.thinning));
    result.components.back().name = c.moving.name();
  }
  return result;
}

}  // namespace susc
