#pragma once
/// The discrete Fourier transform, for autocovariances. Eigen's would do, but would be all of Eigen that estimating
/// susceptibilities needs: a sixth of the lines to compile.
#include <bit>
#include <cmath>
#include <complex>
#include <cstddef>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

#include "susc/core/error.hpp"

namespace susc {

/// In place, x (n,): X_k = Σ_t x_t exp(-2πi kt/n), by halving (Cooley & Tukey 1965). Throws susc::error unless n is a
/// power of two.
inline void fourier_transform(std::span<std::complex<double>> x) {
  std::size_t const n = x.size();
  require(std::has_single_bit(n), "Fourier transform of ", n, " values: their number must be a power of two");
  std::vector<std::complex<double>> roots(n / 2);  // exp(-2πi k/n)
  for (std::size_t k = 0; k != roots.size(); ++k)
    roots[k] = std::polar(1., -2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n));
  // Bits of the index in reverse: then each half of a part lies together.
  for (std::size_t i = 1, reversed = 0; i < n; ++i) {
    std::size_t bit = n / 2;
    for (; (reversed & bit) != 0; bit /= 2) reversed ^= bit;
    reversed ^= bit;
    if (i < reversed) std::swap(x[i], x[reversed]);
  }
  for (std::size_t half = 1; half < n; half *= 2)
    for (std::size_t first = 0; first != n; first += 2 * half)
      for (std::size_t k = 0; k != half; ++k) {
        auto const even = x[first + k], odd = x[first + half + k], root = roots[k * (n / (2 * half))];
        // By hand: the operator looks for infinities.
        std::complex<double> const turned(odd.real() * root.real() - odd.imag() * root.imag(),
                                          odd.real() * root.imag() + odd.imag() * root.real());
        x[first + k] = even + turned;
        x[first + half + k] = even - turned;
      }
}

}  // namespace susc
