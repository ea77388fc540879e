#pragma once
/// Principal components of a response matrix: which components respond together, and to which tokens or probes.
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <xtensor/xtensor.hpp>

#include "susc/core/error.hpp"
#include "susc/core/requirements.hpp"

SUSC_REQUIRE_VERSION("Eigen", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, 3, 4);
SUSC_REQUIRE_VERSION("xtensor", XTENSOR_VERSION_MAJOR, XTENSOR_VERSION_MINOR, 0, 24);

namespace susc {

/// What is done to each column (component) of a response matrix before its decomposition. With either option a column
/// whose entries agree to rounding becomes zero: it holds no structure, and its scale is unknown.
struct standardisation {
  bool center = true;  ///< to mean zero
  bool scale = true;   ///< to variance one (divisor: rows)
};

/// X = scores · loadings for the standardised matrix X (rows x components), with K = min(rows, components) modes in
/// order of decreasing singular value. Signs: the positive loadings of a mode have the larger sum of squares; if that
/// is a tie, its first loading above half of the largest is positive.
struct principal_modes {
  xt::xtensor<double, 1> singular_values;  ///< (K) of X
  xt::xtensor<double, 1> explained;        ///< (K) fractions of the sum of squares of X; all zero if X is
  xt::xtensor<double, 2> loadings;         ///< (K x components) orthonormal rows
  xt::xtensor<double, 2> scores;           ///< (rows x K) orthogonal columns, norms: the singular values

  /// Row k of the loadings: one number a component.
  std::span<double const> loading(std::size_t k) const {
    return {loadings.data() + k * loadings.shape(1), loadings.shape(1)};
  }
};

namespace detail {

/// Throws unless there are rows and columns and every entry is finite.
inline void require_finite(xt::xtensor<double, 2> const& matrix) {
  std::size_t const rows = matrix.shape(0), columns = matrix.shape(1);
  require(rows != 0 && columns != 0, "principal components of an empty matrix (", rows, " x ", columns, ")");
  for (std::size_t c = 0; c != columns; ++c) {
    std::size_t missing = 0, first = rows;
    for (std::size_t r = 0; r != rows; ++r) {
      if (std::isfinite(matrix(r, c))) continue;
      missing += std::isnan(matrix(r, c));
      first = std::min(first, r);
    }
    require(missing != rows, "column ", c, " of the response matrix is NaN in every row: all chains of its component ",
            "diverged; leave the component out or use a smaller step size");
    require(first == rows, "row ", first, ", column ", c, " of the response matrix is ",
            first == rows ? 0 : matrix(first, c), ", principal components need finite numbers");
  }
}

inline void standardise(Eigen::Ref<Eigen::VectorXd> column, standardisation how) {
  if (!how.center && !how.scale) return;
  double const spread = column.maxCoeff() - column.minCoeff();
  // Entries that agree to rounding: their spread is noise, which must not be scaled up.
  if (spread <= 4 * std::numeric_limits<double>::epsilon() * column.cwiseAbs().maxCoeff()) {
    column.setZero();
    return;
  }
  Eigen::VectorXd centred = column.array() - column.mean();
  centred.array() -= centred.mean();  // far from zero the first mean is rounded to more than the entries' differences
  // Division by the spread first: squares neither overflow nor underflow.
  double const deviation = spread * std::sqrt((centred.array() / spread).square().mean());
  if (how.center) column = centred;
  if (how.scale) column /= deviation;
}

inline double sign_of(Eigen::Ref<Eigen::VectorXd const> loading) {
  double const balance = (loading.array() * loading.array().abs()).sum();
  if (std::abs(balance) > 1e-9) return balance < 0 ? -1 : 1;
  double const half = loading.cwiseAbs().maxCoeff() / 2;
  auto const first = std::find_if(loading.begin(), loading.end(), [&](double v) { return std::abs(v) > half; });
  return *first < 0 ? -1 : 1;
}
}  // namespace detail

/// Singular value decomposition of the standardised matrix (rows x components), in double: QR, then Jacobi rotations.
/// Rank-deficient matrices and fewer rows than components are fine; modes beyond the rank have singular values at
/// rounding level and loadings of no meaning. Throws susc::error for an empty matrix and for a number that is not
/// finite, naming its row and column.
inline principal_modes principal_components(xt::xtensor<double, 2> const& matrix, standardisation how = {}) {
  detail::require_finite(matrix);
  std::size_t const rows = matrix.shape(0), columns = matrix.shape(1), count = std::min(rows, columns);
  auto const index = [](std::size_t i) { return static_cast<Eigen::Index>(i); };
  Eigen::MatrixXd x(index(rows), index(columns));
  for (std::size_t r = 0; r != rows; ++r)
    for (std::size_t c = 0; c != columns; ++c) x(index(r), index(c)) = matrix(r, c);
  for (Eigen::Index c = 0; c != x.cols(); ++c) detail::standardise(x.col(c), how);

  Eigen::JacobiSVD<Eigen::MatrixXd> const svd(x, Eigen::ComputeThinU | Eigen::ComputeThinV);
  auto const& s = svd.singularValues();
  double const largest = s(0), squares = largest > 0 ? (s / largest).squaredNorm() : 1;
  principal_modes modes{xt::xtensor<double, 1>::from_shape({count}), xt::xtensor<double, 1>::from_shape({count}),
                        xt::xtensor<double, 2>::from_shape({count, columns}),
                        xt::xtensor<double, 2>::from_shape({rows, count})};
  for (std::size_t k = 0; k != count; ++k) {
    auto const loading = svd.matrixV().col(index(k));
    double const sign = detail::sign_of(loading), value = s(index(k)), share = largest > 0 ? value / largest : 0;
    modes.singular_values(k) = value;
    modes.explained(k) = share * share / squares;
    for (std::size_t c = 0; c != columns; ++c) modes.loadings(k, c) = sign * loading(index(c));
    for (std::size_t r = 0; r != rows; ++r) modes.scores(r, k) = sign * value * svd.matrixU()(index(r), index(k));
  }
  return modes;
}

}  // namespace susc
