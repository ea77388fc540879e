#pragma once
/// Have the chains mixed, and how many independent draws are they worth? Rank-normalised split R-hat, effective sample
/// sizes and the Monte Carlo standard error of Vehtari, Gelman, Simpson, Carpenter & Buerkner, "Rank-normalization,
/// folding, and localization: an improved R-hat for assessing convergence of MCMC" (Bayesian Analysis 2021), in the
/// variants of ArviZ, whose numbers tests/response/diagnostics.cpp reproduces.
///
/// Every function takes one scalar's chains, equally long, at least four draws each; halves are compared with halves,
/// so one chain is enough (ArviZ wants two for R-hat), and of an odd number of draws the middle one is left out of the
/// halves. All throw susc::error for input that is empty, too short, of unequal lengths or not finite. If all draws are
/// equal, R-hat is NaN (nothing can be said of mixing), effective sample sizes are the number of draws in the halves
/// and the standard error is 0.
#include "susc/core/error.hpp"
#include "susc/core/requirements.hpp"

#include <unsupported/Eigen/FFT>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

SUSC_REQUIRE_VERSION("Eigen", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, 3, 4);

namespace susc {

/// One scalar's draws: one vector a chain.
using chains_view = std::span<std::vector<double> const>;

namespace detail {

/// Inverse of the standard normal distribution function, 0 < p < 1, to about 1e-15 relative.
/// Wichura 1988, algorithm AS 241 (PPND16).
inline double normal_quantile(double p) {
  // Rows: numerator and denominator for the centre, the tails and the far tails; lowest power first.
  static constexpr double coefficients[6][8] = {
      {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
       4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3},
      {1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3, 2.1213794301586595867e4,
       3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3},
      {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
       1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4},
      {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1, 1.48103976427480074590e-1,
       1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9},
      {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
       2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7},
      {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2, 7.86869131145613259100e-4,
       1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15}};
  auto const ratio = [](std::size_t row, double x) {
    double numerator = 0, denominator = 0;
    for (std::size_t i = 8; i-- != 0;) {
      numerator = numerator * x + coefficients[row][i];
      denominator = denominator * x + coefficients[row + 1][i];
    }
    return numerator / denominator;
  };
  double const q = p - 0.5;
  if (std::abs(q) <= 0.425) return q * ratio(0, 0.180625 - q * q);
  double const r = std::sqrt(-std::log(q < 0 ? p : 1 - p)), tail = r <= 5 ? ratio(2, r - 1.6) : ratio(4, r - 5);
  return q < 0 ? -tail : tail;
}

/// Throws unless the chains can be diagnosed.
inline void require_chains(chains_view chains) {
  require(!chains.empty(), "diagnostics need at least one chain, none was given");
  for (std::size_t c = 0; c != chains.size(); ++c) {
    require(chains[c].size() >= 4, "chain ", c, " has ", chains[c].size(), " draws, diagnostics need at least 4");
    require(chains[c].size() == chains[0].size(), "chains must be equally long: chain ", c, " has ", chains[c].size(),
            " draws, chain 0 has ", chains[0].size());
    for (std::size_t t = 0; t != chains[c].size(); ++t)
      require(std::isfinite(chains[c][t]), "chain ", c, ", draw ", t, " is ", chains[c][t],
              ": leave diverged chains out");
  }
}

/// Equally long chains, one after the other (count, draws): what the formulas below work on.
struct stacked_chains {
  std::vector<double> values;
  std::size_t count;
  std::size_t draws;

  std::span<double const> chain(std::size_t c) const { return {values.data() + c * draws, draws}; }
};

/// Every chain's first and last floor(n/2) draws as chains of their own.
inline stacked_chains split_chains(chains_view chains) {
  std::size_t const half = chains[0].size() / 2;
  stacked_chains split{{}, 2 * chains.size(), half};
  split.values.reserve(split.count * half);
  for (std::vector<double> const& chain : chains) {
    split.values.insert(split.values.end(), chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(half));
    split.values.insert(split.values.end(), chain.end() - static_cast<std::ptrdiff_t>(half), chain.end());
  }
  return split;
}

/// Mean about the first value, so that it is exact where all values are equal.
inline double mean_of(std::span<double const> x) {
  double sum = 0;
  for (double const value : x) sum += value - x[0];
  return x[0] + sum / static_cast<double>(x.size());
}

/// Sum of squares about the mean / (n - 1).
inline double variance_of(std::span<double const> x) {
  double const mean = mean_of(x);
  double sum = 0;
  for (double const value : x) sum += (value - mean) * (value - mean);
  return sum / static_cast<double>(x.size() - 1);
}

inline std::vector<double> chain_means(stacked_chains const& x) {
  std::vector<double> means(x.count);
  for (std::size_t c = 0; c != x.count; ++c) means[c] = mean_of(x.chain(c));
  return means;
}

/// Replaces every value by the normal quantile of (rank - 3/8) / (size + 1/4), ranks over all chains, ties averaged.
inline stacked_chains rank_normalized(stacked_chains x) {
  std::size_t const size = x.values.size();
  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return x.values[i] < x.values[j]; });
  std::vector<double> z(size);
  for (std::size_t first = 0, last; first != size; first = last) {
    for (last = first + 1; last != size && x.values[order[last]] == x.values[order[first]];) ++last;
    double const rank = 0.5 * static_cast<double>(first + 1 + last);  // ranks first + 1 ... last are tied
    double const score = normal_quantile((rank - 0.375) / (static_cast<double>(size) + 0.25));
    for (std::size_t i = first; i != last; ++i) z[order[i]] = score;
  }
  x.values = std::move(z);
  return x;
}

/// Distances from the median of all draws: chains that differ in spread only differ in these.
inline stacked_chains folded(stacked_chains x) {
  std::vector<double> sorted = x.values;
  std::sort(sorted.begin(), sorted.end());
  // Halves first: the sum of two large values may overflow. The number of draws in halves is even.
  double const median = 0.5 * sorted[sorted.size() / 2 - 1] + 0.5 * sorted[sorted.size() / 2];
  for (double& value : x.values) value = std::abs(value - median);
  return x;
}

/// sqrt of (between + within) / within variance, chains taken as they are (Gelman & Rubin 1992).
inline double r_hat(stacked_chains const& x) {
  double const n = static_cast<double>(x.draws);
  double within = 0;
  for (std::size_t c = 0; c != x.count; ++c) within += variance_of(x.chain(c)) / static_cast<double>(x.count);
  return std::sqrt((n * variance_of(chain_means(x)) / within + n - 1) / n);
}

/// Autocovariances (draws,) at every lag, divided by draws at each, averaged over the chains.
inline std::vector<double> mean_autocovariance(stacked_chains const& x) {
  std::size_t padded = 1;
  while (padded < 2 * x.draws) padded *= 2;  // room for the lags of both signs: no wrap-around
  Eigen::FFT<double> transform;
  std::vector<std::complex<double>> spectrum, power(padded);
  std::vector<double> centred(padded);
  for (std::size_t c = 0; c != x.count; ++c) {
    double const mean = mean_of(x.chain(c));
    std::transform(x.chain(c).begin(), x.chain(c).end(), centred.begin(), [&](double v) { return v - mean; });
    transform.fwd(spectrum, centred);
    for (std::size_t k = 0; k != padded; ++k) power[k] += std::norm(spectrum[k]);
  }
  std::vector<double> result;
  transform.inv(result, power);
  result.resize(x.draws);
  for (double& value : result) value /= static_cast<double>(x.count * x.draws);
  return result;
}

/// count * draws / (1 + 2 * sum of autocorrelations), the sum cut where Geyer's (1992) pairs turn negative and made
/// monotone; never more than count * draws * log10(count * draws).
inline double effective_sample_size(stacked_chains const& x) {
  double const size = static_cast<double>(x.values.size()), n = static_cast<double>(x.draws);
  if (auto const [low, high] = std::minmax_element(x.values.begin(), x.values.end()); *low == *high) return size;
  std::vector<double> const covariance = mean_autocovariance(x);
  double const within = covariance[0] * n / (n - 1), total = covariance[0] + variance_of(chain_means(x));
  auto const correlation = [&](std::size_t lag) { return 1 - (within - covariance[lag]) / total; };

  std::vector<double> rho(x.draws);
  double even = 1, odd = correlation(1);
  rho[0] = even;
  rho[1] = odd;
  std::size_t t = 1;  // the last lag looked at, always odd
  while (t + 3 < x.draws && even + odd > 0) {
    even = correlation(t + 1);
    odd = correlation(t + 2);
    if (even + odd >= 0) {
      rho[t + 1] = even;
      rho[t + 2] = odd;
    }
    t += 2;
  }
  if (even > 0) rho[t - 1] = even;  // the last pair still has a useful first half
  for (std::size_t s = 1; s + 4 <= t; s += 2) {
    if (rho[s + 1] + rho[s + 2] > rho[s - 1] + rho[s]) rho[s + 1] = rho[s + 2] = (rho[s - 1] + rho[s]) / 2;
  }
  double const sum = std::accumulate(rho.begin(), rho.begin() + static_cast<std::ptrdiff_t>(t - 1), 0.0);
  return size / std::max(2 * sum - 1 + rho[t - 1], 1 / std::log10(size));
}

/// Effective sample size of the indicator that a draw is at most the given quantile (type 7) of all draws.
inline double quantile_effective_sample_size(chains_view chains, double probability) {
  std::vector<double> sorted;
  for (std::vector<double> const& chain : chains) sorted.insert(sorted.end(), chain.begin(), chain.end());
  std::sort(sorted.begin(), sorted.end());
  double const n = static_cast<double>(sorted.size()), position = n * probability + (1 - probability);
  double const below = std::clamp(std::floor(position), 1.0, n - 1), fraction = position - below;
  auto const lower = sorted.begin() + static_cast<std::ptrdiff_t>(below) - 1;
  double const quantile = (1 - fraction) * lower[0] + fraction * lower[1];
  stacked_chains indicator = split_chains(chains);
  for (double& value : indicator.values) value = value <= quantile ? 1 : 0;
  return effective_sample_size(indicator);
}

}  // namespace detail

/// Rank-normalised split R-hat: the larger of those of the draws and of the draws folded about their median. Near 1 if
/// the chains agree in location and in spread; above 1.01 they have not mixed. Infinite if each half is constant and
/// the constants differ.
inline double split_r_hat(chains_view chains) {
  detail::require_chains(chains);
  detail::stacked_chains const split = detail::split_chains(chains);
  // A NaN folded value (two values equally far from the median) does not replace that of the draws.
  return std::max(detail::r_hat(detail::rank_normalized(split)),
                  detail::r_hat(detail::rank_normalized(detail::folded(split))));
}

/// Split R-hat of the values themselves (Gelman et al. 2013), which heavy tails can fool.
inline double plain_split_r_hat(chains_view chains) {
  detail::require_chains(chains);
  return detail::r_hat(detail::split_chains(chains));
}

/// Effective number of independent draws for the location: of the rank-normalised split chains.
inline double bulk_effective_sample_size(chains_view chains) {
  detail::require_chains(chains);
  return detail::effective_sample_size(detail::rank_normalized(detail::split_chains(chains)));
}

/// The smaller of the effective sample sizes of the 5 % and 95 % quantiles.
inline double tail_effective_sample_size(chains_view chains) {
  detail::require_chains(chains);
  return std::min(detail::quantile_effective_sample_size(chains, 0.05),
                  detail::quantile_effective_sample_size(chains, 0.95));
}

/// Effective number of independent draws for the mean: of the split chains as they are.
inline double effective_sample_size_mean(chains_view chains) {
  detail::require_chains(chains);
  return detail::effective_sample_size(detail::split_chains(chains));
}

/// Standard error of the mean of all draws: their standard deviation / sqrt(effective_sample_size_mean).
inline double monte_carlo_standard_error(chains_view chains) {
  double const size = effective_sample_size_mean(chains);
  std::vector<double> all;
  for (std::vector<double> const& chain : chains) all.insert(all.end(), chain.begin(), chain.end());
  return std::sqrt(detail::variance_of(all) / size);
}

/// Is the chains' distribution still moving? The mean of their second halves minus that of the first, in standard
/// errors. Takes chains of at least 8 draws.
inline double drift(chains_view chains) {
  detail::require_chains(chains);
  require(chains[0].size() >= 8, "drift needs chains of at least 8 draws, got ", chains[0].size());
  detail::stacked_chains const split = detail::split_chains(chains);
  std::vector<std::vector<double>> halves[2];
  double mean[2] = {0, 0};
  for (std::size_t c = 0; c != split.count; ++c) {
    auto const half = split.chain(c);
    halves[c % 2].emplace_back(half.begin(), half.end());
    mean[c % 2] += detail::mean_of(half) / static_cast<double>(chains.size());
  }
  double const error = std::hypot(monte_carlo_standard_error(halves[0]), monte_carlo_standard_error(halves[1]));
  return mean[0] == mean[1] ? 0 : (mean[1] - mean[0]) / error;
}

/// Steps a draw for the least cost of a given error. `correlation_time` is draws / effective sample size at `thinning`
/// steps a draw; that of an AR(1) process is (1 + ρ)/(1 - ρ), so that at k steps a draw the cost of one effective draw
/// is (k step_cost + draw_cost) (1 + ρ^k)/(1 - ρ^k), ρ now that of one step.
inline std::size_t recommended_thinning(double step_cost, double draw_cost, double correlation_time,
                                        std::size_t thinning) {
  double const drawn = std::max(0., (correlation_time - 1) / (correlation_time + 1));
  double const log_rho = std::log(drawn) / static_cast<double>(thinning);
  std::size_t best = 1;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t k = 1; k <= 1000; ++k) {
    double const rho = std::exp(log_rho * static_cast<double>(k));
    double const cost = (static_cast<double>(k) * step_cost + draw_cost) * (1 + rho) / (1 - rho);
    if (cost < least) least = cost, best = k;
  }
  return best;
}

}  // namespace susc
