#include "susc/models/quadratic.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "lawful.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"

namespace {

using model_type = susc::quadratic<double>;
static_assert(susc::Model<model_type> && susc::HasComponents<model_type> && susc::RestrictedModel<model_type>);
static_assert(!susc::FreezableModel<model_type>);

constexpr std::size_t dimension = 5;

std::vector<double> random_vector(std::size_t count, std::uint64_t seed) {
  susc::random::stream stream({seed});
  std::vector<double> v(count);
  for (double& x : v) x = stream.normal();
  return v;
}

model_type::example random_example(std::uint64_t seed) {
  model_type::example e{.constant = 1. + static_cast<double>(seed),
                        .linear = random_vector(dimension, seed),
                        .curvature = random_vector(dimension * dimension, seed + 100)};
  for (std::size_t i = 0; i != dimension; ++i)
    for (std::size_t j = 0; j != i; ++j) e.curvature[i * dimension + j] = e.curvature[j * dimension + i];
  return e;
}

model_type random_model() {
  return model_type(random_vector(dimension, 50), {random_example(1), random_example(2), random_example(3)},
                    {{"ends", {{0, 1}, {3, 5}}}});
}

double mean_loss(model_type const& model, std::vector<double> const& w, model_type::batch const& batch) {
  std::vector<double> losses(batch.size());
  model.losses(w, batch, losses);
  double sum = 0;
  for (double const l : losses) sum += l;
  return sum / static_cast<double>(losses.size());
}

}  // namespace

TEST_CASE("quadratic: losses are the formula, term by term") {
  auto const e = random_example(2);
  auto const center = random_vector(dimension, 50), w = random_vector(dimension, 51);
  long double expected = e.constant;
  for (std::size_t i = 0; i != dimension; ++i) {
    long double const move = static_cast<long double>(w[i]) - center[i];
    expected += e.linear[i] * move;
    for (std::size_t j = 0; j != dimension; ++j)
      expected += move * e.curvature[i * dimension + j] * (static_cast<long double>(w[j]) - center[j]) / 2;
  }
  std::vector<double> losses(3);
  random_model().losses(w, {1, 0, 1}, losses);
  CHECK(losses[0] == doctest::Approx(static_cast<double>(expected)).epsilon(1e-13));
  CHECK(losses[2] == losses[0]);
  CHECK(losses[1] != losses[0]);
  random_model().losses(center, {0, 1, 2}, losses);
  CHECK(losses == std::vector<double>{2, 3, 4});
}

TEST_CASE("quadratic: the gradient is that of the mean loss over the batch") {
  auto const model = random_model();
  auto w = random_vector(dimension, 52);
  model_type::batch const batch{0, 2, 2, 1};  // an example may be in a batch twice
  std::vector<double> gradient(dimension, 1e300);
  double const loss = model.loss_and_gradient(w, batch, gradient);
  CHECK(loss == doctest::Approx(mean_loss(model, w, batch)).epsilon(1e-14));
  for (std::size_t i = 0; i != dimension; ++i) {
    CAPTURE(i);
    // Central differences of a quadratic have no error but rounding, about 1e-16 · 10 / h.
    double const h = .125, kept = w[i];
    w[i] = kept + h;
    double const above = mean_loss(model, w, batch);
    w[i] = kept - h;
    double const below = mean_loss(model, w, batch);
    w[i] = kept;
    CHECK(std::abs(gradient[i] - (above - below) / (2 * h)) < 1e-12);
  }
}

TEST_CASE("quadratic: a component's gradient is the full gradient restricted to it") {
  auto const model = random_model();
  auto const w = random_vector(dimension, 53);
  std::vector<double> full(dimension);
  double const loss = model.loss_and_gradient(w, model.all(), full);
  REQUIRE(model.components().size() == 2);
  CHECK(model.components()[0].name() == "full");
  for (auto const& c : model.components()) {
    CAPTURE(c.name());
    std::vector<double> restricted(c.size(), 1e300), expected(c.size());
    CHECK(model.loss_and_gradient(w, model.all(), c, restricted) == loss);
    c.gather<double>(full, expected);
    CHECK(restricted == expected);
  }
}

TEST_CASE("quadratic: counts, and examples of the wrong extent are refused") {
  auto const model = random_model();
  CHECK(model.parameter_count() == dimension);
  CHECK(model.example_count({0, 2, 2, 1}) == 4);
  CHECK(model.all() == model_type::batch{0, 1, 2});
  CHECK_THROWS_WITH_AS(model_type({0, 0}, {{0, {0, 0}, {1, 0, 0, 1}}, {0, {0, 0, 0}, {1}}}),
                       "quadratic: example 1 has 3 linear and 1 curvature terms, must have 2 and 4", susc::error);
  CHECK_THROWS_AS(model_type({0, 0}, {{0, {0, 0}, {1, 0, 1}}}), susc::error);
  std::vector<double> four(4), gradient(dimension);
  CHECK_THROWS_WITH_AS(model.losses(four, {0}, gradient), "quadratic: 4 weights, must have 5", susc::error);
  CHECK_THROWS_WITH_AS(model.loss_and_gradient(four, {0}, gradient), "quadratic: 4 weights, must have 5", susc::error);
  CHECK_THROWS_WITH_AS(model.loss_and_gradient(four, {0}, model.components()[1], gradient),
                       "quadratic: 4 weights, must have 5", susc::error);
}

TEST_CASE("quadratic: float agrees with double to its own rounding") {
  auto const e = random_example(2);
  auto const center = random_vector(dimension, 50), w = random_vector(dimension, 51);
  auto const narrow = [](std::vector<double> const& v) { return std::vector<float>(v.begin(), v.end()); };
  susc::quadratic<float> const model(narrow(center),
                                     {{static_cast<float>(e.constant), narrow(e.linear), narrow(e.curvature)}});
  std::vector<double> wide(dimension);
  std::vector<float> gradient(dimension);
  double const loss = model_type(center, {e}).loss_and_gradient(w, {0}, wide);
  CHECK(std::abs(static_cast<double>(model.loss_and_gradient(narrow(w), {0}, gradient)) - loss) < 1e-4);
  for (std::size_t i = 0; i != dimension; ++i) CHECK(std::abs(static_cast<double>(gradient[i]) - wide[i]) < 1e-4);
}

TEST_CASE("quadratic: keeps the laws of a model") {
  for (std::uint64_t seed = 0; seed != 20; ++seed) {
    CAPTURE(seed);
    auto const w = random_vector(dimension, seed);
    check_lawful(random_model(), w, random_model().all());
    auto const e = random_example(2 + seed);
    auto const narrow = [](std::vector<double> const& v) { return std::vector<float>(v.begin(), v.end()); };
    susc::quadratic<float> const model(narrow(w),
                                       {{static_cast<float>(e.constant), narrow(e.linear), narrow(e.curvature)}},
                                       {{"ends", {{0, 1}, {3, 5}}}});
    check_lawful(model, narrow(random_vector(dimension, seed + 7)), {0});
  }
}
