#pragma once
// Layers of a transformer in plain Eigen: in float the version to compare with, in double the one to verify against.
#include <Eigen/Core>
#include <cmath>
#include <cstddef>
#include <span>

#include "problem.hpp"
#include "susc/data/token_batch.hpp"
#include "susc/kernels/layer_norm.hpp"

namespace bench {

template <class T>
using column = Eigen::Matrix<T, Eigen::Dynamic, 1>;
template <class T>
using row = Eigen::Matrix<T, 1, Eigen::Dynamic>;
/// Parts of a row-major matrix.
template <class T>
using to_part = Eigen::Ref<row_major<T>, 0, Eigen::OuterStride<>>;
template <class T>
using part = Eigen::Ref<row_major<T> const, 0, Eigen::OuterStride<>>;

/// Replaces each row by its exponentials over their sum; returns the logarithms of the sums.
template <class T>
column<T> softmax(row_major<T>& m) {
  column<T> const largest = m.rowwise().maxCoeff();
  m = (m.colwise() - largest).array().exp().matrix();
  column<T> const sum = m.rowwise().sum();
  m.array().colwise() /= sum.array();
  return largest + sum.array().log().matrix();
}

// Large temporaries are static: their memory is used again, as by our kernels.

/// Attention probabilities of one head, (T, T); valid until the next call.
template <class T>
row_major<T> const& attention_pattern(part<T> q, part<T> k) {
  static row_major<T> p;
  p.noalias() = q * k.transpose();
  p /= std::sqrt(static_cast<T>(q.cols()));
  p.template triangularView<Eigen::StrictlyUpper>().setConstant(T(-1e30));
  softmax(p);
  return p;
}

/// The gradients of one head, whose pattern is computed again.
template <class T>
void attention_backward(to_part<T> dq, to_part<T> dk, to_part<T> dv, part<T> dz, part<T> q, part<T> k, part<T> v) {
  static row_major<T> ds;
  row_major<T> const& p = attention_pattern<T>(q, k);
  dv.noalias() = p.transpose() * dz;
  ds.noalias() = dz * v.transpose();
  column<T> const inner = ds.cwiseProduct(p).rowwise().sum();
  ds = ((ds.colwise() - inner).array() * p.array() / std::sqrt(static_cast<T>(q.cols()))).matrix();
  dq.noalias() = ds * k;
  dk.noalias() = ds.transpose() * q;
}

/// y without gain and bias; returns 1 / standard deviation.
template <class T>
column<T> normalise(row_major<T>& y, row_major<T> const& x) {
  y = x.colwise() - column<T>(x.rowwise().mean());
  column<T> const rstd =
      (y.rowwise().squaredNorm().array() / static_cast<T>(x.cols()) + static_cast<T>(susc::kernels::layer_norm_epsilon))
          .rsqrt();
  y.array().colwise() *= rstd.array();
  return rstd;
}
template <class T>
void layer_norm(row_major<T>& y, row_major<T> const& x, row<T> const& gain, row<T> const& bias) {
  normalise(y, x);
  y.array() = (y.array().rowwise() * gain.array()).rowwise() + bias.array();
}
template <class T>
void layer_norm_backward(row_major<T>& dx, row<T>& dgain, row<T>& dbias, row_major<T> const& dy, row_major<T> const& x,
                         row<T> const& gain) {
  static row_major<T> y, scaled;
  column<T> const rstd = normalise(y, x);
  scaled = (dy.array().rowwise() * gain.array()).matrix();
  column<T> const sum = scaled.rowwise().mean(), product = scaled.cwiseProduct(y).rowwise().mean();
  dx.array() += ((scaled.colwise() - sum).array() - y.array().colwise() * product.array()).colwise() * rstd.array();
  dgain += dy.cwiseProduct(y).colwise().sum();
  dbias += dy.colwise().sum();
}

/// Per-token losses; `logits` become probabilities.
template <class T>
column<T> losses_of_logits(row_major<T>& logits, std::span<susc::token const> targets) {
  column<T> correct(logits.rows());
  for (Index t = 0; t != logits.rows(); ++t) correct[t] = logits(t, targets[static_cast<std::size_t>(t)]);
  return softmax(logits) - correct;
}

}  // namespace bench
