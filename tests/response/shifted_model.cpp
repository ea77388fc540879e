#include "susc/response/shifted_model.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <type_traits>
#include <vector>

#include "susc/core/random.hpp"
#include "susc/models/mlp.hpp"
#include "susc/models/quadratic.hpp"

namespace {

using network = susc::mlp<double>;
network::batch points(std::size_t count, susc::random::key key) {
  susc::random::stream stream(key);
  network::batch b;
  for (std::size_t i = 0; i != count; ++i) {
    for (int coordinate = 0; coordinate != 2; ++coordinate) b.inputs.push_back(stream.normal());
    b.labels.push_back(stream.below(2));
  }
  return b;
}

double mean_loss(network const& model, std::vector<double> const& w, network::batch const& b) {
  std::vector<double> losses(model.example_count(b));
  model.losses(w, b, losses);
  double sum = 0;
  for (double const l : losses) sum += l / static_cast<double>(losses.size());
  return sum;
}

// Loss and gradient are those of `mixed(w)`, the components' gradients parts of the whole's; losses are the model's.
template <class Mixed>
void check_gradient(network const& model, susc::shifted_model<network> const& shifted, std::vector<double> const& w,
                    network::batch const& from, Mixed mixed) {
  REQUIRE(shifted.parameter_count() == model.parameter_count());
  std::size_t const count = shifted.example_count(from);
  CHECK(count == from.labels.size());
  std::vector<double> gradient(w.size()), own(count), plain(count);
  double const loss = shifted.loss_and_gradient(w, from, gradient);
  CHECK(loss == doctest::Approx(mixed(w)).epsilon(1e-13));
  for (std::size_t i = 0; i != w.size(); ++i) {
    double const step = 1e-5;
    auto up = w, down = w;
    up[i] += step;
    down[i] -= step;
    CHECK(std::abs((mixed(up) - mixed(down)) / (2 * step) - gradient[i]) < 1e-9);
  }
  for (susc::component const& c : shifted.components()) {
    std::vector<double> part(c.size()), expected(c.size());
    CHECK(shifted.loss_and_gradient(w, from, c, part) == loss);
    c.gather(std::span<double const>(gradient), std::span<double>(expected));
    CHECK(part == expected);
  }
  shifted.losses(w, from, own);
  model.losses(w, from, plain);
  CHECK(own == plain);
}

}  // namespace

static_assert(susc::RestrictedModel<susc::shifted_model<susc::quadratic<double>>>);
static_assert(susc::RestrictedModel<susc::shifted_model<network>> && !susc::RestrictedModel<network>);
static_assert(susc::Model<susc::shifted_model<network>>);

TEST_CASE("shifted_model: it has the gradient of (1 - h) L + h L', and the model's losses") {
  network const model({2, 4, 3, 2});
  auto const w = model.initial_weights({1});
  auto const from = points(12, {2}), towards = points(7, {3});
  for (double const h : {-.3, 0., .2, 1.}) {
    CAPTURE(h);
    check_gradient(model, {model, towards, h}, w, from, [&](std::vector<double> const& at) {
      return (1 - h) * mean_loss(model, at, from) + h * mean_loss(model, at, towards);
    });
  }
}

TEST_CASE("shifted_model: several batches at once, of the one that is not shifted to no loss is asked") {
  network const model({2, 4, 3, 2});
  auto const w = model.initial_weights({1});
  auto const from = points(12, {2}), first = points(7, {3}), second = points(5, {4});
  double const h = .3, g = -.45;
  check_gradient(model, {model, {{&first, h}, {nullptr, 0}, {&second, g}}}, w, from,
                 [&](std::vector<double> const& at) {
                   return (1 - h - g) * mean_loss(model, at, from) + h * mean_loss(model, at, first) +
                          g * mean_loss(model, at, second);
                 });
}

TEST_CASE("shifted_model: without a shift it is the model to the last bit") {
  network const model({2, 4, 2});
  auto const w = model.initial_weights({1});
  auto const from = points(9, {2}), towards = points(4, {3});
  std::vector<double> plain(w.size()), shifted(w.size());
  double const loss = model.loss_and_gradient(w, from, plain);
  CHECK(susc::shifted_model<network>(model, towards, 0).loss_and_gradient(w, from, shifted) == loss);
  CHECK(shifted == plain);
}

TEST_CASE("shifted_model: a shift towards nothing, or not finite, is refused") {
  using shifted = susc::shifted_model<susc::quadratic<>>;
  susc::quadratic<> const model({0}, {{0, {0}, {1}}, {0, {0}, {2}}});
  std::vector<std::size_t> const towards{1};
  CHECK_THROWS_WITH_AS(shifted(model, {{nullptr, .2}}), "a shift by 0.2 towards no batch", susc::error);
  CHECK_THROWS_WITH_AS(shifted(model, towards, std::nan("")), "a shift by nan, must be finite", susc::error);
  static_assert(!std::is_constructible_v<shifted, susc::quadratic<> const&, std::vector<std::size_t>, double>);
}

TEST_CASE("shifted_model: a model that restricts its gradient is shifted component by component too") {
  using examples = std::vector<std::size_t>;
  susc::quadratic<double> const model(
      {.3, -.2, 1},
      {{5, {0, 0, 0}, {2, .3, .2, .3, 1, 0, .2, 0, .5}}, {7, {.4, -.3, .2}, {3, .8, .2, .8, 1.8, .3, .2, .3, 1.5}}},
      {susc::component("part", {{1, 3}})});
  examples const towards{1};
  susc::shifted_model<susc::quadratic<double>> const shifted{model, towards, .25};
  std::vector<double> const w{.1, .5, -.2};
  susc::component const part("part", {{1, 3}});
  std::vector<double> from(2), to(2), gradient(2);
  double const loss = model.loss_and_gradient(w, {0}, part, from), other = model.loss_and_gradient(w, {1}, part, to);
  CHECK(shifted.loss_and_gradient(w, {0}, part, gradient) == doctest::Approx(.75 * loss + .25 * other).epsilon(1e-14));
  for (std::size_t i : {0, 1}) CHECK(gradient[i] == doctest::Approx(.75 * from[i] + .25 * to[i]).epsilon(1e-14));
}
