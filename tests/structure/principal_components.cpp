#include "susc/structure/principal_components.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "difference.hpp"
#include "susc/core/random.hpp"

namespace {
using susc::principal_components;
using susc::principal_modes;
using susc::standardisation;
using matrix = xt::xtensor<double, 2>;

constexpr standardisation raw{.center = false, .scale = false};
constexpr double eps = std::numeric_limits<double>::epsilon();

matrix random_matrix(std::size_t rows, std::size_t columns, std::uint64_t seed) {
  susc::random::stream draw{{seed}};
  matrix x = matrix::from_shape({rows, columns});
  for (std::size_t c = 0; c != columns; ++c) {
    double const scale = std::exp(2 * draw.normal()), shift = 3 * draw.normal();  // columns of unlike units
    for (std::size_t r = 0; r != rows; ++r) x(r, c) = shift + scale * draw.normal();
  }
  return x;
}

/// The definition, by plain loops, in more than double.
matrix standardised(matrix x, standardisation how) {
  using real = long double;
  real const n = static_cast<real>(x.shape(0));
  for (std::size_t c = 0; c != x.shape(1); ++c) {
    real mean = 0, variance = 0;
    for (std::size_t r = 0; r != x.shape(0); ++r) mean += x(r, c) / n;
    for (std::size_t r = 0; r != x.shape(0); ++r) variance += (x(r, c) - mean) * (x(r, c) - mean) / n;
    for (std::size_t r = 0; r != x.shape(0); ++r)
      x(r, c) = static_cast<double>((x(r, c) - (how.center ? mean : 0)) / (how.scale ? std::sqrt(variance) : 1));
  }
  return x;
}

double norm(matrix const& x) {
  return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0));
}

/// What holds of any decomposition of `x`, to rounding.
void check_laws(principal_modes const& modes, matrix const& x) {
  std::size_t const rows = x.shape(0), columns = x.shape(1), count = std::min(rows, columns);
  REQUIRE(modes.singular_values.shape(0) == count);
  REQUIRE(modes.explained.shape(0) == count);
  REQUIRE((modes.loadings.shape(0) == count && modes.loadings.shape(1) == columns));
  REQUIRE((modes.scores.shape(0) == rows && modes.scores.shape(1) == count));
  double const tolerance = 16 * static_cast<double>(rows + columns) * eps;
  double worst = 0, total = 0;
  for (std::size_t r = 0; r != rows; ++r)
    for (std::size_t c = 0; c != columns; ++c) {
      double sum = 0;
      for (std::size_t k = 0; k != count; ++k) sum += modes.scores(r, k) * modes.loadings(k, c);
      worst = nan_max(worst, std::abs(sum - x(r, c)));
    }
  CHECK(worst <= tolerance * norm(x));
  double loadings_off = 0, scores_off = 0;
  for (std::size_t k = 0; k != count; ++k)
    for (std::size_t l = 0; l != count; ++l) {
      double loadings = k == l ? -1 : 0, scores = k == l ? -modes.singular_values(k) * modes.singular_values(k) : 0;
      for (std::size_t c = 0; c != columns; ++c) loadings += modes.loadings(k, c) * modes.loadings(l, c);
      for (std::size_t r = 0; r != rows; ++r) scores += modes.scores(r, k) * modes.scores(r, l);
      loadings_off = std::max(loadings_off, std::abs(loadings));
      scores_off = std::max(scores_off, std::abs(scores));
    }
  CHECK(loadings_off <= tolerance);
  CHECK(scores_off <= tolerance * norm(x) * norm(x));
  for (std::size_t k = 0; k != count; ++k) {
    CHECK(modes.singular_values(k) >= 0);
    if (k != 0) CHECK(modes.singular_values(k) <= modes.singular_values(k - 1));
    total += modes.explained(k);
    double balance = 0;
    for (double const v : modes.loading(k)) balance += v * std::abs(v);
    CHECK(balance >= -1e-9);
  }
  if (norm(x) > 0) CHECK(std::abs(total - 1) <= tolerance);
}

TEST_CASE("scores times loadings is the standardised matrix, for every shape and option") {
  std::uint64_t seed = 0;
  struct shape {
    std::size_t rows, columns;
  };
  for (shape const of : {shape{2, 1}, {2, 2}, {3, 7}, {7, 3}, {16, 16}, {4, 40}, {600, 9}})
    for (bool const center : {false, true})
      for (bool const scale : {false, true}) {
        CAPTURE(of.rows);
        CAPTURE(of.columns);
        standardisation const how{center, scale};
        matrix const x = random_matrix(of.rows, of.columns, ++seed);
        check_laws(principal_components(x, how), standardised(x, how));
      }
}

TEST_CASE("values of NumPy") {
  // x -= x.mean(0); x /= x.std(0); u, s, v = numpy.linalg.svd(x, full_matrices=False), rows of v turned as documented.
  matrix const x{{0.3, -1.2, 2.5, 0.7}, {1.9, 0.4, -0.6, 1.1},  {-0.8, 2.2, 0.9, -1.7},
                 {0.1, 0.5, 3.1, 0.2},  {2.4, -0.9, -1.3, 0.6}, {-1.5, 1.8, 0.2, -0.4}};
  principal_modes const modes = principal_components(x);
  xt::xtensor<double, 1> const explained{0.6376104425306752, 0.27544121604965327, 0.05292960354012251,
                                         0.034018737879549};
  matrix const loadings{{0.576989376136744, -0.5488575453900164, -0.20798863321501934, 0.5679607232433637},
                        {-0.21639760858717114, -0.35909756259932984, 0.8861607746432342, 0.19733245302452848},
                        {-0.44412820851596546, 0.39967562021416303, -0.12294770491420287, 0.7923972456181014},
                        {0.6503887062545626, 0.6403621897099253, 0.3954031762560615, 0.10289375575341819}};
  matrix const scores{{0.8430431795236195, 1.580223379988349, -0.10199691401346617, -0.40332454566014936},
                      {1.4675201119483332, -0.7857085859351811, 0.4776843422180779, 0.4360446155955917}};
  for (std::size_t k = 0; k != 4; ++k) {
    CHECK(modes.explained(k) == doctest::Approx(explained(k)).epsilon(1e-13));
    for (std::size_t c = 0; c != 4; ++c) CHECK(modes.loadings(k, c) == doctest::Approx(loadings(k, c)).epsilon(1e-12));
    for (std::size_t r = 0; r != 2; ++r) CHECK(modes.scores(r, k) == doctest::Approx(scores(r, k)).epsilon(1e-12));
  }
  auto const singular_values = [&](standardisation how) { return principal_components(x, how).singular_values; };
  auto const check = [](auto const& got, std::vector<double> const& numpy) {
    for (std::size_t k = 0; k != numpy.size(); ++k) CHECK(got(k) == doctest::Approx(numpy[k]).epsilon(1e-13));
  };
  check(modes.singular_values, {3.91186025066543, 2.571106607123026, 1.127080513966478, 0.9035760671405457});
  check(singular_values({.center = true, .scale = false}),
        {4.8837014905971685, 3.7667111945198894, 1.2605924108326836, 1.110819502995536});
  check(singular_values({.center = false, .scale = true}),
        {3.9199828210951693, 2.7035567365451945, 1.7276920840151166, 1.126556633165328});
  check(singular_values(raw), {4.963328483147173, 3.985138610469395, 2.2718918076622385, 1.1543605320710102});
}

TEST_CASE("known orthogonal structure: a strong uniform mode and a weaker contrast") {
  // x = 9 u0 v0' + 4 u1 v1' with orthonormal u and v; all further singular values are zero.
  std::size_t const rows = 8, columns = 4;
  double const u0[]{1, 1, 1, 1, 1, 1, 1, 1}, u1[]{1, -1, 1, -1, 1, -1, 1, -1}, v0[]{1, 1, 1, 1}, v1[]{1, 1, -1, -1};
  matrix x = matrix::from_shape({rows, columns});
  for (std::size_t r = 0; r != rows; ++r)
    for (std::size_t c = 0; c != columns; ++c) x(r, c) = (9 * u0[r] * v0[c] + 4 * u1[r] * v1[c]) / std::sqrt(8) / 2;
  principal_modes const modes = principal_components(x, raw);
  check_laws(modes, x);
  CHECK(modes.singular_values(0) == doctest::Approx(9).epsilon(1e-14));
  CHECK(modes.singular_values(1) == doctest::Approx(4).epsilon(1e-14));
  CHECK(modes.singular_values(2) < 1e-14);
  CHECK(modes.singular_values(3) < 1e-14);
  CHECK(modes.explained(0) == doctest::Approx(81.0 / 97));
  for (std::size_t c = 0; c != columns; ++c) {
    CHECK(modes.loadings(0, c) == doctest::Approx(v0[c] / 2));
    CHECK(modes.loading(1)[c] == doctest::Approx(v1[c] / 2));  // a tie of the squares: its first is positive
  }
  for (std::size_t r = 0; r != rows; ++r) CHECK(modes.scores(r, 1) == doctest::Approx(4 * u1[r] / std::sqrt(8)));
}

TEST_CASE("reordering rows or columns reorders the result; turning columns turns their loadings") {
  matrix const x = random_matrix(30, 6, 5);
  principal_modes const modes = principal_components(x);
  std::vector<std::size_t> const order{3, 0, 5, 1, 4, 2};
  matrix columns = x, rows = x, turned = x;
  for (std::size_t r = 0; r != 30; ++r)
    for (std::size_t c = 0; c != 6; ++c) {
      columns(r, c) = x(r, order[c]);
      rows(r, c) = x((r * 7 + 3) % 30, c);
      if (c % 2 == 0) turned(r, c) = -x(r, c);
    }
  principal_modes const by_columns = principal_components(columns), by_rows = principal_components(rows);
  principal_modes const by_sign = principal_components(turned);
  double worst = 0;
  for (std::size_t k = 0; k != 6; ++k) {
    for (auto const* other : {&by_columns, &by_rows, &by_sign})
      worst = nan_max(worst, std::abs(other->singular_values(k) - modes.singular_values(k)));
    for (std::size_t c = 0; c != 6; ++c) {
      worst = nan_max(worst, std::abs(by_columns.loadings(k, c) - modes.loadings(k, order[c])));
      worst = nan_max(worst, std::abs(by_rows.loadings(k, c) - modes.loadings(k, c)));
      worst = nan_max(worst, std::abs(std::abs(by_sign.loadings(k, c)) - std::abs(modes.loadings(k, c))));
    }
    for (std::size_t r = 0; r != 30; ++r)
      worst = nan_max(worst, std::abs(by_rows.scores(r, k) - modes.scores((r * 7 + 3) % 30, k)));
  }
  CHECK(worst < 1e-12);
}

TEST_CASE("signs do not depend on the sign of the matrix, and noise does not turn them") {
  matrix x = random_matrix(20, 5, 8), negative = x, noisy = x;
  susc::random::stream draw{{9}};
  for (double& v : negative) v = -v;
  for (double& v : noisy) v += 1e-6 * draw.normal();
  principal_modes const modes = principal_components(x), other = principal_components(negative);
  principal_modes const moved = principal_components(noisy);
  for (std::size_t k = 0; k != 5; ++k)
    for (std::size_t c = 0; c != 5; ++c) {
      CHECK(other.loadings(k, c) == doctest::Approx(modes.loadings(k, c)).epsilon(1e-12));
      CHECK(std::abs(moved.loadings(k, c) - modes.loadings(k, c)) < 1e-3);
    }
}

TEST_CASE("two standardised columns load equally in size: rounding does not choose the sign") {
  for (std::uint64_t seed = 0; seed != 50; ++seed) {
    principal_modes const modes = principal_components(random_matrix(9, 2, seed));
    for (std::size_t k = 0; k != 2; ++k) {
      CHECK(modes.loadings(k, 0) == doctest::Approx(std::sqrt(0.5)));
      CHECK(std::abs(modes.loadings(k, 1)) == doctest::Approx(std::sqrt(0.5)));
    }
  }
}

TEST_CASE("standardisation is free of units, and precise far from zero") {
  matrix const x = random_matrix(12, 4, 10);
  principal_modes const modes = principal_components(x);
  matrix units = x;
  double const unit[]{1e-200, 1e200, 3, 1e5};
  for (std::size_t r = 0; r != 12; ++r)
    for (std::size_t c = 0; c != 4; ++c) units(r, c) *= unit[c];
  principal_modes const same = principal_components(units);
  for (std::size_t k = 0; k != 4; ++k)
    CHECK(same.singular_values(k) == doctest::Approx(modes.singular_values(k)).epsilon(1e-13));
  // Columns far from zero: what is left of them after the offset, which is a power of two, is exact.
  matrix rounded = x, offset = x;
  for (std::size_t r = 0; r != 12; ++r)
    for (std::size_t c = 0; c != 4; ++c) {
      offset(r, c) = x(r, c) + 0x1p40;
      rounded(r, c) = offset(r, c) - 0x1p40;
    }
  principal_modes const near = principal_components(rounded), far = principal_components(offset);
  for (std::size_t k = 0; k != 4; ++k)
    CHECK(far.singular_values(k) == doctest::Approx(near.singular_values(k)).epsilon(1e-11));
}

TEST_CASE("constant columns become zero, not NaN") {
  matrix x = random_matrix(10, 3, 11);
  for (std::size_t r = 0; r != 10; ++r) x(r, 1) = 0.1;
  matrix expected = x;
  for (bool const center : {false, true}) {
    standardisation const how{center, true};
    principal_modes const modes = principal_components(x, how);
    expected = standardised(x, how);
    for (std::size_t r = 0; r != 10; ++r) expected(r, 1) = 0;
    check_laws(modes, expected);
    CHECK(modes.loadings(0, 1) == 0);
    CHECK(modes.singular_values(2) < 1e-14);
  }
  matrix const flat{{2, 3}, {2, 3}, {2, 3}};
  principal_modes const none = principal_components(flat);
  check_laws(none, matrix{{0, 0}, {0, 0}, {0, 0}});
  CHECK(none.singular_values(0) == 0);
  CHECK(none.explained(0) == 0);
  CHECK(principal_components(matrix{{5, 7}}).singular_values(0) == 0);  // one row, centred
}

TEST_CASE("equal columns: rank one") {
  matrix x = random_matrix(10, 4, 12);
  for (std::size_t r = 0; r != 10; ++r)
    for (std::size_t c = 1; c != 4; ++c) x(r, c) = x(r, 0);
  principal_modes const modes = principal_components(x);
  check_laws(modes, standardised(x, {}));
  CHECK(modes.singular_values(0) == doctest::Approx(std::sqrt(40)));
  CHECK(modes.explained(0) == doctest::Approx(1));
  for (double const v : modes.loading(0)) CHECK(v == doctest::Approx(0.5));
}

TEST_CASE("what cannot be decomposed is an error that says where") {
  double const nan = std::nan("");
  CHECK_THROWS_WITH_AS(principal_components(matrix{{1, 2}, {3, nan}}),
                       "row 1, column 1 of the response matrix is nan, principal components need finite numbers",
                       susc::error);
  CHECK_THROWS_WITH_AS(principal_components(matrix{{1, 2}, {std::numeric_limits<double>::infinity(), 1}}),
                       "row 1, column 0 of the response matrix is inf, principal components need finite numbers",
                       susc::error);
  CHECK_THROWS_WITH_AS(principal_components(matrix{{1, nan, 2}, {3, nan, 4}}),
                       "column 1 of the response matrix is NaN in every row: all chains of its component diverged; "
                       "leave the component out or use a smaller step size",
                       susc::error);
  CHECK_THROWS_WITH_AS(principal_components(matrix::from_shape({0, 3})),
                       "principal components of an empty matrix (0 x 3)", susc::error);
}
}  // namespace
