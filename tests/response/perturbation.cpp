#include "susc/response/perturbation.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "susc/core/random.hpp"
#include "susc/models/quadratic.hpp"
#include "susc/response/observable.hpp"

namespace {
using model_type = susc::quadratic<double>;
struct no_perturbation {};
struct weights_themselves {
  std::size_t count(susc::draw<model_type> const& at) const { return at.weights().size(); }
  void loss_shifts(susc::draw<model_type> const& at, std::span<double> shifts) const {
    for (std::size_t j = 0; j != shifts.size(); ++j) shifts[j] = at.weights()[j];
  }
};
struct with_groups : weights_themselves {
  std::vector<susc::index_range> groups(susc::draw<model_type> const&) const { return {{0, 2}}; }
};
struct with_groups_of_indices : weights_themselves {
  std::vector<std::size_t> groups(susc::draw<model_type> const&) const { return {0, 1}; }
};
struct with_mutable_groups : weights_themselves {
  std::vector<susc::index_range> groups(susc::draw<model_type> const&) { return {{0, 2}}; }
};
struct signed_count {
  int count(susc::draw<model_type> const&) const;
  void loss_shifts(susc::draw<model_type> const&, std::span<double>) const;
};
struct float_shifts {
  std::size_t count(susc::draw<model_type> const&) const;
  void loss_shifts(susc::draw<model_type> const&, std::span<float>) const;
};
static_assert(susc::Perturbation<with_groups, model_type>);
static_assert(!susc::Perturbation<with_groups_of_indices, model_type> &&
              !susc::Perturbation<with_mutable_groups, model_type>);
static_assert(!susc::Perturbation<signed_count, model_type> && !susc::Perturbation<float_shifts, model_type>);
static_assert(susc::Perturbation<susc::example_reweighting, model_type> &&
              susc::Perturbation<weights_themselves, model_type>);
static_assert(!susc::Perturbation<no_perturbation, model_type> &&
              !susc::Perturbation<susc::component_loss, model_type>);

std::vector<double> const center{1, 2}, w{2, 0};
model_type const model(center, {{5, {0, 0}, {1, 0, 0, 3}}, {7, {1, 0}, {0, 0, 0, 0}}, {100, {9, 4}, {0, 0, 0, 0}}});
std::vector<std::size_t> const evaluation{0, 1};
std::vector<susc::probe<std::vector<std::size_t>>> const probes{{"third", {2}}, {"itself", {1, 0}}, {"two", {2, 0}}};
}  // namespace

TEST_CASE("perturbation: towards an example the loss shifts by l - L") {
  susc::draw<model_type> at(model, center, model.components()[0], evaluation, probes);
  susc::example_reweighting const p;
  REQUIRE(p.count(at) == 5);
  std::vector<double> shifts(5);
  p.loss_shifts(at, shifts);
  CHECK(shifts == std::vector<double>{94, 1, -1, 94, -1});
  at.move_to(w);  // w - w* = (1, -2): losses 11.5, 8, 101, and L = 9.75
  p.loss_shifts(at, shifts);
  CHECK(shifts == std::vector<double>{91.25, -1.75, 1.75, 91.25, 1.75});
}

TEST_CASE("perturbation: the mean over a probe is L_q' - L_q, and 0 towards the data itself") {
  susc::draw<model_type> at(model, center, model.components()[0], evaluation, probes);
  susc::example_reweighting const p;
  auto const groups = susc::groups_of<model_type>(p, at);
  CHECK(groups == std::vector<susc::index_range>{{0, 1}, {1, 3}, {3, 5}});
  susc::random::stream stream({5});
  for (int t = 0; t != 20; ++t) {
    std::vector<double> const moved{stream.normal(), stream.normal()};
    at.move_to(moved);
    std::vector<double> shifts(5), losses(2);
    p.loss_shifts(at, shifts);
    CHECK(std::abs(shifts[1] + shifts[2]) < 1e-13);
    model.losses(moved, probes[2].batch, losses);
    CHECK((shifts[3] + shifts[4]) / 2 ==
          doctest::Approx((losses[0] + losses[1]) / 2 - at.evaluation_loss()).epsilon(1e-13));
  }
}

TEST_CASE("perturbation: without groups, each is a row of its own") {
  susc::draw<model_type> const at(model, center, model.components()[0], evaluation, probes);
  CHECK(susc::groups_of<model_type>(weights_themselves{}, at) == std::vector<susc::index_range>{{0, 1}, {1, 2}});
}
