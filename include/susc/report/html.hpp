#pragma once
/// A report of one run as a single HTML file: opens from disk, needs no network, follows the reader's light or dark
/// setting. The numbers it shows are embedded in it as JSON, so the file is also a record of the run.
///
/// Schema of `data`, with C components and P probes; a number may be null (or NaN, stored as null) where undefined.
/// Required:
///   "title"            string
///   "warnings"         [string]; empty if the diagnostics found nothing
///   "components"       [C strings], e.g. "l0h3"
///   "probes"           [P strings]
///   "centring"         "full" or "restricted": that of the numbers below that do not name their own
///   "response_matrix"  {"full": {"value": P x C, "error": P x C}, "restricted": same}; one of the two may be absent,
///                      but not that named by "centring"
///   "diagnostics"      [{"component", "mean_observable", "mean_observable_error", "llc", "llc_error", "r_hat", "ess",
///                      "dropped_chains", "draws"}]; may include chains that are no component ("full"), and in all
///                      "localization"
/// Optional; a section without data does not appear:
///   "settings", "versions"   {name: value}
///   "principal_components"   {"tokens": {"singular_values": [K], "explained": [K fractions], "loadings": K x C,
///                            "auc": [K], "auc_l1": [K]}, "probes": same}; auc and auc_l1 may be absent
///   "token_patterns"         {"classes": [Q names], "tokens": [Q counts], and Q x K: "mean" score, its "error",
///                            "difference" to all other tokens, "difference_error"}; see structure/pattern_scores.hpp
///   "top_tokens"             [K times {"highest": [{"score", "probe", "before", "token", "after"}], "lowest": same}]
///   "clusters"               {"tokens": N, "tokens_of_probes": [P counts], "classes": [Q names], "tokens_of_classes":
///   [Q],
///                            "found": [{"size", "conductance", "probes": [P counts], "classes": [Q counts], "tokens":
///                            [{"token", "count"}], "examples": [{"probe", "before", "token", "after"}]}], and
///                            "missing": why there are none, or "dimensions", "neighbours",
///                            "structureless_conductance", "shuffled_conductance", "highest_conductance"}; see
///                            structure/token_clusters.hpp
///   "token_map"              {"rows": N, of which n are shown: "row", "sequence", "position", "cluster" (-1: in none),
///                            each [n]; "axes": [at least two times {"name", "values": [n]}], "sequences": [{"probe":
///                            its index, "tokens": [indices into "pieces"]}], "pieces": [strings]}
///   "sign_balance"           [{"component", "expressed_share", "expressed_mean", "suppressed_share",
///                            "suppressed_mean", and of each its "..._error"}]; see structure/sign_balance.hpp
///   "heads"                  [{"name", "layer", "head", "prefix_matching", "previous_token", "induction": bool}]
///   "traces"                 {component: [[phi of every draw] of every chain]}, burn-in excluded
///   "text"                   [{"probe": name, "sequences": [{"tokens": [T strings], "loss": [T], "value": [T x C],
///                            "error": [T x C]}]}]; null for a token that nothing predicts (the first)
///   "losses"                 [{"domain", "model", "unigram", "bigram"}], nats a token
///   "timings"                [{"phase", "seconds", "tokens_per_second"}]
/// Strings may hold any bytes: what is not UTF-8 is shown as U+FFFD.
#include <nlohmann/json.hpp>

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

#include "susc/core/error.hpp"
#include "susc/core/requirements.hpp"
#include "susc/report/page.hpp"
#include "susc/report/page_figures.hpp"
#include "susc/report/page_map.hpp"
#include "susc/report/page_script.hpp"
#include "susc/report/page_tables.hpp"

SUSC_REQUIRE_VERSION("nlohmann/json", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, 3, 11);

namespace susc {

namespace detail {

/// JSON as text that is safe inside a <script> element: ASCII only, no "<", invalid UTF-8 replaced by U+FFFD.
inline std::string json_for_script(nlohmann::json const& data) {
  std::string const text = data.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size() + text.size() / 64);
  for (char const c : text) {
    // "</script>" and "<!--" end or distort the element wherever they stand, even inside a string.
    if (c == '<')
      safe += "\\u003c";
    else
      safe += c;
  }
  return safe;
}

/// Text as the content of an element: markup escaped, invalid UTF-8 replaced by U+FFFD.
inline std::string text_for_html(std::string const& text) {
  // Through JSON and back, because that replaces invalid UTF-8.
  std::string const valid = nlohmann::json::parse(json_for_script(text)).get<std::string>();
  std::string safe;
  for (char const c : valid) {
    if (c == '&')
      safe += "&amp;";
    else if (c == '<')
      safe += "&lt;";
    else
      safe += c;
  }
  return safe;
}

/// Checks the shape of a report's data, so that a mistake is an error with a name and not an empty figure.
class report_check {
 public:
  explicit report_check(nlohmann::json const& data) : data_(data) {}

  void run() {
    require(data_.is_object(), "html_report: the data must be a JSON object, not ", data_.type_name());
    require(at(data_, "title", "").is_string(), "html_report: field 'title' must be a string");
    array(at(data_, "warnings", ""), "warnings");
    components_ = array(at(data_, "components", ""), "components").size();
    probes_ = array(at(data_, "probes", ""), "probes").size();
    require(components_ > 0 && probes_ > 0, "html_report: 'components' and 'probes' must not be empty");
    check_matrices();
    array(at(data_, "diagnostics", ""), "diagnostics");
    each("diagnostics", {"component", "mean_observable", "mean_observable_error", "llc", "llc_error", "r_hat", "ess",
                         "dropped_chains", "draws"});
    each("heads", {"name", "layer", "head", "prefix_matching", "previous_token", "induction"});
    each("sign_balance",
         {"component", "expressed_share", "expressed_share_error", "expressed_mean", "expressed_mean_error",
          "suppressed_share", "suppressed_share_error", "suppressed_mean", "suppressed_mean_error"});
    each("top_tokens", {"highest", "lowest"});
    each("losses", {"domain", "model", "unigram", "bigram"});
    each("timings", {"phase", "seconds"});
    each("text", {"probe", "sequences"});
    check_components();
    check_patterns();
    check_clusters();
    check_map();
    check_traces();
    check_text();
  }

 private:
  using json = nlohmann::json;

  static json const& at(json const& object, std::string const& name, std::string const& path) {
    require(object.is_object() && object.contains(name), "html_report: required field '", path, name, "' is missing");
    return object.at(name);
  }
  static json const& array(json const& value, std::string const& path) {
    require(value.is_array(), "html_report: field '", path, "' must be an array, not ", value.type_name());
    return value;
  }
  static void sized(json const& value, std::size_t size, std::string const& path, std::string_view what) {
    std::size_t const found = array(value, path).size();
    require(found == size, "html_report: field '", path, "' has ", found, " entries, not ", size, " (", what, ")");
  }
  /// Entries of an optional top-level array, each an object with the given fields.
  void each(std::string const& name, std::initializer_list<char const*> fields) const {
    if (!data_.contains(name)) return;
    std::size_t i = 0;
    for (json const& entry : array(data_.at(name), name)) {
      std::string const path = concatenate(name, "[", i++, "].");
      for (char const* field : fields) at(entry, field, path);
    }
  }

  void check_matrices() const {
    json const& centring = at(data_, "centring", "");
    require(centring == "full" || centring == "restricted",
            "html_report: field 'centring' must be \"full\" or \"restricted\"");
    json const& matrices = at(data_, "response_matrix", "");
    at(matrices, centring.get<std::string>(), "response_matrix.");
    for (char const* name : {"full", "restricted"}) {
      if (!matrices.contains(name)) continue;
      for (char const* part : {"value", "error"}) {
        std::string const path = concatenate("response_matrix.", name, ".");
        json const& rows = at(matrices.at(name), part, path);
        sized(rows, probes_, path + part, "one row a probe");
        for (json const& row : rows) sized(row, components_, path + part + "[row]", "one column a component");
      }
    }
  }
  void check_components() const {
    if (!data_.contains("principal_components")) return;
    require(data_.at("principal_components").is_object(),
            "html_report: field 'principal_components' must be an object");
    for (auto const& [name, part] : data_.at("principal_components").items()) {
      std::string const path = concatenate("principal_components.", name, ".");
      std::size_t const count = array(at(part, "singular_values", path), path + "singular_values").size();
      sized(at(part, "explained", path), count, path + "explained", "one a singular value");
      sized(at(part, "loadings", path), count, path + "loadings", "one row a singular value");
      for (json const& row : part.at("loadings")) sized(row, components_, path + "loadings[row]", "one a component");
      for (char const* optional : {"auc", "auc_l1"})
        if (part.contains(optional)) sized(part.at(optional), count, path + optional, "one a singular value");
    }
  }
  void check_patterns() const {
    if (data_.contains("top_tokens"))
      for (json const& mode : data_.at("top_tokens"))
        for (char const* sign : {"highest", "lowest"})
          for (json const& entry : array(mode.at(sign), concatenate("top_tokens[].", sign)))
            for (char const* field : {"score", "probe", "before", "token", "after"})
              at(entry, field, concatenate("top_tokens[].", sign, "[]."));
    if (!data_.contains("token_patterns")) return;
    std::string const path = "token_patterns.";
    json const& patterns = data_.at("token_patterns");
    std::size_t const classes = array(at(patterns, "classes", path), path + "classes").size();
    sized(at(patterns, "tokens", path), classes, path + "tokens", "one a class");
    std::size_t modes = 0;
    for (char const* part : {"mean", "error", "difference", "difference_error"}) {
      sized(at(patterns, part, path), classes, path + part, "one row a class");
      for (json const& row : patterns.at(part)) {
        if (modes == 0) modes = array(row, path + part + "[row]").size();
        sized(row, modes, path + part + "[row]", "one a principal component");
      }
    }
  }
  void check_clusters() {
    if (!data_.contains("clusters")) return;
    std::string const path = "clusters.";
    json const& all = data_.at("clusters");
    at(all, "tokens", path);
    sized(at(all, "tokens_of_probes", path), probes_, path + "tokens_of_probes", "one a probe");
    std::size_t const classes = array(at(all, "classes", path), path + "classes").size();
    sized(at(all, "tokens_of_classes", path), classes, path + "tokens_of_classes", "one a class");
    if (!all.contains("missing"))
      for (char const* field :
           {"dimensions", "neighbours", "structureless_conductance", "shuffled_conductance", "highest_conductance"})
        at(all, field, path);
    clusters_ = array(at(all, "found", path), path + "found").size();
    for (json const& found : all.at("found")) {
      std::string const inner = "clusters.found[].";
      for (char const* field : {"size", "conductance"}) at(found, field, inner);
      sized(at(found, "probes", inner), probes_, inner + "probes", "one a probe");
      sized(at(found, "classes", inner), classes, inner + "classes", "one a class");
      for (json const& entry : array(at(found, "tokens", inner), inner + "tokens"))
        for (char const* field : {"token", "count"}) at(entry, field, inner + "tokens[].");
      for (json const& entry : array(at(found, "examples", inner), inner + "examples"))
        for (char const* field : {"probe", "before", "token", "after"}) at(entry, field, inner + "examples[].");
    }
  }
  /// Indices are checked too: the page follows them.
  void check_map() const {
    if (!data_.contains("token_map")) return;
    std::string const path = "token_map.";
    json const& map = data_.at("token_map");
    at(map, "rows", path);
    std::size_t const points = array(at(map, "row", path), path + "row").size();
    for (char const* part : {"sequence", "position", "cluster"})
      sized(at(map, part, path), points, path + part, "one a point");
    json const& axes = array(at(map, "axes", path), path + "axes");
    require(axes.size() >= 2, "html_report: field 'token_map.axes' has ", axes.size(),
            " entries, at least 2 are needed");
    for (json const& axis : axes) {
      at(axis, "name", path + "axes[].");
      sized(at(axis, "values", path + "axes[]."), points, path + "axes[].values", "one a point");
    }
    auto const index = [](json const& value, std::size_t size, std::string_view what) {
      require(value.is_number_integer() && value >= 0 && value < size, "html_report: field 'token_map.", what,
              "' holds ", value.dump(), ", must be an index below ", size);
      return value.get<std::size_t>();
    };
    std::size_t const pieces = array(at(map, "pieces", path), path + "pieces").size();
    json const& sequences = array(at(map, "sequences", path), path + "sequences");
    for (json const& sequence : sequences) {
      index(at(sequence, "probe", path + "sequences[]."), probes_, "sequences[].probe");
      for (json const& piece : array(at(sequence, "tokens", path + "sequences[]."), path + "sequences[].tokens"))
        index(piece, pieces, "sequences[].tokens");
    }
    for (std::size_t i = 0; i != points; ++i) {
      json const& sequence = sequences[index(map.at("sequence")[i], sequences.size(), "sequence")];
      index(map.at("position")[i], sequence.at("tokens").size(), "position");
      if (map.at("cluster")[i] != -1) index(map.at("cluster")[i], clusters_, "cluster");
    }
  }
  void check_traces() const {
    if (!data_.contains("traces")) return;
    require(data_.at("traces").is_object(), "html_report: field 'traces' must be an object, component to chains");
    for (auto const& [name, chains] : data_.at("traces").items())
      for (json const& chain : array(chains, concatenate("traces.", name)))
        array(chain, concatenate("traces.", name, "[chain]"));
  }
  void check_text() const {
    if (!data_.contains("text")) return;
    for (json const& probe : data_.at("text")) {
      for (json const& sequence : array(probe.at("sequences"), "text[].sequences")) {
        std::string const path = "text[].sequences[].";
        std::size_t const count = array(at(sequence, "tokens", path), path + "tokens").size();
        for (char const* part : {"loss", "value", "error"})
          sized(at(sequence, part, path), count, path + part, "one a token");
        for (char const* part : {"value", "error"})
          for (json const& row : sequence.at(part))
            if (!row.is_null()) sized(row, components_, path + part + "[token]", "one a component");
      }
    }
  }

  json const& data_;
  std::size_t components_ = 0;
  std::size_t probes_ = 0;
  std::size_t clusters_ = 0;
};

}  // namespace detail

/// The report as the text of one HTML file; `data` follows the schema at the top of this header.
/// Throws susc::error that names the field if a required one is missing or has the wrong shape.
inline std::string html_report(nlohmann::json const& data) {
  detail::report_check(data).run();
  std::string page;
  std::string_view rest = detail::report_page;
  auto const fill = [&](std::string_view mark, std::string_view content) {
    // Marks are looked for in the template only, so data that contains one changes nothing.
    std::size_t const position = rest.find(mark);
    page.append(rest.substr(0, position)).append(content);
    rest.remove_prefix(position + mark.size());
  };
  fill("@title@", detail::text_for_html(data.at("title").get<std::string>()));
  fill("@data@", detail::json_for_script(data));
  fill("@script@", detail::report_script);
  page.append(detail::report_figures).append(detail::report_map).append(detail::report_tables);
  return page.append(rest);
}

}  // namespace susc
