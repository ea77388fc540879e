#include "susc/response/observable.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "susc/models/quadratic.hpp"
#include "susc/response/perturbation.hpp"

namespace {
using model_type = susc::quadratic<double>;
struct no_observable {};
struct last_weight {
  double value(susc::draw<model_type> const& at) const { return at.weights().back(); }
};
static_assert(susc::Observable<susc::component_loss, model_type> && susc::Observable<last_weight, model_type>);
struct of_any_draw {
  float value(auto const& at) const { return static_cast<float>(at.weights()[0]); }
};
struct of_a_mutable_draw {
  double value(susc::draw<model_type>&) const;
};
struct not_a_number {
  std::vector<double> value(susc::draw<model_type> const&) const;
};
static_assert(susc::Observable<of_any_draw, model_type> && susc::Observable<of_any_draw, susc::quadratic<float>>);
static_assert(!susc::Observable<last_weight, susc::quadratic<float>>);  // of another model
static_assert(!susc::Observable<of_a_mutable_draw, model_type> && !susc::Observable<not_a_number, model_type>);
// An observable and a perturbation cannot be swapped.
static_assert(!susc::Observable<no_observable, model_type> && !susc::Observable<susc::example_reweighting, model_type>);
}  // namespace

TEST_CASE("observable: a component's loss is L(w) - L(w*) on the evaluation set") {
  std::vector<double> const center{1, 2}, w{2, 0};
  // L = 5 + ½ (d0² + 3 d1²) and 7 + d0: means 6 at w*, and at w, with d = (1, -2): (11.5 + 8) / 2.
  model_type const model(center, {{5, {0, 0}, {1, 0, 0, 3}}, {7, {1, 0}, {0, 0, 0, 0}}, {100, {9, 9}, {0, 0, 0, 0}}});
  std::vector<std::size_t> const evaluation{0, 1};
  std::vector<susc::probe<std::vector<std::size_t>>> const probes{{"not the evaluation set", {2}}};
  susc::draw<model_type> at(model, center, model.components()[0], evaluation, probes);
  CHECK(susc::component_loss{}.value(at) == 0);
  at.move_to(w);
  CHECK(susc::component_loss{}.value(at) == 9.75 - 6);
  CHECK(last_weight{}.value(at) == 0);
}
