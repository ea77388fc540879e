#include "susc/kernels/gemm.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <vector>

#include "shapes.hpp"

namespace {
namespace kernels = susc::kernels;
using kernels::matrix;
using shapes::guarded;

template <class T>
matrix<T> view(guarded<T>& m) {
  return {m.data(), m.rows(), m.columns(), m.stride()};
}

enum class product { plain, right_transposed, left_transposed };

template <class T>
double error_of(product which, kernels::output mode, std::size_t m, std::size_t n, std::size_t k, std::size_t offset,
                susc::random::stream& draw) {
  bool const at = which == product::left_transposed, bt = which == product::right_transposed;
  guarded<T> a(at ? k : m, at ? m : k, (at ? m : k) + 1, offset),
      b(bt ? n : k, bt ? k : n, (bt ? k : n) + 2, offset + 1), c(m, n, n + 3, offset + 2);
  a.fill(draw), b.fill(draw);
  bool const add = mode == kernels::output::add;
  if (add) c.fill(draw);
  std::vector<double> const before = c.values();
  if (which == product::plain) kernels::multiply<T>(view(c), view(a), view(b), mode);
  if (which == product::right_transposed) kernels::multiply_transposed<T>(view(c), view(a), view(b), mode);
  if (which == product::left_transposed) kernels::transposed_multiply<T>(view(c), view(a), view(b), mode);
  shapes::worst error;
  for (std::size_t i = 0; i != m; ++i)
    for (std::size_t j = 0; j != n; ++j) {
      double exact = add ? before[i * n + j] : 0, size = std::abs(exact);
      for (std::size_t s = 0; s != k; ++s) {
        double const term = double(at ? a.at(s, i) : a.at(i, s)) * double(bt ? b.at(j, s) : b.at(s, j));
        exact += term;
        size += std::abs(term);
      }
      error.add(c.at(i, j), exact, double(k + (add ? 1 : 0)) * shapes::epsilon<T> * size);
    }
  return error.value();
}

TEST_CASE_TEMPLATE("products against naive loops: every length of every extent, strided, misaligned", T, float,
                   double) {
  susc::random::stream draw{{2}};
  double largest = 0;
  for (auto const which : {product::plain, product::right_transposed, product::left_transposed})
    for (auto const mode : {kernels::output::overwrite, kernels::output::add})
      for (std::size_t const length : shapes::lengths<T>())
        for (std::size_t offset = 0; offset != shapes::offsets; ++offset) {
          std::size_t const other = 1 + (length * 5 + offset) % 13, third = 1 + (length * 3 + offset) % 7;
          for (double const error : {error_of<T>(which, mode, length, other, third, offset, draw),
                                     error_of<T>(which, mode, third, length, other, offset, draw),
                                     error_of<T>(which, mode, other, third, length, offset, draw)}) {
            CHECK(error <= 1);
            largest = std::max(largest, error);
          }
        }
}

TEST_CASE_TEMPLATE("products larger than every block: rows, columns and depth", T, float, double) {
  susc::random::stream draw{{3}};
  for (auto const which : {product::plain, product::right_transposed, product::left_transposed})
    for (auto const mode : {kernels::output::overwrite, kernels::output::add})
      CHECK(error_of<T>(which, mode, 201, 533, 401, 1, draw) <= 1);
}

TEST_CASE_TEMPLATE("multiply_onto: the bits of adding to a copy, B packed or not", T, float, double) {
  susc::random::stream draw{{6}};
  for (auto const how : {kernels::precision::single, kernels::precision::split_bfloat16, kernels::precision::bfloat16})
    for (auto const& [m, n, k] :
         {std::array<std::size_t, 3>{1, 1, 1}, {7, 33, 5}, {23, 70, 300}, {201, 533, 401}, {3, 4, 0}}) {
      guarded<T> a(m, k, k + 1, 1), b(k, n, n + 2, 2), under(m, n, n + 5, 3), c(m, n, n + 3, 0), expected(m, n, n, 0);
      a.fill(draw), b.fill(draw), under.fill(draw), c.fill(draw);
      for (std::size_t i = 0; i != m; ++i)
        for (std::size_t j = 0; j != n; ++j) expected.at(i, j) = under.at(i, j);
      kernels::multiply<T>(view(expected), view(a), view(b), kernels::output::add, how);
      kernels::multiply_onto<T>(view(c), view(under), view(a), view(b), how);
      CHECK(c.values() == expected.values());
      kernels::packed_matrix<T> packed;
      packed.pack(view(b), how);
      c.fill(draw);
      kernels::multiply_onto<T>(view(c), view(under), view(a), packed);
      CHECK(c.values() == expected.values());
    }
}

TEST_CASE("a row has the same bits in a product of many rows and alone") {
  susc::random::stream draw{{4}};
  std::size_t const m = 23, n = 70, k = 300;
  guarded<float> a(m, k, k, 0), b(k, n, n, 0), c(m, n, n, 0), one(1, n, n, 1);
  a.fill(draw), b.fill(draw);
  kernels::multiply<float>(view(c), view(a), view(b));
  for (std::size_t i = 0; i != m; ++i) {
    kernels::multiply<float>(view(one), {&a.at(i, 0), 1, k}, view(b));
    for (std::size_t j = 0; j != n; ++j) CHECK(one.at(0, j) == c.at(i, j));
  }
}

TEST_CASE_TEMPLATE("a packed B gives the bits of B itself, transposed too, and its rows back", T, float, double) {
  susc::random::stream draw{{5}};
  kernels::packed_matrix<T> packed;  // used again for every shape
  for (auto const& [m, n, k] : {std::array<std::size_t, 3>{23, 533, 301}, {7, 1, 1}, {1, 48, 700}, {5, 1030, 3}})
    for (bool const transposed : {false, true})
      for (auto const mode : {kernels::output::overwrite, kernels::output::add}) {
        guarded<T> a(m, k, k + 1, 0), b(transposed ? n : k, transposed ? k : n, (transposed ? k : n) + 2, 1),
            c(m, n, n, 2), direct(m, n, n + 1, 3);
        a.fill(draw), b.fill(draw), c.fill(draw);
        for (std::size_t i = 0; i != m; ++i)
          for (std::size_t j = 0; j != n; ++j) direct.at(i, j) = c.at(i, j);
        transposed ? packed.pack_transposed(view(b)) : packed.pack(view(b));
        REQUIRE(packed.rows() == k);
        REQUIRE(packed.columns() == n);
        kernels::multiply<T>(view(c), view(a), packed, mode);
        if (transposed)
          kernels::multiply_transposed<T>(view(direct), view(a), view(b), mode);
        else
          kernels::multiply<T>(view(direct), view(a), view(b), mode);
        CHECK(c.values() == direct.values());
        guarded<T> row(n, 1);
        for (std::size_t p = 0; p < k; p += 1 + k / 5) {
          packed.copy_row(p, row.data());
          for (std::size_t j = 0; j != n; ++j) CHECK(row[j] == (transposed ? b.at(j, p) : b.at(p, j)));
        }
      }
}
}  // namespace
