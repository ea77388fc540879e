#pragma once
/// What a run of chains yields: moments and traces of every component, and the susceptibilities made from them.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "susc/response/diagnostics.hpp"
#include "susc/response/moments.hpp"
#include "susc/response/susceptibility.hpp"
#include "susc/sampling/posterior.hpp"

namespace susc {

/// The chains of one component. Traces are (chains) x (draws), relative to w*; a diverged chain's end early and are in
/// no estimate.
struct component_response {
  std::string name = {};
  std::size_t parameters = 0;
  posterior_settings posterior = {};
  double step_size = 0;
  std::vector<moments> batches = {};  ///< batches of consecutive draws of all chains that did not diverge
  std::vector<std::vector<double>> observable_traces = {}, loss_traces = {};
  std::vector<bool> diverged = {};

  std::size_t dropped_chains() const {
    return static_cast<std::size_t>(std::count(diverged.begin(), diverged.end(), true));
  }
};

/// Is E[φ] trustworthy? NaN where it cannot be said (all chains dropped, fewer than 4 draws).
struct component_diagnostics {
  std::string name = {};
  estimate observable = {};                                 ///< E[φ]
  estimate learning_coefficient = {};                       ///< nβ (E[L] - L(w*)): restricted, the weight-refined LLC
  double r_hat = std::numeric_limits<double>::quiet_NaN();  ///< of φ: rank-normalised split R-hat
  double effective_sample_size = std::numeric_limits<double>::quiet_NaN();  ///< of φ, bulk
  std::size_t draws = 0;                                                    ///< in the estimates, all chains
  std::size_t dropped_chains = 0;
};

/// Rows: examples of the probes, or probes; columns: components.
struct response_estimates {
  xt::xtensor<double, 2> value;
  xt::xtensor<double, 2> error;  ///< standard errors, scaled so that value ± 1.96 error is a 95 % interval
};

struct susceptibility_result {
  std::vector<std::string> probes;
  std::vector<index_range> groups;             ///< rows of the per-example matrix that each probe's mean is over
  std::vector<component_response> components;  ///< in the order asked for
  component_response all_weights;              ///< chains with all weights free

  std::vector<std::string> component_names() const {
    std::vector<std::string> names;
    for (auto const& c : components) names.push_back(c.name);
    return names;
  }

  /// χ of every perturbation (examples of all probes, in order) x components.
  response_estimates example_susceptibilities(centring how = centring::full) const {
    return matrix(how, [](std::vector<moments> const& batches) -> std::vector<moments> const& { return batches; });
  }

  /// χ of every probe (its examples' mean) x components, the response matrix.
  response_estimates response_matrix(centring how = centring::full) const {
    return matrix(how, [this](std::vector<moments> const& batches) {
      std::vector<moments> means;
      for (moments const& batch : batches) means.push_back(batch.grouped(groups));
      return means;
    });
  }

  std::vector<component_diagnostics> diagnostics() const {
    std::vector<component_diagnostics> all;
    for (component_response const& c : components) all.push_back(diagnose(c));
    return all;
  }

  /// One sentence for each thing that makes a number here less trustworthy; empty is good.
  std::vector<std::string> warnings() const {
    std::vector<std::string> found;
    auto const look = [&](component_response const& c) {
      component_diagnostics const d = diagnose(c);
      auto const warn = [&](auto const&... what) { found.push_back(detail::concatenate(c.name, ": ", what...)); };
      if (d.dropped_chains > 0)
        warn(d.dropped_chains, " of ", c.diverged.size(),
             " chains diverged and are left out; a smaller step size or larger localization would help");
      if (d.dropped_chains != c.diverged.size() && std::isnan(d.r_hat))
        warn(d.draws, " draws cannot tell whether the chains agree: take at least 4 a chain");
      if (d.r_hat > 1.05) warn("R-hat of the observable is ", d.r_hat, ", above 1.05: the chains disagree");
      if (d.effective_sample_size < 100)
        warn("effective sample size of the observable is ", std::floor(d.effective_sample_size),
             ", below 100: take more draws");
    };
    look(all_weights);
    for (component_response const& c : components)
      if (c.parameters != all_weights.parameters) look(c);
    return found;
  }

 private:
  static component_diagnostics diagnose(component_response const& c) {
    component_diagnostics d{.name = c.name, .dropped_chains = c.dropped_chains()};
    d.observable = mean_observable(c.batches);
    std::vector<std::vector<double>> kept;
    std::vector<moments> loss_batches;
    for (std::size_t chain = 0; chain != c.diverged.size(); ++chain) {
      if (c.diverged[chain]) continue;
      kept.push_back(c.observable_traces[chain]);
      auto const& losses = c.loss_traces[chain];
      std::size_t const batches = batches_per_chain(losses.size(), c.diverged.size());
      loss_batches.resize(loss_batches.size() + batches);
      for (std::size_t t = 0; t != losses.size(); ++t)
        loss_batches[loss_batches.size() - batches + t * batches / losses.size()].add(losses[t], {});
      d.draws += losses.size();
    }
    estimate const loss = mean_observable(loss_batches);
    d.learning_coefficient = {c.posterior.n_beta * loss.value, c.posterior.n_beta * loss.error};
    if (kept.empty() || kept.front().size() < 4) return d;
    d.r_hat = split_r_hat(kept);
    d.effective_sample_size = bulk_effective_sample_size(kept);
    return d;
  }

  template <class Rows>
  response_estimates matrix(centring how, Rows rows) const {
    auto const& free = rows(all_weights.batches);
    // Any component's chains may all have diverged.
    std::size_t count = row_count(free);
    for (auto const& c : components) count = std::max(count, row_count(rows(c.batches)));
    response_estimates result{xt::xtensor<double, 2>::from_shape({count, components.size()}), {}};
    result.value.fill(std::numeric_limits<double>::quiet_NaN());
    result.error = result.value;
    for (std::size_t c = 0; c != components.size(); ++c) {
      auto const& batches = rows(components[c].batches);
      // All weights free is its own full posterior, so both centrings are the same covariance.
      bool const same = components[c].parameters == all_weights.parameters;
      estimates const column = susceptibilities(batches, free, same ? centring::restricted : how);
      for (std::size_t j = 0; j != column.value.size(); ++j) {
        result.value(j, c) = column.value[j];
        result.error(j, c) = column.error[j];
      }
    }
    return result;
  }
  static std::size_t row_count(std::vector<moments> const& batches) {
    return batches.empty() ? 0 : batches.front().mean_shift.size();
  }
};

}  // namespace susc
