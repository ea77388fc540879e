#include "susc/models/autodiff_model.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"
#include "susc/models/mlp.hpp"

namespace {

/// The loss of susc::mlp, widths {2, 3, 4}: 25 weights, three whole passes of 8 derivatives and one of a single one.
constexpr std::size_t inputs = 2, hidden = 3, classes = 4, count = (inputs + 1) * hidden + (hidden + 1) * classes;
struct example {
  double x[inputs];
  std::size_t label;
};
auto const loss = []<class T>(std::span<T const> w, example const& e) {
  using std::exp, std::log, std::tanh;
  T const *w1 = w.data(), *b1 = w1 + inputs * hidden, *w2 = b1 + hidden, *b2 = w2 + hidden * classes;
  T logits[classes], sum(0.);
  for (std::size_t c = 0; c != classes; ++c) {
    logits[c] = b2[c];
    for (std::size_t h = 0; h != hidden; ++h)
      logits[c] += tanh(w1[h] * e.x[0] + w1[hidden + h] * e.x[1] + b1[h]) * w2[h * classes + c];
    sum += exp(logits[c]);
  }
  return T(log(sum) - logits[e.label]);
};
auto model_of(std::vector<susc::component> components = {}) {
  return susc::from_loss<example>(count, loss, std::move(components));
}
using model_type = decltype(model_of());
static_assert(susc::Model<model_type> && susc::HasComponents<model_type> && susc::RestrictedModel<model_type>);

std::vector<example> random_examples(std::size_t number) {
  susc::random::stream stream({5});
  std::vector<example> examples(number);
  for (example& e : examples) e = {{stream.normal(), stream.normal()}, stream.below(classes)};
  return examples;
}
susc::mlp<>::batch as_mlp(std::vector<example> const& examples) {
  susc::mlp<>::batch b;
  for (example const& e : examples) {
    b.inputs.insert(b.inputs.end(), e.x, e.x + inputs);
    b.labels.push_back(e.label);
  }
  return b;
}
std::vector<double> random_weights() {
  susc::random::stream stream({6});
  std::vector<double> w(count);
  for (double& x : w) x = stream.normal();
  return w;
}

}  // namespace

TEST_CASE("autodiff_model: losses, mean and gradient are those written by hand in susc::mlp") {
  susc::mlp<> const oracle({inputs, hidden, classes});
  REQUIRE(oracle.parameter_count() == count);
  auto const w = random_weights();
  for (std::size_t const number : {1, 30}) {
    CAPTURE(number);
    auto const b = random_examples(number);
    std::vector<double> losses(number, 1e300), expected(number), gradient(count, 1e300), slope(count);
    CHECK(model_of().example_count(b) == number);
    model_of().losses(w, b, losses);
    oracle.losses(w, as_mlp(b), expected);
    for (std::size_t i = 0; i != number; ++i) CHECK(std::abs(losses[i] - expected[i]) < 1e-13);
    double const mean = oracle.loss_and_gradient(w, as_mlp(b), slope);
    CHECK(std::abs(model_of().loss_and_gradient(w, b, gradient) - mean) < 1e-13);
    for (std::size_t i = 0; i != count; ++i) CHECK(std::abs(gradient[i] - slope[i]) < 1e-13);
  }
}

TEST_CASE("autodiff_model: a component's gradient has the bits of the full gradient restricted to it") {
  auto const model = model_of({{"across", {{1, 3}, {5, 16}, {24, 25}}}, {"one", {{9, 10}}}});
  auto const b = random_examples(7);
  auto const w = random_weights();
  std::vector<double> full(count);
  double const mean = model.loss_and_gradient(w, b, full);
  REQUIRE(model.components().size() == 3);
  CHECK(model.components()[0] == susc::full_component(count));
  for (auto const& c : model.components()) {
    CAPTURE(c.name());
    std::vector<double> restricted(c.size(), 1e300), expected(c.size());
    CHECK(model.loss_and_gradient(w, b, c, restricted) == mean);
    c.gather<double>(full, expected);
    CHECK(restricted == expected);
  }
}

TEST_CASE("autodiff_model: the gradient is that of the mean loss") {
  auto const model = model_of();
  auto const b = random_examples(5);
  auto w = random_weights();
  std::vector<double> gradient(count), losses(5);
  model.loss_and_gradient(w, b, gradient);
  auto const mean = [&] {
    model.losses(w, b, losses);
    double sum = 0;
    for (double const l : losses) sum += l;
    return sum / 5;
  };
  for (std::size_t i = 0; i != count; ++i) {
    CAPTURE(i);
    double const h = 1e-5, kept = w[i];
    w[i] = kept + h;
    double const above = mean();
    w[i] = kept - h;
    double const below = mean();
    w[i] = kept;
    CHECK(std::abs(gradient[i] - (above - below) / (2 * h)) < 1e-9);
  }
}

TEST_CASE("autodiff_model: what is refused") {
  CHECK_THROWS_WITH_AS(susc::from_loss<example>(0, loss), "from_loss: 0 parameters, must have at least 1", susc::error);
  CHECK_THROWS_WITH_AS(model_of({{"beyond", {{20, 26}}}}),
                       "from_loss: component 'beyond' is not within the 25 parameters", susc::error);
  std::vector<double> two(2), w(count);
  CHECK_THROWS_WITH_AS(model_of().losses(two, random_examples(2), two), "from_loss: 2 weights, must be 25",
                       susc::error);
  CHECK_THROWS_WITH_AS(model_of().losses(w, random_examples(3), two), "from_loss: 2 losses, must be 3", susc::error);
  CHECK_THROWS_WITH_AS(model_of().loss_and_gradient(w, random_examples(2), two),
                       "from_loss: 2 gradient entries, must be 25", susc::error);
  CHECK_THROWS_WITH_AS(model_of().loss_and_gradient(w, {}, w),
                       "from_loss: a gradient over 0 examples, must have at least 1", susc::error);
}
