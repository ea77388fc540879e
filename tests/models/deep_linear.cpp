#include "susc/models/deep_linear.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "lawful.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"
#include "susc/models/reduced_rank.hpp"

namespace {

using model_type = susc::deep_linear<double>;
static_assert(susc::Model<model_type> && susc::HasComponents<model_type>);
static_assert(susc::Model<susc::deep_linear<float>> && !susc::RestrictedModel<model_type>);

std::vector<double> random_vector(std::size_t count, std::uint64_t seed) {
  susc::random::stream stream({seed});
  std::vector<double> v(count);
  for (double& x : v) x = stream.normal();
  return v;
}

}  // namespace

TEST_CASE("deep_linear: losses and gradient by hand, of three scalars") {
  model_type const model({1, 1, 1, 1}, std::vector{5.});
  std::vector<double> const w{2, 3, -1};  // the product is -6, the residual -11
  std::vector<double> losses(1), gradient(3, 1e300);
  model.losses(w, {}, losses);
  CHECK(losses[0] == 60.5);
  CHECK(model.loss_and_gradient(w, {}, gradient) == 60.5);
  CHECK(gradient == std::vector<double>{33, 22, -66});
}

TEST_CASE("deep_linear: two factors are reduced-rank regression, one is least squares") {
  auto const truth = random_vector(12, 1), w = random_vector(14, 2);
  model_type const two({4, 2, 3}, truth);
  susc::reduced_rank<double> const known(4, 2, 3, truth);
  std::vector<double> gradient(14, 1e300), expected(14);
  REQUIRE(two.parameter_count() == known.parameter_count());
  CHECK(two.loss_and_gradient(w, {}, gradient) == doctest::Approx(known.loss_and_gradient(w, {}, expected)));
  for (std::size_t i = 0; i != 14; ++i) CHECK(gradient[i] == doctest::Approx(expected[i]).epsilon(1e-13));

  model_type const one({4, 3}, truth);
  std::vector<double> slope(12, 1e300);
  one.loss_and_gradient(std::span(w).first(12), {}, slope);
  for (std::size_t i = 0; i != 12; ++i) CHECK(slope[i] == w[i] - truth[i]);
}

TEST_CASE("deep_linear: keeps the laws of a model, at every depth") {
  for (auto const& widths : {std::vector<std::size_t>{3, 2}, {3, 4, 2}, {2, 3, 1, 4}, {5, 3, 3, 2, 3, 1}}) {
    CAPTURE(widths.size());
    auto const truth = random_vector(widths.front() * widths.back(), 3);
    model_type const model(widths, truth);
    susc::deep_linear<float> const narrow(widths, std::vector<float>(truth.begin(), truth.end()));
    for (std::uint64_t seed = 0; seed != 10; ++seed) {
      CAPTURE(seed);
      auto const w = random_vector(model.parameter_count(), seed);
      check_lawful(model, w, {});
      check_lawful(narrow, {w.begin(), w.end()}, {});
    }
  }
}

TEST_CASE("deep_linear: the layers are the components") {
  CHECK(model_type({3, 2, 4}, std::vector<double>(12)).components() ==
        std::vector<susc::component>{{"full", {{0, 14}}}, {"layer1", {{0, 6}}}, {"layer2", {{6, 14}}}});
}

TEST_CASE("deep_linear: what is refused") {
  std::vector<double> const truth(12);
  CHECK_THROWS_WITH_AS(model_type({12}, truth), "deep_linear: 1 widths, must have at least 2, inputs and outputs",
                       susc::error);
  CHECK_THROWS_WITH_AS(model_type({3, 0, 4}, truth), "deep_linear: width 1 is 0, must be at least 1", susc::error);
  CHECK_THROWS_WITH_AS(model_type({3, 2, 5}, truth), "deep_linear: the true map has 12 elements, must have 5 x 3 = 15",
                       susc::error);
  std::vector<double> losses(1);
  CHECK_THROWS_WITH_AS(model_type({3, 2, 4}, truth).losses(truth, {}, losses), "deep_linear: 12 weights, must have 14",
                       susc::error);
}
