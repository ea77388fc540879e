#pragma once
/// General matrix products on row-major matrices with leading dimensions, by Eigen.
//   C (m, n), leading dimension ldc;  mode: C is overwritten or added to
//   multiply:            C (+)= A B      A (m, k), B (k, n)
//   multiply_transposed: C (+)= A Bᵀ     A (m, k), B (n, k)
//   transposed_multiply: C (+)= Aᵀ B     A (k, m), B (k, n)
// Error vs. double: <= k * eps * |A| |B| elementwise, (k + 1) * eps * (|C| + |A| |B|) when added to. No operand may
// overlap C.
#include <Eigen/Core>
#include <cstddef>

namespace susc::kernels {

/// A row-major matrix in someone else's memory.
template <class T>
struct matrix {
  T* data;
  std::size_t rows;
  std::size_t columns;
  std::size_t stride;  ///< elements from one row to the next

  constexpr matrix(T* data, std::size_t rows, std::size_t columns) : matrix(data, rows, columns, columns) {}
  constexpr matrix(T* data, std::size_t rows, std::size_t columns, std::size_t stride)
      : data(data), rows(rows), columns(columns), stride(stride) {}
  constexpr operator matrix<T const>() const { return {data, rows, columns, stride}; }
};

namespace detail {
template <class T>
using row_major = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
auto map(matrix<T const> m) {
  return Eigen::Map<row_major<T> const, 0, Eigen::OuterStride<>>(
      m.data, static_cast<Eigen::Index>(m.rows), static_cast<Eigen::Index>(m.columns),
      Eigen::OuterStride<>(static_cast<Eigen::Index>(m.stride)));
}
template <class T>
auto map(matrix<T> m) {
  return Eigen::Map<row_major<T>, 0, Eigen::OuterStride<>>(m.data, static_cast<Eigen::Index>(m.rows),
                                                           static_cast<Eigen::Index>(m.columns),
                                                           Eigen::OuterStride<>(static_cast<Eigen::Index>(m.stride)));
}
}  // namespace detail

enum class output { overwrite, add };

template <class T>
void multiply(matrix<T> c, matrix<T const> a, matrix<T const> b, output mode = output::overwrite) {
  if (mode == output::add)
    detail::map<T>(c).noalias() += detail::map<T>(a) * detail::map<T>(b);
  else
    detail::map<T>(c).noalias() = detail::map<T>(a) * detail::map<T>(b);
}

template <class T>
void multiply_transposed(matrix<T> c, matrix<T const> a, matrix<T const> b, output mode = output::overwrite) {
  if (mode == output::add)
    detail::map<T>(c).noalias() += detail::map<T>(a) * detail::map<T>(b).transpose();
  else
    detail::map<T>(c).noalias() = detail::map<T>(a) * detail::map<T>(b).transpose();
}

template <class T>
void transposed_multiply(matrix<T> c, matrix<T const> a, matrix<T const> b, output mode = output::overwrite) {
  if (mode == output::add)
    detail::map<T>(c).noalias() += detail::map<T>(a).transpose() * detail::map<T>(b);
  else
    detail::map<T>(c).noalias() = detail::map<T>(a).transpose() * detail::map<T>(b);
}

}  // namespace susc::kernels
