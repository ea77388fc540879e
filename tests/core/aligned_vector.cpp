#include "susc/core/aligned_vector.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>

namespace {
template <class T>
bool is_aligned(susc::aligned_vector<T> const& v) {
  return reinterpret_cast<std::uintptr_t>(v.data()) % 64 == 0;
}

TEST_CASE_TEMPLATE("every allocation lies on a 64-byte boundary", T, char, float, double) {
  for (std::size_t count = 1; count != 200; ++count) {
    susc::aligned_vector<T> const a(count), b(count);  // both alive: neighbours in memory
    CHECK(is_aligned(a));
    CHECK(is_aligned(b));
  }
  susc::aligned_vector<T> grown;
  for (int i = 0; i != 1000; ++i) {
    grown.push_back(static_cast<T>(i % 100));
    REQUIRE(is_aligned(grown));
  }
  for (int i = 0; i != 1000; ++i) REQUIRE(grown[static_cast<std::size_t>(i)] == static_cast<T>(i % 100));
}

TEST_CASE("copies, moves and swaps are those of std::vector") {
  susc::aligned_vector<double> a(10);
  std::iota(a.begin(), a.end(), 0.0);
  susc::aligned_vector<double> copy = a;
  CHECK(copy == a);
  CHECK(is_aligned(copy));
  CHECK(copy.data() != a.data());
  double const* const memory = a.data();
  susc::aligned_vector<double> moved = std::move(a);
  CHECK(moved.data() == memory);  // any allocator may free another's memory, so a move copies nothing
  susc::aligned_vector<double> assigned;
  assigned = std::move(moved);
  CHECK(assigned.data() == memory);
  std::swap(assigned, copy);
  CHECK(copy.data() == memory);
  CHECK(susc::aligned_allocator<double>{} == susc::aligned_allocator<double>(susc::aligned_allocator<float>{}));
}
}  // namespace
