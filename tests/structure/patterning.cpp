#include "susc/structure/patterning.hpp"

#include <doctest/doctest.h>

#include <Eigen/Dense>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "difference.hpp"
#include "susc/core/random.hpp"

namespace {
using matrix = xt::xtensor<double, 2>;

matrix random_matrix(std::size_t rows, std::size_t columns, std::uint64_t seed) {
  susc::random::stream draw{{seed}};
  matrix x = matrix::from_shape({rows, columns});
  for (double& v : x) v = draw.normal();
  return x;
}

double objective(matrix const& chi, std::vector<double> const& target, std::vector<double> const& h, double ridge) {
  double sum = 0;
  for (std::size_t c = 0; c != target.size(); ++c) {
    double gap = -target[c];
    for (std::size_t p = 0; p != h.size(); ++p) gap += chi(p, c) * h[p];
    sum += gap * gap;
  }
  for (double const x : h) sum += ridge * x * x;
  return sum;
}

// A Gaussian posterior: three groups of data with losses ½ wᵀA_g w + s_gᵀw, mixed by `weights`; components: blocks of
// w.
struct mixture {
  using dense = Eigen::MatrixXd;
  using vector = Eigen::VectorXd;
  double const n_beta = 4, localization = 2;
  std::vector<dense> a{dense{{2, .3, 0}, {.3, .5, .1}, {0, .1, 1}}, dense{{1, 0, .2}, {0, 2, -.3}, {.2, -.3, .4}},
                       dense{{.3, .1, 0}, {.1, 1, 0}, {0, 0, 3}}};
  std::vector<double> const base{.5, .3, .2};
  std::vector<std::pair<int, int>> const blocks{{0, 1}, {1, 2}, {0, 3}};  // first coordinate, size

  dense curvature(std::vector<double> const& weights) const {
    dense sum = dense::Zero(3, 3);
    for (std::size_t g = 0; g != 3; ++g) sum += weights[g] * a[g];
    return sum;
  }
  static dense part(dense const& m, std::pair<int, int> b) { return m.block(b.first, b.first, b.second, b.second); }
  dense covariance(std::vector<double> const& weights, std::pair<int, int> b) const {
    return (n_beta * part(curvature(weights), b) + localization * dense::Identity(b.second, b.second)).inverse();
  }
  // E[φ] of the block, φ being the loss under `base`, in the posterior of data mixed by `weights`.
  double observable(std::vector<double> const& weights, std::pair<int, int> b) const {
    return (part(curvature(base), b) * covariance(weights, b)).trace() / 2;
  }
  matrix chi() const {  // rows: groups
    matrix x = matrix::from_shape({3, 3});
    for (std::size_t c = 0; c != 3; ++c) {
      dense const s = covariance(base, blocks[c]), own = part(curvature(base), blocks[c]);
      for (std::size_t g = 0; g != 3; ++g) x(g, c) = -(own * s * (part(a[g], blocks[c]) - own) * s).trace() / 2;
    }
    return x;
  }
};

}  // namespace

TEST_CASE("patterning: a target that can be met is met, by the shortest h of those that meet it") {
  // More rows than components: chiᵀ h = target has many solutions.
  matrix const chi = random_matrix(5, 3, 1);
  std::vector<double> const target{.3, -1, 2};
  auto const found = susc::patterning(chi, target);
  CHECK(found.rank == 3);
  CHECK(found.effective_rank == doctest::Approx(3).epsilon(1e-14));
  CHECK(found.residual < 1e-13);
  for (std::size_t c = 0; c != 3; ++c) CHECK(found.predicted[c] == doctest::Approx(target[c]).epsilon(1e-12));
  // The shortest lies in the span of the columns: h = χ (χᵀχ)⁻¹ target.
  Eigen::MatrixXd x(5, 3);
  for (Eigen::Index p = 0; p != 5; ++p)
    for (Eigen::Index c = 0; c != 3; ++c) x(p, c) = chi(static_cast<std::size_t>(p), static_cast<std::size_t>(c));
  Eigen::VectorXd const t = Eigen::Map<Eigen::VectorXd const>(target.data(), 3);
  Eigen::VectorXd const h = x * (x.transpose() * x).inverse() * t;
  for (std::size_t p = 0; p != 5; ++p)
    CHECK(found.shifts[p] == doctest::Approx(h(static_cast<Eigen::Index>(p))).epsilon(1e-12));
}

TEST_CASE("patterning: with more components than rows it is least squares; no other h does better, with a ridge too") {
  matrix const chi = random_matrix(3, 6, 2);
  std::vector<double> const target{1, 0, -.5, .2, 0, 3};
  susc::random::stream draw{{3}};
  for (double const ridge : {0., .1, 5.}) {
    CAPTURE(ridge);
    auto const found = susc::patterning(chi, target, ridge);
    double const least = objective(chi, target, found.shifts, ridge);
    CHECK(found.residual == doctest::Approx(std::sqrt(objective(chi, target, found.shifts, 0))).epsilon(1e-13));
    for (int trial = 0; trial != 100; ++trial) {
      auto other = found.shifts;
      for (double& x : other) x += 1e-3 * draw.normal();
      CHECK(objective(chi, target, other, ridge) > least);
    }
    double effective = 0;
    REQUIRE(found.singular_values.size() == 3);
    for (double const s : found.singular_values) effective += s * s / (s * s + ridge);
    CHECK(found.effective_rank == doctest::Approx(effective).epsilon(1e-13));
  }
}

TEST_CASE("patterning: a ridge shortens h, and is known in closed form for a diagonal matrix") {
  matrix const chi{{2, 0}, {0, .5}};
  std::vector<double> const target{1, 1};
  auto const found = susc::patterning(chi, target, .25);
  CHECK(found.singular_values == std::vector<double>{2, .5});
  CHECK(found.shifts[0] == doctest::Approx(2 / 4.25).epsilon(1e-14));
  CHECK(found.shifts[1] == doctest::Approx(.5 / .5).epsilon(1e-14));
  CHECK(found.effective_rank == doctest::Approx(4 / 4.25 + .5).epsilon(1e-14));
  CHECK(found.rank == 2);
  double before = std::numeric_limits<double>::infinity();
  for (double const ridge : {0., .01, .1, 1., 10.}) {
    auto const h = susc::patterning(chi, target, ridge).shifts;
    double const length = std::hypot(h[0], h[1]);
    CHECK(length < before);
    before = length;
  }
}

TEST_CASE("patterning: directions without response are left out, whatever the scale of the matrix") {
  for (double const scale : {1e-200, 1e-4, 1., 1e150}) {
    CAPTURE(scale);
    // The third row is the sum of the others, the third column zero: rank 2.
    matrix chi{{1, 2, 0}, {-1, .5, 0}, {0, 2.5, 0}};
    for (double& x : chi) x *= scale;
    auto const found = susc::patterning(chi, std::vector<double>{scale, -scale, scale});
    CHECK(found.rank == 2);
    CHECK(found.predicted[0] == doctest::Approx(scale).epsilon(1e-12));
    CHECK(found.predicted[1] == doctest::Approx(-scale).epsilon(1e-12));
    CHECK(found.predicted[2] == 0);
    CHECK(found.residual == doctest::Approx(scale).epsilon(1e-12));
    // The shortest h has no part along (1, 1, -1), which does nothing.
    CHECK(std::abs(found.shifts[0] + found.shifts[1] - found.shifts[2]) < 1e-13);
  }
  auto const none = susc::patterning(matrix{{0, 0}, {0, 0}}, std::vector<double>{1, 2});
  CHECK(none.rank == 0);
  CHECK(none.effective_rank == 0);
  CHECK(none.shifts == std::vector<double>{0, 0});
  CHECK(none.residual == doctest::Approx(std::sqrt(5.)));
}

TEST_CASE("patterning: the errors of a given h are bounded by those of rows that move as one") {
  susc::response_estimates const chi{{{1, -2}, {.5, 4}, {0, 1}}, {{.1, .2}, {.3, 0}, {1, .5}}};
  auto const found = susc::predicted_response(chi, std::vector<double>{2, -1, .5});
  CHECK(found.value[0] == doctest::Approx(1.5));
  CHECK(found.value[1] == doctest::Approx(-7.5));
  CHECK(found.error[0] == doctest::Approx(.2 + .3 + .5));
  CHECK(found.error[1] == doctest::Approx(.4 + 0 + .25));
}

TEST_CASE("patterning: mixture weights after a shift") {
  // Towards the first group by .2: (1 - .2) base + .2 e₀. Base weights are normalised.
  auto const weights = susc::mixture_weights(std::vector<double>{2, 1, 1}, std::vector<double>{.2, 0, 0});
  CHECK(weights[0] == doctest::Approx(.6));
  CHECK(weights[1] == doctest::Approx(.2));
  CHECK(weights[2] == doctest::Approx(.2));
  auto const both = susc::mixture_weights(std::vector<double>{2, 1, 1}, std::vector<double>{.3, -.2, .1});
  CHECK(both[0] == doctest::Approx(.5 * .8 + .3));
  CHECK(both[1] == doctest::Approx(.25 * .8 - .2));
  CHECK(both[2] == doctest::Approx(.25 * .8 + .1));
  CHECK(std::accumulate(both.begin(), both.end(), 0.) == doctest::Approx(1).epsilon(1e-14));
  // Towards all groups in proportion nothing changes.
  auto const same = susc::mixture_weights(std::vector<double>{.5, .25, .25}, std::vector<double>{.4, .2, .2});
  CHECK(same[0] == doctest::Approx(.5).epsilon(1e-14));
}

TEST_CASE("patterning: the largest scale leaves one weight at zero and none below") {
  std::vector<double> const base{2, 1, 1, 4};
  susc::random::stream draw{{5}};
  for (int trial = 0; trial != 50; ++trial) {
    std::vector<double> h(4);
    for (double& x : h) x = draw.normal();
    double const s = susc::largest_scale(base, h);
    auto at = h, beyond = h;
    for (double& x : at) x *= s;
    for (double& x : beyond) x *= 1.001 * s;
    auto const weights = susc::mixture_weights(base, at);
    double least = 1;
    for (double const w : weights) least = std::min(least, w);
    CHECK(least >= 0);
    CHECK(least < 1e-14);
    CHECK_THROWS_AS(susc::mixture_weights(base, beyond), susc::error);
  }
  CHECK(susc::largest_scale(base, std::vector<double>{.2, .1, .1, .4}) == std::numeric_limits<double>::infinity());
  CHECK(susc::largest_scale(base, std::vector<double>(4)) == std::numeric_limits<double>::infinity());
  // A group of weight 0 cannot lose any.
  CHECK(susc::largest_scale(std::vector<double>{1, 0}, std::vector<double>{.1, -.1}) == 0);
}

TEST_CASE("patterning: on a Gaussian the re-weighted posterior moves as predicted, to first order [exact]") {
  mixture const m;
  matrix const chi = m.chi();
  // χ towards the mixture itself is 0: the rows, weighted by it, sum to 0.
  for (std::size_t c = 0; c != 3; ++c)
    CHECK(std::abs(m.base[0] * chi(0, c) + m.base[1] * chi(1, c) + m.base[2] * chi(2, c)) < 1e-15);
  // So two of the three observables can be moved at will. A target in the span of the rows:
  std::vector<double> target(3);
  for (std::size_t c = 0; c != 3; ++c) target[c] = .3 * chi(0, c) - .1 * chi(1, c);
  auto const found = susc::patterning(chi, target);
  CHECK(found.rank == 2);
  CHECK(found.residual < 1e-14);
  double before = 0;
  for (double const s : {.02, .01}) {
    std::vector<double> forth = found.shifts, back = found.shifts;
    for (double& x : forth) x *= s;
    for (double& x : back) x *= -s;
    double largest = 0;
    for (std::size_t c = 0; c != 3; ++c) {
      double const change = (m.observable(susc::mixture_weights(m.base, forth), m.blocks[c]) -
                             m.observable(susc::mixture_weights(m.base, back), m.blocks[c])) /
                            (2 * m.n_beta);
      CHECK(change == doctest::Approx(s * target[c]).epsilon(1e-3));
      largest = nan_max(largest, std::abs(change - s * target[c]));
    }
    if (before > 0) CHECK(before / largest == doctest::Approx(8).epsilon(.01));  // what is left out is of third order
    before = largest;
  }
}

TEST_CASE("patterning: what is empty, not finite, negative or of another length is refused") {
  double const nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> const two{1, 2};
  matrix const chi{{1, 2}, {3, 4}};
  CHECK_THROWS_WITH_AS(susc::patterning(matrix::from_shape({0, 2}), two),
                       "patterning: the response matrix is 0 x 2, must not be empty", susc::error);
  CHECK_THROWS_WITH_AS(susc::patterning(matrix{{1, 2}, {nan, 4}}, two),
                       "patterning: row 1, column 0 of the response matrix is nan, must be finite", susc::error);
  CHECK_THROWS_WITH_AS(susc::patterning(chi, std::vector<double>{1}),
                       "patterning: 1 targets, must be one for each of the 2 components", susc::error);
  CHECK_THROWS_WITH_AS(susc::patterning(chi, std::vector<double>{1, nan}),
                       "patterning: number 1 of the targets is nan, must be finite", susc::error);
  CHECK_THROWS_WITH_AS(susc::patterning(chi, two, -.1),
                       "patterning: the ridge is -0.1, must be finite and not negative", susc::error);
  CHECK_THROWS_AS(susc::patterning(chi, two, std::numeric_limits<double>::infinity()), susc::error);
  susc::response_estimates const estimated{chi, chi}, torn{chi, {{1, 2}}};
  CHECK_THROWS_WITH_AS(susc::predicted_response(estimated, std::vector<double>{1}),
                       "patterning: 1 shifts, must be one for each of the 2 rows", susc::error);
  CHECK_THROWS_WITH_AS(susc::predicted_response(torn, two),
                       "patterning: the errors are 1 x 2, the response matrix is 2 x 2", susc::error);
  CHECK_THROWS_AS(susc::predicted_response(estimated, std::vector<double>{1, nan}), susc::error);
  for (auto const& base :
       {std::vector<double>{1, -1}, std::vector<double>{0, 0}, std::vector<double>{}, std::vector<double>{1, nan}}) {
    CHECK_THROWS_AS(susc::mixture_weights(base, std::vector<double>(base.size())), susc::error);
    CHECK_THROWS_AS(susc::largest_scale(base, std::vector<double>(base.size())), susc::error);
  }
  CHECK_THROWS_WITH_AS(susc::mixture_weights(two, std::vector<double>{1}),
                       "patterning: 1 shifts, must be one for each of the 2 groups", susc::error);
  CHECK_THROWS_AS(susc::largest_scale(two, std::vector<double>{1, nan}), susc::error);
  CHECK_THROWS_AS(susc::mixture_weights(two, std::vector<double>{-.5, .2}), susc::error);
  CHECK_THROWS_WITH_AS(susc::mixture_weights(two, std::vector<double>{1e308, 1e308}),
                       "patterning: the shifts overflow in their sum", susc::error);
  CHECK_THROWS_AS(susc::largest_scale(two, std::vector<double>{1e308, 1e308}), susc::error);
}
