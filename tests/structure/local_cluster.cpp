#include "susc/structure/local_cluster.hpp"

#include <doctest/doctest.h>
#include <Eigen/LU>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "susc/core/random.hpp"
#include "susc/structure/neighbour_graph.hpp"

namespace {
using susc::conductance;
using susc::neighbour_graph;
using susc::page_rank;
using susc::page_rank_options;
using susc::page_rank_workspace;
using susc::ranked_node;

/// Edges between nodes drawn at random, the first few more densely.
neighbour_graph random_graph(std::size_t nodes) {
  susc::random::stream draw({5});
  auto nearest = xt::xtensor<std::uint32_t, 2>::from_shape({nodes, 4});
  for (std::size_t i = 0; i != nodes; ++i)
    for (std::size_t k = 0; k != 4; ++k) {
      std::size_t const range = k < 3 && i < nodes / 3 ? nodes / 3 : nodes;
      std::size_t j = i;
      while (j == i) j = draw.below(range);
      nearest(i, k) = static_cast<std::uint32_t>(j);
    }
  return susc::graph_of(nearest);
}

/// r = teleport e_seed + (1 - teleport) W^T r, solved.
Eigen::VectorXd exact_page_rank(neighbour_graph const& graph, std::size_t seed, double teleport) {
  auto const n = static_cast<Eigen::Index>(graph.nodes());
  Eigen::MatrixXd system = Eigen::MatrixXd::Identity(n, n);
  for (std::size_t v = 0; v != graph.nodes(); ++v)
    for (std::uint32_t const u : graph.neighbours(v))
      system(u, static_cast<Eigen::Index>(v)) -= (1 - teleport) / static_cast<double>(graph.degree(v));
  Eigen::VectorXd jump = Eigen::VectorXd::Zero(n);
  jump(static_cast<Eigen::Index>(seed)) = teleport;
  return system.partialPivLu().solve(jump);
}

/// Two complete graphs of `size` nodes, joined by one edge.
neighbour_graph dumbbell(std::size_t size) {
  neighbour_graph graph;
  for (std::size_t v = 0; v != 2 * size; ++v) {
    for (std::size_t u = 0; u != 2 * size; ++u)
      if (u != v && (u / size == v / size || (u + v == 2 * size - 1 && std::max(u, v) == size)))
        graph.neighbour.push_back(static_cast<std::uint32_t>(u));
    graph.begin.push_back(graph.neighbour.size());
  }
  return graph;
}
}  // namespace

TEST_CASE("conductance: by hand") {
  neighbour_graph const graph = dumbbell(4);  // 6 + 6 + 1 edges
  REQUIRE(graph.neighbour.size() == 26);
  CHECK(conductance(graph, std::vector<std::uint32_t>{0, 1, 2, 3}) == doctest::Approx(1. / 13));
  CHECK(conductance(graph, std::vector<std::uint32_t>{4, 5, 6, 7}) == doctest::Approx(1. / 13));
  CHECK(conductance(graph, std::vector<std::uint32_t>{0}) == 1);
  CHECK(conductance(graph, std::vector<std::uint32_t>{0, 1}) == doctest::Approx(4. / 6));
  CHECK(conductance(graph, std::vector<std::uint32_t>{0, 1, 2, 3, 4}) == doctest::Approx(3. / 9));  // of the rest
  CHECK(conductance(graph, std::vector<std::uint32_t>{}) == 1);
  CHECK(conductance(graph, std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6, 7}) == 1);
  CHECK_THROWS_AS(conductance(graph, std::vector<std::uint32_t>{0, 0}), susc::error);
  CHECK_THROWS_AS(conductance(graph, std::vector<std::uint32_t>{8}), susc::error);
}

TEST_CASE("page rank: within its bound of the exact one, below it, and ordered") {
  neighbour_graph const graph = random_graph(300);
  page_rank_workspace work;  // one for all: what a call leaves behind would show in the next
  for (double const teleport : {.05, .1, .5})
    for (double const tolerance : {1e-2, 1e-4, 1e-7})
      for (std::size_t const seed : {0, 7, 299}) {
        CAPTURE(teleport);
        CAPTURE(tolerance);
        auto const exact = exact_page_rank(graph, seed, teleport);
        auto const found = page_rank(graph, seed, page_rank_options{teleport, tolerance}, work);
        std::vector<double> rank(graph.nodes());
        for (ranked_node const& each : found)
          rank[each.node] = each.rank * static_cast<double>(graph.degree(each.node));
        double largest = 0;  // over tolerance and degree
        for (std::size_t v = 0; v != graph.nodes(); ++v) {
          double const short_of = exact(static_cast<Eigen::Index>(v)) - rank[v];
          CHECK(short_of >= -1e-12);
          largest = std::max(largest, short_of / tolerance / static_cast<double>(graph.degree(v)));
        }
        CHECK(largest <= 1);
        CHECK(largest > .01);  // no more work than asked for
        CHECK(std::is_sorted(found.begin(), found.end(), [](auto const& a, auto const& b) { return a.rank > b.rank; }));
      }
  CHECK_THROWS_WITH_AS(page_rank(graph, 300, {}, work), doctest::Contains("seed 300"), susc::error);
  CHECK_THROWS_WITH_AS(page_rank(graph, 0, {.teleport = 1}, work), doctest::Contains("teleport is 1"), susc::error);
  CHECK_THROWS_WITH_AS(page_rank(graph, 0, {.tolerance = 0}, work), doctest::Contains("tolerance is 0"), susc::error);
}

TEST_CASE("sweep: the first nodes of least conductance, as counted one by one") {
  neighbour_graph const graph = random_graph(300);
  page_rank_workspace work;
  for (std::size_t const seed : {3, 50, 200}) {
    auto const ranking = page_rank(graph, seed, {.tolerance = 1e-6}, work);
    std::vector<double> each{1};  // of the first n nodes
    std::vector<std::uint32_t> first;
    for (ranked_node const& next : ranking) {
      first.push_back(next.node);
      each.push_back(conductance(graph, first));
    }
    for (auto const& [smallest, largest] : {std::pair<std::size_t, std::size_t>{1, 300}, {20, 60}, {5, 5}}) {
      auto const best =
          std::min_element(each.begin() + static_cast<std::ptrdiff_t>(smallest),
                           each.begin() + static_cast<std::ptrdiff_t>(std::min(largest + 1, each.size())));
      auto const found = susc::best_sweep(graph, ranking, smallest, largest, work);
      CHECK(found.size == static_cast<std::size_t>(best - each.begin()));
      CHECK(found.conductance == *best);
    }
    auto const none = susc::best_sweep(graph, std::span(ranking).first(3), 4, 9, work);
    CHECK(none.size == 0);
    CHECK(none.conductance == 1);
  }
}

TEST_CASE("sweep: one half of a dumbbell is found from within") {
  neighbour_graph const graph = dumbbell(10);
  page_rank_workspace work;
  for (std::size_t const seed : {0, 9, 10, 15}) {
    auto const ranking = page_rank(graph, seed, {}, work);
    auto const found = susc::best_sweep(graph, ranking, 2, 20, work);
    REQUIRE(found.size == 10);
    for (std::size_t i = 0; i != 10; ++i) CHECK(ranking[i].node / 10 == seed / 10);
    CHECK(found.conductance == doctest::Approx(1. / 91));
  }
}
