#pragma once
/// Patterning, the inverse of the response: from a wanted change of the observables to a re-weighting of the data
/// (arXiv 2601.13548).
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "susc/core/error.hpp"
#include "susc/core/requirements.hpp"
#include "susc/response/result.hpp"
#include "susc/response/susceptibility.hpp"

SUSC_REQUIRE_VERSION("Eigen", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, 3, 4);
SUSC_REQUIRE_VERSION("xtensor", XTENSOR_VERSION_MAJOR, XTENSOR_VERSION_MINOR, 0, 24);

namespace susc {

/// A shift of the data towards every row of a response matrix at once, and what it is predicted to do.
struct data_reweighting {
  std::vector<double> shifts;           ///< (rows,) h: the data become (1 - Σ h_p) q + Σ h_p q_p
  std::vector<double> predicted;        ///< (components,) χᵀh, in units of χ: nβ times it is a change of E[φ]
  double residual = 0;                  ///< |χᵀh - target|
  std::vector<double> singular_values;  ///< (min(rows, components),) of χ, descending
  std::size_t rank = 0;                 ///< how many of them are used: the others are 0 to rounding
  double effective_rank = 0;            ///< Σ s²/(s² + ridge) over those: of so many the target was followed
};

namespace detail {
/// Throws unless there are rows and columns, all finite.
inline void require_response(xt::xtensor<double, 2> const& chi) {
  require(chi.shape(0) != 0 && chi.shape(1) != 0, "patterning: the response matrix is ", chi.shape(0), " x ",
          chi.shape(1), ", must not be empty");
  for (std::size_t p = 0; p != chi.shape(0); ++p)
    for (std::size_t c = 0; c != chi.shape(1); ++c)
      require(std::isfinite(chi(p, c)), "patterning: row ", p, ", column ", c, " of the response matrix is ", chi(p, c),
              ", must be finite");
}
inline void require_finite_entries(char const* what, std::span<double const> values, std::size_t wanted,
                                   char const* of_each) {
  require(values.size() == wanted, "patterning: ", values.size(), " ", what, ", must be one for each of the ", wanted,
          " ", of_each);
  for (std::size_t i = 0; i != values.size(); ++i)
    require(std::isfinite(values[i]), "patterning: number ", i, " of the ", what, " is ", values[i],
            ", must be finite");
}
/// Fractions that sum to 1.
inline std::vector<double> normalised(std::span<double const> base) {
  double sum = 0;
  for (std::size_t g = 0; g != base.size(); ++g) {
    require(std::isfinite(base[g]) && base[g] >= 0, "patterning: weight ", g, " of the mixture is ", base[g],
            ", must be finite and not negative");
    sum += base[g];
  }
  require(sum > 0 && std::isfinite(sum), "patterning: the ", base.size(), " weights of the mixture sum to ", sum,
          ", must be positive and finite");
  std::vector<double> shares(base.begin(), base.end());
  for (double& share : shares) share /= sum;
  return shares;
}
}  // namespace detail

/// The h that minimises |χᵀh - target|² + ridge |h|², by singular value decomposition of χ (rows x components). Without
/// a ridge it is the pseudo-inverse's: of all h that come as close the shortest. `target` (components,) is in units of
/// χ: a change of E[φ] divided by nβ. The ridge is in units of χ². Singular values below max(rows, components) times
/// the rounding error of the largest are taken as 0. Where χ has independent errors σ, the ridge Σ_c σ_c² of a row
/// minimises the expected |χᵀh - target|² of the true χ.
/// Throws susc::error for an empty matrix, numbers that are not finite, another length of the target, or a ridge that
/// is negative.
inline data_reweighting patterning(xt::xtensor<double, 2> const& chi, std::span<double const> target,
                                   double ridge = 0) {
  detail::require_response(chi);
  std::size_t const rows = chi.shape(0), columns = chi.shape(1), count = std::min(rows, columns);
  detail::require_finite_entries("targets", target, columns, "components");
  require(std::isfinite(ridge) && ridge >= 0, "patterning: the ridge is ", ridge, ", must be finite and not negative");
  auto const index = [](std::size_t i) { return static_cast<Eigen::Index>(i); };
  Eigen::MatrixXd x(index(rows), index(columns));
  for (std::size_t p = 0; p != rows; ++p)
    for (std::size_t c = 0; c != columns; ++c) x(index(p), index(c)) = chi(p, c);
  Eigen::Map<Eigen::VectorXd const> const wanted(target.data(), index(columns));

  Eigen::JacobiSVD<Eigen::MatrixXd> const svd(x, Eigen::ComputeThinU | Eigen::ComputeThinV);
  auto const& s = svd.singularValues();
  data_reweighting result;
  result.singular_values.assign(s.data(), s.data() + count);
  double const least = static_cast<double>(std::max(rows, columns)) * std::numeric_limits<double>::epsilon() * s(0);
  Eigen::VectorXd h = Eigen::VectorXd::Zero(index(rows));
  for (std::size_t k = 0; k != count && s(index(k)) > least; ++k) {
    double const damped = s(index(k)) + ridge / s(index(k));
    h += svd.matrixU().col(index(k)) * (svd.matrixV().col(index(k)).dot(wanted) / damped);
    ++result.rank;
    result.effective_rank += s(index(k)) / damped;
  }
  Eigen::VectorXd const predicted = x.transpose() * h;
  result.shifts.assign(h.data(), h.data() + rows);
  result.predicted.assign(predicted.data(), predicted.data() + columns);
  result.residual = (predicted - wanted).norm();
  return result;
}

/// χᵀh (components,) for a given h (rows,). Rows of one component are from the same draws and errors of χ do not say
/// how they go together: these are bounds, Σ_p |h_p| σ_p, reached where all rows move as one. The errors themselves,
/// where the chains' moments are at hand, are those of susceptibility_result::predicted_response. Throws susc::error
/// for an empty matrix, other lengths, or values and shifts that are not finite.
inline estimates predicted_response(response_estimates const& chi, std::span<double const> h) {
  detail::require_response(chi.value);
  detail::require_finite_entries("shifts", h, chi.value.shape(0), "rows");
  require(chi.error.shape(0) == chi.value.shape(0) && chi.error.shape(1) == chi.value.shape(1),
          "patterning: the errors are ", chi.error.shape(0), " x ", chi.error.shape(1), ", the response matrix is ",
          chi.value.shape(0), " x ", chi.value.shape(1));
  estimates result{std::vector<double>(chi.value.shape(1)), std::vector<double>(chi.value.shape(1))};
  for (std::size_t p = 0; p != h.size(); ++p)
    for (std::size_t c = 0; c != result.value.size(); ++c) {
      result.value[c] += h[p] * chi.value(p, c);
      result.error[c] += std::abs(h[p]) * chi.error(p, c);
    }
  return result;
}

/// Weights of the mixture q = Σ b_g q_g after the shift h towards its own groups, b_g (1 - Σ h) + h_g. `base` (groups,)
/// need not sum to 1, the result does. Throws susc::error for another number of shifts, what is not finite, negative
/// base weights or ones that are all 0, and where a weight would be negative: see largest_scale.
inline std::vector<double> mixture_weights(std::span<double const> base, std::span<double const> h) {
  std::vector<double> weights = detail::normalised(base);
  detail::require_finite_entries("shifts", h, base.size(), "groups");
  double const all = std::accumulate(h.begin(), h.end(), 0.), rounding = 4 * std::numeric_limits<double>::epsilon();
  require(std::isfinite(all), "patterning: the shifts overflow in their sum");
  for (std::size_t g = 0; g != h.size(); ++g) {
    double const share = weights[g], moved = share + (h[g] - share * all);
    require(moved >= -rounding * (share + std::abs(h[g]) + std::abs(share * all)), "patterning: the weight of group ",
            g, " would be ", moved, ", must not be negative: a shift of smaller scale would help");
    weights[g] = std::max(0., moved);
  }
  return weights;
}

/// The largest s for which mixture_weights(base, s h) are not negative; infinite where the shift changes no weight.
/// Throws susc::error as mixture_weights does of its arguments.
inline double largest_scale(std::span<double const> base, std::span<double const> h) {
  std::vector<double> const shares = detail::normalised(base);
  detail::require_finite_entries("shifts", h, base.size(), "groups");
  double const all = std::accumulate(h.begin(), h.end(), 0.), rounding = 4 * std::numeric_limits<double>::epsilon();
  require(std::isfinite(all), "patterning: the shifts overflow in their sum");
  double largest = std::numeric_limits<double>::infinity();
  for (std::size_t g = 0; g != h.size(); ++g) {
    double const change = h[g] - shares[g] * all;
    if (change < -rounding * (std::abs(h[g]) + std::abs(shares[g] * all)))
      largest = std::min(largest, shares[g] / -change);
  }
  return largest;
}

}  // namespace susc
