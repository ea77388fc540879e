#include "susc/core/component.hpp"

#include <doctest/doctest.h>

#include <span>
#include <string>
#include <vector>

namespace {
std::vector<susc::index_range> ranges_of(susc::component const& c) {
  return {c.ranges().begin(), c.ranges().end()};
}
std::vector<susc::component> const heads{{"l0h0", {{0, 4}}}, {"l0h1", {{4, 8}}}, {"l1h0", {{12, 16}, {20, 21}}}};
}  // namespace

TEST_CASE("component: ranges are sorted, joined where they touch or overlap, and empty ones dropped") {
  susc::component const c("c", {{10, 12}, {5, 5}, {0, 2}, {2, 4}, {11, 15}, {12, 13}});
  CHECK(ranges_of(c) == std::vector<susc::index_range>{{0, 4}, {10, 15}});
  CHECK(c.size() == 9);
  CHECK(c.name() == "c");
}

TEST_CASE("component: refuses what selects nothing or has no name") {
  CHECK_THROWS_WITH_AS(susc::component("", {{0, 1}}), "a component needs a name", susc::error);
  CHECK_THROWS_WITH_AS(susc::component("c", {}), "component 'c' selects no weights", susc::error);
  CHECK_THROWS_WITH_AS(susc::component("c", {{3, 3}}), "component 'c' selects no weights", susc::error);
  CHECK_THROWS_WITH_AS(susc::component("c", {{3, 2}}), "component 'c': range [3, 2) ends before it begins",
                       susc::error);
}

TEST_CASE("gather and scatter: the selected coordinates, and no others") {
  susc::component const c("c", {{1, 3}, {5, 6}});
  std::vector<double> const w{0, 1, 2, 3, 4, 5, 6};
  std::vector<double> selected(c.size());
  c.gather<double>(w, selected);
  CHECK(selected == std::vector<double>{1, 2, 5});

  std::vector<double> const changed{10, 20, 50};
  std::vector<double> all(w);
  c.scatter<double>(changed, all);
  CHECK(all == std::vector<double>{0, 10, 20, 3, 4, 50, 6});
}

TEST_CASE("full_component: every coordinate, under the name full") {
  susc::component const full = susc::full_component(7);
  CHECK(full.name() == "full");
  CHECK(ranges_of(full) == std::vector<susc::index_range>{{0, 7}});
}

TEST_CASE("find_component: one name, or a union joined by +") {
  CHECK(susc::find_component(heads, "l0h1") == heads[1]);
  susc::component const both = susc::find_component(heads, "l1h0+l0h0+l0h1");
  CHECK(both.name() == "l1h0+l0h0+l0h1");
  CHECK(ranges_of(both) == std::vector<susc::index_range>{{0, 8}, {12, 16}, {20, 21}});
  CHECK(both.size() == 13);
}

TEST_CASE("find_component: an unknown name throws with the nearest valid ones first") {
  CHECK_THROWS_WITH_AS(susc::find_component(heads, "l1h7"),
                       "unknown component 'l1h7'; nearest valid names: l1h0, l0h0, l0h1", susc::error);
  CHECK_THROWS_WITH_AS(susc::find_component(heads, "l0h0+embed"), doctest::Contains("unknown component 'embed'"),
                       susc::error);
  CHECK_THROWS_AS(susc::find_component(heads, "l0h0+"), susc::error);
  CHECK_THROWS_AS(susc::find_component(heads, ""), susc::error);
}

TEST_CASE("edit_distance: Levenshtein") {
  CHECK(susc::detail::edit_distance("kitten", "sitting") == 3);
  CHECK(susc::detail::edit_distance("", "abc") == 3);
  CHECK(susc::detail::edit_distance("abc", "") == 3);
  CHECK(susc::detail::edit_distance("abc", "abc") == 0);
  CHECK(susc::detail::edit_distance("ab", "ba") == 2);
}
