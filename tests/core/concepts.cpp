#include "susc/core/concepts.hpp"

#include <doctest/doctest.h>

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

static_assert(susc::CountsOperations<counts> && susc::CountsBytes<counts>);
static_assert(!susc::CountsOperations<plain<float>> && !susc::CountsBytes<plain<float>>);
static_assert(!susc::CountsOperations<counts_floats> && !susc::CountsBytes<counts_floats>);
static_assert(!susc::CountsOperations<counts_by_name> && !susc::CountsBytes<counts_by_name>);
}  // namespace

TEST_CASE("components_of: the model's own names, or else full alone") {
  CHECK(susc::components_of(with_components{}) == with_components{}.components());
  CHECK(susc::components_of(plain<double>{}) == std::vector{susc::full_component(5)});
}
