#pragma once
/// From moments to susceptibilities χ = -Cov[φ, ΔL] with standard errors (arXiv 2504.18274, App. C.4).
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "susc/response/moments.hpp"

namespace susc {

/// What E[ΔL] is taken over: all weights free (the paper's), or the component's own posterior (a true covariance).
///   full:        χ_C = -( E_C[φ ΔL] - E_C[φ] E_full[ΔL] )
///   restricted:  χ_C = -( E_C[φ ΔL] - E_C[φ] E_C[ΔL] )
enum class centring { full, restricted };

/// One number for each shift.
struct estimates {
  std::vector<double> value;
  std::vector<double> error;  ///< standard errors
};

namespace detail {
inline moments total(std::span<moments const> batches) {
  moments sum(batches.empty() ? 0 : batches.front().mean_shift.size());
  for (moments const& batch : batches) sum.merge(batch);
  return sum;
}

/// Standard deviation of the delete-one-batch values, times (K - 1)/√K: K values, each of weight (K - 1)/K.
class jackknife {
 public:
  void add(double value) {
    count_ += 1;
    double const gap = value - mean_;
    mean_ += gap / count_;
    square_ += gap * (value - mean_);
  }
  double variance() const {
    return count_ < 2 ? std::numeric_limits<double>::quiet_NaN() : (count_ - 1) / count_ * square_;
  }

 private:
  double count_ = 0, mean_ = 0, square_ = 0;
};
}  // namespace detail

/// χ for each shift from batches of draws of the component's chains and, for the full centring, of the chains with all
/// weights free. Errors: delete-one-batch jackknife of the whole formula; the two groups of chains are independent, so
/// their variances add. NaN where a group has no draws, errors NaN where it has one batch.
/// The covariance of `restricted` has divisor n - 1; the plug-in means of `full` are unbiased with divisor n.
inline estimates susceptibilities(std::span<moments const> component_batches, std::span<moments const> full_batches,
                                  centring how) {
  bool const full = how == centring::full;
  std::size_t const shifts = component_batches.empty() ? 0 : component_batches.front().mean_shift.size();
  double const nan = std::numeric_limits<double>::quiet_NaN();
  estimates result{std::vector<double>(shifts, nan), std::vector<double>(shifts, nan)};
  if (component_batches.empty() || (full && full_batches.empty())) return result;
  moments const all = detail::total(component_batches), free = detail::total(full_batches);
  double const n = all.count, divisor_loss = full ? 0 : 1;
  for (std::size_t j = 0; j != shifts; ++j) {
    auto const formula = [&](double count, double observable, double shift, double comoment, double free_shift) {
      double const covariance = comoment / (count - divisor_loss);
      return full ? -(covariance + observable * (shift - free_shift)) : -covariance;
    };
    double const free_shift = full ? free.mean_shift[j] : 0;
    result.value[j] = formula(n, all.mean_observable, all.mean_shift[j], all.comoment[j], free_shift);
    detail::jackknife over_component, over_full;
    for (moments const& batch : component_batches) {
      double const rest = n - batch.count;
      double const observable_gap = batch.mean_observable - all.mean_observable;
      double const shift_gap = batch.mean_shift[j] - all.mean_shift[j];
      double const observable_move = -batch.count * observable_gap / rest, shift_move = -batch.count * shift_gap / rest;
      double const comoment = all.comoment[j] - batch.comoment[j] - batch.count * observable_gap * shift_gap -
                              rest * observable_move * shift_move;
      over_component.add(
          formula(rest, all.mean_observable + observable_move, all.mean_shift[j] + shift_move, comoment, free_shift));
    }
    double variance = over_component.variance();
    if (full) {
      for (moments const& batch : full_batches) {
        double const move = -batch.count * (batch.mean_shift[j] - free_shift) / (free.count - batch.count);
        over_full.add(formula(n, all.mean_observable, all.mean_shift[j], all.comoment[j], free_shift + move));
      }
      variance += over_full.variance();
    }
    result.error[j] = std::sqrt(variance);
  }
  return result;
}

/// E[φ] and its standard error by batch means.
struct estimate {
  double value = std::numeric_limits<double>::quiet_NaN();
  double error = std::numeric_limits<double>::quiet_NaN();
};
inline estimate mean_observable(std::span<moments const> batches) {
  if (batches.empty()) return {};
  double count = 0, sum = 0;
  for (moments const& batch : batches) count += batch.count, sum += batch.count * batch.mean_observable;
  detail::jackknife over;
  for (moments const& batch : batches) over.add((sum - batch.count * batch.mean_observable) / (count - batch.count));
  return {sum / count, std::sqrt(over.variance())};
}

}  // namespace susc
