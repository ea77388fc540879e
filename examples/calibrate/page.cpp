#include "page.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string_view>

#include "figures.hpp"
#include "susc/io/file.hpp"
#include "susc/report/html.hpp"
#include "susc/version.hpp"

namespace calibrate {

namespace {

using nlohmann::json;
using susc::detail::concatenate;
using susc::detail::text_for_html;

/// What the style of the library's report lacks.
constexpr std::string_view style = R"css(
figure { margin: 0; }
figcaption { margin: 2px 0 0; font-size: 13px; }
figure svg { width: 100%; }
svg .limit { stroke: var(--warn); stroke-dasharray: 4 4; opacity: .7; }
svg .curve { fill: none; stroke: currentColor; stroke-width: 1.6; opacity: .75; }
svg .bar-line { stroke: currentColor; stroke-width: 1.4; }
svg .keeps { fill: currentColor; stroke: currentColor; stroke-width: 1.6; }
svg .breaks { fill: var(--surface); stroke: currentColor; stroke-width: 1.6; }
svg .ring { fill: none; stroke: var(--ink); stroke-width: 1.8; }
#advice { margin-top: 16px; padding: 12px 18px; background: var(--raised); border-left: 3px solid var(--accent); }
#advice.none { background: var(--warn-surface); border-color: var(--warn); }
#advice code { display: block; font: 15px/1.6 var(--mono); }
table.plain tr.best { background: var(--raised); font-weight: 600; }
table.plain tr.best td:first-child { box-shadow: inset 3px 0 var(--accent); }
table.plain tr.best td:last-child::before { content: "recommended"; }
table.plain td:first-child { padding-left: 8px; }
)css";

std::string table(calibration const& c) {
  std::string out = "<div class='scroll'><table class='plain'><thead><tr>";
  for (char const* heading :
       {"γ", "nβ", "ε", "LLC", "E[L] − L(w*)", "accepted", "R-hat", "ESS", "ESS/s", "ESS/gradient", "drift", "dropped"})
    out += concatenate("<th scope='col' class='number'>", heading, "</th>");
  out += "<th scope='col' class='word'>rules broken</th></tr></thead><tbody>";
  for (std::size_t i = 0; i != c.table.size(); ++i) {
    measurement const& m = c.table[i];
    auto const& broken = c.advice.broken[i];
    auto const cell = [&](std::string const& text, std::string_view rule = "") {
      bool const bad = std::find(broken.begin(), broken.end(), rule) != broken.end();
      out += concatenate("<td class='number", bad ? " bad" : "", "'>", text, "</td>");
    };
    out += c.advice.best == i ? "<tr class='best'>" : "<tr>";
    cell(digits(m.localization));
    cell(digits(m.n_beta));
    cell(digits(m.step_size));
    auto const llc = m.learning_coefficient;
    cell(digits(llc.value) + " ± " + digits(llc.error, "%.2g"), !(llc.value > 0) ? "LLC" : "bias");
    cell(digits(m.excess_loss.value));
    cell(digits(m.acceptance, "%.2f"));
    cell(digits(m.r_hat, "%.2f"), "R-hat");
    cell(digits(m.ess, "%.0f"));
    cell(digits(m.ess_per_second));
    cell(digits(m.ess_per_gradient));
    cell(digits(m.drift, "%.1f"), "drift");
    cell(std::to_string(m.dropped_chains), "dropped");
    std::string names;
    for (auto const rule : broken) names.append(names.empty() ? "" : ", ").append(rule);
    out += concatenate("<td class='word'>", names, "</td></tr>\n");
  }
  return out + "</tbody></table></div>";
}

nlohmann::ordered_json settings_of(calibration const& c) {
  options const& o = c.settings;
  return {{"component", o.component},
          {"model", o.model},
          {"pretraining", o.pretraining},
          {"parameters", c.parameters},
          {"all_parameters", c.all_parameters},
          {"all_weights", o.all_weights},
          {"scale", c.scale},
          {"sampler", o.sampler},
          {"chains", o.chains},
          {"draws", o.draws},
          {"thinning", o.thinning},
          {"batch_size", o.batch_size},
          {"evaluation_tokens", o.evaluation_tokens},
          {"seed", o.seed},
          {"version", std::string(susc::version)}};
}

/// For JSON: what is not finite is null.
json number(double value) {
  return std::isfinite(value) ? json(value) : json(nullptr);
}

}  // namespace

std::string note(calibration const& c) {
  if (c.scale == 1) return "The chains have the localization and step size of the options.";
  return concatenate("All weights move: the chains have ", digits(c.scale),
                     " times the localization of the options and 1/", digits(c.scale),
                     " of their step size, the ratio of all weights to a head's, as in structural_inference.");
}

std::string html_page(calibration const& c) {
  // The colours and type of the library's report.
  std::string_view const report = susc::detail::report_page;
  std::size_t const begin = report.find("<style>") + 7, end = report.find("</style>");
  std::string const title = "Calibration of " + text_for_html(c.settings.component);
  std::string out = concatenate(
      "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
      "<meta name='viewport' content='width=device-width, initial-scale=1'><meta name='color-scheme' "
      "content='light dark'><meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src "
      "'unsafe-inline'\"><title>",
      title, "</title><style>", report.substr(begin, end - begin), style, "</style></head><body><header><h1>", title,
      "</h1><p id='settings'>");
  auto const settings = settings_of(c);
  char const* between = "";
  for (auto const& [name, value] : settings.items()) {
    out += concatenate(between, "<span class='pair'><b>", name, "</b> ",
                       text_for_html(value.is_string() ? value.get<std::string>() : value.dump()), "</span>");
    between = " · ";
  }
  out += concatenate("</p><div id='advice'", c.advice.best ? "" : " class='none'", ">");
  if (c.advice.best) out += concatenate("<code>", arguments(c.table[*c.advice.best]), "</code>");
  out += concatenate("<p>", text_for_html(c.advice.reason), "</p></div></header><main>");
  for (double const localization : c.settings.localizations)
    out += concatenate("<section><h2>Localization γ = ", digits(localization), "</h2><p class='caption'>", note(c),
                       " Bars: one standard error.</p>", legend(c), figures(c, localization), "</section>");
  out += concatenate(
      "<section><h2>All settings</h2><p class='caption'>Marked numbers break a rule: a chain dropped, R-hat above "
      "1.05, a drift of more than 4 standard errors, an LLC that is not positive, or one that differs from that at the "
      "smallest step size of its γ and nβ by more than 5 % and 2 combined errors. Of the settings that break none, "
      "that "
      "of most ESS/s is recommended: effective draws a second of one thread, burn-in included.</p>",
      table(c), "</section></main><footer><p>A step took ", digits(1e3 * c.spent.step_seconds), " ms, a draw ",
      digits(1e3 * c.spent.draw_seconds), " ms, everything ", digits(c.seconds), " s. susc ", susc::version,
      "</p></footer></body></html>\n");
  return out;
}

void write(std::filesystem::path const& folder, calibration const& c) {
  json rows = json::array();
  for (std::size_t i = 0; i != c.table.size(); ++i) {
    measurement const& m = c.table[i];
    rows.push_back({{"localization", m.localization},
                    {"n_beta", m.n_beta},
                    {"step_size", m.step_size},
                    {"burn_in", m.burn_in},
                    {"llc", number(m.learning_coefficient.value)},
                    {"llc_error", number(m.learning_coefficient.error)},
                    {"excess_loss", number(m.excess_loss.value)},
                    {"excess_loss_error", number(m.excess_loss.error)},
                    {"acceptance", number(m.acceptance)},
                    {"r_hat", number(m.r_hat)},
                    {"ess", number(m.ess)},
                    {"ess_per_second", number(m.ess_per_second)},
                    {"ess_per_gradient", number(m.ess_per_gradient)},
                    {"drift", number(m.drift)},
                    {"dropped_chains", m.dropped_chains},
                    {"rules_broken", c.advice.broken[i]}});
  }
  json const all{
      {"settings", settings_of(c)},
      {"results", rows},
      {"recommended", c.advice.best ? json(*c.advice.best) : json(nullptr)},
      {"arguments", c.advice.best ? json(arguments(c.table[*c.advice.best])) : json(nullptr)},
      {"reason", c.advice.reason},
      {"timings",
       {{"step_seconds", c.spent.step_seconds}, {"draw_seconds", c.spent.draw_seconds}, {"seconds", c.seconds}}}};
  susc::write_file_atomically(folder / "calibration.json", [&](std::ostream& out) {
    out << all.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
  });
  std::string const page = html_page(c);
  susc::write_file_atomically(folder / "calibration.html", [&](std::ostream& out) { out << page; });
}

}  // namespace calibrate
