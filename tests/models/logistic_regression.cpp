#include "susc/models/logistic_regression.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "lawful.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"

namespace {

using model_type = susc::logistic_regression<double>;
static_assert(susc::Model<model_type> && susc::HasComponents<model_type>);
static_assert(susc::Model<susc::logistic_regression<float>> && !susc::RestrictedModel<model_type>);

template <class T>
typename susc::logistic_regression<T>::batch random_batch(std::size_t count, std::size_t inputs, std::uint64_t seed) {
  susc::random::stream stream({seed});
  typename susc::logistic_regression<T>::batch b;
  for (std::size_t i = 0; i != count * inputs; ++i) b.inputs.push_back(static_cast<T>(stream.normal()));
  for (std::size_t i = 0; i != count; ++i) b.labels.push_back(stream.uniform() < .5 ? 1 : -1);
  return b;
}

}  // namespace

TEST_CASE("logistic_regression: losses and gradient by hand") {
  model_type const model(2);
  std::vector<double> const w{.5, -1, .25};
  model_type::batch const b{{1, 2, -1, .5}, {1, -1}};
  CHECK(model.parameter_count() == 3);
  CHECK(model.example_count(b) == 2);
  // z = .5 - 2 + .25 = -1.25 with label +1, and -.5 - .5 + .25 = -.75 with label -1.
  double const expected[] = {std::log1p(std::exp(1.25)), std::log1p(std::exp(-.75))};
  double const slope[] = {-1 / (1 + std::exp(-1.25)), 1 / (1 + std::exp(.75))};  // dl/dz
  std::vector<double> losses(2), gradient(3, 1e300);
  model.losses(w, b, losses);
  CHECK(losses[0] == doctest::Approx(expected[0]).epsilon(1e-15));
  CHECK(losses[1] == doctest::Approx(expected[1]).epsilon(1e-15));
  CHECK(model.loss_and_gradient(w, b, gradient) == doctest::Approx((expected[0] + expected[1]) / 2).epsilon(1e-15));
  CHECK(gradient[0] == doctest::Approx((slope[0] - slope[1]) / 2).epsilon(1e-15));
  CHECK(gradient[1] == doctest::Approx((2 * slope[0] + .5 * slope[1]) / 2).epsilon(1e-15));
  CHECK(gradient[2] == doctest::Approx((slope[0] + slope[1]) / 2).epsilon(1e-15));
}

TEST_CASE("logistic_regression: far from the boundary losses are the distance or nothing, never infinite") {
  model_type const model(1);
  std::vector<double> losses(2), gradient(2);
  model_type::batch const b{{1e4, 1e4}, {1, -1}};
  model.losses(std::vector{1., 0.}, b, losses);
  CHECK(losses == std::vector<double>{0, 1e4});
  CHECK(model.loss_and_gradient(std::vector{1., 0.}, b, gradient) == 5e3);
  CHECK(gradient == std::vector<double>{5e3, .5});
}

TEST_CASE("logistic_regression: keeps the laws of a model") {
  for (std::uint64_t seed = 0; seed != 20; ++seed) {
    CAPTURE(seed);
    susc::random::stream random({seed});
    std::vector<double> w(5);
    for (double& x : w) x = random.normal();
    check_lawful(model_type(4), w, random_batch<double>(1 + seed, 4, seed));
    check_lawful(susc::logistic_regression<float>(4), {w.begin(), w.end()}, random_batch<float>(1 + seed, 4, seed));
  }
}

TEST_CASE("logistic_regression: weights and intercept are the components") {
  CHECK(model_type(3).components() ==
        std::vector<susc::component>{{"full", {{0, 4}}}, {"weights", {{0, 3}}}, {"intercept", {{3, 4}}}});
}

TEST_CASE("logistic_regression: what is refused") {
  CHECK_THROWS_WITH_AS(model_type(0), "logistic_regression: 0 inputs, must have at least 1", susc::error);
  model_type const model(2);
  std::vector<double> w(3), losses(2), gradient(3);
  CHECK_THROWS_WITH_AS(model.losses(losses, {{1, 2}, {1}}, losses), "logistic_regression: 2 weights, must have 3",
                       susc::error);
  CHECK_THROWS_WITH_AS(model.loss_and_gradient(w, {{1, 2, 3}, {1, -1}}, gradient),
                       "logistic_regression: a batch of 2 labels and 3 input values, must have 2 x 2 = 4", susc::error);
  CHECK_THROWS_WITH_AS(model.losses(w, {{1, 2, 3, 4}, {1, 0}}, losses),
                       "logistic_regression: label 0 of example 1, must be +1 or -1", susc::error);
  CHECK_THROWS_WITH_AS(model.loss_and_gradient(w, {}, gradient),
                       "logistic_regression: a gradient over 0 examples, must have at least 1", susc::error);
}
