#pragma once
/// Numbers as they lie in files: little-endian arrays of any common type, read with checked conversion; shapes.
#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/io/file.hpp"

namespace susc {

static_assert(std::endian::native == std::endian::little, "susc reads and writes files on little-endian machines only");

/// IEEE 754 binary16, as stored: 1 sign, 5 exponent and 10 fraction bits. Every value is exact in a float.
struct float16 {
  std::uint16_t bits;  ///< as in the file
  /// Its value, exactly.
  operator float() const {
    int const exponent = bits >> 10 & 0x1F, fraction = bits & 0x3FF;
    float magnitude =
        std::ldexp(static_cast<float>(exponent == 0 ? fraction : fraction + 1024), (exponent == 0 ? 1 : exponent) - 25);
    if (exponent == 31)
      magnitude = fraction == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
    return (bits & 0x8000) != 0 ? -magnitude : magnitude;
  }
};

/// bfloat16, as stored: the upper half of a float.
struct bfloat16 {
  std::uint16_t bits;  ///< as in the file
  /// Its value, exactly.
  operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

/// The elements of an array, row-major; () is a single number. Empty if the product does not fit in 64 bits.
inline std::optional<std::uint64_t> element_count(std::span<std::size_t const> shape) {
  std::uint64_t count = 1;
  for (std::size_t const extent : shape)
    if (__builtin_mul_overflow(count, std::uint64_t{extent}, &count)) return std::nullopt;
  return count;
}

/// Extents or an index as Python writes them: "()", "(3,)", "(2, 3)".
inline std::string shape_text(std::span<std::size_t const> shape) {
  std::string text = "(";
  for (std::size_t i = 0; i != shape.size(); ++i) text.append(i == 0 ? "" : ", ").append(std::to_string(shape[i]));
  return text + (shape.size() == 1 ? ",)" : ")");
}

/// The index of the element at `position` in row-major order, e.g. "(1, 0)".
inline std::string index_text(std::size_t position, std::span<std::size_t const> shape) {
  std::vector<std::size_t> index(shape.size());
  for (std::size_t i = shape.size(); i-- != 0; position /= shape[i]) index[i] = position % shape[i];
  return shape_text(index);
}

namespace detail {
template <class T>
std::string type_text() {
  return (std::floating_point<T>    ? "a "
          : std::signed_integral<T> ? "a signed "
                                    : "an unsigned ") +
         std::to_string(8 * sizeof(T)) + (std::floating_point<T> ? "-bit float" : "-bit integer");
}

/// Whether `value` keeps its meaning in a T: integers exactly, floats to rounding (NaN and infinity are kept).
template <class T, class Source>
bool fits(Source value) {
  if constexpr (std::integral<T>)
    return std::in_range<T>(value);
  else
    return !std::isfinite(value) || std::abs(value) <= std::numeric_limits<T>::max();
}
}  // namespace detail

/// Reads out.size() numbers stored as Source at byte `offset` and converts them to T: integers to integers, floats to
/// floats. Throws susc::error, naming `what` and the index in `shape`, if a value is beyond the range of T; `first`:
/// the number of elements of `shape` before those at `offset`.
template <class Source, class T>
void read_numbers(input_file const& file, std::uint64_t offset, std::span<T> out, std::span<std::size_t const> shape,
                  std::string_view what, std::size_t first = 0) {
  if constexpr (std::same_as<Source, T>) {
    file.read(offset, std::as_writable_bytes(out));
  } else {
    using number = std::conditional_t<std::integral<Source> || std::floating_point<Source>, Source, float>;
    static_assert(std::integral<number> == std::integral<T>, "integers and floats are not converted to each other");
    std::vector<Source> chunk(std::min<std::size_t>(out.size(), std::size_t{1} << 16));
    for (std::size_t done = 0; done != out.size();) {
      std::span<Source> const part = std::span(chunk).first(std::min(chunk.size(), out.size() - done));
      file.read(offset + done * sizeof(Source), std::as_writable_bytes(part));
      for (Source const stored : part) {
        number const value = stored;
        if (!detail::fits<T>(value))
          fail("file '", file.path(), "': ", what, " holds ", +value, " at index ", index_text(first + done, shape),
               ", which does not fit in ", detail::type_text<T>());
        out[done++] = static_cast<T>(value);
      }
    }
  }
}

/// Throws susc::error, naming `what` and the index, at the first NaN or infinity among `values`.
template <std::floating_point T>
void require_finite(std::span<T const> values, std::span<std::size_t const> shape, std::string_view what) {
  auto const bad = std::find_if(values.begin(), values.end(), [](T x) { return !std::isfinite(x); });
  if (bad != values.end())
    fail(what, " is ", *bad, " at index ", index_text(static_cast<std::size_t>(bad - values.begin()), shape),
         ", wanted finite numbers");
}

}  // namespace susc
