#include "susc/core/near_misses.hpp"

#include <doctest/doctest.h>

#include <span>
#include <vector>

namespace {
using namespace susc::detail;

struct nothing {};
struct function {
  int components() const;
  int Components() const;
};
struct overloaded {
  void components();
  int components(int) const;
};
struct templated {
  template <class T>
  void components(T);
};
struct data {
  int components;
};
struct type {
  using components = int;
};
class hidden {
  [[maybe_unused]] int components();
};
struct distributes {
  void distribute(int);
};
struct inherited : data, nothing {};
struct abstract {
  virtual ~abstract() = default;
  virtual void components() = 0;
};
struct not_default_constructible {
  int& reference;
  void freeze(int);
};
struct last final {
  int components;
};
union either {
  int components;
};

static_assert(names_components<function> && names_components<overloaded> && names_components<templated>);
static_assert(names_components<data> && names_components<type> && names_components<hidden>);
static_assert(names_components<inherited> && names_components<abstract>);
static_assert(names_freeze<not_default_constructible>);
static_assert(names_distribute<distributes> && !names_distribute<nothing> && !names_distribute<function>);
static_assert(!names_components<nothing> && !names_components<not_default_constructible> && !names_components<int>);
static_assert(!names_freeze<function> && !names_operations<function> && !names_frozen_bytes<function>);
static_assert(!names_components<last> && !names_components<either>);  // not known of these

// Calls: anything that looks like the optional part, so also what is right.
struct model {
  using scalar = float;
  using batch = std::vector<float>;
  using frozen = std::vector<int>;
};
using view = std::span<float const>;
struct right : model {
  float loss_and_gradient(view, batch const&, susc::component const&, std::span<float>) const;
};
struct wrong_return : model {
  void loss_and_gradient(view, batch const&, susc::component const&, std::span<float>) const;
};
struct mutable_arguments : model {
  float loss_and_gradient(std::span<float>, batch&, susc::component&, std::span<float>);
};
struct swapped : model {
  float loss_and_gradient(view, susc::component const&, batch const&, std::span<float>) const;
};
struct plain : model {
  float loss_and_gradient(view, batch const&, std::span<float>) const;
};
struct other_four : model {
  float loss_and_gradient(view, batch const&, std::span<float>, int) const;
};
static_assert(calls_restricted_gradient<right> && calls_restricted_gradient<wrong_return>);
static_assert(calls_restricted_gradient<mutable_arguments> && calls_restricted_gradient<swapped>);
static_assert(!calls_restricted_gradient<plain> && !calls_restricted_gradient<other_four>);
static_assert(!calls_restricted_gradient<model> && !calls_restricted_gradient<int>);

struct into : model {
  int freeze(view, susc::component const&, batch const&, frozen&);
};
struct by_value : model {
  frozen freeze(view, susc::component const&, batch const&);
};
static_assert(calls_freeze_into<into> && !calls_freeze_into<by_value> && !calls_freeze_into<model>);

struct from_frozen : model {
  void loss_and_gradient(view, frozen const&, susc::component const&, std::span<float>);
};
struct frozen_is_a_batch : right {
  using frozen = batch;
};
static_assert(calls_frozen_gradient<from_frozen> && !calls_frozen_gradient<right>);
static_assert(!calls_frozen_gradient<frozen_is_a_batch> && !calls_frozen_gradient<plain>);
}  // namespace

TEST_CASE("near_misses: the static assertions above") {
  CHECK(names_components<function>);
}
