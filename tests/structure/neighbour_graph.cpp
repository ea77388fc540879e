#include "susc/structure/neighbour_graph.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "susc/core/random.hpp"
#include "susc/sampling/executor.hpp"

namespace {
using susc::graph_of;
using susc::nearest_neighbours;
using susc::neighbour_graph;

xt::xtensor<double, 2> cloud(std::size_t points, std::size_t dimensions, double offset = 0) {
  susc::random::stream draw({17});
  auto x = xt::xtensor<double, 2>::from_shape({points, dimensions});
  for (double& v : x) v = offset + draw.normal();
  return x;
}

/// By the definition.
xt::xtensor<std::uint32_t, 2> reference(xt::xtensor<double, 2> const& x, std::size_t count) {
  auto nearest = xt::xtensor<std::uint32_t, 2>::from_shape({x.shape(0), count});
  for (std::size_t i = 0; i != x.shape(0); ++i) {
    std::vector<std::pair<double, std::uint32_t>> others;
    for (std::size_t j = 0; j != x.shape(0); ++j) {
      double squares = 0;
      for (std::size_t d = 0; d != x.shape(1); ++d) squares += (x(i, d) - x(j, d)) * (x(i, d) - x(j, d));
      if (j != i) others.emplace_back(squares, static_cast<std::uint32_t>(j));
    }
    std::sort(others.begin(), others.end());
    for (std::size_t k = 0; k != count; ++k) nearest(i, k) = others[k].second;
  }
  return nearest;
}
}  // namespace

TEST_CASE("nearest neighbours: those of the definition, for sizes around the blocks") {
  struct size {
    std::size_t points, dimensions, count;
  };
  for (size const& s :
       {size{2, 1, 1}, size{31, 3, 30}, size{33, 16, 5}, size{1024, 2, 7}, size{1100, 16, 15}, size{2049, 5, 1}}) {
    CAPTURE(s.points);
    auto const x = cloud(s.points, s.dimensions);
    CHECK(nearest_neighbours(x, s.count) == reference(x, s.count));
  }
  CHECK(nearest_neighbours(cloud(300, 4, 1e6), 9) == reference(cloud(300, 4, 1e6), 9));  // far from the origin
}

TEST_CASE("nearest neighbours: of equally near points the earlier, and any executor") {
  xt::xtensor<double, 2> const line{{0}, {1}, {2}, {3}, {-6}};  // of mean zero
  CHECK(nearest_neighbours(line, 2) == xt::xtensor<std::uint32_t, 2>{{1, 2}, {0, 2}, {1, 3}, {2, 1}, {0, 1}});
  auto const same = xt::xtensor<double, 2>{{1, 2}, {1, 2}, {1, 2}, {1, 2}};
  CHECK(nearest_neighbours(same, 2) == xt::xtensor<std::uint32_t, 2>{{1, 2}, {0, 2}, {0, 1}, {0, 1}});
  auto const x = cloud(500, 8);
  CHECK(nearest_neighbours(x, 6, susc::threads{3}) == nearest_neighbours(x, 6, susc::sequential{}));
}

TEST_CASE("nearest neighbours: what cannot be is refused") {
  auto x = cloud(5, 2);
  CHECK_THROWS_WITH_AS(nearest_neighbours(x, 0), doctest::Contains("0 of 5 points"), susc::error);
  CHECK_THROWS_WITH_AS(nearest_neighbours(x, 5), doctest::Contains("5 of 5 points"), susc::error);
  CHECK_THROWS_WITH_AS(nearest_neighbours(cloud(5, 0), 2), doctest::Contains("no dimensions"), susc::error);
  CHECK_THROWS_WITH_AS(nearest_neighbours(xt::xtensor<double, 2>{{0}, {1e200}, {3e200}}, 1),
                       doctest::Contains("overflow"), susc::error);
  x(3, 1) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(nearest_neighbours(x, 2), doctest::Contains("row 3, column 1 is nan"), susc::error);
}

TEST_CASE("graph of neighbours: an edge if either is near the other, once") {
  // 0 and 1 are each other's nearest, 2's nearest is 1, 3's nearest is 2.
  neighbour_graph const graph = graph_of(xt::xtensor<std::uint32_t, 2>{{1}, {0}, {1}, {2}});
  CHECK(graph.nodes() == 4);
  CHECK(graph.begin == std::vector<std::size_t>{0, 1, 3, 5, 6});
  CHECK(graph.neighbour == std::vector<std::uint32_t>{1, 0, 2, 1, 3, 2});
  CHECK(graph.degree(2) == 2);
  CHECK_THROWS_WITH_AS(graph_of(xt::xtensor<std::uint32_t, 2>{{1}, {2}}),
                       doctest::Contains("node 1 has the neighbour 2"), susc::error);
  CHECK_THROWS_AS(graph_of(xt::xtensor<std::uint32_t, 2>{{0}, {0}}), susc::error);
}
