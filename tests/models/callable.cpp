#include "susc/models/callable.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <span>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"
#include "susc/models/quadratic.hpp"

namespace {

struct point {
  double x, y;
};
double residual(std::span<double const> w, point const& p) {
  return w[0] + w[1] * p.x - p.y;
}
double loss(std::span<double const> w, point const& p) {
  return residual(w, p) * residual(w, p) / 2;
}
void gradient(std::span<double const> w, point const& p, std::span<double> sum) {
  sum[0] += residual(w, p);
  sum[1] += residual(w, p) * p.x;
}

auto line(std::vector<susc::component> components = {}) {
  return susc::from_callables<point>(2, loss, gradient, std::move(components));
}
using line_type = decltype(line());
static_assert(susc::Model<line_type> && susc::HasComponents<line_type> && !susc::RestrictedModel<line_type>);

std::vector<point> random_points(std::size_t count) {
  susc::random::stream stream({5});
  std::vector<point> points(count);
  for (point& p : points) p = {stream.normal(), stream.normal()};
  return points;
}

/// The same losses by another model: ½ (w₀ + w₁ x - y)² = ½ y² - y (1, x)·w + ½ wᵀ (1, x)(1, x)ᵀ w.
susc::quadratic<> same_losses(std::vector<point> const& points) {
  std::vector<susc::quadratic<>::example> examples;
  for (auto const& [x, y] : points) examples.push_back({y * y / 2, {-y, -x * y}, {1, x, x, x * x}});
  return susc::quadratic<>({0, 0}, examples);
}

}  // namespace

TEST_CASE("callable: losses, mean and gradient are those of the same model written otherwise") {
  for (std::size_t const count : {1, 2, 17}) {
    CAPTURE(count);
    auto const points = random_points(count);
    auto const oracle = same_losses(points);
    std::vector<double> const w{.7, -1.3};
    std::vector<double> losses(count, 1e300), expected(count), slope(2, 1e300), expected_slope(2);
    line().losses(w, points, losses);
    oracle.losses(w, oracle.all(), expected);
    for (std::size_t i = 0; i != count; ++i) CHECK(std::abs(losses[i] - expected[i]) < 1e-13);
    double const mean = oracle.loss_and_gradient(w, oracle.all(), expected_slope);
    CHECK(std::abs(line().loss_and_gradient(w, points, slope) - mean) < 1e-13);
    for (std::size_t i = 0; i != 2; ++i) CHECK(std::abs(slope[i] - expected_slope[i]) < 1e-13);
  }
}

TEST_CASE("callable: counts, and components with \"full\" added") {
  CHECK(line().parameter_count() == 2);
  CHECK(line().example_count(random_points(3)) == 3);
  CHECK(line().components() == std::vector{susc::full_component(2)});
  susc::component const slope("slope", {{1, 2}});
  CHECK(line({slope}).components() == std::vector{susc::full_component(2), slope});
}

TEST_CASE("callable: what the functions capture is copied") {
  auto const model = [] {
    std::vector<double> const scale{3};
    return susc::from_callables<point>(
        1, [scale](std::span<double const> w, point const& p) { return scale[0] * w[0] * p.x; },
        [scale](std::span<double const>, point const& p, std::span<double> sum) { sum[0] += scale[0] * p.x; });
  }();
  std::vector<double> slope(1);
  CHECK(model.loss_and_gradient(std::vector{.5}, {{2, 0}, {4, 0}}, slope) == 4.5);
  CHECK(slope[0] == 9);
}

TEST_CASE("callable: what is refused") {
  CHECK_THROWS_WITH_AS(susc::from_callables<point>(0, loss, gradient),
                       "from_callables: 0 parameters, must have at least 1", susc::error);
  CHECK_THROWS_WITH_AS(line({{"both", {{0, 3}}}}), "from_callables: component 'both' is not within the 2 parameters",
                       susc::error);
  std::vector<double> two(2), three(3);
  CHECK_THROWS_WITH_AS(line().losses(three, random_points(2), two), "from_callables: 3 weights, must be 2",
                       susc::error);
  CHECK_THROWS_WITH_AS(line().losses(two, random_points(2), three), "from_callables: 3 losses, must be 2", susc::error);
  CHECK_THROWS_WITH_AS(line().loss_and_gradient(two, random_points(2), three),
                       "from_callables: 3 gradient entries, must be 2", susc::error);
  CHECK_THROWS_WITH_AS(line().loss_and_gradient(two, {}, two),
                       "from_callables: a gradient over 0 examples, must have at least 1", susc::error);
}
