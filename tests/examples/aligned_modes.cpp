// Modes that were made, hidden in matrices of tokens, are found again in the same places at every checkpoint.
#include "aligned_modes.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "susc/core/random.hpp"

using matrix = xt::xtensor<double, 2>;

namespace {

constexpr std::size_t rows = 300, columns = 4;

matrix random_matrix(std::size_t height, std::size_t width, std::uint64_t seed) {
  susc::random::stream draw{{seed}};
  matrix x = matrix::from_shape({height, width});
  for (double& v : x) v = draw.normal();
  return x;
}

/// The same directions of components at every checkpoint, of the given sizes, and scores that hardly change.
matrix tokens_at(std::size_t t, std::vector<double> const& sizes) {
  // Rows of a Hadamard matrix, so that every column has the same variance and the standardisation changes nothing.
  double const directions[columns][columns] = {{1, 1, 1, 1}, {1, -1, 1, -1}, {1, 1, -1, -1}, {1, -1, -1, 1}};
  matrix const change = random_matrix(rows, columns, 1 + t);
  matrix x = matrix::from_shape({rows, columns});
  x.fill(0);
  for (std::size_t r = 0; r != rows; ++r)
    for (std::size_t k = 0; k != columns; ++k) {
      // Cosines of mean 0, orthogonal to one another.
      double const angle = M_PI * static_cast<double>((k + 1) * (2 * r + 1)) / (2. * rows);
      double const score = std::sqrt(2) * std::cos(angle) + .02 * change(r, k);
      for (std::size_t c = 0; c != columns; ++c) x(r, c) += sizes[k] * score * directions[k][c];
    }
  return x;
}

}  // namespace

TEST_CASE("modes whose order changes stay in their places, with their sizes") {
  // The first mode of the end grows out of the smallest: it overtakes all others on the way.
  std::vector<std::vector<double>> const sizes{{1, 4, 3, 2}, {2.5, 4, 3, 2}, {3.5, 4, 3, 2}, {6, 4, 3, 2}};
  std::vector<matrix> tokens;
  for (std::size_t t = 0; t != sizes.size(); ++t) tokens.push_back(tokens_at(t, sizes[t]));
  auto const found = development::modes_of(tokens);
  for (std::size_t t = 0; t != sizes.size(); ++t) {
    CAPTURE(t);
    double squares = 0;
    for (double const size : sizes[t]) squares += size * size;
    for (std::size_t k = 0; k != columns; ++k) {
      CAPTURE(k);
      CHECK(found.explained(t, k) == doctest::Approx(sizes[t][k] * sizes[t][k] / squares).epsilon(.02));
      double squared = 0;
      for (std::size_t r = 0; r != rows; ++r) squared += std::pow(found.scores(t, r, k), 2);
      CHECK(std::sqrt(squared) == doctest::Approx(found.singular_values(t, k)).epsilon(1e-10));
      for (std::size_t c = 0; c != columns; ++c)
        CHECK(found.loadings(t, k, c) * found.loadings(3, k, c) > .2);  // directions agree, signs included
    }
    CHECK((std::isnan(found.matching_residual(t)) == (t == 3) && std::isnan(found.rotation_residual(t)) == (t == 3)));
    if (t != 3) CHECK(found.rotation_residual(t) <= found.matching_residual(t) + 1e-12);
  }
  CHECK(found.singular_values(0, 0) < found.singular_values(0, 3));
  CHECK(found.singular_values(3, 0) > found.singular_values(3, 1));
}

TEST_CASE("a checkpoint without estimates is passed over, the last too") {
  double const unknown = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> const sizes{6, 4, 3, 2};
  std::vector<matrix> tokens;
  for (std::size_t t = 0; t != 4; ++t) tokens.push_back(tokens_at(t, sizes));
  tokens[1](7, 2) = unknown;
  tokens[3].fill(unknown);
  auto const found = development::modes_of(tokens);
  for (std::size_t const t : {1u, 3u}) {
    CHECK((std::isnan(found.singular_values(t, 0)) && std::isnan(found.scores(t, 0, 0))));
    CHECK((std::isnan(found.loadings(t, 0, 0)) && std::isnan(found.rotation_residual(t))));
  }
  std::vector<matrix> const rest{tokens[0], tokens[2]};
  auto const alone = development::modes_of(rest);
  for (std::size_t i = 0; i != 2; ++i)
    for (std::size_t k = 0; k != columns; ++k) {
      CHECK(found.singular_values(2 * i, k) == alone.singular_values(i, k));
      for (std::size_t c = 0; c != columns; ++c) CHECK(found.loadings(2 * i, k, c) == alone.loadings(i, k, c));
    }
  CHECK(found.matching_residual(0) == alone.matching_residual(0));
  CHECK(std::isnan(found.matching_residual(2)));
  std::vector<matrix> const none{tokens[1], tokens[3]};
  CHECK_THROWS_WITH_AS(development::modes_of(none),
                       doctest::Contains("at every checkpoint all chains of some component diverged"), susc::error);
}
