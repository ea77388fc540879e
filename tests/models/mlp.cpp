#include "susc/models/mlp.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "difference.hpp"
#include "lawful.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"

namespace {

using model_type = susc::mlp<double>;
static_assert(susc::Model<model_type> && susc::HasComponents<model_type>);
static_assert(susc::Model<susc::mlp<float>> && !susc::RestrictedModel<model_type>);

model_type::batch random_batch(std::size_t count, std::size_t inputs, std::size_t classes, std::uint64_t seed) {
  susc::random::stream stream({seed});
  model_type::batch b;
  for (std::size_t i = 0; i != count * inputs; ++i) b.inputs.push_back(stream.normal());
  for (std::size_t i = 0; i != count; ++i) b.labels.push_back(stream.below(classes));
  return b;
}

/// Initial weights with biases that are not 0.
std::vector<double> random_weights(model_type const& model, std::uint64_t seed) {
  std::vector<double> w = model.initial_weights({seed});
  susc::random::stream stream({seed + 1});
  for (double& x : w) x += .3 * stream.normal();
  return w;
}

double mean_loss(model_type const& model, std::vector<double> const& w, model_type::batch const& b) {
  std::vector<double> losses(b.labels.size());
  model.losses(w, b, losses);
  double sum = 0;
  for (double const l : losses) sum += l;
  return sum / static_cast<double>(losses.size());
}

std::vector<std::vector<std::size_t>> const shapes{{3, 4}, {2, 5, 3}, {3, 7, 6, 2}, {1, 2, 3, 2, 9}};

}  // namespace

TEST_CASE("mlp: losses by hand, which fixes the order of the weights") {
  // Two inputs, one hidden unit, two classes: W_1 = (.5, -1)ᵀ, b_1 = .25, W_2 = (2, -3), b_2 = (.1, -.2).
  model_type const model({2, 1, 2});
  std::vector<double> const w{.5, -1, .25, 2, -3, .1, -.2};
  model_type::batch const b{{1, 2, -1, .5}, {0, 1}};
  CHECK(model.parameter_count() == 7);
  CHECK(model.example_count(b) == 2);
  std::vector<double> losses(2);
  model.losses(w, b, losses);
  auto const expected = [](double x, double y, double sign) {
    double const h = std::tanh(.5 * x - y + .25);
    return std::log1p(std::exp(sign * ((-3 * h - .2) - (2 * h + .1))));
  };
  CHECK(losses[0] == doctest::Approx(expected(1, 2, 1)).epsilon(1e-14));
  CHECK(losses[1] == doctest::Approx(expected(-1, .5, -1)).epsilon(1e-14));

  // Weights of 0 know nothing: log 4 nats over four classes.
  model_type const four({3, 2, 4});
  CHECK(mean_loss(four, std::vector<double>(four.parameter_count()), random_batch(5, 3, 4, 1)) ==
        doctest::Approx(std::log(4)).epsilon(1e-14));
}

TEST_CASE("mlp: the gradient is that of the mean loss") {
  for (auto const& widths : shapes) {
    model_type const model(widths);
    // More examples than one block of the cross-entropy kernel.
    for (std::size_t const count : {1, 150}) {
      CAPTURE(widths.size());
      CAPTURE(count);
      auto const b = random_batch(count, widths.front(), widths.back(), count);
      std::vector<double> w = random_weights(model, 3), gradient(w.size(), 1e300);
      CHECK(model.loss_and_gradient(w, b, gradient) == doctest::Approx(mean_loss(model, w, b)).epsilon(1e-13));
      double largest = 0;
      for (double const g : gradient) largest = nan_max(largest, std::abs(g));
      for (std::size_t i = 0; i != w.size(); ++i) {
        CAPTURE(i);
        double const h = 1e-5, kept = w[i];
        w[i] = kept + h;
        double const above = mean_loss(model, w, b);
        w[i] = kept - h;
        double const below = mean_loss(model, w, b);
        w[i] = kept;
        CHECK(std::abs(gradient[i] - (above - below) / (2 * h)) < 1e-7 * largest);
      }
    }
  }
}

TEST_CASE("mlp: the gradient by the inputs is that of the mean loss") {
  for (auto const& widths : shapes) {
    for (auto const& tried : {std::pair{1, susc::mlp_activation::tanh},
                              {150, susc::mlp_activation::tanh},
                              {7, susc::mlp_activation::gelu},
                              {1, susc::mlp_activation::relu}}) {
      auto const count = static_cast<std::size_t>(tried.first);
      auto const activation = tried.second;
      model_type const model(widths, activation);
      CAPTURE(widths.size());
      CAPTURE(count);
      auto b = random_batch(count, widths.front(), widths.back(), count);
      std::vector<double> const w = random_weights(model, 3);
      REQUIRE(model.input_count(b) == b.inputs.size());
      std::vector<double> gradient(b.inputs.size(), 1e300);
      CHECK(model.input_gradient(w, b, gradient) == doctest::Approx(mean_loss(model, w, b)).epsilon(1e-13));
      double largest = 0;
      for (double const g : gradient) largest = nan_max(largest, std::abs(g));
      CHECK(largest > 1e-4);
      for (std::size_t i = 0; i != b.inputs.size(); ++i) {
        CAPTURE(i);
        double const h = 1e-4, kept = b.inputs[i];
        auto const at = [&](double shift) {
          b.inputs[i] = kept + shift;
          return mean_loss(model, w, b);
        };
        double const slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
        b.inputs[i] = kept;
        CHECK(std::abs(gradient[i] - slope) < 1e-7 * largest);
      }
    }
  }
}

TEST_CASE("mlp: logits by hand") {
  model_type const model({2, 1, 2});
  std::vector<double> const w{.5, -1, .25, 2, -3, .1, -.2};
  std::vector<double> logits(2, 1e300);
  CHECK(model.class_count() == 2);
  model.logits(w, {{9, 9, -1, .5}, {0, 1}}, 1, logits);
  double const h = std::tanh(-.5 - .5 + .25);
  CHECK(logits[0] == doctest::Approx(2 * h + .1).epsilon(1e-14));
  CHECK(logits[1] == doctest::Approx(-3 * h - .2).epsilon(1e-14));
}

TEST_CASE("mlp: the layers tile the weights") {
  for (auto const& widths : shapes) {
    auto const components = model_type(widths).components();
    REQUIRE(components.size() == widths.size());
    std::size_t const count = model_type(widths).parameter_count();
    CHECK(components[0] == susc::full_component(count));
    std::size_t end = 0;
    for (std::size_t l = 1; l != widths.size(); ++l) {
      CHECK(components[l].name() == "layer" + std::to_string(l));
      CHECK(components[l].size() == (widths[l - 1] + 1) * widths[l]);
      CHECK(components[l].ranges().front().begin == end);
      end += components[l].size();
    }
    CHECK(end == count);
  }
}

TEST_CASE("mlp: initial weights are a function of the key, of variance 1 over the fan-in; biases are 0") {
  model_type const model({100, 50, 40});
  auto const w = model.initial_weights({7});
  CHECK(w == model.initial_weights({7}));
  CHECK(w != model.initial_weights({8}));
  auto const variance = [&w](std::size_t begin, std::size_t end) {
    double sum = 0;
    for (std::size_t i = begin; i != end; ++i) sum += w[i] * w[i];
    return sum / static_cast<double>(end - begin);
  };
  // Five standard errors: a variance estimated from n normals has relative error √(2/n).
  CHECK(std::abs(variance(0, 5000) * 100 - 1) < 5 * std::sqrt(2. / 5000));
  CHECK(variance(5000, 5050) == 0);
  CHECK(std::abs(variance(5050, 7050) * 50 - 1) < 5 * std::sqrt(2. / 2000));
  CHECK(variance(7050, 7090) == 0);
}

TEST_CASE("mlp: what is refused") {
  CHECK_THROWS_WITH_AS(model_type({3}), "mlp: 1 widths, must have at least 2, inputs and classes", susc::error);
  CHECK_THROWS_WITH_AS(model_type({3, 0, 2}), "mlp: width 1 is 0, must be at least 1", susc::error);
  model_type const model({2, 3});
  std::vector<double> w(9), losses(2), gradient(9);
  CHECK_THROWS_WITH_AS(model.losses(w, {{1, 2, 3, 4}, {0, 3}}, losses),
                       "mlp: label 3 of example 1, must be below the 3 classes", susc::error);
  CHECK_THROWS_WITH_AS(model.loss_and_gradient(w, {{1, 2, 3}, {0, 1}}, gradient),
                       "mlp: a batch of 2 labels and 3 input values, must have 2 x 2 = 4", susc::error);
  CHECK_THROWS_WITH_AS(model.loss_and_gradient(w, {}, gradient),
                       "mlp: a gradient over 0 examples, must have at least 1", susc::error);
  CHECK_THROWS_WITH_AS(model.input_gradient(w, {}, gradient), "mlp: a gradient over 0 examples, must have at least 1",
                       susc::error);
  CHECK_THROWS_WITH_AS(model.logits(w, {{1, 2}, {0}}, 1, losses), "mlp: logits of example 1 of a batch of 1",
                       susc::error);
  CHECK_THROWS_WITH_AS(model.losses(losses, {{1, 2}, {0}}, losses), "mlp: 2 weights, must have 9", susc::error);
}

TEST_CASE("mlp: the same bits from several threads at once") {
  model_type const model({3, 8, 4});
  auto const b = random_batch(40, 3, 4, 5);
  auto const w = random_weights(model, 6);
  std::vector<std::vector<double>> gradients(4, std::vector<double>(w.size()));
  std::vector<std::thread> threads;
  for (auto& gradient : gradients) threads.emplace_back([&] { model.loss_and_gradient(w, b, gradient); });
  for (auto& thread : threads) thread.join();
  for (auto const& gradient : gradients) CHECK(gradient == gradients.front());
}

TEST_CASE("mlp: float agrees with double to its own rounding") {
  susc::mlp<float> const narrow({3, 8, 4});
  model_type const wide({3, 8, 4});
  auto const b = random_batch(20, 3, 4, 5);
  auto const w = narrow.initial_weights({9});
  std::vector<float> gradient(w.size());
  std::vector<double> expected(w.size());
  double const loss = wide.loss_and_gradient(std::vector<double>(w.begin(), w.end()), b, expected);
  CHECK(narrow.loss_and_gradient(w, {{b.inputs.begin(), b.inputs.end()}, b.labels}, gradient) ==
        doctest::Approx(loss).epsilon(1e-5));
  for (std::size_t i = 0; i != w.size(); ++i) CHECK(std::abs(static_cast<double>(gradient[i]) - expected[i]) < 1e-5);
}

TEST_CASE("mlp: each activation by hand") {
  // One input, one hidden unit, two classes: the logits differ by twice the unit, so the loss is log(1 + e^{-2h}).
  auto const unit = [](susc::mlp_activation f, double x) {
    model_type const model({1, 1, 2}, f);
    std::vector<double> losses(1);
    model.losses(std::vector<double>{1, 0, 1, -1, 0, 0}, {{x}, {0}}, losses);
    return -std::log(std::expm1(losses[0])) / 2;
  };
  for (double const x : {-1.3, .4, 2.}) {
    CAPTURE(x);
    CHECK(unit(susc::mlp_activation::tanh, x) == doctest::Approx(std::tanh(x)).epsilon(1e-13));
    CHECK(unit(susc::mlp_activation::relu, x) == doctest::Approx(std::fmax(x, 0.)).epsilon(1e-13));
    CHECK(unit(susc::mlp_activation::gelu, x) == doctest::Approx(x * std::erfc(-x / std::sqrt(2.)) / 2).epsilon(1e-13));
  }
}

TEST_CASE("mlp: keeps the laws of a model, for every activation and shape") {
  for (auto const f : {susc::mlp_activation::tanh, susc::mlp_activation::relu, susc::mlp_activation::gelu})
    for (auto const& widths : shapes)
      for (std::uint64_t seed = 0; seed != 5; ++seed) {
        CAPTURE(static_cast<int>(f));
        CAPTURE(widths.size());
        CAPTURE(seed);
        model_type const model(widths, f);
        auto const b = random_batch(7, widths.front(), widths.back(), seed);
        auto const w = random_weights(model, seed);
        check_lawful(model, w, b);
        check_lawful(susc::mlp<float>(widths, f), {w.begin(), w.end()}, {{b.inputs.begin(), b.inputs.end()}, b.labels});
      }
}
