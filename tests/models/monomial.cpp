#include "susc/models/monomial.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "lawful.hpp"
#include "susc/core/concepts.hpp"

namespace {

using model_type = susc::monomial<double>;
static_assert(susc::Model<model_type> && susc::HasComponents<model_type>);
static_assert(susc::Model<susc::monomial<float>> && !susc::RestrictedModel<model_type>);

double loss(model_type const& model, std::vector<double> const& w) {
  std::vector<double> losses(1);
  model.losses(w, {}, losses);
  return losses[0];
}

}  // namespace

TEST_CASE("monomial: losses and gradient by hand") {
  model_type const model({2, 4, 6});
  CHECK(model.parameter_count() == 3);
  CHECK(model.example_count({}) == 1);
  std::vector<double> gradient(3, 1e300);
  CHECK(model.loss_and_gradient(std::vector<double>{3, -2, -1}, {}, gradient) == 9. / 2 + 16. / 2 + 1. / 2);
  CHECK(gradient == std::vector<double>{3, -16, -3});
  CHECK(model.loss_and_gradient(std::vector<double>{0, 0, 0}, {}, gradient) == 0);
  CHECK(gradient == std::vector<double>{0, 0, 0});
}

TEST_CASE("monomial: the gradient is that of the loss") {
  model_type const model({2, 4, 8, 2});
  std::vector<double> w{.7, -1.1, .9, -.3}, gradient(4);
  CHECK(model.loss_and_gradient(w, {}, gradient) == loss(model, w));
  for (std::size_t i = 0; i != w.size(); ++i) {
    CAPTURE(i);
    double const h = 1e-5, kept = w[i];
    w[i] = kept + h;
    double const above = loss(model, w);
    w[i] = kept - h;
    double const below = loss(model, w);
    w[i] = kept;
    CHECK(gradient[i] == doctest::Approx((above - below) / (2 * h)).epsilon(1e-7));
  }
}

TEST_CASE("monomial: nβ E[K] under a flat prior is the learning coefficient at every nβ") {
  CHECK(model_type({2, 4, 6}).learning_coefficient() == doctest::Approx(11. / 12).epsilon(1e-15));
  for (unsigned const power : {2u, 4u, 6u}) {
    model_type const model({power});
    for (double const n_beta : {.5, 30.}) {
      CAPTURE(power);
      CAPTURE(n_beta);
      // A sum over a grid is exact to rounding: the density is smooth and negligible at ±edge, where n_beta K = 40.
      double const edge = std::pow(80 / n_beta, 1. / power);
      double sum = 0, weighted = 0;
      for (int i = -500; i <= 500; ++i) {
        double const k = loss(model, {edge * i / 500}), density = std::exp(-n_beta * k);
        sum += density;
        weighted += density * n_beta * k;
      }
      CHECK(weighted / sum == doctest::Approx(model.learning_coefficient()).epsilon(1e-12));
    }
  }
}

TEST_CASE("monomial: components are all of the weights and each") {
  auto const components = model_type({2, 4}).components();
  CHECK(components == std::vector<susc::component>{{"full", {{0, 2}}}, {"w0", {{0, 1}}}, {"w1", {{1, 2}}}});
}

TEST_CASE("monomial: what is refused") {
  CHECK_THROWS_WITH_AS(model_type({}), "monomial: no powers, must have one a weight", susc::error);
  CHECK_THROWS_WITH_AS(model_type({2, 3}), "monomial: power 1 is 3, must be even and at least 2", susc::error);
  CHECK_THROWS_WITH_AS(model_type({0}), "monomial: power 0 is 0, must be even and at least 2", susc::error);
  std::vector<double> gradient(2);
  CHECK_THROWS_WITH_AS(model_type({2, 2}).loss_and_gradient(std::vector<double>{1}, {}, gradient),
                       "monomial: 1 weights, must have 2", susc::error);
}

TEST_CASE("monomial: float agrees with double to its own rounding") {
  std::vector<float> const w{.7f, -1.1f}, zero(2);
  std::vector<float> narrow(2);
  std::vector<double> wide(2);
  double const k = model_type({2, 4}).loss_and_gradient(std::vector<double>(w.begin(), w.end()), {}, wide);
  CHECK(susc::monomial<float>({2, 4}).loss_and_gradient(w, {}, narrow) == doctest::Approx(k).epsilon(1e-6));
  for (std::size_t i = 0; i != 2; ++i) CHECK(narrow[i] == doctest::Approx(wide[i]).epsilon(1e-6));
}

TEST_CASE("monomial: keeps the laws of a model") {
  for (double const scale : {.3, 1., 2.}) {
    std::vector<double> const w{.7 * scale, -1.1 * scale, .9 * scale, -.3 * scale};
    check_lawful(model_type({2, 4, 8, 2}), w, {});
    check_lawful(susc::monomial<float>({2, 4, 8, 2}), {w.begin(), w.end()}, {});
  }
}
