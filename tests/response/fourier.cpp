#include "susc/response/fourier.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <complex>
#include <numbers>
#include <vector>

#include "susc/core/random.hpp"

TEST_CASE("fourier: the transform is its definition") {
  for (std::size_t n = 1; n <= 256; n *= 2) {
    CAPTURE(n);
    susc::random::stream random({n});
    std::vector<std::complex<double>> x(n);
    double norm = 0;
    for (auto& v : x) {
      v = {random.normal(), random.normal()};
      norm += std::norm(v);
    }
    auto transformed = x;
    susc::fourier_transform(transformed);
    for (std::size_t k = 0; k != n; ++k) {
      CAPTURE(k);
      std::complex<double> sum = 0;
      for (std::size_t t = 0; t != n; ++t)  // k t modulo n keeps the angle exact
        sum += x[t] * std::polar(1., -2 * std::numbers::pi * static_cast<double>(k * t % n) / static_cast<double>(n));
      // Both sums have n terms whose squares sum to `norm`, and round to 1.1e-16 of their size.
      CHECK(std::abs(transformed[k] - sum) <= 1e-14 * std::sqrt(norm * static_cast<double>(n)));
    }
  }
}

TEST_CASE("fourier: only powers of two") {
  for (std::size_t const n : {0, 3, 6, 100}) {
    std::vector<std::complex<double>> x(n);
    CHECK_THROWS_AS(susc::fourier_transform(x), susc::error);
  }
}
