#include "susc/kernels/ops.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "shapes.hpp"

namespace {
namespace kernels = susc::kernels;
using shapes::guarded;

TEST_CASE_TEMPLATE("load, store and the arithmetic of lanes, for every misalignment", T, float, double) {
  constexpr std::size_t n = kernels::lane_count<T>;
  susc::random::stream draw{{1}};
  for (std::size_t offset = 0; offset != shapes::offsets; ++offset) {
    guarded<T> a(n, offset), b(n, offset + 1), c(n, offset + 2), to(n, offset + 3);
    a.fill(draw), b.fill(draw), c.fill(draw);
    auto const la = kernels::load(a.data()), lb = kernels::load(b.data()), lc = kernels::load(c.data());
    kernels::store(to.data(), la);
    for (std::size_t i = 0; i != n; ++i) CHECK(to[i] == a[i]);
    kernels::store(to.data(), kernels::maximum(la, lb));
    for (std::size_t i = 0; i != n; ++i) CHECK(to[i] == std::max(a[i], b[i]));
    kernels::store(to.data(), kernels::multiply_add(la, lb, lc));
    shapes::worst product, sum;
    for (std::size_t i = 0; i != n; ++i) {
      double const term = double(a[i]) * double(b[i]);
      product.add(to[i], term + double(c[i]), shapes::epsilon<T> * (std::abs(term) + std::abs(double(c[i]))));
    }
    CHECK(product.value() <= 1);
    double exact = 0, size = 0;
    for (std::size_t i = 0; i != n; ++i) exact += double(a[i]), size += std::abs(double(a[i]));
    sum.add(kernels::sum_of_lanes(la), exact, shapes::epsilon<T> * double(n) * size);
    CHECK(sum.value() <= 1);
    CHECK(kernels::maximum_of_lanes(la) == *std::max_element(a.data(), a.data() + n));
  }
}

TEST_CASE_TEMPLATE("the largest lane is found wherever it is", T, float, double) {
  constexpr std::size_t n = kernels::lane_count<T>;
  for (std::size_t where = 0; where != n; ++where) {
    guarded<T> a(n);
    a.fill_constant(T(-2));
    a[where] = T(-1);
    CHECK(kernels::maximum_of_lanes(kernels::load(a.data())) == T(-1));
  }
}

TEST_CASE_TEMPLATE("exponential: relative error, and 0 for masked scores", T, float, double) {
  constexpr std::size_t n = kernels::lane_count<T>;
  auto const at = [&](T x) {
    T result[n];
    kernels::store(result, kernels::exponential(kernels::lanes<T>(x)));
    return double(result[n - 1]);
  };
  shapes::worst error;
  // Down to the smallest normal number: below it, lanes may be flushed to zero.
  double const lowest = std::log(double(std::numeric_limits<T>::min())) + 1;
  for (int i = 0; i <= 20000; ++i) {
    T const x = static_cast<T>(lowest + (20 - lowest) * i / 20000);
    double const exact = std::exp(double(x));
    error.add(at(x), exact, kernels::exponential_error * shapes::epsilon<T> * exact);
  }
  CHECK(error.value() <= 1);
  CHECK(at(T(0)) == 1);
  for (double const x : {-1e30, -1e4, -1e10}) CHECK(at(T(x)) == 0);
  CHECK(at(-std::numeric_limits<T>::infinity()) == 0);
  CHECK(at(std::numeric_limits<T>::lowest()) == 0);
}

TEST_CASE("exponential: NaN gives NaN, whatever its other bits") {
  for (float const x : {std::numeric_limits<float>::quiet_NaN(), std::nanf("1"), std::nanf("1234567")})
    CHECK(std::isnan(kernels::sum_of_lanes(kernels::exponential(kernels::lanes<float>(x)))));
}

TEST_CASE_TEMPLATE("logarithm: relative error, absolute near 1", T, float, double) {
  constexpr std::size_t n = kernels::lane_count<T>;
  shapes::worst error;
  for (int i = -20000; i <= 20000; ++i) {
    T const x = static_cast<T>(std::exp(i * 0.004)), result = kernels::logarithm(kernels::lanes<T>(x)).get(n - 1);
    double const exact = std::log(double(x));
    error.add(result, exact, 2 * shapes::epsilon<T> * (1 + std::abs(exact)));
  }
  CHECK(error.value() <= 1);
}

TEST_CASE_TEMPLATE("choose takes lane by lane", T, float, double) {
  constexpr std::size_t n = kernels::lane_count<T>;
  guarded<T> a(n), b(n), to(n);
  for (std::size_t i = 0; i != n; ++i) a[i] = T(i % 3), b[i] = T(1);
  kernels::store(to.data(), kernels::choose(kernels::load(a.data()) < kernels::load(b.data()), kernels::lanes<T>(T(5)),
                                            kernels::lanes<T>(T(6))));
  for (std::size_t i = 0; i != n; ++i) CHECK(to[i] == (a[i] < b[i] ? 5 : 6));
}

TEST_CASE("where_negative goes by the highest bit, exclusive_or_first is ^") {
  using kernels::words, kernels::long_words;
  words const yes(5u), no(6u);
  for (std::uint32_t const x : {0u, 1u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu})
    for (std::size_t i = 0; i != words::size; ++i)
      CHECK(kernels::where_negative(words(x), yes, no).get(i) == (x >> 31 != 0 ? 5 : 6));
  std::uint64_t const a = 0x0123456789ABCDEF, b = 0xFEDCBA9801234567;
  for (std::size_t i = 0; i != long_words::size; ++i)
    CHECK(kernels::exclusive_or_first(long_words(a), long_words(b)).get(i) == (a ^ b));
}

TEST_CASE_TEMPLATE("transpose_square: columns for rows, and nothing beside them", T, float, double) {
  constexpr std::size_t n = kernels::square<T>;
  susc::random::stream draw{{2}};
  for (std::size_t offset = 0; offset != shapes::offsets; ++offset) {
    guarded<T> from(n, n, n + 3, offset), to(n, n, n + 1, offset + 1);
    from.fill(draw);
    kernels::transpose_square(to.data(), to.stride(), from.data(), from.stride());
    for (std::size_t i = 0; i != n; ++i)
      for (std::size_t j = 0; j != n; ++j) CHECK(to.at(j, i) == from.at(i, j));
  }
}

TEST_CASE_TEMPLATE("padded: the smallest multiple that is not below", T, float, double) {
  constexpr std::size_t n = kernels::lane_count<T>;
  CHECK(kernels::padded<T>(0) == 0);
  for (std::size_t const count : shapes::lengths<T>()) {
    CHECK(kernels::padded<T>(count) % n == 0);
    CHECK(kernels::padded<T>(count) >= count);
    CHECK(kernels::padded<T>(count) < count + n);
  }
}
}  // namespace
