#include "susc/structure/token_clusters.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "susc/core/random.hpp"
#include "susc/sampling/executor.hpp"
#include "susc/structure/local_cluster.hpp"
#include "susc/structure/neighbour_graph.hpp"
#include "susc/structure/principal_components.hpp"

namespace {
using susc::cluster;
using susc::cluster_options;
using susc::find_clusters;

constexpr std::size_t points = 1500, dimensions = 8, groups = 5, group = 100;

/// Rows 0 to 499: five groups of a hundred, each about a centre far out; the rest: one cloud.
xt::xtensor<double, 2> planted() {
  susc::random::stream draw({3});
  auto x = xt::xtensor<double, 2>::from_shape({points, dimensions});
  for (double& v : x) v = draw.normal();
  for (std::size_t g = 0; g != groups; ++g)
    for (std::size_t i = 0; i != group; ++i) {
      x(g * group + i, g) += 12;
      x(g * group + i, g + 1) -= 12;
    }
  return x;
}
susc::neighbour_graph graph_about(xt::xtensor<double, 2> const& x) {
  return susc::graph_of(susc::nearest_neighbours(x, 15));
}
}  // namespace

TEST_CASE("whitened: uncorrelated columns of variance one, without modes of rounding") {
  susc::random::stream draw({1});
  auto x = xt::xtensor<double, 2>::from_shape({400, 4});
  for (std::size_t i = 0; i != 400; ++i) {
    for (std::size_t d = 0; d != 3; ++d) x(i, d) = draw.normal() * static_cast<double>(1 + d);
    x(i, 1) += x(i, 0);
    x(i, 3) = x(i, 2);  // rank 3
  }
  auto const modes = susc::principal_components(x);
  auto const w = susc::whitened(modes, 4);
  REQUIRE(w.shape(1) == 3);
  CHECK(susc::whitened(modes, 2).shape(1) == 2);
  for (std::size_t a = 0; a != 3; ++a)
    for (std::size_t b = 0; b != 3; ++b) {
      double product = 0;
      for (std::size_t i = 0; i != 400; ++i) product += w(i, a) * w(i, b) / 400;
      CHECK(product == doctest::Approx(a == b).epsilon(1e-9));
    }
}

TEST_CASE("clusters: planted groups are found, each alone and with all of its points") {
  auto const x = planted();
  auto const graph = graph_about(x);
  auto const found = find_clusters(graph, {.highest_conductance = .1});
  REQUIRE(found.size() == groups);
  std::set<std::size_t> seen;
  for (cluster const& each : found) {
    seen.insert(each.members.front() / group);
    CHECK(each.members.size() == group);
    for (std::uint32_t const v : each.members) CHECK(v / group == each.members.front() / group);
    CHECK(each.conductance == susc::conductance(graph, each.members));
  }
  CHECK(seen.size() == groups);
  CHECK(std::is_sorted(found.begin(), found.end(), [](auto& a, auto& b) { return a.conductance < b.conductance; }));
}

TEST_CASE("clusters: points without structure have none as good") {
  double const chance = susc::structureless_conductance(points, dimensions, {.seeds = 500});
  CHECK(chance > .35);
  CHECK(chance < .8);
  CHECK(find_clusters(graph_about(planted()), {.highest_conductance = .75 * chance, .seeds = 500}).size() == groups);
  CHECK(chance == susc::structureless_conductance(points, dimensions, {.seeds = 500}, susc::sequential{}));
  CHECK(chance != susc::structureless_conductance(points, dimensions, {.seeds = 500, .key = {1}}));
}

TEST_CASE("clusters: no point in two, sizes as asked, the same for any executor, few seeds are enough") {
  auto const graph = graph_about(planted());
  cluster_options options{.smallest = 12, .largest = 60, .highest_conductance = .9};
  auto const found = find_clusters(graph, options, susc::threads{3});
  REQUIRE(found.size() > 10);
  std::set<std::uint32_t> seen;
  for (cluster const& each : found) {
    CHECK(each.members.size() >= 12);
    CHECK(each.members.size() <= 60);
    CHECK(each.conductance <= .9);
    for (std::uint32_t const v : each.members) CHECK(seen.insert(v).second);
  }
  auto const again = find_clusters(graph, options, susc::sequential{});
  REQUIRE(again.size() == found.size());
  for (std::size_t i = 0; i != found.size(); ++i) {
    CHECK(again[i].members == found[i].members);
    CHECK(again[i].conductance == found[i].conductance);
  }
  // 300 of 1500 points: each group is missed with probability .8^100.
  CHECK(find_clusters(graph, {.highest_conductance = .1, .seeds = 300}).size() == groups);
}

TEST_CASE("clusters: what could find none is refused") {
  auto const graph = graph_about(planted());
  auto const refused = [&](cluster_options const& options, char const* why) {
    CHECK_THROWS_WITH_AS(find_clusters(graph, options), doctest::Contains(why), susc::error);
  };
  refused({.smallest = 0}, "clusters of at least 0 points, must be at least 1");
  refused({.smallest = 30, .largest = 20}, "clusters of 30 to 20 of 1500 points");
  refused({.highest_conductance = std::numeric_limits<double>::quiet_NaN()}, "conductance of a cluster is nan");
  CHECK_THROWS_WITH_AS(susc::structureless_conductance(99, 4), doctest::Contains("clusters of 10 to 9 of 99 points"),
                       susc::error);
}

TEST_CASE("clusters: shuffled columns keep what each column does, and lose what columns do together") {
  susc::random::stream draw({5});
  auto normal = xt::xtensor<double, 2>::from_shape({1000, dimensions}), tailed = normal, bound = normal;
  for (std::size_t i = 0; i != 1000; ++i) {
    double const common = draw.normal();
    for (std::size_t d = 0; d != dimensions; ++d) {
      normal(i, d) = draw.normal();
      tailed(i, d) = normal(i, d) * normal(i, d) * normal(i, d);
      bound(i, d) = common + .1 * normal(i, d);
    }
  }
  cluster_options const options{.seeds = 300};
  double const chance = susc::structureless_conductance(1000, dimensions, options);
  // Between two draws of the points it differs by a few per cent (docs/method.md).
  auto const near = [&](double x) { return x > .85 * chance && x < 1.15 * chance; };
  CHECK(near(susc::shuffled_conductance(normal, options)));
  CHECK(near(susc::shuffled_conductance(bound, options)));
  CHECK(find_clusters(graph_about(bound), {.highest_conductance = .5 * chance, .seeds = 300}).size() > 2);
  double const tails = susc::shuffled_conductance(tailed, options);
  CHECK(tails < .75 * chance);
  CHECK(tails == susc::shuffled_conductance(tailed, options, susc::sequential{}));
}
