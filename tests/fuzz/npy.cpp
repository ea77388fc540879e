// Fuzz target: any bytes are a .npy file that is read whole and, written again, read the same, or a susc::error.
#include "susc/io/npy.hpp"

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <utility>

#include "fuzzing.hpp"

namespace {
/// What was read as T; nothing if it was refused.
template <class T>
std::optional<susc::npy_array<T>> read(std::filesystem::path const& path, std::size_t bytes) {
  susc::npy_array<T> array;
  if (!fuzzing::reads(bytes, [&] { array = susc::read_npy<T>(path); })) return std::nullopt;
  fuzzing::hold(susc::element_count(array.shape) == array.values.size(), "as many values as the shape says");
  fuzzing::hold(array.values.size() <= bytes, "no more values than bytes");
  return array;
}
template <class T>
std::optional<susc::npy_array<T>> read_and_write(std::filesystem::path const& path, std::size_t bytes) {
  auto const array = read<T>(path, bytes);
  if (!array) return std::nullopt;
  auto const copy = fuzzing::folder() / "copy.npy";
  susc::write_npy<T>(copy, array->values, array->shape);
  auto const again = susc::read_npy<T>(copy, array->shape.size());
  fuzzing::hold(again.shape == array->shape && fuzzing::same_bits(again.values, array->values),
                "written again, it is the same array");
  return array;
}
/// Two readings of a file agree wherever the narrow type can hold what the wide one has.
template <class Narrow, class Wide>
void compare(std::optional<susc::npy_array<Narrow>> const& narrow, std::optional<susc::npy_array<Wide>> const& wide) {
  fuzzing::hold(wide || !narrow, "the wide type reads what the narrow one reads");
  if (!wide) return;
  bool fits = true;
  for (std::size_t i = 0; i != wide->values.size(); ++i) {
    Wide const value = wide->values[i];
    if constexpr (std::integral<Wide>)
      fits = fits && std::in_range<Narrow>(value);
    else
      fits = fits && !(std::abs(value) > std::numeric_limits<Narrow>::max() && std::isfinite(value));
    if (narrow && value == value)
      fuzzing::hold(narrow->values[i] == static_cast<Narrow>(value), "both types read the same value");
  }
  fuzzing::hold(narrow.has_value() == fits, "the narrow type reads what fits in it");
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  auto const path = fuzzing::file("in.npy", fuzzing::text(data, size));
  auto const wide = read_and_write<double>(path, size);
  compare(read_and_write<float>(path, size), wide);
  auto const whole = read_and_write<std::int64_t>(path, size);
  fuzzing::hold(!(wide && whole), "integers are not read as floats");
  auto const small = read_and_write<std::int32_t>(path, size);
  if (whole || small) compare(small, whole);
  read<std::uint8_t>(path, size);
  read<std::uint64_t>(path, size);
  return 0;
}
