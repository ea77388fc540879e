#include "clusters.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "results.hpp"
#include "susc/core/random.hpp"
#include "susc/io/npy.hpp"
#include "susc/sampling/executor.hpp"
#include "susc/structure/neighbour_graph.hpp"
#include "susc/structure/token_clusters.hpp"

namespace structural_inference {

namespace {

constexpr std::size_t fewest_rows = 100;         // a cluster has ten at least, and at most a tenth of all
constexpr double of_structureless = .75;         // docs/method.md says why
constexpr std::size_t most_points = 50'000;      // on the map: some 3 MB of the page
constexpr std::size_t most_axes = 8;             // of the map: the modes that the report shows
constexpr std::size_t examples = 12, texts = 8;  // of a cluster, in summary.json

/// Where a row of the per-token arrays is.
struct place {
  std::size_t probe, sequence, position;
};

/// What the entries of the summary are made of.
struct described_rows {
  prepared_data const& data;
  xt::xtensor<std::int32_t, 2> const& table;
  std::span<susc::pattern_set const> patterns;  // none if tokens have no text

  place at(std::size_t row) const {
    auto const number = [&](std::size_t column) { return static_cast<std::size_t>(table(row, column)); };
    return {number(0), number(1), number(2)};
  }
  std::span<susc::token const> sequence(place p) const { return data.probes[p.probe].batch.sequence(p.sequence); }

  /// Tokens of each probe and of each class among rows.
  template <class Rows>
  std::pair<json, json> counts(Rows const& rows) const {
    std::vector<std::size_t> probes(data.probes.size()), classes(patterns.empty() ? 0 : susc::token_patterns.size());
    for (std::size_t const row : rows) {
      ++probes[at(row).probe];
      for (std::size_t q = 0; q != classes.size(); ++q) classes[q] += patterns[row].has(susc::token_patterns[q]);
    }
    return {probes, classes};
  }
  /// A token with the text around it.
  json entry(std::size_t row, std::size_t before = 16, std::size_t after = 8) const {
    place const here = at(row);
    auto const tokens = sequence(here);
    auto const text = [&](std::size_t begin, std::size_t end) {
      std::string all;
      for (std::size_t i = begin; i < std::min(end, tokens.size()); ++i) all += data.piece(tokens[i]);
      return all;
    };
    std::size_t const t = here.position;
    return {{"row", row},
            {"probe", data.probes[here.probe].name},
            {"before", text(t - std::min(t, before), t)},
            {"token", data.piece(tokens[t])},
            {"after", text(t + 1, t + 1 + after)}};
  }
};

json describe(susc::cluster const& found, described_rows const& rows) {
  auto [probes, classes] = rows.counts(found.members);
  std::map<susc::token, std::size_t> occurrences;
  for (std::size_t const row : found.members) ++occurrences[rows.table(row, 3)];
  std::vector<std::pair<susc::token, std::size_t>> frequent(occurrences.begin(), occurrences.end());
  std::stable_sort(frequent.begin(), frequent.end(), [](auto const& a, auto const& b) { return a.second > b.second; });
  json tokens = json::array(), typical = json::array();
  for (std::size_t i = 0; i != std::min(texts, frequent.size()); ++i)
    tokens.push_back({{"token", rows.data.piece(frequent[i].first)}, {"count", frequent[i].second}});
  for (std::size_t i = 0; i != std::min(examples, found.members.size()); ++i)
    typical.push_back(rows.entry(found.members[i]));
  return {{"size", found.members.size()}, {"conductance", number(found.conductance)},
          {"probes", std::move(probes)},  {"classes", std::move(classes)},
          {"tokens", std::move(tokens)},  {"examples", std::move(typical)}};
}

/// Rows that the map shows, ascending: all, or as many as it can take, drawn at random.
std::vector<std::size_t> rows_shown(std::size_t rows) {
  std::vector<std::size_t> shown(rows);
  std::iota(shown.begin(), shown.end(), std::size_t{0});
  if (rows <= most_points) return shown;
  susc::random::stream draw(susc::random::fold_in({}, "points of the map"));
  for (std::size_t i = 0; i != most_points; ++i) std::swap(shown[i], shown[i + draw.below(rows - i)]);
  shown.resize(most_points);
  std::sort(shown.begin(), shown.end());
  return shown;
}

json map_of(described_rows const& rows, xt::xtensor<double, 2> const& points, std::span<std::int32_t const> clusters) {
  std::map<susc::token, std::size_t> numbers;  // of the texts
  json pieces = json::array(), sequences = json::array(), sequence = json::array(), position = json::array(),
       cluster = json::array(), axes = json::array();
  std::pair<std::size_t, std::size_t> last{rows.data.probes.size(), 0};
  auto const shown = rows_shown(points.shape(0));
  for (std::size_t const row : shown) {
    place const here = rows.at(row);
    if (last != std::pair(here.probe, here.sequence)) {
      json tokens = json::array();
      for (susc::token const t : rows.sequence(here)) {
        auto const [at, added] = numbers.try_emplace(t, numbers.size());
        if (added) pieces.push_back(rows.data.piece(t));
        tokens.push_back(at->second);
      }
      sequences.push_back({{"probe", here.probe}, {"tokens", std::move(tokens)}});
      last = {here.probe, here.sequence};
    }
    sequence.push_back(sequences.size() - 1);
    position.push_back(here.position);
    cluster.push_back(clusters[row]);
  }
  for (std::size_t k = 0; k != std::min(most_axes, points.shape(1)); ++k) {
    json values = json::array();
    for (std::size_t const row : shown) values.push_back(number(points(row, k)));
    axes.push_back({{"name", "PC" + std::to_string(k + 1)}, {"values", std::move(values)}});
  }
  return {{"rows", points.shape(0)}, {"row", shown},           {"sequence", sequence}, {"position", position},
          {"cluster", cluster},      {"sequences", sequences}, {"pieces", pieces},     {"axes", axes}};
}

}  // namespace

token_structure write_clusters(std::filesystem::path const& folder, std::optional<susc::principal_modes> const& modes,
                               prepared_data const& data, xt::xtensor<std::int32_t, 2> const& table,
                               std::span<susc::pattern_set const> patterns, std::size_t threads) {
  std::size_t const count = table.shape(0);
  described_rows const rows{data, table, patterns};
  std::vector<std::size_t> all(count);
  std::iota(all.begin(), all.end(), std::size_t{0});
  auto [probes, classes] = rows.counts(all);
  json names = json::array(), found = json::array();
  for (std::size_t q = 0; q != classes.size(); ++q) names.push_back(name_of(susc::token_patterns[q]));
  token_structure result{{{"tokens", count},
                          {"tokens_of_probes", std::move(probes)},
                          {"classes", std::move(names)},
                          {"tokens_of_classes", std::move(classes)}},
                         nullptr};
  std::vector<std::int32_t> cluster_of(count, -1);
  auto const finish = [&](std::string const& missing) {
    if (!missing.empty()) result.clusters["missing"] = missing;
    result.clusters["found"] = std::move(found);
    susc::write_npy<std::int32_t>(folder / "token_clusters.npy", cluster_of, {count});
  };
  if (!modes) {
    finish("all chains of a component diverged, so the tokens have no principal components");
    return result;
  }
  auto const points = susc::whitened(*modes, modes->singular_values.size());
  susc::write_npy(folder / "principal_components_whitened_scores.npy", points);
  result.clusters["dimensions"] = points.shape(1);
  if (count < fewest_rows) {
    finish("there are " + std::to_string(count) + " tokens; clusters need " + std::to_string(fewest_rows));
  } else if (points.shape(1) == 0) {
    finish("the susceptibilities are the same for all tokens");
  } else {
    susc::threads const run{threads};
    susc::cluster_options options;
    double const chance = susc::structureless_conductance(count, points.shape(1), options, run);
    options.highest_conductance = of_structureless * chance;
    auto const graph = susc::graph_of(susc::nearest_neighbours(points, options.neighbours, run));
    for (susc::cluster const& each : susc::find_clusters(graph, options, run)) {
      for (std::uint32_t const row : each.members) cluster_of[row] = static_cast<std::int32_t>(found.size());
      found.push_back(describe(each, rows));
    }
    result.clusters["neighbours"] = options.neighbours;
    result.clusters["structureless_conductance"] = number(chance);
    result.clusters["shuffled_conductance"] = number(susc::shuffled_conductance(points, options, run));
    result.clusters["highest_conductance"] = number(options.highest_conductance);
    finish("");
  }
  if (points.shape(1) > 1) result.map = map_of(rows, points, cluster_of);
  return result;
}

}  // namespace structural_inference
