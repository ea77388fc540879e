#pragma once
// Largest differences that a NaN does not hide in, as it would in std::max.
#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>

/// The larger, or what is no number.
inline double nan_max(double a, double b) {
  return a >= b || std::isnan(a) ? a : b;
}

/// Of two sequences of one length.
template <class A, class B>
double largest_difference(A const& a, B const& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i != a.size(); ++i)
    largest = nan_max(largest, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return largest;
}
