#pragma once
/// Clusters of tokens that the components answer alike, after "Towards Spectroscopy: Susceptibility Clusters in
/// Language Models" (arXiv 2601.12703): whitened susceptibilities, the graph of nearest neighbours, and in it sets of
/// low conductance around seeds.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "susc/core/concepts.hpp"
#include "susc/core/error.hpp"
#include "susc/core/random.hpp"
#include "susc/core/requirements.hpp"
#include "susc/sampling/executor.hpp"
#include "susc/structure/local_cluster.hpp"
#include "susc/structure/neighbour_graph.hpp"
#include "susc/structure/principal_components.hpp"

SUSC_REQUIRE_VERSION("xtensor", XTENSOR_VERSION_MAJOR, XTENSOR_VERSION_MINOR, 0, 24);

namespace susc {

/// The scores of the first `count` modes, each to mean square one (rows x modes): variance, where columns were centred.
/// Modes of a singular value below 1e-9 of the first are left out: they are rounding.
inline xt::xtensor<double, 2> whitened(principal_modes const& modes, std::size_t count) {
  std::size_t const rows = modes.scores.shape(0);
  std::size_t kept = 0;
  while (kept != std::min<std::size_t>(count, modes.singular_values.size()) &&
         modes.singular_values(kept) > 1e-9 * modes.singular_values(0))
    ++kept;
  auto result = xt::xtensor<double, 2>::from_shape({rows, kept});
  for (std::size_t k = 0; k != kept; ++k)
    for (std::size_t r = 0; r != rows; ++r)
      result(r, k) = modes.scores(r, k) / modes.singular_values(k) * std::sqrt(static_cast<double>(rows));
  return result;
}

/// What is looked for, and how long.
struct cluster_options {
  std::size_t neighbours = 15;      ///< of a point, in the graph
  std::size_t smallest = 10;        ///< points of a cluster
  std::size_t largest = 0;          ///< points of a cluster; 0: a tenth of all, at most 1000
  double highest_conductance = .3;  ///< of a cluster; see structureless_conductance
  std::size_t seeds = 10'000;  ///< points around which is looked, drawn without replacement; all if there are fewer
  double teleport = .1;        ///< as in page_rank_options
  double tolerance = 0;        ///< as there; 0: a quarter of one over the mean degree and `largest`
  random::key key{};           ///< of the seeds
};

/// Points that have most of their neighbours among each other.
struct cluster {
  std::vector<std::uint32_t> members;  ///< by personalised PageRank over degree: the most typical first
  double conductance;                  ///< of the members
};

/// Throws susc::error naming the setting with which no cluster could be found among so many points.
inline void check(cluster_options const& o, std::size_t points) {
  std::size_t const largest = o.largest == 0 ? std::min<std::size_t>(points / 10, 1000) : o.largest;
  require(o.smallest > 0, "clusters of at least ", o.smallest, " points, must be at least 1");
  require(o.smallest <= largest, "clusters of ", o.smallest, " to ", largest, " of ", points,
          " points: the smallest must not be above the largest, by default a tenth of all");
  require(o.highest_conductance >= 0, "the highest conductance of a cluster is ", o.highest_conductance,
          ", must not be negative");
}

namespace detail {

/// The sets that find_clusters chooses from: for each seed, that of least conductance around it.
class seeded_sweeps {
 public:
  template <Executor E>
  seeded_sweeps(neighbour_graph const& graph, cluster_options const& options, E const& run)
      : seeds(graph.nodes()), graph_(graph), options_(options) {
    std::size_t const nodes = graph.nodes();
    check(options_, nodes);
    if (options_.largest == 0) options_.largest = std::min<std::size_t>(nodes / 10, 1000);
    if (options_.tolerance == 0) {
      double const ends = static_cast<double>(std::max<std::size_t>(graph.neighbour.size(), 1));
      double const most = static_cast<double>(std::max<std::size_t>(options_.largest, 1));
      options_.tolerance = static_cast<double>(nodes) / (4 * ends * most);
    }
    std::iota(seeds.begin(), seeds.end(), 0u);
    if (options.seeds < nodes) {
      random::stream draw(options.key);
      for (std::size_t i = 0; i != options.seeds; ++i) std::swap(seeds[i], seeds[i + draw.below(nodes - i)]);
      seeds.resize(options.seeds);
    }
    conductance.resize(seeds.size());
    constexpr std::size_t together = 64;
    run((seeds.size() + together - 1) / together, [&](std::size_t block) {
      page_rank_workspace work;
      for (std::size_t i = block * together; i != std::min((block + 1) * together, seeds.size()); ++i)
        conductance[i] = around(seeds[i], work).second;
    });
  }

  /// The set, and its conductance.
  std::pair<std::vector<ranked_node>, double> around(std::uint32_t seed, page_rank_workspace& work) const {
    auto ranking = page_rank(graph_, seed, {.teleport = options_.teleport, .tolerance = options_.tolerance}, work);
    sweep const best = best_sweep(graph_, ranking, options_.smallest, options_.largest, work);
    ranking.resize(best.size);
    return {std::move(ranking), best.conductance};
  }

  std::vector<std::uint32_t> seeds;
  std::vector<double> conductance{};  ///< (seeds)

 private:
  neighbour_graph const& graph_;
  cluster_options options_;
};

/// Of the sets around all seeds, in the graph of the points.
template <Executor E>
double least_conductance(xt::xtensor<double, 2> const& points, cluster_options const& options, E const& run) {
  neighbour_graph const graph = graph_of(nearest_neighbours(points, options.neighbours, run));
  seeded_sweeps const sweeps(graph, options, run);
  return sweeps.conductance.empty() ? 1 : *std::min_element(sweeps.conductance.begin(), sweeps.conductance.end());
}

}  // namespace detail

/// Clusters that share no point, by conductance, lowest first. Around each seed, the set of least conductance that
/// personalised PageRank ranks highest; of these sets, the one of least conductance first, those points that no cluster
/// before has, if the seed and at least half of the set are among them and they are still a cluster. The same for any
/// executor. Throws susc::error on unusable options, and as page_rank.
template <Executor E = threads>
std::vector<cluster> find_clusters(neighbour_graph const& graph, cluster_options const& options = {},
                                   E const& run = {}) {
  detail::seeded_sweeps const sweeps(graph, options, run);
  std::vector<std::uint32_t> const& seeds = sweeps.seeds;
  std::vector<double> const& found = sweeps.conductance;
  std::vector<std::size_t> order(seeds.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return found[a] == found[b] ? seeds[a] < seeds[b] : found[a] < found[b];
  });
  std::vector<cluster> clusters;
  std::vector<char> taken(graph.nodes());
  page_rank_workspace work;
  for (std::size_t const i : order) {
    if (found[i] > options.highest_conductance) break;
    if (taken[seeds[i]]) continue;
    auto const ranking = sweeps.around(seeds[i], work).first;
    std::vector<std::uint32_t> members;
    for (ranked_node const& each : ranking)
      if (!taken[each.node]) members.push_back(each.node);
    if (members.size() < options.smallest || 2 * members.size() < ranking.size()) continue;
    double const left = conductance(graph, members);
    if (left > options.highest_conductance) continue;
    for (std::uint32_t const v : members) taken[v] = 1;
    clusters.push_back({.members = std::move(members), .conductance = left});
  }
  std::stable_sort(clusters.begin(), clusters.end(),
                   [](cluster const& a, cluster const& b) { return a.conductance < b.conductance; });
  return clusters;
}

/// The least conductance that find_clusters finds in points without structure: as many independent normals of as many
/// dimensions, in the graph of as many neighbours. Sets of tokens near or above it need no cluster to explain them.
template <Executor E = threads>
double structureless_conductance(std::size_t points, std::size_t dimensions, cluster_options const& options = {},
                                 E const& run = {}) {
  random::stream draw(random::fold_in(options.key, "points without structure"));
  auto cloud = xt::xtensor<double, 2>::from_shape({points, dimensions});
  for (double& x : cloud) x = draw.normal();
  return detail::least_conductance(cloud, options, run);
}

/// The same for `points` (points x dimensions) whose columns are shuffled, each by itself: what the distributions of
/// single dimensions, their tails say, do without any dependence between them. Clusters above it may be no more.
template <Executor E = threads>
double shuffled_conductance(xt::xtensor<double, 2> points, cluster_options const& options = {}, E const& run = {}) {
  random::stream draw(random::fold_in(options.key, "shuffled columns"));
  for (std::size_t d = 0; d != points.shape(1); ++d)
    for (std::size_t left = points.shape(0); left > 1; --left)
      std::swap(points(left - 1, d), points(draw.below(left), d));
  return detail::least_conductance(points, options, run);
}

}  // namespace susc
