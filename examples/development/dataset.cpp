#include "dataset.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "../structural_inference/dataset_attributes.hpp"
#include "../structural_inference/results.hpp"
#include "susc/io/netcdf.hpp"

namespace development {

namespace {

using names = std::vector<std::string>;
using structural_inference::valid_text;

names valid(names texts) {
  for (std::string& text : texts) text = valid_text(text);
  return texts;
}

template <class Array>
std::span<double const> values_of(Array const& array) {
  return {array.data(), array.size()};
}

class builder {
 public:
  builder(results const& r, prepared_data const& data) : r_(r), tokens_(token_table(data)) {
    dataset_.dimensions = {{"checkpoint", r.checkpoints.size()},
                           {"component", r.components.size()},
                           {"probe", r.probes.size()},
                           {"token", tokens_.shape(0)},
                           {"mode", r.modes.singular_values.shape(1)},
                           {"head", r.checkpoints.front().scores.size()}};
    coordinates(data);
    sampled();
    measured();
    aligned();
    dataset_.attributes = {{"title", "Susceptibilities of the components of a language model over its training"},
                           {"source", "development of susc " + r.versions["susc"].get<std::string>()},
                           {"references", "arXiv 2504.18274, 2508.00331"}};
    names warnings;
    for (checkpoint const& c : r.checkpoints)
      for (std::string const& warning : c.warnings)
        warnings.push_back("step " + std::to_string(c.step) + ": " + warning);
    structural_inference::add_attributes(dataset_.attributes, r.versions, r.settings, warnings);
  }

  susc::netcdf_dataset const& dataset() const { return dataset_; }

 private:
  template <class Values>
  void add(std::string name, names over, Values values, std::string long_name, std::string units = "") {
    std::vector<susc::netcdf_attribute> more{{"long_name", std::move(long_name)}};
    if (!units.empty()) more.push_back({"units", std::move(units)});
    if (std::count(over.begin(), over.end(), "token") > 0 && over.size() > 1)
      more.push_back({"coordinates", token_coordinates_});
    dataset_.variables.push_back({std::move(name), std::move(over), std::move(values), std::move(more)});
  }
  /// of(checkpoint, values) appends those of one checkpoint.
  template <class Of>
  void add_each(std::string name, names over, Of of, std::string long_name, std::string units) {
    std::vector<double> values;
    for (checkpoint const& c : r_.checkpoints) of(c, values);
    over.insert(over.begin(), "checkpoint");
    add(std::move(name), std::move(over), std::move(values), std::move(long_name), std::move(units));
  }

  void coordinates(prepared_data const& data) {
    std::vector<std::int64_t> steps;
    for (checkpoint const& c : r_.checkpoints) steps.push_back(static_cast<std::int64_t>(c.step));
    names heads;
    for (auto const& s : r_.checkpoints.front().scores) heads.push_back(susc::head_name(s.layer, s.head));
    std::vector<std::int32_t> modes(r_.modes.singular_values.shape(1));
    for (std::size_t k = 0; k != modes.size(); ++k) modes[k] = static_cast<std::int32_t>(k) + 1;
    add("checkpoint", {"checkpoint"}, steps, "steps of training");
    add("component", {"component"}, r_.components, "component of the model");
    add("probe", {"probe"}, valid(r_.probes), "probe data");
    add("mode", {"mode"}, modes, "principal component at the last checkpoint");
    add("head", {"head"}, heads, "attention head");
    std::size_t const rows = tokens_.shape(0);
    std::pair<char const*, char const*> const columns[]{{"token_probe", "number of the token's probe"},
                                                        {"token_sequence", "sequence of the token in its probe"},
                                                        {"token_position", "position of the token in its sequence"},
                                                        {"token_id", "token"}};
    for (std::size_t c = 0; c != std::size(columns); ++c) {
      std::vector<std::int32_t> column(rows);
      for (std::size_t i = 0; i != rows; ++i) column[i] = tokens_(i, c);
      add(columns[c].first, {"token"}, std::move(column), columns[c].second);
      token_coordinates_.append(c == 0 ? "" : " ").append(columns[c].first);
    }
    if (!data.pieces_are_text) return;
    names texts(rows);
    for (std::size_t i = 0; i != rows; ++i) texts[i] = valid_text(data.piece(tokens_(i, 3)));
    add("token_text", {"token"}, std::move(texts), "text of the token");
    token_coordinates_ += " token_text";
  }

  /// With what: the same at every checkpoint.
  void sampled() {
    checkpoint const& c = r_.checkpoints.front();
    for (auto const& [name, values, what] : {std::tuple("localization", &c.localization, "gamma of the posterior of "),
                                             std::tuple("step_size", &c.step_size, "epsilon of the chains of ")}) {
      add(name, {"component"}, std::vector(values->begin(), values->end() - 1), std::string(what) + "the component");
      add(std::string(name) + "_all_weights", {}, std::vector{values->back()}, std::string(what) + "all weights");
    }
  }

  void measured() {
    auto const append = [](std::vector<double>& to, auto const& more) {
      to.insert(to.end(), more.begin(), more.end());
    };
    std::string const error = "standard error: value +- 1.96 error is a 95 % interval";
    add_each(
        "losses", {"probe"}, [&](checkpoint const& c, auto& to) { append(to, c.losses); }, "mean loss of the probe",
        "nats");
    for (auto const& [suffix, part] :
         {std::pair("", &susc::estimate::value), std::pair("_error", &susc::estimate::error)}) {
      bool const is_value = *suffix == '\0';
      add_each(
          std::string("learning_coefficient") + suffix, {"component"},
          [part = part](checkpoint const& c, auto& to) {
            for (auto const& d : c.diagnostics) to.push_back(d.learning_coefficient.*part);
          },
          is_value ? "n_beta (E[L] - L(w*)), weight-refined" : error, "1");
      add_each(
          std::string("learning_coefficient_all_weights") + suffix, {},
          [part = part](checkpoint const& c, auto& to) { to.push_back(c.all_weights.learning_coefficient.*part); },
          is_value ? "n_beta (E[L] - L(w*)), all weights free" : error, "1");
    }
    add_each(
        "response_matrix", {"probe", "component"}, [&](checkpoint const& c, auto& to) { append(to, c.response.value); },
        "susceptibility of the component to the probe", "nats^2");
    add_each(
        "response_matrix_error", {"probe", "component"},
        [&](checkpoint const& c, auto& to) { append(to, c.response.error); }, error, "nats^2");
    std::size_t const slice = tokens_.shape(0) * r_.components.size();
    susc::netcdf_values<double> const of_tokens(
        r_.checkpoints.size() * slice, [this, slice](std::size_t first, std::span<double> out) {
          for (std::size_t i = 0; i != out.size(); ++i)
            out[i] = r_.checkpoints[(first + i) / slice].tokens.flat((first + i) % slice);
        });
    add("token_susceptibilities", {"checkpoint", "token", "component"}, of_tokens,
        "susceptibility of the component to the token in its context", "nats^2");
    for (auto const& [name, part, what] :
         {std::tuple("prefix_matching", &susc::head_score::prefix_matching, "prefix-matching score of the head"),
          std::tuple("previous_token", &susc::head_score::previous_token, "previous-token score of the head")})
      add_each(
          name, {"head"},
          [part = part](checkpoint const& c, auto& to) {
            for (auto const& s : c.scores) to.push_back(s.*part);
          },
          what, "1");
  }

  void aligned() {
    auto const& m = r_.modes;
    add("singular_values", {"checkpoint", "mode"}, values_of(m.singular_values),
        "singular values of the standardised per-token matrix, aligned", "1");
    add("loadings", {"checkpoint", "mode", "component"}, values_of(m.loadings),
        "orthonormal rows, one number a component, aligned", "1");
    add("scores", {"checkpoint", "token", "mode"}, values_of(m.scores),
        "principal component scores of the token, aligned", "1");
    add("matching_residual", {"checkpoint"}, values_of(m.matching_residual),
        "what the alignment to the next checkpoint leaves unexplained", "1");
    add("rotation_residual", {"checkpoint"}, values_of(m.rotation_residual), "what the best rotation to it leaves",
        "1");
  }

  results const& r_;
  xt::xtensor<std::int32_t, 2> tokens_;
  std::string token_coordinates_;
  susc::netcdf_dataset dataset_;
};

}  // namespace

void write_dataset(std::filesystem::path const& path, results const& r, prepared_data const& data) {
  susc::write_netcdf(path, builder(r, data).dataset());
}

}  // namespace development
