#pragma once
/// What a run of chains yields: moments and traces of every component, and the susceptibilities made from them.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "susc/core/error.hpp"
#include "susc/core/requirements.hpp"
#include "susc/response/component_response.hpp"
#include "susc/response/moments.hpp"
#include "susc/response/susceptibility.hpp"

SUSC_REQUIRE_VERSION("xtensor", XTENSOR_VERSION_MAJOR, XTENSOR_VERSION_MINOR, 0, 24);

namespace susc {

/// Rows: examples of the probes, or probes; columns: components.
struct response_estimates {
  xt::xtensor<double, 2> value;  ///< (rows, columns)
  xt::xtensor<double, 2> error;  ///< standard errors, scaled so that value ± 1.96 error is a 95 % interval
};

/// Everything that estimate_susceptibilities found.
struct susceptibility_result {
  std::vector<std::string> probes;             ///< names, in the order given
  std::vector<index_range> groups;             ///< rows of the per-example matrix that each probe's mean is over
  std::vector<component_response> components;  ///< in the order asked for
  component_response all_weights;              ///< chains with all weights free

  /// In the order of `components`: the columns of the matrices.
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
      means.reserve(batches.size());
      for (moments const& batch : batches) means.push_back(batch.grouped(groups));
      return means;
    });
  }

  /// Σ h_p χ_p of each component, in units of χ: nβ times it is, to first order, the change of E[φ] where the data is
  /// (1 - Σ h_p) q + Σ h_p q_p. h (rows of the response matrix,) is held fixed. A component's rows are from the same
  /// draws, so their errors are not independent: these are the jackknife's of the whole sum.
  /// Throws susc::error unless there is a finite h for each row.
  estimates predicted_response(std::span<double const> h, centring how = centring::full) const {
    require(h.size() == groups.size(), h.size(), " shifts h, must be one for each of the ", groups.size(),
            " rows of the response matrix");
    for (std::size_t p = 0; p != h.size(); ++p)
      require(std::isfinite(h[p]), "shift ", p, " is ", h[p], ", must be finite");
    auto const sums = matrix(how, [&](std::vector<moments> const& batches) {
      std::vector<moments> all;
      all.reserve(batches.size());
      for (moments const& batch : batches) all.push_back(batch.grouped(groups).weighted(h));
      return all;
    });
    estimates result;
    for (std::size_t c = 0; c != components.size(); ++c) {
      bool const any = sums.value.shape(0) != 0;  // no chains are left of any component
      result.value.push_back(any ? sums.value(0, c) : std::numeric_limits<double>::quiet_NaN());
      result.error.push_back(any ? sums.error(0, c) : std::numeric_limits<double>::quiet_NaN());
    }
    return result;
  }

  /// Of each component, in their order.
  std::vector<component_diagnostics> diagnostics() const {
    std::vector<component_diagnostics> all;
    for (component_response const& c : components) all.push_back(diagnose(c));
    return all;
  }

  /// One sentence for each thing that makes a number here less trustworthy; empty is good.
  std::vector<std::string> warnings() const {
    std::vector<std::string> found = diagnose(all_weights).warnings;
    for (component_response const& c : components) {
      if (c.parameters == all_weights.parameters) continue;
      auto const more = diagnose(c).warnings;
      found.insert(found.end(), more.begin(), more.end());
    }
    return found;
  }

 private:
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
