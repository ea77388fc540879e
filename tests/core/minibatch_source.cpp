#include "susc/core/minibatch_source.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <vector>

namespace {
using batch = std::vector<double>;
using susc::random::key;

auto const gives = [](std::size_t size, key) { return batch(size); };
auto const gives_the_same = [kept = batch{1}](std::size_t, key) -> batch const& { return kept; };
using from_function = std::function<batch(std::size_t, key)>;
auto const refills = [](std::size_t size, key, batch& to) { to.resize(size); };
auto const refills_any = [](std::size_t size, key, auto& to) { to.resize(size); };
struct refills_and_counts {
  std::size_t operator()(std::size_t size, key, batch& to) const { return to.resize(size), size; }
};
struct both {
  batch operator()(std::size_t size, key) const { return batch(size); }
  void operator()(std::size_t size, key, batch& to) const { to.resize(size); }
};

struct gives_another_type {
  std::vector<float> operator()(std::size_t, key) const;
};
struct gives_what_converts {
  struct view {
    operator batch() const;
  };
  view operator()(std::size_t, key) const;
};
struct gives_nothing {
  void operator()(std::size_t, key) const;
};
struct not_const {
  batch operator()(std::size_t, key);
};
struct without_key {
  batch operator()(std::size_t) const;
};
struct refills_not_const {
  void operator()(std::size_t, key, batch&);
};
struct refills_another_type {
  void operator()(std::size_t, key, std::vector<float>&) const;
};
struct refills_without_key {
  void operator()(std::size_t, batch&) const;
};

template <class F>
constexpr bool given = susc::GivesMinibatches<F, batch>;
template <class F>
constexpr bool refilled = susc::RefillsMinibatches<F, batch>;
template <class F>
constexpr bool source = susc::MinibatchSource<F, batch>;

static_assert(given<decltype(gives)> && given<decltype(gives_the_same)> && given<from_function> && given<both>);
static_assert(!given<gives_another_type> && !given<gives_what_converts> && !given<gives_nothing>);
static_assert(!given<not_const> && !given<without_key> && !given<decltype(refills)> && !given<int>);

static_assert(refilled<decltype(refills)> && refilled<decltype(refills_any)> && refilled<refills_and_counts>);
static_assert(refilled<both> && !refilled<decltype(gives)>);
static_assert(!refilled<refills_not_const> && !refilled<refills_another_type> && !refilled<refills_without_key>);

static_assert(source<decltype(gives)> && source<decltype(refills)> && source<both> && source<from_function>);
static_assert(!source<gives_what_converts> && !source<not_const> && !source<refills_another_type>);
static_assert(!source<without_key> && !source<refills_without_key> && !source<int>);
}  // namespace

TEST_CASE("minibatch_source: the static assertions above") {
  CHECK(source<decltype(gives)>);
  batch refilled_one;
  refills(2, key{1}, refilled_one);
  CHECK(refilled_one.size() == 2);
  refills_any(3, key{1}, refilled_one);
  CHECK(refilled_one.size() == gives(3, key{1}).size());
}
