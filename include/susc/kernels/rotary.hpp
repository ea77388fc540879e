#pragma once
/// Rotary positions (Su et al. 2021, "RoFormer"): pairs of a query's or key's numbers are turned by an angle that grows
/// with the position, so that their products depend on distances.
//   (x[t,i], x[t,i+p]) turned by t * frequency[i], i < p: the pairs of Hugging Face's rotate_half, p = pairs; the other
//   columns of x stay.
//   x (tokens, >= 2 pairs) with a leading dimension; cosine, sine (tokens, pairs)
// Error vs. double, as a function of the table given: <= rotary_error * eps * (|x[t,i]| + |x[t,i+p]|).
#include <cmath>
#include <cstddef>
#include <span>

#include "susc/kernels/ops.hpp"

namespace susc::kernels {

/// Bound of the error against double: see the top of the file.
inline constexpr double rotary_error = 2;

/// cosine, sine (positions, frequencies.size()) of t * frequencies[i], by angles in double.
template <class T>
void rotary_table(T* cosine, T* sine, std::span<double const> frequencies, std::size_t positions) {
  for (std::size_t t = 0; t != positions; ++t)
    for (double const frequency : frequencies) {
      double const angle = static_cast<double>(t) * frequency;
      *cosine++ = static_cast<T>(std::cos(angle));
      *sine++ = static_cast<T>(std::sin(angle));
    }
}

namespace detail {
/// Turns by the table's angles, or, with Back, by their negatives.
template <bool Back, class T>
void turn(T* x, std::size_t stride, T const* cosine, T const* sine, std::size_t tokens, std::size_t pairs) {
  constexpr std::size_t step = lane_count<T>;
  std::size_t const whole = pairs / step * step;
  for (std::size_t t = 0; t != tokens; ++t, x += stride, cosine += pairs, sine += pairs) {
    T* const y = x + pairs;
    for (std::size_t i = 0; i != whole; i += step) {
      lanes<T> const a = load(x + i), b = load(y + i), c = load(cosine + i);
      lanes<T> const s = Back ? lanes<T>(T(0)) - load(sine + i) : load(sine + i);
      store(x + i, a * c - b * s);
      store(y + i, b * c + a * s);
    }
    for (std::size_t i = whole; i != pairs; ++i) {
      T const a = x[i], b = y[i], s = Back ? -sine[i] : sine[i];
      x[i] = a * cosine[i] - b * s;
      y[i] = b * cosine[i] + a * s;
    }
  }
}
}  // namespace detail

/// In place, of token t by row t of the table.
template <class T>
void rotate(T* x, std::size_t stride, T const* cosine, T const* sine, std::size_t tokens, std::size_t pairs) {
  detail::turn<false>(x, stride, cosine, sine, tokens, pairs);
}
/// The inverse, which is the transpose: takes slopes by what `rotate` made to slopes by what it was given.
template <class T>
void rotate_backward(T* x, std::size_t stride, T const* cosine, T const* sine, std::size_t tokens, std::size_t pairs) {
  detail::turn<true>(x, stride, cosine, sine, tokens, pairs);
}

}  // namespace susc::kernels
