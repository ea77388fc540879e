#pragma once
/// The graph of nearest neighbours of points: tokens, each with its susceptibilities as coordinates, say.
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "susc/core/concepts.hpp"
#include "susc/core/error.hpp"
#include "susc/core/requirements.hpp"
#include "susc/sampling/executor.hpp"

SUSC_REQUIRE_VERSION("Eigen", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, 3, 4);
SUSC_REQUIRE_VERSION("xtensor", XTENSOR_VERSION_MAJOR, XTENSOR_VERSION_MINOR, 0, 24);

namespace susc {

/// An undirected graph without weights, loops or double edges.
struct neighbour_graph {
  std::vector<std::size_t> begin{0};       ///< (nodes + 1) where each node's neighbours begin
  std::vector<std::uint32_t> neighbour{};  ///< (2 x edges) ascending for each node

  /// How many nodes there are.
  std::size_t nodes() const { return begin.size() - 1; }
  /// How many neighbours a node has.
  std::size_t degree(std::size_t node) const { return begin[node + 1] - begin[node]; }
  /// A node's neighbours, ascending.
  std::span<std::uint32_t const> neighbours(std::size_t node) const {
    return {neighbour.data() + begin[node], degree(node)};
  }
};

/// The `count` nearest other rows of each row of `points` (points x dimensions) by Euclidean distance, nearest first;
/// of equally near ones, to rounding, the earlier. All pairs are compared, in double, as |x|² + |y|² - 2 x·y about the
/// points' mean: distances below 1e-8 of the largest are not told apart. The same for any executor. Throws unless
/// 0 < count < points, without dimensions, for a coordinate that is not finite, and for distances that overflow.
template <Executor E = threads>
xt::xtensor<std::uint32_t, 2> nearest_neighbours(xt::xtensor<double, 2> const& points, std::size_t count,
                                                 E const& run = {}) {
  std::size_t const size = points.shape(0), dimensions = points.shape(1);
  require(count > 0 && count < size, "nearest neighbours: ", count, " of ", size, " points, wanted 1 to one less");
  require(dimensions > 0, "nearest neighbours: the ", size, " points have no dimensions");
  require(size <= std::numeric_limits<std::uint32_t>::max(), "nearest neighbours: ", size, " points, more than 2^32");
  for (std::size_t i = 0; i != size; ++i)
    for (std::size_t d = 0; d != dimensions; ++d)
      require(std::isfinite(points(i, d)), "nearest neighbours: row ", i, ", column ", d, " is ", points(i, d));

  auto const index = [](std::size_t i) { return static_cast<Eigen::Index>(i); };
  Eigen::MatrixXd x(index(dimensions), index(size));
  for (std::size_t i = 0; i != size; ++i)
    for (std::size_t d = 0; d != dimensions; ++d) x(index(d), index(i)) = points(i, d);
  x.colwise() -= x.rowwise().mean().eval();
  Eigen::VectorXd const squares = x.colwise().squaredNorm();
  require(std::isfinite(4 * squares.maxCoeff()),
          "nearest neighbours: squared distances overflow; smaller units would help");

  auto nearest = xt::xtensor<std::uint32_t, 2>::from_shape({size, count});
  constexpr std::size_t rows = 32, columns = 1024;  // the block of distances stays in the second cache
  run((size + rows - 1) / rows, [&](std::size_t block) {
    std::size_t const first = block * rows, here = std::min(rows, size - first);
    using near = std::pair<double, std::uint32_t>;  // squared distance less |y|² of the row, and whose
    std::vector<std::vector<near>> heap(here);      // the farthest on top
    Eigen::MatrixXd distances(index(columns), index(here));
    for (std::size_t other = 0; other < size; other += columns) {
      std::size_t const width = std::min(columns, size - other);
      auto part = distances.topRows(index(width));
      part.noalias() =
          -2 * x.middleCols(index(other), index(width)).transpose() * x.middleCols(index(first), index(here));
      part.colwise() += squares.segment(index(other), index(width));
      for (std::size_t i = 0; i != here; ++i) {
        auto& kept = heap[i];
        double worst = kept.size() < count ? std::numeric_limits<double>::infinity() : kept.front().first;
        for (std::size_t j = 0; j != width; ++j) {
          double const distance = part(index(j), index(i));
          if (distance >= worst || other + j == first + i) continue;
          if (kept.size() == count) {
            std::pop_heap(kept.begin(), kept.end());
            kept.pop_back();
          }
          kept.emplace_back(distance, static_cast<std::uint32_t>(other + j));
          std::push_heap(kept.begin(), kept.end());
          if (kept.size() == count) worst = kept.front().first;
        }
      }
    }
    for (std::size_t i = 0; i != here; ++i) {
      std::sort_heap(heap[i].begin(), heap[i].end());
      for (std::size_t k = 0; k != count; ++k) nearest(first + i, k) = heap[i][k].second;
    }
  });
  return nearest;
}

/// An edge wherever one of two nodes is among the other's neighbours; `nearest` (nodes x neighbours) from
/// nearest_neighbours. Throws for a neighbour that is no node, or the node itself.
inline neighbour_graph graph_of(xt::xtensor<std::uint32_t, 2> const& nearest) {
  std::size_t const nodes = nearest.shape(0), count = nearest.shape(1);
  std::vector<std::vector<std::uint32_t>> rows(nodes);
  for (std::size_t i = 0; i != nodes; ++i)
    for (std::size_t k = 0; k != count; ++k) {
      std::uint32_t const j = nearest(i, k);
      require(j < nodes && j != i, "graph of neighbours: node ", i, " has the neighbour ", j, ", wanted another below ",
              nodes);
      rows[i].push_back(j);
      rows[j].push_back(static_cast<std::uint32_t>(i));
    }
  neighbour_graph graph;
  for (auto& row : rows) {
    std::sort(row.begin(), row.end());
    row.erase(std::unique(row.begin(), row.end()), row.end());
    graph.neighbour.insert(graph.neighbour.end(), row.begin(), row.end());
    graph.begin.push_back(graph.neighbour.size());
  }
  return graph;
}

}  // namespace susc
