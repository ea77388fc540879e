#pragma once
/// Alignment of principal components: those of two matrices with the same rows (two checkpoints of a training, say, and
/// the same tokens) are known up to sign, order where singular values are close, and rotation where they agree.
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "susc/core/error.hpp"
#include "susc/core/requirements.hpp"

SUSC_REQUIRE_VERSION("Eigen", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, 3, 4);
SUSC_REQUIRE_VERSION("xtensor", XTENSOR_VERSION_MAJOR, XTENSOR_VERSION_MINOR, 0, 24);

namespace susc {

/// How one matrix of scores is turned to meet another.
struct alignment {
  xt::xtensor<double, 2> rotation;  ///< (K x K) orthogonal, or a permutation with signs: scores · rotation is aligned
  double residual = 1;  ///< share of the target's sum of squares that the aligned scores, scaled at best, leave
                        ///< unexplained: in [0, 1]; 1 if either matrix is zero
};

namespace detail {

/// Both (rows x K), as Eigen's; throws unless they fit and are finite.
inline Eigen::MatrixXd scores_to_align(xt::xtensor<double, 2> const& scores, xt::xtensor<double, 2> const& target) {
  std::size_t const rows = scores.shape(0), columns = scores.shape(1);
  require(rows != 0 && columns != 0, "alignment of empty scores (", rows, " x ", columns, ")");
  require(target.shape(0) == rows && target.shape(1) == columns, "alignment of scores (", rows, " x ", columns,
          ") to (", target.shape(0), " x ", target.shape(1), "): both need the same rows and as many components");
  Eigen::MatrixXd x(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(columns));
  for (std::size_t r = 0; r != rows; ++r)
    for (std::size_t k = 0; k != columns; ++k) {
      double const value = scores(r, k);
      require(std::isfinite(value), "alignment: row ", r, ", component ", k, " is ", value, ", must be finite");
      x(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(k)) = value;
    }
  return x;
}

/// One minus the squared correlation of the aligned scores with the target (Gower 1971), from their inner product.
inline double procrustes_residual(double inner, double squares, double target_squares) {
  if (!(squares > 0 && target_squares > 0)) return 1;
  double const correlation = inner / std::sqrt(squares) / std::sqrt(target_squares);
  return std::clamp(1 - correlation * correlation, 0., 1.);
}

/// Column given to each row so that the sum of `gain` (K x K) is largest: the Hungarian method, O(K³).
inline std::vector<Eigen::Index> best_assignment(Eigen::MatrixXd const& gain) {
  Eigen::Index const size = gain.rows();
  auto const count = static_cast<std::size_t>(size + 1);
  std::vector<double> row_price(count), column_price(count);
  std::vector<Eigen::Index> row_of(count, 0), before(count, 0);  // of each column; rows and columns count from 1
  auto const at = [](Eigen::Index i) { return static_cast<std::size_t>(i); };
  for (Eigen::Index row = 1; row <= size; ++row) {
    std::vector<double> slack(count, std::numeric_limits<double>::infinity());
    std::vector<char> reached(count, 0);
    Eigen::Index column = 0;
    row_of[0] = row;
    do {
      reached[at(column)] = 1;
      Eigen::Index const from = row_of[at(column)];
      Eigen::Index next = 0;
      double step = std::numeric_limits<double>::infinity();
      for (Eigen::Index j = 1; j <= size; ++j) {
        if (reached[at(j)]) continue;
        double const reduced = -gain(from - 1, j - 1) - row_price[at(from)] - column_price[at(j)];
        if (reduced < slack[at(j)]) slack[at(j)] = reduced, before[at(j)] = column;
        if (slack[at(j)] < step) step = slack[at(j)], next = j;
      }
      for (Eigen::Index j = 0; j <= size; ++j) {
        if (reached[at(j)])
          row_price[at(row_of[at(j)])] += step, column_price[at(j)] -= step;
        else
          slack[at(j)] -= step;
      }
      column = next;
    } while (row_of[at(column)] != 0);
    for (; column != 0; column = before[at(column)]) row_of[at(column)] = row_of[at(before[at(column)])];
  }
  std::vector<Eigen::Index> column_of(at(size));
  for (Eigen::Index j = 1; j <= size; ++j) column_of[at(row_of[at(j)] - 1)] = j - 1;
  return column_of;
}

inline alignment aligned_by(Eigen::MatrixXd const& rotation, Eigen::MatrixXd const& products, double squares,
                            double target_squares) {
  auto const count = static_cast<std::size_t>(rotation.rows());
  alignment found{xt::xtensor<double, 2>::from_shape({count, count}),
                  procrustes_residual(rotation.cwiseProduct(products).sum(), squares, target_squares)};
  for (std::size_t i = 0; i != count; ++i)
    for (std::size_t j = 0; j != count; ++j)
      found.rotation(i, j) = rotation(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j));
  return found;
}
}  // namespace detail

/// The orthogonal R (K x K) that minimises |scores · R - target| in the sum of squares: R = U Vᵀ of the singular value
/// decomposition of scoresᵀ target (Schönemann 1966). Where the minimiser is not unique, as that product is of less
/// than full rank, the one nearest to the identity. Both matrices (rows x K). Throws susc::error if they are empty, not
/// finite, or of different shapes.
inline alignment procrustes_rotation(xt::xtensor<double, 2> const& scores, xt::xtensor<double, 2> const& target) {
  Eigen::MatrixXd const a = detail::scores_to_align(scores, target), b = detail::scores_to_align(target, scores);
  Eigen::MatrixXd const products = a.transpose() * b;
  Eigen::JacobiSVD<Eigen::MatrixXd> const svd(products, Eigen::ComputeFullU | Eigen::ComputeFullV);
  Eigen::Index const rank = svd.rank(), rest = products.rows() - rank;
  Eigen::MatrixXd rotation = svd.matrixU().leftCols(rank) * svd.matrixV().leftCols(rank).transpose();
  if (rest != 0) {
    // Any orthogonal map between the two null spaces does; the one nearest to the identity is a Procrustes problem
    // again.
    Eigen::MatrixXd const u = svd.matrixU().rightCols(rest), v = svd.matrixV().rightCols(rest);
    Eigen::JacobiSVD<Eigen::MatrixXd> const inner(u.transpose() * v, Eigen::ComputeFullU | Eigen::ComputeFullV);
    rotation += u * inner.matrixU() * inner.matrixV().transpose() * v.transpose();
  }
  return detail::aligned_by(rotation, products, a.squaredNorm(), b.squaredNorm());
}

/// The same among permutations with signs: each component is matched with one of the target, and turned if need be, but
/// none is mixed with another, so each keeps its singular value.
inline alignment procrustes_matching(xt::xtensor<double, 2> const& scores, xt::xtensor<double, 2> const& target) {
  Eigen::MatrixXd const a = detail::scores_to_align(scores, target), b = detail::scores_to_align(target, scores);
  Eigen::MatrixXd const products = a.transpose() * b;
  auto const matched = detail::best_assignment(products.cwiseAbs());
  Eigen::MatrixXd rotation = Eigen::MatrixXd::Zero(products.rows(), products.cols());
  for (Eigen::Index i = 0; i != products.rows(); ++i) {
    Eigen::Index const j = matched[static_cast<std::size_t>(i)];
    rotation(i, j) = products(i, j) < 0 ? -1 : 1;
  }
  return detail::aligned_by(rotation, products, a.squaredNorm(), b.squaredNorm());
}

/// matrix (rows x K) · rotation (K x K): scores in the target's components. Of loadings (K x components) the rows turn
/// with it: rotationᵀ · loadings, for which transpose is set. Throws susc::error if the shapes do not fit.
inline xt::xtensor<double, 2> rotated(xt::xtensor<double, 2> const& matrix, xt::xtensor<double, 2> const& rotation,
                                      bool transpose = false) {
  std::size_t const count = rotation.shape(0), inner = transpose ? matrix.shape(0) : matrix.shape(1);
  require(rotation.shape(1) == count && inner == count, "a rotation (", count, " x ", rotation.shape(1),
          ") of a matrix (", matrix.shape(0), " x ", matrix.shape(1), "): the shapes do not fit");
  auto result = xt::xtensor<double, 2>::from_shape({matrix.shape(0), matrix.shape(1)});
  for (std::size_t r = 0; r != result.shape(0); ++r)
    for (std::size_t c = 0; c != result.shape(1); ++c) {
      double sum = 0;
      for (std::size_t k = 0; k != count; ++k)
        sum += transpose ? rotation(k, r) * matrix(k, c) : matrix(r, k) * rotation(k, c);
      result(r, c) = sum;
    }
  return result;
}

/// Aligns a sequence of scores, each (rows x K), to the last: the last stays as it is, and each other is aligned, by
/// `align` (procrustes_rotation or procrustes_matching), to its aligned successor. So neighbours agree, and the axes
/// have the meaning that they have at the end; at the beginning of a training they have none.
/// Residuals are those between neighbours; the last has the identity and residual 0. Throws as `align` does, and for no
/// scores at all.
template <class Align>
std::vector<alignment> align_to_last(std::span<xt::xtensor<double, 2> const> scores, Align&& align) {
  require(!scores.empty(), "alignment of a sequence without scores");
  std::vector<alignment> all(scores.size());
  xt::xtensor<double, 2> target = scores.back();
  std::size_t const last = scores.size() - 1;
  all[last] = align(target, target);
  for (std::size_t i = 0; i != target.shape(1); ++i)
    for (std::size_t j = 0; j != target.shape(1); ++j) all[last].rotation(i, j) = i == j;
  all[last].residual = 0;
  for (std::size_t t = last; t-- != 0;) {
    all[t] = align(scores[t], target);
    target = rotated(scores[t], all[t].rotation);
  }
  return all;
}

}  // namespace susc
