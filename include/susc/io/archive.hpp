#pragma once
/// Values to bytes and back, for checkpoints. A class takes part by naming its members once, for both directions:
///   static void members(auto& self, auto&& each) { each(self.w, self.steps); }
/// Numbers lie little-endian at their own size, a bool as one byte; what varies in length has its length before it, in
/// 64 bits; members follow one another without gaps.
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "susc/core/error.hpp"
#include "susc/io/numbers.hpp"

namespace susc {

namespace detail {
/// Stands for what is done with members, where only their existence is asked.
struct any_members {
  void operator()(auto&...) const {}
};
template <class T>
concept has_members = std::is_class_v<T> && requires(T& value) {
  T::members(value, any_members{});
};
/// std::vector, aligned_vector, std::string: contiguous, of a length that can be set.
template <class T>
concept resizable = requires(T& value, std::size_t size) {
  typename T::value_type;
  value.resize(size);
  { value.data() } -> std::same_as<typename T::value_type*>;
};
/// Eigen's dense matrices and vectors, in the order in which they lie in memory.
template <class T>
concept eigen_matrix = requires(T& value) {
  typename T::Scalar;
  value.resize(value.rows(), value.cols());
  { value.data() } -> std::same_as<typename T::Scalar*>;
};
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
concept number = std::is_arithmetic_v<T> || std::is_enum_v<T>;
template <class T>
constexpr bool archivable() {
  if constexpr (number<T> || has_members<T>)
    return true;
  else if constexpr (is_optional<T> || resizable<T>)
    return archivable<typename T::value_type>();
  else if constexpr (eigen_matrix<T>)
    return number<typename T::Scalar>;
  else
    return false;
}
}  // namespace detail

/// What can be written and read back: numbers, enumerations, strings, vectors, optionals, Eigen's matrices, and classes
/// with `members`, of such.
template <class T>
concept Archivable = detail::archivable<T>();

/// Appends values to bytes().
class archive_writer {
 public:
  /// Appends the values, in order.
  template <Archivable... T>
  void operator()(T const&... values) {
    (write(values), ...);
  }
  std::string const& bytes() const { return bytes_; }  ///< what was written so far

 private:
  template <class T>
  void write(T const& value) {
    if constexpr (detail::number<T>) {
      append(&value, 1);
    } else if constexpr (detail::has_members<T>) {
      T::members(value, *this);
    } else if constexpr (detail::is_optional<T>) {
      write(value.has_value());
      if (value) write(*value);
    } else if constexpr (detail::eigen_matrix<T>) {
      (*this)(std::int64_t{value.rows()}, std::int64_t{value.cols()});
      append(value.data(), static_cast<std::size_t>(value.size()));
    } else {
      write(std::uint64_t{value.size()});
      if constexpr (detail::number<typename T::value_type>)
        append(value.data(), value.size());
      else
        for (auto const& element : value) write(element);
    }
  }
  template <class T>
  void append(T const* values, std::size_t count) {
    if (count != 0) bytes_.append(reinterpret_cast<char const*>(values), count * sizeof(T));
  }
  std::string bytes_;
};

/// Takes values from bytes, in the order in which they were written. Never reads beyond the bytes and never makes room
/// for more elements than there are bytes left, whatever the bytes are. Throws susc::error, beginning with `where`.
class archive_reader {
 public:
  /// Reads `bytes`, which must outlive it; `where` begins its messages.
  archive_reader(std::string_view bytes, std::string where) : rest_(bytes), where_(std::move(where)) {}

  /// Reads the values in the order written. Throws susc::error where the bytes end or do not fit.
  template <Archivable... T>
  void operator()(T&... values) {
    (read(values), ...);
  }
  /// Throws unless all bytes were read.
  void finish() const { require(rest_.empty(), where_, rest_.size(), " bytes are left after the last value"); }

 private:
  template <class T>
  void read(T& value) {
    if constexpr (std::same_as<T, bool>) {
      std::uint8_t byte = 0;
      take(&byte, 1);
      require(byte <= 1, where_, "a yes or no is ", +byte, ", wanted 0 or 1");
      value = byte == 1;
    } else if constexpr (detail::number<T>) {
      take(&value, 1);
    } else if constexpr (detail::has_members<T>) {
      T::members(value, *this);
    } else if constexpr (detail::is_optional<T>) {
      bool present = false;
      read(present);
      value.reset();
      if (present) read(value.emplace());
    } else if constexpr (detail::eigen_matrix<T>) {
      std::int64_t rows = 0, columns = 0;
      (*this)(rows, columns);
      std::int64_t size = 0;
      require(rows >= 0 && columns >= 0 && !__builtin_mul_overflow(rows, columns, &size), where_, "a matrix of ", rows,
              " x ", columns);
      room_for(static_cast<std::uint64_t>(size), sizeof(typename T::Scalar));
      bool const fits = (T::RowsAtCompileTime < 0 || T::RowsAtCompileTime == rows) &&
                        (T::ColsAtCompileTime < 0 || T::ColsAtCompileTime == columns);
      require(fits, where_, "a matrix of ", rows, " x ", columns, ", wanted another shape");
      value.resize(rows, columns);
      take(value.data(), static_cast<std::size_t>(size));
    } else {
      using element = typename T::value_type;
      std::uint64_t size = 0;
      read(size);
      room_for(size, detail::number<element> ? sizeof(element) : 1);
      value.resize(size);
      if constexpr (detail::number<element>)
        take(value.data(), size);
      else
        for (element& e : value) read(e);
    }
  }
  void room_for(std::uint64_t count, std::size_t bytes_each) const {
    require(count <= rest_.size() / bytes_each, where_, count, " elements are announced, ", rest_.size(),
            " bytes are left");
  }
  template <class T>
  void take(T* to, std::size_t count) {
    std::size_t const bytes = count * sizeof(T);
    require(bytes <= rest_.size(), where_, "ends ", bytes - rest_.size(), " bytes before the value does");
    if (bytes != 0) std::memcpy(to, rest_.data(), bytes);
    rest_.remove_prefix(bytes);
  }

  std::string_view rest_;
  std::string where_;
};

}  // namespace susc
