// Clusters of tokens, from their whitened susceptibilities: the graph of nearest neighbours, and the sets of low
// conductance in it, on as many threads as there are. Twenty groups are planted, and found before anything is timed.
#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "problem.hpp"
#include "susc/sampling/executor.hpp"
#include "susc/structure/token_clusters.hpp"

namespace {

constexpr std::size_t dimensions = 16, groups = 20;

/// A twentieth of the points in groups of equal size, each about a centre far out; the others one cloud.
struct problem {
  std::size_t group;  // points of each
  xt::xtensor<double, 2> points;
  susc::neighbour_graph graph{};

  explicit problem(std::size_t size)
      : group(size / 20 / groups), points(xt::xtensor<double, 2>::from_shape({size, dimensions})) {
    susc::random::stream draw({1});
    for (double& x : points) x = draw.normal();
    for (std::size_t i = 0; i != groups * group; ++i) {
      std::size_t const g = i / group;
      points(i, g % dimensions) += g < dimensions ? 12 : -12;
      points(i, (g + 3) % dimensions) -= 12;
    }
    graph = susc::graph_of(susc::nearest_neighbours(points, 15));
  }

  /// What is wrong with the graph, a few rows of which are compared with all distances; empty if nothing.
  std::string wrong_graph() const {
    std::size_t const size = points.shape(0);
    auto const nearest = susc::nearest_neighbours(points, 15);
    for (std::size_t row = 0; row < size; row += size / 50) {
      auto const distance = [&](std::size_t other) {
        double sum = 0;
        for (std::size_t d = 0; d != dimensions; ++d) sum += std::pow(points(row, d) - points(other, d), 2);
        return sum;
      };
      std::size_t closer = 0;
      double const farthest = distance(nearest(row, 14));
      for (std::size_t other = 0; other != size; ++other) closer += other != row && distance(other) < farthest;
      if (closer != 14)
        return "row " + std::to_string(row) + " has " + std::to_string(closer) + " closer than its 15th";
    }
    return "";
  }
  /// Groups that are not found: whole, and nothing else.
  std::string wrong_clusters(std::vector<susc::cluster> const& found) const {
    std::set<std::size_t> whole;
    for (susc::cluster const& each : found) {
      std::size_t const g = each.members.front() / group;
      if (std::all_of(each.members.begin(), each.members.end(), [&](auto v) { return v / group == g; }) &&
          each.members.size() == group && g < groups)
        whole.insert(g);
    }
    return whole.size() == groups ? "" : std::to_string(whole.size()) + " of 20 groups found";
  }
};

enum class part { graph, clusters, both, with_comparison };

void measure(benchmark::State& state, std::size_t size, part what) {
  static std::unique_ptr<problem> held;
  if (!held || held->points.shape(0) != size) {
    held.reset();
    held = std::make_unique<problem>(size);
    std::string wrong = held->wrong_graph();
    if (wrong.empty()) wrong = held->wrong_clusters(susc::find_clusters(held->graph));
    if (!wrong.empty()) {
      held.reset();
      return bench::skip(state, wrong);
    }
  }
  for (auto _ : state) {
    susc::neighbour_graph made;
    if (what != part::clusters) made = susc::graph_of(susc::nearest_neighbours(held->points, 15));
    if (what == part::with_comparison) {  // with points without structure: all that structural_inference does
      benchmark::DoNotOptimize(susc::structureless_conductance(size, dimensions));
      benchmark::DoNotOptimize(susc::shuffled_conductance(held->points));
    }
    if (what != part::graph)
      benchmark::DoNotOptimize(susc::find_clusters(what == part::clusters ? held->graph : made).data());
    benchmark::DoNotOptimize(made.neighbour.data());
  }
  state.counters["tokens/s"] =
      benchmark::Counter(static_cast<double>(size), benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace

int main(int argc, char** argv) {
  for (std::size_t const size : {10'000, 100'000})
    for (auto const& [name, what] :
         {std::pair("graph", part::graph), std::pair("clusters", part::clusters), std::pair("both", part::both),
          std::pair("with_comparison", part::with_comparison)})
      benchmark::RegisterBenchmark(("token_clusters/" + std::to_string(size) + "_" + name).c_str(), measure, size, what)
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
  return bench::run(argc, argv);
}
