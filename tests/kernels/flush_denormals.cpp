#include "susc/kernels/flush_denormals.hpp"

#include <doctest/doctest.h>

#include <limits>

namespace {
#if defined(__SSE2__) || defined(__aarch64__)
constexpr bool flushes = true;
#else
constexpr bool flushes = false;
#endif
}  // namespace

TEST_CASE("flush_denormals: products below the smallest normal number are zero, and as before afterwards") {
  float volatile const smallest = std::numeric_limits<float>::min(), half = .5f;
  float const before = smallest * half;
  CHECK(before > 0);
  {
    susc::kernels::flush_denormals const guard;
    float volatile const product = smallest * half;
    CHECK((product == 0 || !flushes));
    CHECK(smallest * 1.f == smallest);
    { susc::kernels::flush_denormals const inner; }
    float volatile const still = smallest * half;
    CHECK((still == 0 || !flushes));
  }
  float volatile const after = smallest * half;
  CHECK(after == before);
}
