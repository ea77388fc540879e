#pragma once
/// A law of core/concepts.hpp that a model breaks, and the guarded calls by which check_model finds it.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/error.hpp"

namespace susc {

/// A law that a model breaks. `law` is one of
///   "counts"               parameter_count, example_count
///   "components"           names and ranges
///   "exceptions"           a function throws
///   "sizes"                a function writes beyond the entries it is given
///   "finite"               losses, their mean and its gradient are finite at w
///   "determinism"          same arguments, same bits, whatever was asked in between
///   "overwrite"            every entry is written, and not added to
///   "value"                loss_and_gradient returns the mean of losses
///   "gradient"             the gradient is that of this mean
///   "restricted gradient"  RestrictedModel: the component's part of the gradient, in the order of its ranges
///   "frozen losses"        FreezableModel: the losses at weights moved in the component
///   "frozen gradient"      FreezableGradientModel: the component's part of the gradient there
///   "threads"              several threads at once get the bits that one gets
///   "operations", "bytes"  CountsOperations, CountsBytes: numbers that can be counts
struct broken_law {
  std::string law;   ///< which, by the names above
  std::string what;  ///< a sentence: where, the value found, the value expected
};

namespace detail {

/// What one call has given.
template <class T>
struct evaluated {
  aligned_vector<T> values;
  T loss = 0;  ///< what loss_and_gradient returns
};

template <class T>
bool same(T a, T b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}
template <class T>
bool same(evaluated<T> const& a, evaluated<T> const& b) {
  return same(a.loss, b.loss) && std::equal(a.values.begin(), a.values.end(), b.values.begin(), b.values.end(),
                                            [](T x, T y) { return same(x, y); });
}

/// What `call(span)` writes over `size` entries that hold `fill`, on a 64-byte boundary between guards of 64 bytes;
/// `intact` tells whether these are as they were.
template <class T, class F>
evaluated<T> written_by(F call, std::size_t size, T fill, bool& intact) {
  constexpr std::size_t guard = 64 / sizeof(T);
  constexpr T mark = T(-1234.5);
  aligned_vector<T> memory(size + 2 * guard, mark);
  std::span<T> const inside = std::span(memory).subspan(guard, size);
  std::fill(inside.begin(), inside.end(), fill);
  evaluated<T> result;
  if constexpr (std::is_void_v<decltype(call(inside))>)
    call(inside);
  else
    result.loss = call(inside);
  intact = true;
  for (std::size_t i = 0; i != guard; ++i) intact = intact && memory[i] == mark && memory[guard + size + i] == mark;
  result.values.assign(inside.begin(), inside.end());
  return result;
}

/// Two numbers that should agree up to `error`.
struct comparison {
  double found, expected, error;
};
/// What explains all of these wrong means over `count` examples; nothing if nothing known does.
inline std::string guess(std::size_t count, std::vector<comparison> const& wrong) {
  double const n = static_cast<double>(count);
  auto const all = [&](double factor) {
    return std::all_of(wrong.begin(), wrong.end(), [&](comparison const& c) {
      return std::abs(c.found - factor * c.expected) <= (1 + std::abs(factor)) * c.error;
    });
  };
  if (count > 1 && all(n)) return concatenate("; it looks like the sum over the ", count, " examples");
  if (count > 1 && all(1 / n)) return concatenate("; it looks divided by the ", count, " examples once too often");
  if (all(-1)) return "; its sign is turned";
  return "";
}

}  // namespace detail

}  // namespace susc
