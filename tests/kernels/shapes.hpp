#pragma once
/// What every kernel test runs over: all lengths around the SIMD width, all misalignments, NaNs around every buffer.
#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/random.hpp"
#include "susc/kernels/ops.hpp"

namespace shapes {

inline constexpr std::size_t offsets = 4;

/// 1 .. 4N + 3: N the lanes of T, so up to four whole registers and every tail.
template <class T>
std::vector<std::size_t> lengths() {
  std::vector<std::size_t> all;
  for (std::size_t n = 1; n <= 4 * susc::kernels::lane_count<T> + 3; ++n) all.push_back(n);
  return all;
}

/// Elements `offset` past a 64-byte boundary between NaNs: a stray read turns the result into NaN, a stray write is
/// found by the destructor. Rows of `columns` elements lie `stride` apart, with NaNs between them too.
template <class T>
class guarded {
 public:
  guarded(std::size_t rows, std::size_t columns, std::size_t stride, std::size_t offset)
      : rows_(rows),
        columns_(columns),
        stride_(stride),
        offset_(guard + offset % offsets),
        memory_(offset_ + rows * stride + guard, not_a_number()) {}
  explicit guarded(std::size_t count, std::size_t offset = 0) : guarded(1, count, count, offset) {}
  guarded(guarded const&) = delete;
  guarded& operator=(guarded const&) = delete;
  ~guarded() {
    std::size_t overwritten = 0;
    for (std::size_t i = 0; i != memory_.size(); ++i) overwritten += !is_element(i) && !std::isnan(memory_[i]);
    CHECK_MESSAGE(overwritten == 0, "written outside of a buffer");
  }

  /// Standard normals times `size` plus `shift`.
  guarded& fill(susc::random::stream& draw, double size = 1, double shift = 0) {
    for (std::size_t r = 0; r != rows_; ++r)
      for (std::size_t c = 0; c != columns_; ++c) at(r, c) = static_cast<T>(shift + size * draw.normal());
    return *this;
  }
  guarded& fill_constant(T value) {
    for (std::size_t r = 0; r != rows_; ++r)
      for (std::size_t c = 0; c != columns_; ++c) at(r, c) = value;
    return *this;
  }

  T* data() { return memory_.data() + offset_; }
  T& at(std::size_t row, std::size_t column) { return data()[row * stride_ + column]; }
  T& operator[](std::size_t i) { return data()[i]; }
  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }
  std::size_t stride() const { return stride_; }
  double largest() {
    double found = 0;
    for (std::size_t r = 0; r != rows_; ++r)
      for (std::size_t c = 0; c != columns_; ++c) found = std::max(found, std::abs(static_cast<double>(at(r, c))));
    return found;
  }
  /// The elements in double, rows one after the other.
  std::vector<double> values() {
    std::vector<double> all;
    for (std::size_t r = 0; r != rows_; ++r)
      for (std::size_t c = 0; c != columns_; ++c) all.push_back(static_cast<double>(at(r, c)));
    return all;
  }

 private:
  static constexpr std::size_t guard = 32;
  static T not_a_number() { return std::numeric_limits<T>::quiet_NaN(); }
  bool is_element(std::size_t i) const {
    return i >= offset_ && i < offset_ + rows_ * stride_ && (i - offset_) % stride_ < columns_;
  }
  std::size_t rows_, columns_, stride_, offset_;
  susc::aligned_vector<T> memory_;
};

/// The largest error in units of its bound; NaN once any result was.
class worst {
 public:
  void add(double result, double reference, double bound) {
    double const error = std::abs(result - reference);
    double const ratio = error == 0 ? 0 : error / bound;
    if (!std::isnan(largest_) && !(ratio <= largest_)) largest_ = ratio;
  }
  double value() const { return largest_; }

 private:
  double largest_ = 0;
};

template <class T>
inline constexpr double epsilon = std::numeric_limits<T>::epsilon();

}  // namespace shapes
