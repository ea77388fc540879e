#include "page.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <ostream>
#include <string_view>
#include <utility>

#include "../structural_inference/results.hpp"
#include "page_script.hpp"
#include "susc/io/file.hpp"
#include "susc/io/npy.hpp"
#include "susc/report/html.hpp"
#ifdef SUSC_WITH_NETCDF
#include "dataset.hpp"
#endif

namespace development {

namespace {

using nlohmann::json;
using structural_inference::induction_threshold;
using structural_inference::token_batch;

constexpr std::size_t shown_modes = 6, shown_tokens = 1500;

/// For JSON: what is not finite is null, and no more digits than a figure needs.
json number(double value, int digits = 5) {
  if (!std::isfinite(value)) return nullptr;
  if (value == 0) return 0;
  double const scale = std::pow(10, digits - std::ceil(std::log10(std::abs(value))));
  return std::isfinite(scale) && scale > 0 ? std::round(value * scale) / scale : value;
}

/// f(i) of 0 to count - 1.
template <class F>
json list(std::size_t count, F&& f) {
  json all = json::array();
  for (std::size_t i = 0; i != count; ++i) all.push_back(f(i));
  return all;
}

json rows_of(xt::xtensor<double, 2> const& matrix) {
  return list(matrix.shape(0), [&](std::size_t i) {
    return list(matrix.shape(1), [&](std::size_t j) { return number(matrix(i, j)); });
  });
}

json estimates(std::vector<checkpoint> const& at, auto of) {
  return {{"value", list(at.size(), [&](std::size_t t) { return of(at[t], &susc::estimate::value); })},
          {"error", list(at.size(), [&](std::size_t t) { return of(at[t], &susc::estimate::error); })}};
}

/// What development.json holds, and the page with it.
json summary_of(results const& r) {
  auto const& at = r.checkpoints;
  std::size_t const modes = r.modes.singular_values.shape(1), count = at.size();
  json all{{"settings", r.settings},
           {"versions", r.versions},
           {"components", r.components},
           {"probes", r.probes},
           {"centring", r.settings.at("centring")},
           {"steps", list(count, [&](std::size_t t) { return at[t].step; })},
           {"singular_values", rows_of(r.modes.singular_values)},
           {"explained", rows_of(r.modes.explained)},
           {"loadings", list(count,
                             [&](std::size_t t) {
                               return list(modes, [&](std::size_t k) {
                                 return list(r.components.size(),
                                             [&](std::size_t c) { return number(r.modes.loadings(t, k, c)); });
                               });
                             })},
           {"matching_residual", list(count, [&](std::size_t t) { return number(r.modes.matching_residual(t)); })},
           {"rotation_residual", list(count, [&](std::size_t t) { return number(r.modes.rotation_residual(t)); })}};
  // What the standardisation before the principal components takes out.
  all["deviation_over_tokens"] = list(count, [&](std::size_t t) {
    auto const& tokens = at[t].tokens;
    return list(tokens.shape(1), [&](std::size_t c) {
      double mean = 0, squares = 0, rows = static_cast<double>(tokens.shape(0));
      for (std::size_t j = 0; j != tokens.shape(0); ++j) mean += tokens(j, c) / rows;
      for (std::size_t j = 0; j != tokens.shape(0); ++j) squares += std::pow(tokens(j, c) - mean, 2) / rows;
      return number(std::sqrt(squares));
    });
  });
  all["losses"] = list(count, [&](std::size_t t) {
    return list(r.probes.size(), [&](std::size_t p) { return number(at[t].losses[p]); });
  });
  all["llc"] = estimates(at, [](checkpoint const& c, auto part) {
    return list(c.diagnostics.size(),
                [&](std::size_t i) { return number(c.diagnostics[i].learning_coefficient.*part); });
  });
  all["llc_all_weights"] =
      estimates(at, [](checkpoint const& c, auto part) { return number(c.all_weights.learning_coefficient.*part); });
  all["susceptibilities"] = {{"value", list(count, [&](std::size_t t) { return rows_of(at[t].response.value); })},
                             {"error", list(count, [&](std::size_t t) { return rows_of(at[t].response.error); })}};
  // Heads are named by what they are at the end.
  all["heads"] = list(at.back().scores.size(), [&](std::size_t h) {
    auto const& s = at.back().scores[h];
    return json{{"name", susc::head_name(s.layer, s.head)},
                {"layer", s.layer},
                {"head", s.head},
                {"prefix_matching", number(s.prefix_matching)},
                {"previous_token", number(s.previous_token)},
                {"induction", s.prefix_matching > induction_threshold}};
  });
  for (auto const& [name, part] : {std::pair("prefix_matching", &susc::head_score::prefix_matching),
                                   std::pair("previous_token", &susc::head_score::previous_token)})
    all[name] = list(count, [&, part = part](std::size_t t) {
      return list(at[t].scores.size(), [&](std::size_t h) { return number(at[t].scores[h].*part); });
    });
  all["warnings"] = json::array();
  for (checkpoint const& c : at)
    for (std::string const& text : c.warnings) all["warnings"].push_back({{"step", c.step}, {"text", text}});
  return all;
}

/// Some of the tokens, evenly taken, with their scores on the first two modes.
json tokens_of(results const& r, prepared_data const& data) {
  auto const table = token_table(data);
  std::size_t const rows = table.shape(0), every = (rows + shown_tokens - 1) / shown_tokens;
  json probes = json::array(), texts = json::array();
  std::vector<std::size_t> taken;
  for (std::size_t row = 0; row < rows; row += every) {
    auto const& probe = data.probes[static_cast<std::size_t>(table(row, 0))].batch;
    auto const sequence = probe.sequence(static_cast<std::size_t>(table(row, 1)));
    auto const t = static_cast<std::size_t>(table(row, 2));
    std::string before;
    for (std::size_t i = t - std::min<std::size_t>(t, 8); i != t; ++i) before += text_of_token(data, sequence[i]);
    probes.push_back(table(row, 0));
    texts.push_back({before, data.piece(sequence[t])});
    taken.push_back(row);
  }
  auto const& scores = r.modes.scores;
  return {{"probe", probes},
          {"text", texts},
          {"scores", list(scores.shape(0), [&](std::size_t t) {
             return list(std::min<std::size_t>(2, scores.shape(2)), [&](std::size_t k) {
               return list(taken.size(), [&](std::size_t i) { return number(scores(t, taken[i], k), 3); });
             });
           })}};
}

}  // namespace

std::string html_page(results const& r, prepared_data const& data) {
  json shown = summary_of(r);
  for (auto const& [name, value] : r.settings.at("model").items()) shown["settings"]["model " + name] = value;
  shown["settings"].erase("model");
  if (shown["settings"]["localization"].is_object())
    for (auto const& [name, value] : r.settings.at("localization").items())
      shown["settings"]["localization " + name] = value;
  if (shown["settings"]["localization"].is_object()) shown["settings"].erase("localization");
  shown["title"] = "Development over " + std::to_string(r.checkpoints.back().step) + " steps of training";
  shown["response_matrix"] = json::object();  // which the shared part of the script looks for
  for (char const* name : {"loadings", "singular_values", "explained"})
    for (auto& at : shown[name])
      while (at.size() > shown_modes) at.erase(at.size() - 1);
  shown["tokens"] = tokens_of(r, data);
  // The colours and type of the library's report.
  std::string_view const report = susc::detail::report_page;
  std::size_t const begin = report.find("<style>") + 7, end = report.find("</style>");
  std::string page;
  std::string_view rest = page_markup;
  auto const fill = [&](std::string_view mark, std::string_view content) {
    std::size_t const position = rest.find(mark);
    page.append(rest.substr(0, position)).append(content);
    rest.remove_prefix(position + mark.size());
  };
  fill("@title@", susc::detail::text_for_html(shown["title"].get<std::string>()));
  fill("@style@", report.substr(begin, end - begin));
  auto const& localization = r.settings.at("localization");
  fill("@localization@",
       localization.is_number()
           ? susc::detail::concatenate("γ = ", localization.get<double>(), ", is the same for all")
           : susc::detail::concatenate("γ, of each component was chosen once, for all, at the last: E[φ] is about ",
                                       r.settings.at("pilot_target").get<double>(), " there"));
  fill("@data@", susc::detail::json_for_script(shown));
  fill("@script@", susc::detail::report_script);
  return page.append(page_charts).append(page_pictures).append(rest);
}

void write(std::filesystem::path const& folder, results const& r, prepared_data const& data) {
  auto const& at = r.checkpoints;
  std::size_t const count = at.size(), probes = r.probes.size(), components = r.components.size(),
                    heads = at.front().scores.size(), tokens = at.front().tokens.shape(0);
  auto const save = [&](std::string const& name, std::vector<std::size_t> shape, auto of) {
    shape.insert(shape.begin(), count);
    std::vector<double> values;
    for (checkpoint const& c : at) of(c, values);
    susc::write_npy<double>(folder / (name + ".npy"), values, shape);
  };
  auto const append = [](std::vector<double>& values, auto const& more) {
    values.insert(values.end(), more.begin(), more.end());
  };
  save("steps", {}, [](checkpoint const& c, auto& to) { to.push_back(static_cast<double>(c.step)); });
  save("losses", {probes}, [&](checkpoint const& c, auto& to) { append(to, c.losses); });
  for (auto const& [suffix, part] :
       {std::pair("", &susc::estimate::value), std::pair("_error", &susc::estimate::error)}) {
    save(std::string("llc") + suffix, {components}, [part = part](checkpoint const& c, auto& to) {
      for (auto const& d : c.diagnostics) to.push_back(d.learning_coefficient.*part);
    });
    save(std::string("llc_all_weights") + suffix, {},
         [part = part](checkpoint const& c, auto& to) { to.push_back(c.all_weights.learning_coefficient.*part); });
  }
  save("susceptibilities", {probes, components}, [&](checkpoint const& c, auto& to) { append(to, c.response.value); });
  save("susceptibilities_error", {probes, components},
       [&](checkpoint const& c, auto& to) { append(to, c.response.error); });
  save("example_susceptibilities", {tokens, components}, [&](checkpoint const& c, auto& to) { append(to, c.tokens); });
  for (auto const& [name, part] : {std::pair("prefix_matching", &susc::head_score::prefix_matching),
                                   std::pair("previous_token", &susc::head_score::previous_token)})
    save(name, {heads}, [part = part](checkpoint const& c, auto& to) {
      for (auto const& s : c.scores) to.push_back(s.*part);
    });
  susc::write_npy(folder / "singular_values.npy", r.modes.singular_values);
  susc::write_npy(folder / "loadings.npy", r.modes.loadings);
  susc::write_npy(folder / "scores.npy", r.modes.scores);
  susc::write_npy(folder / "matching_residual.npy", r.modes.matching_residual);
  susc::write_npy(folder / "rotation_residual.npy", r.modes.rotation_residual);
  susc::write_npy(folder / "tokens.npy", token_table(data));
#ifdef SUSC_WITH_NETCDF
  write_dataset(folder / "development.nc", r, data);
#endif
  susc::write_file_atomically(folder / "development.json", [&](std::ostream& out) {
    out << summary_of(r).dump(1, ' ', false, json::error_handler_t::replace) << '\n';
  });
  std::string const page = html_page(r, data);
  susc::write_file_atomically(folder / "development.html", [&](std::ostream& out) { out << page; });
}

}  // namespace development
