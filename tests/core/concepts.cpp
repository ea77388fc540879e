#include "susc/core/concepts.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <list>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace {
using susc::component;
template <class T>
using view = std::span<T const>;

// Models.
template <class T>
struct plain {
  using scalar = T;
  using batch = std::vector<T>;
  std::size_t parameter_count() const { return 5; }
  std::size_t example_count(batch const& b) const { return b.size(); }
  void losses(view<T>, batch const&, std::span<T>) const {}
  T loss_and_gradient(view<T>, batch const&, std::span<T>) const { return 0; }
};
struct with_components : plain<float> {
  std::vector<component> components() const { return {{"head", {{0, 2}}}, {"rest", {{2, 5}}}}; }
};

// Not models, each for one reason.
struct integer_scalar : plain<int> {};
struct no_batch {
  using scalar = float;
};
struct signed_count : plain<float> {
  int parameter_count() const { return 5; }
};
struct mutable_losses : plain<float> {
  void losses(view<float>, batch const&, std::span<float>) {}
};
struct other_return : plain<float> {
  double loss_and_gradient(view<float>, batch const&, std::span<float>) const { return 0; }
};

// Components by another route: anything that converts to a vector of components.
struct components_by_reference {
  std::vector<component> const& components() const;
};
struct components_by_conversion {
  struct list {
    operator std::vector<component>() const;
  };
  list components() const;
};
struct names_only {
  std::vector<std::string> components() const;
};
struct other_container {
  std::list<component> components() const;
};
struct mutable_components {
  std::vector<component> components();
};

template <class T>
struct restricted : plain<T> {
  using plain<T>::loss_and_gradient;
  T loss_and_gradient(view<T>, typename plain<T>::batch const&, component const&, std::span<T>) const { return 0; }
};
struct restricted_only {  // a refinement is asked of the members alone
  using scalar = double;
  using batch = int;
  double loss_and_gradient(view<double>, int, component, std::span<double>) const;
};
struct restricted_by_name {
  using scalar = double;
  using batch = int;
  double loss_and_gradient(view<double>, int, std::map<std::string, int> const&, std::span<double>) const;
};
struct restricted_void {
  using scalar = double;
  using batch = int;
  void loss_and_gradient(view<double>, int, component const&, std::span<double>) const;
};

template <class T, class Frozen>
struct freezable : plain<T> {
  using frozen = Frozen;
  using plain<T>::losses;
  Frozen freeze(view<T>, component const&, typename plain<T>::batch const&) const { return {}; }
  void losses(view<T>, Frozen const&, std::span<T>) const {}
};
struct activations {};
struct freezes_something_else : plain<float> {
  using frozen = activations;
  int freeze(view<float>, component const&, batch const&) const;
  void losses(view<float>, frozen const&, std::span<float>) const;
};
struct cannot_use_frozen : plain<float> {
  using frozen = activations;
  frozen freeze(view<float>, component const&, batch const&) const;
};

struct counts : plain<float> {
  double operations(susc::pass, component const&, batch const&) const;
  std::size_t frozen_bytes(component const&, batch const&) const;
  std::size_t workspace_bytes(batch const&) const;
};
struct counts_floats : plain<float> {
  float operations(susc::pass, component const&, batch const&) const;
  std::size_t frozen_bytes(component const&, batch const&) const;
};
struct counts_by_name : plain<float> {
  double operations(std::map<std::string, int>, component const&, batch const&) const;
  std::size_t workspace_bytes(batch const&) const;
};
struct counts_any_batch : plain<double> {
  double operations(auto, component const&, auto const&) const;
  std::size_t frozen_bytes(auto const&...) const;
  std::size_t workspace_bytes(auto const&) const;
};
struct counts_in_bits : plain<float> {
  double operations(susc::pass, component const&, batch const&);
  double frozen_bytes(component const&, batch const&) const;
  std::size_t workspace_bytes(batch const&) const;
};

// Gradients from what was frozen.
template <class T, class Frozen>
struct freezable_gradient : freezable<T, Frozen> {
  using plain_batch = typename plain<T>::batch;
  using freezable<T, Frozen>::freeze;
  using plain<T>::loss_and_gradient;
  void freeze(view<T>, component const&, plain_batch const&, Frozen&) const {}
  T loss_and_gradient(view<T>, Frozen const&, component const&, std::span<T>) const { return 0; }
};
struct freezes_only_into : plain<float> {
  using frozen = activations;
  void losses(view<float>, frozen const&, std::span<float>) const;
  void freeze(view<float>, component const&, batch const&, frozen&) const;
  float loss_and_gradient(view<float>, frozen const&, component const&, std::span<float>) const;
};
struct no_frozen_gradient : freezable<float, activations> {
  using freezable<float, activations>::freeze;
  void freeze(view<float>, component const&, batch const&, frozen&) const;
};
struct frozen_gradient_of_another_type : no_frozen_gradient {
  double loss_and_gradient(view<float>, frozen const&, component const&, std::span<float>) const;
};
struct no_freeze_into : freezable<float, activations> {
  float loss_and_gradient(view<float>, frozen const&, component const&, std::span<float>) const;
};

// Executors.
struct in_order {
  template <class F>
  void operator()(std::size_t tasks, F&& task) const {
    for (std::size_t i = 0; i != tasks; ++i) task(i);
  }
};
struct of_functions {
  void operator()(std::size_t tasks, std::function<void(std::size_t)> const& task) const;
};
auto const backwards = [](std::size_t tasks, auto&& task) {
  while (tasks-- != 0) task(tasks);
};
struct counts_its_workers : in_order {
  unsigned workers() const { return 3; }
};
struct no_tasks {
  void operator()(std::size_t) const;
};
struct mutable_executor {
  template <class F>
  void operator()(std::size_t, F&&);
};
struct swapped_executor {
  template <class F>
  void operator()(F&&, std::size_t) const;
};
struct of_named_tasks {
  void operator()(std::size_t, std::function<void(std::string)> const&) const;
};
struct names_its_workers : in_order {
  std::vector<std::string> workers() const;
};
struct mutable_workers : in_order {
  std::size_t workers();
};

template <class M>
constexpr bool accepted = [] {
  susc::detail::check_refinements<M>();
  return true;
}();
// Models without the optional parts, and with all of them, have no near miss; tests/compile_fail has those that do.
static_assert(accepted<plain<float>> && accepted<with_components> && accepted<restricted<double>>);
static_assert(accepted<freezable<float, activations>> && accepted<freezable_gradient<double, activations>>);
static_assert(accepted<counts> && accepted<counts_any_batch>);

static_assert(susc::Model<plain<float>>);
static_assert(susc::Model<plain<double>>);
static_assert(susc::Model<with_components>);
static_assert(!susc::Model<int>);
static_assert(!susc::Model<integer_scalar>);
static_assert(!susc::Model<no_batch>);
static_assert(!susc::Model<signed_count>);
static_assert(!susc::Model<mutable_losses>);
static_assert(!susc::Model<other_return>);

static_assert(susc::HasComponents<with_components>);
static_assert(susc::HasComponents<components_by_reference>);
static_assert(susc::HasComponents<components_by_conversion>);
static_assert(!susc::HasComponents<plain<float>>);
static_assert(!susc::HasComponents<names_only>);
static_assert(!susc::HasComponents<other_container>);
static_assert(!susc::HasComponents<mutable_components>);

static_assert(susc::RestrictedModel<restricted<float>> && susc::Model<restricted<float>>);
static_assert(susc::RestrictedModel<restricted<double>> && susc::Model<restricted<double>>);
static_assert(susc::RestrictedModel<restricted_only>);
static_assert(!susc::RestrictedModel<plain<float>>);
static_assert(!susc::RestrictedModel<restricted_by_name>);
static_assert(!susc::RestrictedModel<restricted_void>);

static_assert(susc::FreezableModel<freezable<float, activations>> && susc::Model<freezable<float, activations>>);
static_assert(susc::FreezableModel<freezable<double, activations>>);
static_assert(susc::FreezableModel<freezable<float, std::map<int, float>>>);
static_assert(!susc::FreezableModel<plain<float>>);
static_assert(!susc::FreezableModel<freezes_something_else>);
static_assert(!susc::FreezableModel<cannot_use_frozen>);

static_assert(susc::FreezableGradientModel<freezable_gradient<float, activations>>);
static_assert(susc::FreezableGradientModel<freezable_gradient<double, activations>>);
static_assert(susc::FreezableGradientModel<freezable_gradient<float, std::map<int, float>>>);
static_assert(!susc::FreezableGradientModel<freezable<float, activations>>);
static_assert(!susc::FreezableGradientModel<freezes_only_into> && !susc::FreezableGradientModel<no_frozen_gradient>);
static_assert(!susc::FreezableGradientModel<frozen_gradient_of_another_type>);
static_assert(!susc::FreezableGradientModel<no_freeze_into>);

static_assert(susc::Executor<in_order> && susc::Executor<of_functions> && susc::Executor<decltype(backwards)>);
static_assert(susc::Executor<counts_its_workers>);
static_assert(!susc::Executor<no_tasks> && !susc::Executor<mutable_executor> && !susc::Executor<swapped_executor>);
static_assert(!susc::Executor<of_named_tasks> && !susc::Executor<names_its_workers>);
static_assert(!susc::Executor<mutable_workers> && !susc::Executor<int>);

static_assert(susc::CountsOperations<counts> && susc::CountsBytes<counts>);
static_assert(susc::CountsOperations<counts_any_batch> && susc::CountsBytes<counts_any_batch>);
static_assert(!susc::CountsOperations<counts_in_bits> && !susc::CountsBytes<counts_in_bits>);
static_assert(!susc::CountsOperations<plain<float>> && !susc::CountsBytes<plain<float>>);
static_assert(!susc::CountsOperations<counts_floats> && !susc::CountsBytes<counts_floats>);
static_assert(!susc::CountsOperations<counts_by_name> && !susc::CountsBytes<counts_by_name>);
}  // namespace

TEST_CASE("components_of: the model's own names, or else full alone") {
  CHECK(susc::components_of(with_components{}) == with_components{}.components());
  CHECK(susc::components_of(plain<double>{}) == std::vector{susc::full_component(5)});
}

TEST_CASE("concepts: an executor may be a lambda") {
  std::vector<std::size_t> order;
  backwards(3, [&](std::size_t task) { order.push_back(task); });
  CHECK(order == std::vector<std::size_t>{2, 1, 0});
}
