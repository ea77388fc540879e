#pragma once
/// What matrix products work on, and how they may be asked to.
#include <cstddef>

#include "susc/core/requirements.hpp"

namespace susc::kernels {

/// A row-major matrix in someone else's memory.
template <class T>
struct matrix {
  T* data;              ///< element (i, j) at data[i * stride + j]
  std::size_t rows;     ///< m of an (m, n) matrix
  std::size_t columns;  ///< n of an (m, n) matrix
  std::size_t stride;   ///< elements from one row to the next

  /// Rows one after the other.
  constexpr matrix(T* data, std::size_t rows, std::size_t columns) : matrix(data, rows, columns, columns) {}
  /// Rows `stride` elements apart, at least `columns`.
  constexpr matrix(T* data, std::size_t rows, std::size_t columns, std::size_t stride)
      : data(data), rows(rows), columns(columns), stride(stride) {}
  /// The same, not to be written to.
  constexpr operator matrix<T const>() const { return {data, rows, columns, stride}; }
};

namespace detail {
/// Element (i, j) at data[i * row_stride + j * column_stride].
template <class T>
struct strided {
  T const* data;
  std::size_t row_stride;
  std::size_t column_stride;
};
}  // namespace detail

/// Whether a product replaces C or is added to it.
enum class output { overwrite, add };

/// How products of floats are computed; those of doubles do not ask. `single` is float32 throughout. `split_bfloat16`
/// is for CPUs with AMX, at a relative error of about 4e-6; `bfloat16`, factors rounded to 8 bits and added up in
/// float32, for training on CPUs with AMX or AVX512_BF16, at one of about 3e-3: see split_bfloat16.hpp.
enum class precision { single, split_bfloat16, bfloat16 };

}  // namespace susc::kernels
