#include "susc/sampling/visitor.hpp"

#include <doctest/doctest.h>

#include <span>
#include <string>
#include <vector>

#include "susc/models/monomial.hpp"
#include "susc/sampling/chains.hpp"

namespace {

using model_type = susc::monomial<double>;
using draw = susc::draw<model_type>;

/// Writes down every call; `evaluations` counts those of the model through the draw.
struct recorder {
  std::string name;
  std::vector<std::string> calls = {};
  std::vector<double> losses = {};
  void start(draw const& center, susc::draw_counts counts) {
    calls = {name + " start " + std::to_string(counts.draws) + " " + std::to_string(counts.chains) + " " +
             std::to_string(counts.chain)};
    losses = {center.evaluation_loss()};
  }
  void add(draw const& at) {
    calls.push_back(name + " add");
    losses.push_back(at.evaluation_loss());
  }
  void merge(recorder const& other) {
    calls.insert(calls.end(), other.calls.begin(), other.calls.end());
    losses.insert(losses.end(), other.losses.begin(), other.losses.end());
  }
};

/// Another type, for any model.
struct counter {
  std::size_t starts = 0, adds = 0;
  template <susc::Model M>
  void start(susc::draw<M> const&, susc::draw_counts) {
    ++starts;
  }
  template <susc::Model M>
  void add(susc::draw<M> const&) {
    ++adds;
  }
  void merge(counter const& other) { starts += other.starts, adds += other.adds; }
};

struct without_start {
  void add(draw const&);
  void merge(without_start const&);
};
struct start_without_counts {
  void start(draw const&);
  void add(draw const&);
  void merge(start_without_counts const&);
};
struct without_add {
  void start(draw const&, susc::draw_counts);
  void merge(without_add const&);
};
struct without_merge {
  void start(draw const&, susc::draw_counts);
  void add(draw const&);
};
struct add_that_changes_the_draw {
  void start(draw const&, susc::draw_counts);
  void add(draw&);
  void merge(add_that_changes_the_draw const&);
};

struct names_its_bytes : counter {
  void* bytes() const;
};
struct counts_bytes_once : counter {
  std::size_t bytes();
};
static_assert(!susc::Visitor<names_its_bytes, model_type> && !susc::Visitor<counts_bytes_once, model_type>);
static_assert(susc::Visitor<recorder, model_type>);
static_assert(susc::Visitor<counter, model_type> && susc::Visitor<counter, susc::monomial<float>>);
static_assert(susc::Visitor<susc::visitors<recorder, counter>, model_type>);
static_assert(susc::Visitor<susc::visitors<susc::visitors<recorder>, counter>, model_type>);
static_assert(susc::Visitor<susc::visitors<>, model_type>);
static_assert(!susc::Visitor<recorder, susc::monomial<float>>);  // of another model
static_assert(!susc::Visitor<counter, int>);                     // of no model
static_assert(!susc::Visitor<without_start, model_type> && !susc::Visitor<start_without_counts, model_type>);
static_assert(!susc::Visitor<without_add, model_type> && !susc::Visitor<without_merge, model_type>);
static_assert(!susc::Visitor<add_that_changes_the_draw, model_type>);

}  // namespace

TEST_CASE("visitors: start, add and merge reach each visitor, once and in order, in one pass over the chains") {
  model_type const model({2, 4});
  susc::sampling_options<> const options{
      .posterior = {.n_beta = 1, .localization = 1}, .sampler = {.1}, .chains = 2, .draws = 3, .batch_size = 1};
  susc::data_distribution const data{model_type::batch{},
                                     [](std::size_t, susc::random::key) { return model_type::batch{}; }};
  std::vector<double> const center{.5, .25};
  auto const plan = susc::plan_sampling(model, options);
  auto const run = [&](auto const& visitor) {
    return susc::run_chains(model, center, data, {}, plan.components, options, visitor, susc::sequential{});
  };
  auto const together = run(susc::visitors(recorder{"a"}, counter{}, recorder{"b"}));
  auto const alone = run(recorder{"a"});
  REQUIRE(together.size() == 3);
  for (std::size_t c = 0; c != 3; ++c) {
    auto const merged = together[c].merged();
    REQUIRE(merged.has_value());
    auto const& [a, count, b] = merged->each;
    CHECK(a.calls == std::vector<std::string>{"a start 3 2 0", "a add", "a add", "a add", "a start 3 2 1", "a add",
                                              "a add", "a add"});
    CHECK(b.calls.size() == a.calls.size());
    CHECK(b.calls[4] == "b start 3 2 1");
    CHECK(count.starts == 2);
    CHECK(count.adds == 6);
    // Each sees the same draws, those of a run for it alone.
    CHECK(a.losses == b.losses);
    CHECK(a.losses == alone[c].merged()->losses);
    CHECK(a.losses[1] != a.losses[2]);
  }
}

TEST_CASE("visitors: no visitor at all is one too") {
  model_type const model({2});
  susc::sampling_options<> const options{
      .posterior = {.n_beta = 1, .localization = 1}, .sampler = {.1}, .chains = 2, .draws = 3, .batch_size = 1};
  susc::data_distribution const data{model_type::batch{},
                                     [](std::size_t, susc::random::key) { return model_type::batch{}; }};
  auto const chains = susc::run_chains(model, std::vector<double>{.5}, data, {},
                                       susc::plan_sampling(model, options).components, options, susc::visitors());
  CHECK(chains[0].outcomes[1].draws == 3);
  CHECK(chains[0].merged().has_value());
}
