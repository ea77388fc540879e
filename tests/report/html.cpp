#include "susc/report/html.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace {

using nlohmann::json;

/// The least data that a report accepts: a user's own network without heads, text or losses.
json minimal() {
  return json::parse(R"({
    "title": "two blocks", "warnings": [], "components": ["block_0", "block_1"], "probes": ["shifted"],
    "centring": "restricted", "response_matrix": {"restricted": {"value": [[0.5, -0.25]], "error": [[0.125, 0.5]]}},
    "diagnostics": [{"component": "block_0", "mean_observable": 0.25, "mean_observable_error": 0.01, "llc": 7.5,
                     "llc_error": 0.5, "r_hat": 1.01, "ess": 400, "dropped_chains": 0, "draws": 800}]})");
}

/// The text between the tags of the embedded data, found as a browser finds it: up to the first "</script".
std::string embedded(std::string const& page) {
  std::string const open = R"(<script type="application/json" id="data">)";
  std::size_t const begin = page.find(open) + open.size();
  return page.substr(begin, page.find("</script", begin) - begin);
}

std::string message_of(json const& data) {
  try {
    susc::html_report(data);
  } catch (susc::error const& error) {
    return error.what();
  }
  return "no error";
}

std::size_t count(std::string const& text, std::string const& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("html_report: the embedded data parses back equal") {
  json data = minimal();
  data["settings"] = {{"step_size", 1e-3}, {"seed", 1}, {"note", "\u03b3 = 300 \u2028 & 'quotes' \\ \"\n"}};
  CHECK(json::parse(embedded(susc::html_report(data))) == data);
}

TEST_CASE("html_report: markup in strings cannot leave the data element") {
  json data = minimal();
  std::string const nasty = "</script><script>alert(1)</script><!-- <script> ]]> @script@ @data@";
  data["title"] = nasty;
  data["probes"][0] = nasty;
  data["settings"][nasty] = nasty;
  std::string const page = susc::html_report(data), content = embedded(page);
  CHECK(content.find('<') == std::string::npos);
  CHECK(json::parse(content) == data);
  CHECK(page.find("alert(1)</script>") == std::string::npos);
  // Same number of elements as without: nothing was added, and no mark inside the data was filled in.
  CHECK(count(page, "<script") == count(susc::html_report(minimal()), "<script"));
  CHECK(page.find("<title>&lt;/script>&lt;script>alert(1)") != std::string::npos);
}

TEST_CASE("html_report: tokens that are no UTF-8 become U+FFFD, numbers that are none become null") {
  json data = minimal();
  data["text"] = json::array({{{"probe", "shifted"},
                               {"sequences",
                                {{{"tokens", {"a", "\xc3", "\xff\n"}},
                                  {"loss", {nullptr, 1.0, std::numeric_limits<double>::quiet_NaN()}},
                                  {"value", {nullptr, {0.5, -0.5}, {1.0, std::numeric_limits<double>::infinity()}}},
                                  {"error", {nullptr, {0.1, 0.1}, {0.1, 0.1}}}}}}}});
  std::string const page = susc::html_report(data);
  json const sequence = json::parse(embedded(page)).at("text").at(0).at("sequences").at(0);
  CHECK(sequence.at("tokens") == json({"a", "\ufffd", "\ufffd\n"}));
  CHECK(sequence.at("loss").at(2).is_null());
  CHECK(sequence.at("value").at(2) == json({1.0, nullptr}));
  for (char const c : embedded(page)) REQUIRE(static_cast<unsigned char>(c) < 0x80);
}

TEST_CASE("html_report: a missing required field is named") {
  for (char const* field :
       {"title", "warnings", "components", "probes", "centring", "response_matrix", "diagnostics"}) {
    json data = minimal();
    data.erase(field);
    CHECK(message_of(data) == "html_report: required field '" + std::string(field) + "' is missing");
  }
  json data = minimal();
  data["centring"] = "full";
  CHECK(message_of(data) == "html_report: required field 'response_matrix.full' is missing");
  data = minimal();
  data["response_matrix"]["restricted"].erase("error");
  CHECK(message_of(data) == "html_report: required field 'response_matrix.restricted.error' is missing");
  data = minimal();
  data["diagnostics"][0].erase("ess");
  CHECK(message_of(data) == "html_report: required field 'diagnostics[0].ess' is missing");
  data = minimal();
  data["heads"] = json::array({{{"name", "l0h0"}}});
  CHECK(message_of(data) == "html_report: required field 'heads[0].layer' is missing");
  CHECK(message_of(json::array()).find("must be a JSON object, not array") != std::string::npos);
  CHECK(message_of(minimal()) == "no error");
}

TEST_CASE("html_report: a wrong shape is named") {
  json data = minimal();
  data["response_matrix"]["restricted"]["value"][0] = {1, 2, 3};
  CHECK(message_of(data) ==
        "html_report: field 'response_matrix.restricted.value[row]' has 3 entries, not 2 (one column a component)");
  data = minimal();
  data["response_matrix"]["restricted"]["error"].push_back({1, 2});
  CHECK(message_of(data).find("'response_matrix.restricted.error' has 2 entries, not 1") != std::string::npos);
  data = minimal();
  data["centring"] = "none";
  CHECK(message_of(data).find("'centring' must be") != std::string::npos);
  data = minimal();
  data["traces"] = {{"block_0", {0.1, 0.2}}};
  CHECK(message_of(data).find("'traces.block_0[chain]' must be an array") != std::string::npos);
  data = minimal();
  data["principal_components"]["tokens"] = {
      {"singular_values", {2, 1}}, {"explained", {0.8, 0.2}}, {"loadings", {{1, 0}}}};
  CHECK(message_of(data).find("'principal_components.tokens.loadings' has 1 entries, not 2") != std::string::npos);
  data["principal_components"]["tokens"]["loadings"] = {{1, 0}, {0, 1}};
  CHECK(message_of(data) == "no error");
  data["principal_components"]["tokens"]["auc_l1"] = {1.0};
  CHECK(message_of(data).find("'principal_components.tokens.auc_l1' has 1 entries, not 2") != std::string::npos);
  data = minimal();
  data["text"] = json::array({{{"probe", "shifted"},
                               {"sequences",
                                {{{"tokens", {"a", "b"}},
                                  {"loss", {nullptr, 1.0}},
                                  {"value", {nullptr, {0.5}}},
                                  {"error", {nullptr, {0.1, 0.1}}}}}}}});
  CHECK(message_of(data).find("'text[].sequences[].value[token]' has 1 entries, not 2") != std::string::npos);
}

TEST_CASE("html_report: one file that fetches nothing") {
  std::string const page = susc::html_report(minimal());
  CHECK(page.starts_with("<!doctype html>"));
  CHECK(page.ends_with("</html>\n"));
  CHECK(page.find("default-src 'none'") != std::string::npos);
  for (char const* fetched : {"<link", "<img", "<iframe", " src=", "url(", "@import", "fetch(", "https://"})
    CHECK_MESSAGE(page.find(fetched) == std::string::npos, fetched);
  CHECK(page.find("@script@") == std::string::npos);
}

TEST_CASE("html_report: tokens by pattern have one row a class, one column a principal component") {
  json data = minimal();
  json const rows = {{1.5, -0.5}, {0.25, nullptr}, {0, 1}};
  data["token_patterns"] = {{"classes", {"word start", "induction", "numeric"}},
                            {"tokens", {7, 3, 0}},
                            {"mean", rows},
                            {"error", rows},
                            {"difference", rows},
                            {"difference_error", rows}};
  CHECK(message_of(data) == "no error");
  data["token_patterns"]["error"][1] = {1.5};
  CHECK(message_of(data).find("'token_patterns.error[row]' has 1 entries, not 2") != std::string::npos);
  data["token_patterns"]["error"] = {{1, 2}};
  CHECK(message_of(data).find("'token_patterns.error' has 1 entries, not 3") != std::string::npos);
  data["token_patterns"].erase("tokens");
  CHECK(message_of(data).find("'token_patterns.tokens' is missing") != std::string::npos);
}

TEST_CASE("html_report: top tokens and the balance of signs have all their fields") {
  json data = minimal();
  json token = {{"score", 2.5}, {"probe", "shifted"}, {"before", "a "}, {"token", "b"}, {"after", "\xff</script>"}};
  data["top_tokens"] = json::array({{{"highest", json::array({token})}, {"lowest", json::array()}}});
  CHECK(message_of(data) == "no error");
  token.erase("after");
  data["top_tokens"][0]["lowest"] = json::array({token});
  CHECK(message_of(data).find("'top_tokens[].lowest[].after' is missing") != std::string::npos);
  data["top_tokens"][0].erase("lowest");
  CHECK(message_of(data).find("'top_tokens[0].lowest' is missing") != std::string::npos);
  data.erase("top_tokens");
  data["sign_balance"] = json::array({{{"component", "block_0"}}});
  CHECK(message_of(data).find("'sign_balance[0].expressed_share' is missing") != std::string::npos);
}

namespace {

/// Three tokens of two sequences, two of them in one cluster.
json with_map() {
  json data = minimal();
  json const example = {{"probe", "shifted"}, {"before", "a "}, {"token", "b"}, {"after", "\xff</script>"}};
  data["clusters"] = {{"tokens", 3},
                      {"tokens_of_probes", {3}},
                      {"classes", {"word start", "numeric"}},
                      {"tokens_of_classes", {2, 1}},
                      {"dimensions", 2},
                      {"neighbours", 1},
                      {"structureless_conductance", .8},
                      {"shuffled_conductance", .7},
                      {"highest_conductance", .6},
                      {"found", json::array({{{"size", 2},
                                              {"conductance", .25},
                                              {"probes", {2}},
                                              {"classes", {1, 0}},
                                              {"tokens", json::array({{{"token", "b"}, {"count", 2}}})},
                                              {"examples", json::array({example})}}})}};
  data["token_map"] = {
      {"rows", 30},
      {"row", {0, 1, 20}},
      {"sequence", {0, 0, 1}},
      {"position", {1, 2, 1}},
      {"cluster", {0, -1, 0}},
      {"sequences", json::array({{{"probe", 0}, {"tokens", {0, 1, 1}}}, {{"probe", 0}, {"tokens", {1, 0}}}})},
      {"pieces", {"b", "\xc3"}},
      {"axes", json::array({{{"name", "PC1"}, {"values", {1.5, -1.5, 0}}}, {{"name", "PC2"}, {"values", {0, 1, 2}}}})}};
  return data;
}

}  // namespace

TEST_CASE("html_report: clusters have all their fields, or a reason") {
  CHECK(message_of(with_map()) == "no error");
  json data = with_map();
  data["clusters"]["found"][0]["classes"] = {1};
  CHECK(message_of(data).find("'clusters.found[].classes' has 1 entries, not 2 (one a class)") != std::string::npos);
  data["clusters"]["found"][0].erase("conductance");
  CHECK(message_of(data).find("'clusters.found[].conductance' is missing") != std::string::npos);
  data["clusters"].erase("tokens_of_probes");
  CHECK(message_of(data).find("'clusters.tokens_of_probes' is missing") != std::string::npos);
  data = with_map();
  data["clusters"]["found"][0]["examples"][0].erase("after");
  CHECK(message_of(data).find("'clusters.found[].examples[].after' is missing") != std::string::npos);
  data = with_map();
  data.erase("token_map");
  data["clusters"].erase("neighbours");
  CHECK(message_of(data).find("'clusters.neighbours' is missing") != std::string::npos);
  data["clusters"]["missing"] = "there are 3 tokens";
  CHECK(message_of(data) == "no error");
}

TEST_CASE("html_report: what the map refers to is there") {
  struct {
    char const* pointer;
    json value;
    char const* message;
  } const cases[]{
      {"/token_map/cluster/2", 1, "'token_map.cluster' holds 1, must be an index below 1"},
      {"/token_map/cluster/2", -2, "'token_map.cluster' holds -2, must be an index below 1"},
      {"/token_map/position/2", 2, "'token_map.position' holds 2, must be an index below 2"},
      {"/token_map/sequence/0", 2, "'token_map.sequence' holds 2, must be an index below 2"},
      {"/token_map/sequence/0", nullptr, "'token_map.sequence' holds null, must be an index below 2"},
      {"/token_map/sequences/1/probe", 1, "'token_map.sequences[].probe' holds 1, must be an index below 1"},
      {"/token_map/sequences/0/tokens/2", 2, "'token_map.sequences[].tokens' holds 2, must be an index below 2"},
      {"/token_map/position", json::array({1, 2}), "'token_map.position' has 2 entries, not 3 (one a point)"},
      {"/token_map/axes/1/values", json::array({1}), "'token_map.axes[].values' has 1 entries, not 3 (one a point)"},
      {"/token_map/axes", json::array(), "'token_map.axes' has 0 entries, at least 2 are needed"}};
  for (auto const& each : cases) {
    json data = with_map();
    data[json::json_pointer(each.pointer)] = each.value;
    CHECK_MESSAGE(message_of(data).find(each.message) != std::string::npos, message_of(data));
  }
  json data = with_map();
  data.erase("clusters");
  CHECK(message_of(data).find("'token_map.cluster' holds 0, must be an index below 0") != std::string::npos);
  data["token_map"]["cluster"] = {-1, -1, -1};
  CHECK(message_of(data) == "no error");
}

TEST_CASE("html_report: the map's texts are embedded as text") {
  std::string const page = susc::html_report(with_map());
  json const map = json::parse(embedded(page)).at("token_map");
  CHECK(map.at("pieces") == json({"b", "\ufffd"}));
  CHECK(map.at("axes") == with_map().at("token_map").at("axes"));
  CHECK(page.find("function token_map()") != std::string::npos);
  CHECK(page.find("id=\"clusters\"") != std::string::npos);
}
