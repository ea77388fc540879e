#pragma once
/// From moments to susceptibilities χ = -Cov[φ, ΔL] with standard errors (arXiv 2504.18274, App. C.4).
#include <algorithm>
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
  std::vector<double> value;  ///< (shifts,)
  std::vector<double> error;  ///< standard errors, scaled so that value ± 1.96 error is a 95 % interval
};

namespace detail {
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

/// 97.5 % quantile of Student's t over that of the normal, to 1 % from 3 degrees of freedom (Cornish-Fisher).
inline double t_ratio(double degrees) {
  double const z = 1.96, z2 = z * z, x = 1 / degrees;
  return 1 + x * ((z2 + 1) / 4 +
                  x * ((5 * z2 * z2 + 16 * z2 + 3) / 96 + x * (3 * z2 * z2 * z2 + 19 * z2 * z2 + 17 * z2 - 15) / 384));
}

/// A squared error and how well it is known, as Student's degrees of freedom. Errors of independent parts of a formula
/// add, their degrees by Welch & Satterthwaite.
struct jackknife_error {
  double variance = 0;
  double degrees = 1;

  jackknife_error operator+(jackknife_error const& other) const {
    double const sum = variance + other.variance;
    if (!(sum > 0)) return {sum, degrees};
    return {sum, sum * sum / (variance * variance / degrees + other.variance * other.variance / other.degrees)};
  }
  /// Scaled so that ± 1.96 times its root is a 95 % interval.
  double squared() const { return variance * std::pow(t_ratio(degrees), 2); }
};

/// Of a formula whose value without batches [first, last) is `without(first, last)`. Batches of b correlated draws give
/// a variance too small by O(1/b), which twice the variance of pairs of batches minus that of single ones takes out
/// ("lugsail", Vats & Flegal 2022); below 20 batches that would cost more than the bias. Of K batches the difference
/// has the relative variance (10 + κ)/K, so 2K/(10 + κ) degrees: κ, the excess kurtosis of the batches, is taken as 4,
/// that of few effective draws of a product.
template <class Without>
jackknife_error jackknife_error_of(std::size_t count, Without without) {
  auto const deleting = [&](std::size_t width) {
    jackknife over;
    for (std::size_t i = 0; i < count; i += width) over.add(without(i, std::min(i + width, count)));
    return over.variance();
  };
  double const single = deleting(1), k = static_cast<double>(count);
  if (count < 20) return {single, k - 1};
  double const pairs = deleting(2);
  return {std::max(pairs, 2 * pairs - single), std::max(4., k / 7)};
}
template <class Without>
double batch_variance(std::size_t count, Without without) {
  return jackknife_error_of(count, without).squared();
}

/// Moments of φ and of one shift.
struct joint_moments {
  double count = 0, observable = 0, shift = 0, comoment = 0;

  void merge(joint_moments const& other) {
    double const total = count + other.count, observable_gap = other.observable - observable, gap = other.shift - shift;
    comoment += other.comoment + observable_gap * gap * count * other.count / total;
    observable += observable_gap * other.count / total;
    shift += gap * other.count / total;
    count = total;
  }
  joint_moments without(joint_moments const& part) const {
    double const rest = count - part.count, observable_gap = part.observable - observable, gap = part.shift - shift;
    double const observable_move = -part.count * observable_gap / rest, move = -part.count * gap / rest;
    return {rest, observable + observable_move, shift + move,
            comoment - part.comoment - part.count * observable_gap * gap - rest * observable_move * move};
  }
};
inline joint_moments joint(std::span<moments const> batches, std::size_t shift) {
  joint_moments sum;
  for (moments const& b : batches) sum.merge({b.count, b.mean_observable, b.mean_shift[shift], b.comoment[shift]});
  return sum;
}
}  // namespace detail

/// χ for each shift from batches of draws of the component's chains (consecutive draws, chain by chain) and, for the
/// full centring, of the chains with all weights free. Errors: delete-batches jackknife of the whole formula; the two
/// groups of chains are independent, so their variances add. NaN where a group has no draws, errors NaN where it has
/// one batch. The covariance of `restricted` has divisor n - 1; the plug-in means of `full` are unbiased with divisor
/// n.
inline estimates susceptibilities(std::span<moments const> component_batches, std::span<moments const> full_batches,
                                  centring how) {
  bool const full = how == centring::full;
  std::size_t const shifts = component_batches.empty() ? 0 : component_batches.front().mean_shift.size();
  double const nan = std::numeric_limits<double>::quiet_NaN();
  estimates result{std::vector<double>(shifts, nan), std::vector<double>(shifts, nan)};
  if (component_batches.empty() || (full && full_batches.empty())) return result;
  auto const formula = [&](detail::joint_moments const& m, double free_shift) {
    return full ? -(m.comoment / m.count + m.observable * (m.shift - free_shift)) : -m.comoment / (m.count - 1);
  };
  for (std::size_t j = 0; j != shifts; ++j) {
    auto const all = detail::joint(component_batches, j);
    auto const free = full ? detail::joint(full_batches, j) : detail::joint_moments{};
    result.value[j] = formula(all, free.shift);
    auto error = detail::jackknife_error_of(component_batches.size(), [&](std::size_t first, std::size_t last) {
      return formula(all.without(detail::joint(component_batches.subspan(first, last - first), j)), free.shift);
    });
    if (full)
      error = error + detail::jackknife_error_of(full_batches.size(), [&](std::size_t first, std::size_t last) {
                return formula(all, free.without(detail::joint(full_batches.subspan(first, last - first), j)).shift);
              });
    result.error[j] = std::sqrt(error.squared());
  }
  return result;
}

/// E[φ] and its error, by the same batches.
struct estimate {
  double value = std::numeric_limits<double>::quiet_NaN();  ///< NaN: unknown
  double error = std::numeric_limits<double>::quiet_NaN();  ///< standard error, scaled so that value ± 1.96 error is a
                                                            ///< 95 % interval
};
/// From batches of draws, chain by chain. NaN without any.
inline estimate mean_observable(std::span<moments const> batches) {
  if (batches.empty()) return {};
  double count = 0, sum = 0;
  for (moments const& batch : batches) count += batch.count, sum += batch.count * batch.mean_observable;
  double const variance = detail::batch_variance(batches.size(), [&](std::size_t first, std::size_t last) {
    double rest = count, rest_sum = sum;
    for (std::size_t i = first; i != last; ++i)
      rest -= batches[i].count, rest_sum -= batches[i].count * batches[i].mean_observable;
    return rest_sum / rest;
  });
  return {sum / count, std::sqrt(variance)};
}

}  // namespace susc
