#pragma once
/// Local clustering of a graph: personalised PageRank around a seed, and the set of least conductance among those it
/// ranks highest (Andersen, Chung and Lang 2006, "Local graph partitioning using PageRank vectors").
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/structure/neighbour_graph.hpp"

namespace susc {

/// Edges that leave a set, over the smaller of the sums of degrees within and without: 0 if nothing leaves, about 1 for
/// nodes taken at random. 1 for no nodes, or all. `members` are different nodes.
inline double conductance(neighbour_graph const& graph, std::span<std::uint32_t const> members) {
  std::vector<char> inside(graph.nodes());
  for (std::uint32_t const v : members) {
    require(v < graph.nodes() && !inside[v], "conductance: ", v, " is no node, or there twice");
    inside[v] = 1;
  }
  std::size_t cut = 0, volume = 0;
  for (std::uint32_t const v : members) {
    volume += graph.degree(v);
    for (std::uint32_t const u : graph.neighbours(v)) cut += !inside[u];
  }
  std::size_t const smaller = std::min(volume, graph.neighbour.size() - volume);
  return smaller == 0 ? 1 : static_cast<double>(cut) / static_cast<double>(smaller);
}

/// How far around the seed personalised PageRank goes.
struct page_rank_options {
  double teleport = .1;  ///< chance of a jump back to the seed, at each step of the walk
  double tolerance =
      1e-5;  ///< of the rank of a node, in parts of its degree; the work is 1/(teleport · tolerance) edges
};

/// Working memory of page_rank and best_sweep, of which each thread needs its own. Between calls all is zero.
struct page_rank_workspace {
  std::vector<double> rank{};            ///< (nodes)
  std::vector<double> residual{};        ///< (nodes)
  std::vector<char> marked{};            ///< (nodes)
  std::vector<std::uint32_t> queue{};    ///< nodes whose residual is to be pushed
  std::vector<std::uint32_t> touched{};  ///< nodes where anything is not zero
};

/// A node and its rank over its degree.
struct ranked_node {
  double rank;         ///< over the degree
  std::uint32_t node;  ///< which
};

/// Approximate personalised PageRank p of a walk that begins at `seed`: the exact one r solves
/// r = teleport · e_seed + (1 - teleport) · W^T r with W the walk to a neighbour drawn evenly, and
/// 0 <= r(v) - p(v) <= tolerance · degree(v). Nodes with p > 0, by p over degree, highest first; of equal ones the
/// lower. Throws for a seed that is no node, or without neighbours, and options that are not within (0, 1).
inline std::vector<ranked_node> page_rank(neighbour_graph const& graph, std::size_t seed, page_rank_options options,
                                          page_rank_workspace& work) {
  require(seed < graph.nodes() && graph.degree(seed) != 0, "page rank: seed ", seed,
          " is no node, or one without neighbours");
  require(options.teleport > 0 && options.teleport < 1, "page rank: teleport is ", options.teleport,
          ", must be between 0 and 1");
  require(options.tolerance > 0 && options.tolerance < 1, "page rank: tolerance is ", options.tolerance,
          ", must be between 0 and 1");
  work.rank.resize(graph.nodes());
  work.residual.resize(graph.nodes());
  work.marked.resize(graph.nodes());
  std::vector<double>&rank = work.rank, &residual = work.residual;
  std::vector<char>& queued = work.marked;
  std::vector<std::uint32_t>&queue = work.queue, &touched = work.touched;
  auto const add = [&](std::uint32_t v, double mass) {
    if (residual[v] == 0 && rank[v] == 0) touched.push_back(v);
    residual[v] += mass;
    if (queued[v] || residual[v] < options.tolerance * static_cast<double>(graph.degree(v))) return;
    queued[v] = 1;
    queue.push_back(v);
  };
  add(static_cast<std::uint32_t>(seed), 1);
  for (std::size_t next = 0; next != queue.size(); ++next) {
    std::uint32_t const v = queue[next];
    queued[v] = 0;
    double const mass = std::exchange(residual[v], 0);
    rank[v] += options.teleport * mass;
    double const each = (1 - options.teleport) * mass / static_cast<double>(graph.degree(v));
    for (std::uint32_t const u : graph.neighbours(v)) add(u, each);
  }
  std::vector<ranked_node> found;
  for (std::uint32_t const v : touched) {
    if (rank[v] > 0) found.push_back({rank[v] / static_cast<double>(graph.degree(v)), v});
    rank[v] = residual[v] = 0;
  }
  queue.clear();
  touched.clear();
  std::sort(found.begin(), found.end(), [](ranked_node const& a, ranked_node const& b) {
    return a.rank == b.rank ? a.node < b.node : a.rank > b.rank;
  });
  return found;
}

/// The first `size` nodes of a ranking, and their conductance.
struct sweep {
  std::size_t size = 0;    ///< 0: there are not so many nodes
  double conductance = 1;  ///< of these nodes
};

/// Of the first n nodes of `ranking`, for n from `smallest` to `largest`, those of least conductance; of equal ones the
/// fewest.
inline sweep best_sweep(neighbour_graph const& graph, std::span<ranked_node const> ranking, std::size_t smallest,
                        std::size_t largest, page_rank_workspace& work) {
  work.marked.resize(graph.nodes());
  sweep best{.size = 0, .conductance = std::numeric_limits<double>::infinity()};
  std::size_t cut = 0, volume = 0, size = 0;
  for (; size != std::min(largest, ranking.size());) {
    std::uint32_t const v = ranking[size].node;
    std::size_t within = 0;
    for (std::uint32_t const u : graph.neighbours(v)) within += static_cast<std::size_t>(work.marked[u]);
    work.marked[v] = 1;
    ++size;
    volume += graph.degree(v);
    cut = cut + graph.degree(v) - 2 * within;
    std::size_t const smaller = std::min(volume, graph.neighbour.size() - volume);
    double const now = smaller == 0 ? 1 : static_cast<double>(cut) / static_cast<double>(smaller);
    if (size >= smallest && now < best.conductance) best = {size, now};
  }
  for (std::size_t i = 0; i != size; ++i) work.marked[ranking[i].node] = 0;
  return best.size == 0 ? sweep{} : best;
}

}  // namespace susc
