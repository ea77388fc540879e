#pragma once
/// General matrix products on row-major matrices with leading dimensions: B packed in panels, a register-blocked inner
/// loop (Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication").
//   C (m, n), leading dimension ldc;  mode: C is overwritten or added to
//   multiply:            C (+)= A B      A (m, k), B (k, n)
//   multiply_transposed: C (+)= A Bᵀ     A (m, k), B (n, k)
//   transposed_multiply: C (+)= Aᵀ B     A (k, m), B (k, n)
//   multiply_onto:       C = D + A B     A (m, k), B (k, n), D (m, n), which may be C; the bits of adding to a copy of
//   D
// Error vs. double: <= k * eps * |A| |B| elementwise, (k + 1) * eps * (|C| + |A| |B|) when added to. No operand may
// overlap C. Every element of C is the same chain of multiply-adds whatever its neighbours, so rows computed together
// or apart have the same bits. All this is for precision::single; for the other one see split_bfloat16.hpp.
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "susc/core/aligned_vector.hpp"
#include "susc/kernels/matrix.hpp"
#include "susc/kernels/ops.hpp"
#include "susc/kernels/split_bfloat16.hpp"

namespace susc::kernels {

namespace detail {
/// The tile of C that stays in registers: 12 accumulators of 16 registers, or 28 of 32 with AVX-512.
inline constexpr std::size_t tile_lanes = 2;
template <class T>
inline constexpr std::size_t tile_rows = lane_count<T> * sizeof(T) >= 64 ? 14 : 6;
template <class T>
inline constexpr std::size_t tile_columns = tile_lanes* lane_count<T>;

/// A packed panel of this depth stays in the L1 cache. With AVX-512 it need not: a tile takes so long that C, written
/// once a block, costs more than a panel from the L2 cache.
inline constexpr std::size_t depth_block = lane_count<float> >= 16 ? 384 : 256;
inline constexpr std::size_t column_block = 512;  ///< of B packed at a time
/// Of A, kept in the L2 cache while the panels pass by.
inline constexpr std::size_t row_block = lane_count<float> >= 16 ? 140 : 192;

/// Panels of tile_columns columns, each depth x tile_columns, columns beyond n zero.
template <class T>
void pack(T* to, strided<T> b, std::size_t depth, std::size_t n) {
  constexpr std::size_t wide = tile_columns<T>;
  for (std::size_t j = 0; j < n; j += wide) {
    std::size_t const count = std::min(wide, n - j);
    if (b.column_stride == 1 && count == wide) {
      for (std::size_t p = 0; p != depth; ++p) {
        T const* const row = b.data + p * b.row_stride + j;
        for (std::size_t l = 0; l != wide; l += lane_count<T>) store(to + p * wide + l, load(row + l));
      }
    } else {
      std::size_t p = 0;
      if (b.row_stride == 1 && count == wide)  // a transposed B, by squares
        for (; p + square<T> <= depth; p += square<T>)
          for (std::size_t c = 0; c != wide; c += square<T>)
            transpose_square(to + p * wide + c, wide, b.data + p + (j + c) * b.column_stride, b.column_stride);
      std::size_t const done = p;
      for (std::size_t c = 0; c != wide; ++c)
        for (p = done; p != depth; ++p)
          to[p * wide + c] = c < count ? b.data[p * b.row_stride + (j + c) * b.column_stride] : T(0);
    }
    to += depth * wide;
  }
}

/// Panels of tile_rows rows of A, each depth x tile_rows: for a transposed A, whose columns lie far apart.
template <class T>
void pack_rows(T* to, strided<T> a, std::size_t m, std::size_t depth) {
  constexpr std::size_t high = tile_rows<T>, step = lane_count<T>, whole = (high + step - 1) / step * step;
  for (std::size_t i = 0; i < m; i += high, to += depth * high) {
    std::size_t const count = std::min(high, m - i);
    if (a.row_stride == 1 && i + whole <= m) {
      // Whole registers: what they write beyond the panel's row, the next row overwrites.
      for (std::size_t p = 0; p != depth; ++p)
        for (std::size_t r = 0; r != whole; r += step)
          store(to + p * high + r, load(a.data + i + r + p * a.column_stride));
      continue;
    }
    for (std::size_t p = 0; p != depth; ++p)
      for (std::size_t r = 0; r != count; ++r) to[p * high + r] = a.data[(i + r) * a.row_stride + p * a.column_stride];
  }
}

/// C tile (Rows x count) = A (Rows x depth) times one packed panel, on top of d where that is not null.
template <std::size_t Rows, class T>
void tile(T* c, std::size_t ldc, T const* d, std::size_t ldd, strided<T> a, T const* panel, std::size_t depth,
          std::size_t count) {
  constexpr std::size_t step = lane_count<T>, wide = tile_columns<T>;
  // C and D lie far away: asked for now, their lines are here when the sums are.
  for (std::size_t r = 0; r != Rows; ++r)
    for (std::size_t j = 0; j < count; j += 64 / sizeof(T)) {
      __builtin_prefetch(c + r * ldc + j, 1);
      if (d != nullptr && d != c) __builtin_prefetch(d + r * ldd + j);
    }
  lanes<T> sums[Rows][tile_lanes];
  for (std::size_t r = 0; r != Rows; ++r)
    for (std::size_t l = 0; l != tile_lanes; ++l) sums[r][l] = lanes<T>(T(0));
  for (std::size_t p = 0; p != depth; ++p) {
    lanes<T> row[tile_lanes];
    for (std::size_t l = 0; l != tile_lanes; ++l) row[l] = load(panel + p * wide + l * step);
    T const* const column = a.data + p * a.column_stride;
    for (std::size_t r = 0; r != Rows; ++r) {
      lanes<T> const factor(column[r * a.row_stride]);
      for (std::size_t l = 0; l != tile_lanes; ++l) sums[r][l] = multiply_add(factor, row[l], sums[r][l]);
    }
  }
  if (count == wide) {
    for (std::size_t r = 0; r != Rows; ++r)
      for (std::size_t l = 0; l != tile_lanes; ++l)
        store(c + r * ldc + l * step, d != nullptr ? load(d + r * ldd + l * step) + sums[r][l] : sums[r][l]);
    return;
  }
  for (std::size_t r = 0; r != Rows; ++r) {
    T values[wide];
    for (std::size_t l = 0; l != tile_lanes; ++l) store(values + l * step, sums[r][l]);
    for (std::size_t j = 0; j != count; ++j) c[r * ldc + j] = d != nullptr ? d[r * ldd + j] + values[j] : values[j];
  }
}

/// A tile of `rows` <= tile_rows rows.
template <class T, std::size_t... Rows>
void tile_of(std::size_t rows, std::index_sequence<Rows...>, T* c, std::size_t ldc, T const* d, std::size_t ldd,
             strided<T> a, T const* panel, std::size_t depth, std::size_t count) {
  // Whole tiles first in the chain: they are nearly all.
  (void)((rows == sizeof...(Rows) - Rows &&
          (tile<sizeof...(Rows) - Rows>(c, ldc, d, ldd, a, panel, depth, count), true)) ||
         ...);
}
/// Where the panels of columns [jc, jc + columns) and rows [pc, pc + depth) of B lie, all of B being packed.
inline std::size_t panels_before(std::size_t k, std::size_t jc, std::size_t columns, std::size_t pc, std::size_t wide) {
  return jc * k + pc * ((columns + wide - 1) / wide * wide);
}

/// C (m, n) = A (m, k) B (k, n), on top of `onto` (m, n) where that is not null. Packs the blocks of B as it goes, or
/// finds all of them at `packed` (see pack_all).
template <class T>
void packed_product(matrix<T> to, matrix<T const> onto, strided<T> a, strided<T> b, std::size_t k,
                    T const* packed = nullptr) {
  constexpr std::size_t rows = tile_rows<T>, wide = tile_columns<T>;
  std::size_t const m = to.rows, n = to.columns, ldc = to.stride;
  T* const c = to.data;
  if (k == 0 && onto.data != c)
    for (std::size_t i = 0; i != m; ++i) {
      if (onto.data == nullptr)
        std::fill_n(c + i * ldc, n, T(0));
      else
        std::copy_n(onto.data + i * onto.stride, n, c + i * ldc);
    }
  // Buffers for the life of the thread: products come by the thousand and must not allocate.
  static thread_local aligned_vector<T> panels(depth_block * column_block),
      row_panels(depth_block * (row_block + rows) + rows * lane_count<T>);
  for (std::size_t jc = 0; jc < n; jc += column_block) {
    std::size_t const columns = std::min(column_block, n - jc);
    for (std::size_t pc = 0; pc < k; pc += depth_block) {
      std::size_t const depth = std::min(depth_block, k - pc);
      T const* block_of_b = panels.data();
      if (packed != nullptr)
        block_of_b = packed + panels_before(k, jc, columns, pc, wide);
      else
        pack<T>(panels.data(), {b.data + pc * b.row_stride + jc * b.column_stride, b.row_stride, b.column_stride},
                depth, columns);
      matrix<T const> const below = pc == 0 ? onto : matrix<T const>{c, m, n, ldc};
      for (std::size_t ic = 0; ic < m; ic += row_block) {
        std::size_t const height = std::min(row_block, m - ic);
        strided<T> block{a.data + ic * a.row_stride + pc * a.column_stride, a.row_stride, a.column_stride};
        // A row-major A is read in place: its panels are contiguous enough.
        bool const packed_rows = a.column_stride != 1;
        if (packed_rows) pack_rows<T>(row_panels.data(), block, height, depth);
        for (std::size_t j = 0; j < columns; j += wide)
          for (std::size_t i = 0; i < height; i += rows)
            tile_of<T>(std::min(rows, height - i), std::make_index_sequence<rows>{}, c + (ic + i) * ldc + jc + j, ldc,
                       below.data == nullptr ? nullptr : below.data + (ic + i) * below.stride + jc + j, below.stride,
                       packed_rows ? strided<T>{row_panels.data() + i * depth, 1, rows}
                                   : strided<T>{block.data + i * block.row_stride, block.row_stride, 1},
                       block_of_b + j * depth, depth, std::min(wide, columns - j));
      }
    }
  }
}

/// All blocks of B (k, n), one after the other, for many products with the same B.
template <class T>
void pack_all(aligned_vector<T>& to, strided<T> b, std::size_t k, std::size_t n) {
  constexpr std::size_t wide = tile_columns<T>;
  if (std::size_t const size = k * ((n + wide - 1) / wide * wide); to.size() < size) to.resize(size);
  for (std::size_t jc = 0; jc < n; jc += column_block) {
    std::size_t const columns = std::min(column_block, n - jc);
    for (std::size_t pc = 0; pc < k; pc += depth_block)
      pack<T>(to.data() + panels_before(k, jc, columns, pc, wide),
              {b.data + pc * b.row_stride + jc * b.column_stride, b.row_stride, b.column_stride},
              std::min(depth_block, k - pc), columns);
  }
}

/// What a result in this mode lies on top of: C itself, or nothing.
template <class T>
matrix<T const> beneath(matrix<T> c, output mode) {
  return {mode == output::add ? c.data : nullptr, c.rows, c.columns, c.stride};
}

/// C (m, n) = onto + A (m, k) B (k, n). All of B may be packed: `panels`, or where it is split, `tiles`.
template <class T>
void product(matrix<T> c, matrix<T const> onto, strided<T> a, strided<T> b, std::size_t k, precision how,
             T const* panels = nullptr, std::uint32_t const* tiles = nullptr) {
  if constexpr (std::same_as<T, float>)
    if (how != precision::single) {
      if (onto.data != nullptr && onto.data != c.data)
        for (std::size_t i = 0; i != c.rows; ++i)
          std::copy_n(onto.data + i * onto.stride, c.columns, c.data + i * c.stride);
      return how == precision::bfloat16 ? split_product<1>(c, a, b, k, onto.data != nullptr, tiles)
                                        : split_product<2>(c, a, b, k, onto.data != nullptr, tiles);
    }
  packed_product<T>(c, onto, a, b, k, panels);
}
}  // namespace detail

/// C (m, n) (+)= A (m, k) B (k, n).
template <class T>
void multiply(matrix<T> c, matrix<T const> a, matrix<T const> b, output mode = output::overwrite,
              precision how = precision::single) {
  detail::product<T>(c, detail::beneath(c, mode), {a.data, a.stride, 1}, {b.data, b.stride, 1}, a.columns, how);
}

/// C (m, n) (+)= A (m, k) Bᵀ, B (n, k).
template <class T>
void multiply_transposed(matrix<T> c, matrix<T const> a, matrix<T const> b, output mode = output::overwrite,
                         precision how = precision::single) {
  detail::product<T>(c, detail::beneath(c, mode), {a.data, a.stride, 1}, {b.data, 1, b.stride}, a.columns, how);
}

/// C (m, n) (+)= Aᵀ B, A (k, m), B (k, n).
template <class T>
void transposed_multiply(matrix<T> c, matrix<T const> a, matrix<T const> b, output mode = output::overwrite,
                         precision how = precision::single) {
  detail::product<T>(c, detail::beneath(c, mode), {a.data, 1, a.stride}, {b.data, b.stride, 1}, a.rows, how);
}

/// B, or its transpose, packed once for many products, which then have the bits of those with B itself at the precision
/// given here.
template <class T>
class packed_matrix {
 public:
  /// Packs B (k, n). Memory is used again.
  void pack(matrix<T const> b, precision how = precision::single) {
    take({b.data, b.stride, 1}, b.rows, b.columns, how);
  }
  /// Packs Bᵀ of B (n, k).
  void pack_transposed(matrix<T const> b, precision how = precision::single) {
    take({b.data, 1, b.stride}, b.columns, b.rows, how);
  }
  std::size_t rows() const { return rows_; }                    ///< k
  std::size_t columns() const { return columns_; }              ///< n
  T const* data() const { return panels_.data(); }              ///< the panels, where the precision is single
  std::uint32_t const* tiles() const { return tiles_.data(); }  ///< of bfloat16, at any other precision than single
  precision how() const { return how_; }                        ///< single for double
  /// Elements held.
  std::size_t size() const { return panels_.size(); }
  /// Elements that packing B (rows, columns) takes, whole panels.
  static constexpr std::size_t size(std::size_t rows, std::size_t columns) {
    constexpr std::size_t wide = detail::tile_columns<T>;
    return rows * ((columns + wide - 1) / wide * wide);
  }

  /// Copies row p of B to `to` (columns(),); of a split B, hi + lo.
  void copy_row(std::size_t p, T* to) const {
    if constexpr (std::same_as<T, float>)
      if (how_ != precision::single)
        return how_ == precision::bfloat16 ? detail::copy_split_row<1>(to, tiles_.data(), rows_, columns_, p)
                                           : detail::copy_split_row<2>(to, tiles_.data(), rows_, columns_, p);
    constexpr std::size_t wide = detail::tile_columns<T>;
    std::size_t const pc = p / detail::depth_block * detail::depth_block,
                      depth = std::min(detail::depth_block, rows_ - pc);
    for (std::size_t jc = 0; jc < columns_; jc += detail::column_block) {
      std::size_t const columns = std::min(detail::column_block, columns_ - jc);
      T const* const block = panels_.data() + detail::panels_before(rows_, jc, columns, pc, wide);
      for (std::size_t j = 0; j < columns; j += wide)
        std::copy_n(block + j * depth + (p - pc) * wide, std::min(wide, columns - j), to + jc + j);
    }
  }

 private:
  void take(detail::strided<T> b, std::size_t k, std::size_t n, precision how) {
    rows_ = k;
    columns_ = n;
    how_ = std::same_as<T, float> ? how : precision::single;
    if constexpr (std::same_as<T, float>)
      if (how_ != precision::single)
        return how_ == precision::bfloat16 ? detail::split_all<1>(tiles_, b, k, n)
                                           : detail::split_all<2>(tiles_, b, k, n);
    detail::pack_all<T>(panels_, b, k, n);
  }
  aligned_vector<T> panels_;
  aligned_vector<std::uint32_t> tiles_;
  precision how_ = precision::single;
  std::size_t rows_ = 0, columns_ = 0;
};

/// C (m, n) = D (m, n) + A (m, k) B (k, n).
template <class T>
void multiply_onto(matrix<T> c, matrix<T const> d, matrix<T const> a, matrix<T const> b,
                   precision how = precision::single) {
  detail::product<T>(c, d, {a.data, a.stride, 1}, {b.data, b.stride, 1}, a.columns, how);
}
/// C (m, n) = D (m, n) + A (m, k) B (k, n), at the precision B was packed with.
template <class T>
void multiply_onto(matrix<T> c, matrix<T const> d, matrix<T const> a, packed_matrix<T> const& b) {
  detail::product<T>(c, d, {a.data, a.stride, 1}, {}, b.rows(), b.how(), b.data(), b.tiles());
}
/// C (m, n) (+)= A (m, k) B (k, n), at the precision B was packed with.
template <class T>
void multiply(matrix<T> c, matrix<T const> a, packed_matrix<T> const& b, output mode = output::overwrite) {
  multiply_onto<T>(c, detail::beneath(c, mode), a, b);
}

}  // namespace susc::kernels
