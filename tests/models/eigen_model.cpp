#include "susc/models/eigen_model.hpp"

#include <doctest/doctest.h>

#include <Eigen/Core>
#include <cmath>
#include <span>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"
#include "susc/models/quadratic.hpp"

namespace {

using weights = Eigen::Ref<Eigen::VectorXd const>;

/// Losses ½ (x·w - y)².
struct least_squares {
  struct batch {
    Eigen::MatrixXd x;  // (examples, 3)
    Eigen::VectorXd y;  // (examples,)
  };
  Eigen::Index parameter_count() const { return 3; }
  Eigen::Index example_count(batch const& b) const { return b.y.size(); }
  Eigen::VectorXd losses(weights const& w, batch const& b) const { return (b.x * w - b.y).array().square() / 2; }
  double loss_and_gradient(weights const& w, batch const& b, Eigen::Ref<Eigen::VectorXd> gradient) const {
    Eigen::VectorXd const residual = b.x * w - b.y;
    gradient = b.x.transpose() * residual / static_cast<double>(b.y.size());
    return residual.squaredNorm() / 2 / static_cast<double>(b.y.size());
  }
};
using model_type = susc::eigen_model<least_squares>;
static_assert(susc::Model<model_type> && !susc::HasComponents<model_type>);

/// Tells where its arguments lie, by a loss and a gradient entry.
struct tells_addresses {
  using batch = std::vector<double const*>;  // where w is expected, then the gradient
  std::size_t parameter_count() const { return 1; }
  std::size_t example_count(batch const&) const { return 1; }
  std::vector<susc::component> components() const { return {{"first", {{0, 1}}}}; }
  Eigen::VectorXd losses(weights const& w, batch const& b) const {
    return Eigen::VectorXd::Constant(w.data() == b[0] ? 1 : 2, 7);
  }
  double loss_and_gradient(weights const& w, batch const& b, Eigen::Ref<Eigen::VectorXd> gradient) const {
    return w.data() == b[0] && gradient.data() == b[1] ? 1 : 0;
  }
};
static_assert(susc::HasComponents<susc::eigen_model<tells_addresses>>);

least_squares::batch random_batch(Eigen::Index count) {
  susc::random::stream stream({5});
  auto const normal = [&] { return stream.normal(); };
  Eigen::MatrixXd const x = Eigen::MatrixXd::NullaryExpr(count, 3, normal);
  return {x, Eigen::VectorXd::NullaryExpr(count, normal)};
}

/// The same losses by another model: ½ y² - y x·w + ½ wᵀ x xᵀ w.
susc::quadratic<> same_losses(least_squares::batch const& b) {
  std::vector<susc::quadratic<>::example> examples;
  for (Eigen::Index e = 0; e != b.y.size(); ++e) {
    susc::quadratic<>::example& to = examples.emplace_back();
    to.constant = b.y[e] * b.y[e] / 2;
    for (Eigen::Index i = 0; i != 3; ++i) to.linear.push_back(-b.y[e] * b.x(e, i));
    for (Eigen::Index i = 0; i != 3; ++i)
      for (Eigen::Index j = 0; j != 3; ++j) to.curvature.push_back(b.x(e, i) * b.x(e, j));
  }
  return susc::quadratic<>({0, 0, 0}, examples);
}

}  // namespace

TEST_CASE("eigen_model: losses, mean and gradient are those of the same model written otherwise") {
  model_type const model(least_squares{});
  for (Eigen::Index const count : {1, 2, 17}) {
    CAPTURE(count);
    auto const b = random_batch(count);
    auto const oracle = same_losses(b);
    std::vector<double> const w{.7, -1.3, .2};
    std::vector<double> losses(b.y.size(), 1e300), expected(b.y.size()), slope(3, 1e300), expected_slope(3);
    CHECK(model.parameter_count() == 3);
    CHECK(model.example_count(b) == losses.size());
    model.losses(w, b, losses);
    oracle.losses(w, oracle.all(), expected);
    for (std::size_t i = 0; i != losses.size(); ++i) CHECK(std::abs(losses[i] - expected[i]) < 1e-13);
    double const mean = oracle.loss_and_gradient(w, oracle.all(), expected_slope);
    CHECK(std::abs(model.loss_and_gradient(w, b, slope) - mean) < 1e-13);
    for (std::size_t i = 0; i != 3; ++i) CHECK(std::abs(slope[i] - expected_slope[i]) < 1e-13);
  }
}

TEST_CASE("eigen_model: the library's memory is mapped, not copied") {
  susc::eigen_model const model(tells_addresses{});
  std::vector<double> const w{1};
  std::vector<double> losses(2), gradient(1);  // of one g++ 12 warns, at -O3, that Eigen would write two
  tells_addresses::batch const here{w.data(), gradient.data()};
  model.losses(w, here, std::span(losses).first(1));
  CHECK(losses[0] == 7);
  CHECK(model.loss_and_gradient(w, here, gradient) == 1);
  CHECK(model.components() == std::vector{susc::component("first", {{0, 1}})});
}

TEST_CASE("eigen_model: what is refused") {
  model_type const model(least_squares{});
  std::vector<double> two(2), three(3);
  CHECK_THROWS_WITH_AS(model.losses(two, random_batch(2), two), "eigen_model: 2 weights, must be 3", susc::error);
  CHECK_THROWS_WITH_AS(model.losses(three, random_batch(2), three),
                       "eigen_model: losses() returned 2 losses, must be 3, one an example", susc::error);
  CHECK_THROWS_WITH_AS(model.loss_and_gradient(three, random_batch(2), two),
                       "eigen_model: 2 gradient entries, must be 3", susc::error);
  CHECK_THROWS_WITH_AS(model.loss_and_gradient(three, random_batch(0), three),
                       "eigen_model: a gradient over 0 examples, must have at least 1", susc::error);
}
