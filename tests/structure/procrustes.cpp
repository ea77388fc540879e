#include "susc/structure/procrustes.hpp"

#include <doctest/doctest.h>

#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "susc/core/random.hpp"

namespace {
using susc::alignment;
using susc::procrustes_matching;
using susc::procrustes_rotation;
using susc::rotated;
using matrix = xt::xtensor<double, 2>;

matrix random_matrix(std::size_t rows, std::size_t columns, std::uint64_t seed) {
  susc::random::stream draw{{seed}};
  matrix x = matrix::from_shape({rows, columns});
  for (double& v : x) v = draw.normal();
  return x;
}

matrix random_rotation(std::size_t size, std::uint64_t seed) {
  matrix const x = random_matrix(size, size, seed);
  auto const n = static_cast<Eigen::Index>(size);
  Eigen::MatrixXd a(n, n);
  for (Eigen::Index i = 0; i != n; ++i)
    for (Eigen::Index j = 0; j != n; ++j) a(i, j) = x(static_cast<std::size_t>(i), static_cast<std::size_t>(j));
  Eigen::MatrixXd const q = Eigen::HouseholderQR<Eigen::MatrixXd>(a).householderQ();
  matrix r = x;
  for (std::size_t i = 0; i != size; ++i)
    for (std::size_t j = 0; j != size; ++j) r(i, j) = q(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j));
  return r;
}

double distance(matrix const& a, matrix const& b) {
  REQUIRE((a.shape(0) == b.shape(0) && a.shape(1) == b.shape(1)));
  double sum = 0;
  for (std::size_t i = 0; i != a.shape(0); ++i)
    for (std::size_t j = 0; j != a.shape(1); ++j) sum += (a(i, j) - b(i, j)) * (a(i, j) - b(i, j));
  return std::sqrt(sum);
}

double squares(matrix const& a) {
  return std::inner_product(a.begin(), a.end(), a.begin(), 0.);
}

matrix identity(std::size_t size) {
  matrix x = matrix::from_shape({size, size});
  for (std::size_t i = 0; i != size; ++i)
    for (std::size_t j = 0; j != size; ++j) x(i, j) = i == j;
  return x;
}

double off_orthogonal(matrix const& r) {
  return distance(rotated(r, r, true), identity(r.shape(0)));
}

TEST_CASE("a planted rotation is found, of any size, reflections too") {
  for (std::size_t const size : {1u, 2u, 3u, 8u}) {
    CAPTURE(size);
    matrix const scores = random_matrix(50, size, size), planted = random_rotation(size, 10 + size);
    alignment const found = procrustes_rotation(scores, rotated(scores, planted));
    CHECK(distance(found.rotation, planted) < 1e-12);
    CHECK(found.residual < 1e-12);
    matrix turned = planted;  // of the other determinant
    for (std::size_t i = 0; i != size; ++i) turned(i, 0) = -planted(i, 0);
    CHECK(distance(procrustes_rotation(scores, rotated(scores, turned)).rotation, turned) < 1e-12);
  }
}

TEST_CASE("signs and swaps are found by both, and by matching without rounding") {
  // Columns of nearly the same size, as components of close singular values are.
  matrix const scores = random_matrix(200, 4, 3);
  matrix swapped = scores;
  for (std::size_t r = 0; r != 200; ++r) {
    swapped(r, 0) = -scores(r, 1);
    swapped(r, 1) = scores(r, 0);
    swapped(r, 3) = -scores(r, 3);
  }
  matrix const wanted{{0, 1, 0, 0}, {-1, 0, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, -1}};
  CHECK(distance(procrustes_rotation(scores, swapped).rotation, wanted) < 1e-12);
  alignment const matched = procrustes_matching(scores, swapped);
  CHECK(distance(matched.rotation, wanted) == 0);
  CHECK(matched.residual < 1e-12);
}

TEST_CASE("no rotation is better: against an exact angle, and against many others") {
  // In the plane the best angle is known: tan = (a0·b1 - a1·b0) / (a0·b0 + a1·b1).
  matrix const a = random_matrix(9, 2, 1), b = random_matrix(9, 2, 2);
  double dot[2][2] = {};
  for (std::size_t r = 0; r != 9; ++r)
    for (std::size_t i = 0; i != 2; ++i)
      for (std::size_t j = 0; j != 2; ++j) dot[i][j] += a(r, i) * b(r, j);
  double const proper = std::hypot(dot[0][1] - dot[1][0], dot[0][0] + dot[1][1]),
               improper = std::hypot(dot[0][1] + dot[1][0], dot[0][0] - dot[1][1]), best = std::max(proper, improper);
  alignment const found = procrustes_rotation(a, b);
  CHECK(found.residual == doctest::Approx(1 - best * best / squares(a) / squares(b)).epsilon(1e-12));
  CHECK(std::pow(distance(rotated(a, found.rotation), b), 2) ==
        doctest::Approx(squares(a) + squares(b) - 2 * best).epsilon(1e-12));
  matrix const x = random_matrix(30, 5, 3), y = random_matrix(30, 5, 4);
  alignment const many = procrustes_rotation(x, y);
  CHECK(off_orthogonal(many.rotation) < 1e-13);
  double const least = distance(rotated(x, many.rotation), y);
  for (std::uint64_t seed = 100; seed != 300; ++seed) CHECK(distance(rotated(x, random_rotation(5, seed)), y) >= least);
}

TEST_CASE("no matching is better: against all permutations with signs") {
  for (std::uint64_t seed = 0; seed != 30; ++seed) {
    matrix const a = random_matrix(7, 5, 2 * seed), b = random_matrix(7, 5, 2 * seed + 1);
    alignment const found = procrustes_matching(a, b);
    CHECK(off_orthogonal(found.rotation) == 0);
    std::vector<std::size_t> order{0, 1, 2, 3, 4};
    double least = std::numeric_limits<double>::infinity();
    do {
      for (unsigned signs = 0; signs != 32; ++signs) {
        double sum = 0;
        for (std::size_t r = 0; r != 7; ++r)
          for (std::size_t k = 0; k != 5; ++k) sum += std::pow((signs >> k & 1 ? -1 : 1) * a(r, k) - b(r, order[k]), 2);
        least = std::min(least, sum);
      }
    } while (std::next_permutation(order.begin(), order.end()));
    CHECK(std::pow(distance(rotated(a, found.rotation), b), 2) == doctest::Approx(least).epsilon(1e-12));
    CHECK(found.residual >= procrustes_rotation(a, b).residual - 1e-12);
  }
}

TEST_CASE("less than full rank: a minimiser, and of those the one nearest to the identity") {
  // Fewer rows than components, and columns of zeros.
  matrix const few = random_matrix(2, 5, 1), planted = random_rotation(5, 2);
  alignment const found = procrustes_rotation(few, rotated(few, planted));
  CHECK(off_orthogonal(found.rotation) < 1e-13);
  CHECK(found.residual < 1e-12);
  CHECK(distance(rotated(few, found.rotation), rotated(few, planted)) < 1e-12);
  // Turned in the plane of its two rows, whose complement is in no direction of its own, and stays.
  matrix plane = few;
  for (std::size_t r = 0; r != 2; ++r) {
    double along = 0, length = 0;
    for (std::size_t k = 0; r == 1 && k != 5; ++k) along += plane(1, k) * plane(0, k);
    for (std::size_t k = 0; k != 5; ++k)
      plane(r, k) -= along * plane(0, k) * double(r), length += std::pow(plane(r, k), 2);
    for (std::size_t k = 0; k != 5; ++k) plane(r, k) /= std::sqrt(length);
  }
  matrix turn = identity(5);
  for (std::size_t i = 0; i != 5; ++i)
    for (std::size_t j = 0; j != 5; ++j)
      turn(i, j) += (std::cos(1.) - 1) * (plane(0, i) * plane(0, j) + plane(1, i) * plane(1, j)) +
                    std::sin(1.) * (plane(0, i) * plane(1, j) - plane(1, i) * plane(0, j));
  REQUIRE(off_orthogonal(turn) < 1e-13);
  CHECK(distance(procrustes_rotation(few, rotated(few, turn)).rotation, turn) < 1e-12);
  // The plane of the first two turns by a quarter; nothing is known of the rest, which stays.
  matrix a = random_matrix(40, 4, 3), b = a;
  for (std::size_t r = 0; r != 40; ++r) {
    a(r, 2) = a(r, 3) = b(r, 2) = b(r, 3) = 0;
    b(r, 0) = -a(r, 1);
    b(r, 1) = a(r, 0);
  }
  matrix const wanted{{0, 1, 0, 0}, {-1, 0, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}};
  CHECK(distance(procrustes_rotation(a, b).rotation, wanted) < 1e-12);
  matrix const zero = a * 0.;
  CHECK(distance(procrustes_rotation(a, zero).rotation, identity(4)) < 1e-12);
  for (auto const& pair :
       {procrustes_rotation(a, zero), procrustes_rotation(zero, a), procrustes_matching(zero, zero)}) {
    CHECK(pair.residual == 1);
    CHECK(off_orthogonal(pair.rotation) < 1e-13);
  }
}

TEST_CASE("the residual is that of the best scale, whatever the units") {
  matrix const a = random_matrix(20, 3, 1), b = random_matrix(20, 3, 2);
  alignment const found = procrustes_rotation(a, b);
  matrix const turned = rotated(a, found.rotation);
  double const scale = std::inner_product(turned.begin(), turned.end(), b.begin(), 0.) / squares(a);
  double left = 0;
  for (std::size_t i = 0; i != 20; ++i)
    for (std::size_t j = 0; j != 3; ++j) left += std::pow(scale * turned(i, j) - b(i, j), 2);
  CHECK(found.residual == doctest::Approx(left / squares(b)).epsilon(1e-12));
  CHECK(procrustes_rotation(b, a).residual == doctest::Approx(found.residual).epsilon(1e-12));
  matrix const large = a * 1e150, small = b * 1e-150;
  CHECK(procrustes_rotation(large, small).residual == doctest::Approx(found.residual).epsilon(1e-12));
}

TEST_CASE("a sequence: the last stays, and each agrees with its successor") {
  matrix const first = random_matrix(60, 3, 1);
  std::vector<matrix> sequence;
  for (std::uint64_t t = 0; t != 6; ++t) {
    matrix drifting = first;
    matrix const noise = random_matrix(60, 3, 50 + t);
    for (std::size_t i = 0; i != 60; ++i)
      for (std::size_t j = 0; j != 3; ++j) drifting(i, j) += 1e-3 * noise(i, j);
    sequence.push_back(rotated(drifting, random_rotation(3, 20 + t)));
  }
  auto const found = susc::align_to_last(std::span<matrix const>(sequence), procrustes_rotation);
  REQUIRE(found.size() == 6);
  CHECK(distance(found[5].rotation, identity(3)) == 0);
  CHECK(found[5].residual == 0);
  for (std::size_t t = 0; t != 5; ++t) {
    matrix const here = rotated(sequence[t], found[t].rotation), next = rotated(sequence[t + 1], found[t + 1].rotation);
    CHECK(distance(here, next) < 1e-2 * std::sqrt(squares(next)));
    CHECK((found[t].residual > 1e-8 && found[t].residual < 1e-5));
    // Not to the last one: to the aligned successor.
    CHECK(distance(found[t].rotation, procrustes_rotation(sequence[t], next).rotation) < 1e-12);
  }
  auto const matched = susc::align_to_last(std::span<matrix const>(sequence).last(1), procrustes_matching);
  CHECK(distance(matched.at(0).rotation, identity(3)) == 0);
}

TEST_CASE("loadings turn with the scores: their product stays") {
  matrix const scores = random_matrix(12, 4, 1), loadings = random_matrix(4, 6, 2), r = random_rotation(4, 3);
  matrix const s = rotated(scores, r), l = rotated(loadings, r, true);
  for (std::size_t i = 0; i != 12; ++i)
    for (std::size_t c = 0; c != 6; ++c) {
      double before = 0, after = 0;
      for (std::size_t k = 0; k != 4; ++k) before += scores(i, k) * loadings(k, c), after += s(i, k) * l(k, c);
      CHECK(after == doctest::Approx(before).epsilon(1e-12));
    }
}

TEST_CASE("bad input is refused with what is wrong") {
  matrix const a = random_matrix(5, 3, 1);
  auto const refused = [](auto&& call, char const* words) {
    CHECK_THROWS_WITH_AS(call(), doctest::Contains(words), susc::error);
  };
  for (auto* align : {&procrustes_rotation, &procrustes_matching}) {
    refused([&] { align(matrix::from_shape({0, 3}), matrix::from_shape({0, 3})); }, "empty scores (0 x 3)");
    refused([&] { align(a, random_matrix(4, 3, 1)); }, "(5 x 3) to (4 x 3)");
    refused([&] { align(a, random_matrix(5, 2, 1)); }, "(5 x 3) to (5 x 2)");
    matrix bad = a;
    bad(2, 1) = std::numeric_limits<double>::quiet_NaN();
    refused([&] { align(bad, a); }, "row 2, component 1 is nan");
    refused([&] { align(a, bad); }, "row 2, component 1 is nan");
  }
  refused([&] { rotated(a, identity(2)); }, "the shapes do not fit");
  refused([&] { rotated(a, identity(3), true); }, "the shapes do not fit");
  std::vector<matrix> const none;
  refused([&] { susc::align_to_last(std::span<matrix const>(none), procrustes_rotation); }, "without scores");
}

}  // namespace
