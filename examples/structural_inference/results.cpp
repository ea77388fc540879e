#include "results.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <xtensor/xtensor.hpp>

#include "clusters.hpp"
#include "susc/data/token_pattern.hpp"
#include "susc/io/file.hpp"
#include "susc/io/npy.hpp"
#include "susc/report/html.hpp"
#include "susc/structure/auc.hpp"
#include "susc/structure/pattern_scores.hpp"
#include "susc/structure/principal_components.hpp"
#include "susc/structure/sign_balance.hpp"
#ifdef SUSC_WITH_NETCDF
#include "dataset.hpp"
#endif

namespace structural_inference {

json number(double value) {
  if (!std::isfinite(value)) return nullptr;
  if (value == 0) return 0;
  double const scale = std::pow(10, 5 - std::ceil(std::log10(std::abs(value))));
  return std::isfinite(scale) && scale > 0 ? std::round(value * scale) / scale : value;
}

namespace {

json rows_of(xt::xtensor<double, 2> const& matrix) {
  json rows = json::array();
  for (std::size_t i = 0; i != matrix.shape(0); ++i) {
    json row = json::array();
    for (std::size_t j = 0; j != matrix.shape(1); ++j) row.push_back(number(matrix(i, j)));
    rows.push_back(std::move(row));
  }
  return rows;
}

/// Which components are single heads, and what those do.
struct head_labels {
  std::vector<char> head, induction, second_layer;
};
head_labels label(std::vector<std::string> const& components, std::vector<susc::head_score> const& scores) {
  head_labels labels;
  for (std::string const& name : components) {
    auto const score = std::find_if(scores.begin(), scores.end(), [&](susc::head_score const& s) {
      return susc::head_name(s.layer, s.head) == name;
    });
    bool const found = score != scores.end();
    labels.head.push_back(found);
    labels.induction.push_back(found && score->prefix_matching > induction_threshold);
    labels.second_layer.push_back(found && score->layer == 1);
  }
  return labels;
}

/// How well the loadings of mode k separate induction heads from the others among those in `among`.
double separation(xt::xtensor<double, 2> const& loadings, std::size_t k, head_labels const& labels,
                  std::vector<char> const& among) {
  std::vector<double> row(loadings.shape(1));
  for (std::size_t c = 0; c != row.size(); ++c) row[c] = loadings(k, c);
  return susc::separation(row, labels.induction, among);
}

constexpr std::size_t most_modes = 8;  // in the summary and on the page; the arrays hold all

/// Principal components as JSON; null where a component has no estimate.
json modes_of(susc::principal_modes const& modes, head_labels const& labels) {
  json singular = json::array(), explained = json::array(), loadings = json::array(), auc = json::array(),
       auc_second_layer = json::array();
  for (std::size_t k = 0; k != std::min<std::size_t>(most_modes, modes.singular_values.size()); ++k) {
    singular.push_back(number(modes.singular_values(k)));
    explained.push_back(number(modes.explained(k)));
    json row = json::array();
    for (std::size_t c = 0; c != modes.loadings.shape(1); ++c) row.push_back(number(modes.loadings(k, c)));
    loadings.push_back(std::move(row));
    auc.push_back(number(separation(modes.loadings, k, labels, labels.head)));
    auc_second_layer.push_back(number(separation(modes.loadings, k, labels, labels.second_layer)));
  }
  return {{"singular_values", singular},
          {"explained", explained},
          {"loadings", loadings},
          {"auc", auc},
          {"auc_l1", auc_second_layer}};
}

/// Only columns with estimates can be decomposed: a component whose chains all diverged has none.
bool complete(xt::xtensor<double, 2> const& matrix) {
  return std::all_of(matrix.begin(), matrix.end(), [](double x) { return std::isfinite(x); });
}

json diagnostics_of(susc::susceptibility_result const& response) {
  json all = json::array();
  for (auto const& d : response.diagnostics()) {
    susc::component_response const& c = response.components[all.size()];
    all.push_back({{"component", d.name},
                   {"localization", number(c.posterior.localization)},
                   {"step_size", number(c.step_size)},
                   {"mean_observable", number(d.observable.value)},
                   {"mean_observable_error", number(d.observable.error)},
                   {"llc", number(d.learning_coefficient.value)},
                   {"llc_error", number(d.learning_coefficient.error)},
                   {"r_hat", number(d.r_hat)},
                   {"ess", number(d.effective_sample_size)},
                   {"drift", number(d.drift)},
                   {"dropped_chains", d.dropped_chains},
                   {"draws", d.draws}});
  }
  return all;
}

json localizations_of(std::vector<chosen_localization> const& chosen) {
  json all = json::array();
  for (auto const& c : chosen)
    all.push_back({{"component", c.component},
                   {"localization", number(c.localization)},
                   {"step_size", number(c.step_size)},
                   {"mean_observable", number(c.observable.value)},
                   {"mean_observable_error", number(c.observable.error)},
                   {"rounds", c.rounds},
                   {"reached", c.reached}});
  return all;
}

/// Text of each probe, up to `most` tokens of it, with each token's susceptibility to every component.
json text_of(prepared_data const& data, run_results const& results, susc::response_estimates const& tokens,
             std::size_t most = 512) {
  json all = json::array();
  for (std::size_t p = 0; p != data.probes.size(); ++p) {
    token_batch const& batch = data.probes[p].batch;
    json sequences = json::array();
    std::size_t const positions = batch.length - 1;
    for (std::size_t s = 0; s != batch.sequences && (s == 0 || (s + 1) * positions <= most); ++s) {
      json pieces = json::array(), loss = json::array({nullptr}), value = json::array({nullptr}),
           error = json::array({nullptr});
      for (susc::token const t : batch.sequence(s)) pieces.push_back(data.piece(t));
      for (std::size_t t = 0; t != positions; ++t) {
        std::size_t const row = results.response.groups[p].begin + s * positions + t;
        json values = json::array(), errors = json::array();
        for (std::size_t c = 0; c != tokens.value.shape(1); ++c) {
          values.push_back(number(tokens.value(row, c)));
          errors.push_back(number(tokens.error(row, c)));
        }
        loss.push_back(number(results.token_losses[row]));
        value.push_back(std::move(values));
        error.push_back(std::move(errors));
      }
      sequences.push_back({{"tokens", pieces}, {"loss", loss}, {"value", value}, {"error", error}});
    }
    all.push_back({{"probe", data.probes[p].name}, {"sequences", sequences}});
  }
  return all;
}

/// What is known of each row of the per-token arrays besides its numbers.
struct token_rows {
  std::vector<std::size_t> sequence;        // numbered through all probes
  std::vector<susc::pattern_set> patterns;  // empty if tokens have no text
};
token_rows rows_of_tokens(prepared_data const& data) {
  std::vector<std::string> texts;
  for (std::size_t t = 0; data.pieces_are_text && t != data.vocabulary; ++t)
    texts.push_back(text_of_token(data, static_cast<susc::token>(t)));
  token_rows rows;
  std::size_t number = 0;
  for (auto const& probe : data.probes) {
    for (std::size_t s = 0; s != probe.batch.sequences; ++s, ++number)
      rows.sequence.insert(rows.sequence.end(), probe.batch.length - 1, number);
    if (!data.pieces_are_text) continue;
    auto const patterns = susc::patterns_of(probe.batch, texts);
    rows.patterns.insert(rows.patterns.end(), patterns.begin(), patterns.end());
  }
  return rows;
}

xt::xtensor<std::int32_t, 2> pattern_table(std::span<susc::pattern_set const> patterns) {
  auto table = xt::xtensor<std::int32_t, 2>::from_shape({patterns.size(), susc::token_patterns.size()});
  for (std::size_t j = 0; j != patterns.size(); ++j)
    for (std::size_t p = 0; p != susc::token_patterns.size(); ++p)
      table(j, p) = patterns[j].has(susc::token_patterns[p]);
  return table;
}

json scores_of_patterns(xt::xtensor<double, 2> const& scores, token_rows const& rows) {
  auto first = xt::xtensor<double, 2>::from_shape({scores.shape(0), std::min(most_modes, scores.shape(1))});
  for (std::size_t j = 0; j != first.shape(0); ++j)
    for (std::size_t k = 0; k != first.shape(1); ++k) first(j, k) = scores(j, k);
  susc::pattern_scores const found = susc::score_patterns(first, rows.patterns, rows.sequence);
  json classes = json::array();
  for (auto const pattern : susc::token_patterns) classes.push_back(name_of(pattern));
  return {{"classes", classes},
          {"tokens", found.tokens},
          {"sequences", found.sequences},
          {"mean", rows_of(found.mean)},
          {"error", rows_of(found.error)},
          {"difference", rows_of(found.difference)},
          {"difference_error", rows_of(found.difference_error)}};
}

/// The tokens of the largest scores of either sign on each mode, with the text around them.
json top_tokens(xt::xtensor<double, 2> const& scores, prepared_data const& data, std::size_t count = 12,
                std::size_t before = 16, std::size_t after = 8) {
  auto const table = token_table(data);
  auto const entry = [&](std::size_t row, std::size_t k) {
    auto const p = static_cast<std::size_t>(table(row, 0)), s = static_cast<std::size_t>(table(row, 1)),
               t = static_cast<std::size_t>(table(row, 2));
    auto const sequence = data.probes[p].batch.sequence(s);
    auto const text = [&](std::size_t begin, std::size_t end) {
      std::string all;
      for (std::size_t i = begin; i < std::min(end, sequence.size()); ++i) all += text_of_token(data, sequence[i]);
      return all;
    };
    return json{{"row", row},
                {"probe", data.probes[p].name},
                {"score", number(scores(row, k))},
                {"before", text(t - std::min(t, before), t)},
                {"token", data.piece(sequence[t])},
                {"after", text(t + 1, t + 1 + after)}};
  };
  json all = json::array();
  std::vector<double> column(scores.shape(0));
  for (std::size_t k = 0; k != std::min(most_modes, scores.shape(1)); ++k) {
    for (std::size_t j = 0; j != column.size(); ++j) column[j] = scores(j, k);
    susc::extreme_rows const rows = susc::extremes(column, count);
    json highest = json::array(), lowest = json::array();
    for (std::size_t const row : rows.highest) highest.push_back(entry(row, k));
    for (std::size_t const row : rows.lowest) lowest.push_back(entry(row, k));
    all.push_back({{"highest", highest}, {"lowest", lowest}});
  }
  return all;
}

/// Expression against suppression, a row a component.
json balance_of(std::vector<std::string> const& components, xt::xtensor<double, 2> const& tokens,
                std::span<std::size_t const> sequence) {
  json all = json::array();
  std::vector<double> column(tokens.shape(0));
  for (std::size_t c = 0; c != components.size(); ++c) {
    for (std::size_t j = 0; j != column.size(); ++j) column[j] = tokens(j, c);
    susc::sign_balance const found = susc::balance_of_signs(column, sequence);
    json row{{"component", components[c]}};
    for (auto const& [name, estimate] :
         {std::pair("expressed_share", found.expressed_share), std::pair("expressed_mean", found.expressed_mean),
          std::pair("suppressed_share", found.suppressed_share), std::pair("suppressed_mean", found.suppressed_mean)}) {
      row[name] = number(estimate.value);
      row[std::string(name) + "_error"] = number(estimate.error);
    }
    all.push_back(std::move(row));
  }
  return all;
}

}  // namespace

std::vector<std::string> warnings_of(run_results const& results) {
  auto all = results.response.warnings();
  for (auto const& c : results.localizations)
    if (!c.warning.empty()) all.push_back(c.warning);
  return all;
}

json write(std::filesystem::path const& folder, run_results const& results, prepared_data const& data,
           susc::centring chosen) {
  auto const components = results.response.component_names();
  head_labels const labels = label(components, results.scores);
  token_rows const rows = rows_of_tokens(data);
  json matrices, principal, patterns, top, balance;
  susc::response_estimates chosen_tokens;
  std::optional<susc::principal_modes> chosen_modes;
  for (auto const how : {susc::centring::full, susc::centring::restricted}) {
    std::string const suffix = how == chosen ? "" : std::string("_") + name_of(how);
    auto const matrix = results.response.response_matrix(how);
    auto tokens = results.response.example_susceptibilities(how);
    susc::write_npy(folder / ("response_matrix" + suffix + ".npy"), matrix.value);
    susc::write_npy(folder / ("response_matrix" + suffix + "_error.npy"), matrix.error);
    susc::write_npy(folder / ("token_susceptibilities" + suffix + ".npy"), tokens.value);
    susc::write_npy(folder / ("token_susceptibilities" + suffix + "_error.npy"), tokens.error);
    matrices[name_of(how)] = {{"value", rows_of(matrix.value)}, {"error", rows_of(matrix.error)}};
    if (complete(tokens.value)) {
      auto modes = susc::principal_components(tokens.value);
      principal[name_of(how)] = {{"tokens", modes_of(modes, labels)},
                                 {"probes", modes_of(susc::principal_components(matrix.value), labels)}};
      susc::write_npy(folder / ("principal_components" + suffix + "_singular_values.npy"), modes.singular_values);
      susc::write_npy(folder / ("principal_components" + suffix + "_loadings.npy"), modes.loadings);
      susc::write_npy(folder / ("principal_components" + suffix + "_scores.npy"), modes.scores);
      if (data.pieces_are_text) patterns[name_of(how)] = scores_of_patterns(modes.scores, rows);
      top[name_of(how)] = top_tokens(modes.scores, data);
      if (how == chosen) chosen_modes = std::move(modes);
    }
    balance[name_of(how)] = balance_of(components, tokens.value, rows.sequence);
    if (how == chosen) chosen_tokens = std::move(tokens);
  }
  auto const table = token_table(data);
  susc::write_npy(folder / "tokens.npy", table);
  auto const structure = write_clusters(folder, chosen_modes, data, table, rows.patterns, results.expected.workers);
  if (data.pieces_are_text) susc::write_npy(folder / "token_patterns.npy", pattern_table(rows.patterns));
  susc::write_npy<float>(folder / "token_losses.npy", results.token_losses, {results.token_losses.size()});
#ifdef SUSC_WITH_NETCDF
  write_dataset(folder / "results.nc", record(folder, results, chosen), data);
#endif

  json heads = json::array(), losses = json::array(), timings = json::array(), traces;
  for (auto const& s : results.scores)
    heads.push_back({{"name", susc::head_name(s.layer, s.head)},
                     {"layer", s.layer},
                     {"head", s.head},
                     {"prefix_matching", number(s.prefix_matching)},
                     {"previous_token", number(s.previous_token)},
                     {"induction", s.prefix_matching > induction_threshold}});
  for (auto const& l : results.losses)
    losses.push_back({{"domain", l.domain},
                      {"model", number(l.model)},
                      {"unigram", number(l.unigram)},
                      {"bigram", number(l.bigram)}});
  for (auto const& p : results.phases)
    timings.push_back(
        {{"phase", p.name},
         {"seconds", number(p.seconds)},
         {"tokens_per_second", p.tokens > 0 && p.seconds > 0 ? number(p.tokens / p.seconds) : json(nullptr)}});
  auto const trace = [&](susc::component_response const& c) {
    for (auto const& chain : c.observable_traces) {
      json draws = json::array();
      for (double const phi : chain) draws.push_back(number(phi));
      traces[c.name].push_back(std::move(draws));
    }
  };
  trace(results.response.all_weights);
  for (auto const& c : results.response.components) trace(c);

  json summary{{"settings", results.settings},
               {"versions", results.versions},
               {"data", results.data_sizes},
               {"components", components},
               {"probes", results.response.probes},
               {"centring", name_of(chosen)},
               {"response_matrix", matrices},
               {"principal_components", principal},
               {"token_patterns", patterns},
               {"top_tokens", top},
               {"sign_balance", balance},
               {"clusters", structure.clusters},
               {"heads", heads},
               {"losses", losses},
               {"diagnostics", diagnostics_of(results.response)},
               {"warnings", warnings_of(results)},
               {"timings", timings}};
  susc::cost const& expected = results.expected;
  summary["expected"] = {{"operations", number(expected.operations.value_or(NAN))},
                         {"bytes", number(expected.bytes)},
                         {"seconds", number(expected.seconds)},
                         {"threads", expected.workers}};
  auto const& all = results.response.all_weights;
  if (!results.localizations.empty()) summary["pilot"] = localizations_of(results.localizations);
  summary["all_weights"] = {{"localization", all.posterior.localization}, {"step_size", all.step_size}};
  susc::write_file_atomically(folder / "summary.json", [&](std::ostream& out) {
    out << summary.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
  });

  json report = summary;
  // One level of settings for the page: what the model was trained with beside what it was sampled with.
  for (auto const& [name, value] : results.settings["model"].items()) report["settings"]["model " + name] = value;
  report["settings"].erase("model");
  report["title"] = "Structural inference: susceptibilities of " + std::to_string(components.size()) + " components";
  report["traces"] = traces;
  if (!structure.map.is_null()) report["token_map"] = structure.map;
  report["text"] = text_of(data, results, chosen_tokens);
  for (char const* name : {"principal_components", "token_patterns", "top_tokens", "sign_balance"}) {
    if (summary[name].contains(name_of(chosen)))
      report[name] = summary[name][name_of(chosen)];
    else
      report.erase(name);
  }
  for (char const* extra : {"data", "all_weights", "pilot"}) report.erase(extra);
  std::string const page = susc::html_report(report);
  susc::write_file_atomically(folder / "report.html", [&](std::ostream& out) { out << page; });
  return summary;
}

}  // namespace structural_inference
