#include "dataset.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "dataset_attributes.hpp"
#include "susc/data/token_pattern.hpp"
#include "susc/io/netcdf.hpp"
#include "susc/io/npy.hpp"

namespace structural_inference {

namespace {

using names = std::vector<std::string>;
using attributes = std::vector<susc::netcdf_attribute>;
constexpr susc::centring centrings[]{susc::centring::full, susc::centring::restricted};
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// NAME.npy of a run, or NAME_CENTRING.npy of that which was not chosen; `part` follows the centring.
std::filesystem::path array_file(recorded_run const& run, std::string const& name, susc::centring how,
                                 std::string const& part) {
  std::string const suffix = how == run.chosen ? "" : std::string("_") + name_of(how);
  return run.folder / (name + suffix + part + ".npy");
}

/// Arrays of `slice` numbers each, one file after the other; NaN for a file that is not there.
template <class T>
susc::netcdf_values<T> stacked(std::vector<std::filesystem::path> files, std::size_t slice) {
  std::size_t const size = files.size() * slice;
  return {size, [files = std::move(files), slice](std::size_t first, std::span<T> out) {
            while (!out.empty()) {
              std::size_t const within = first % slice, count = std::min(slice - within, out.size());
              auto const& file = files[first / slice];
              if (std::filesystem::exists(file))
                susc::npy_input<T>(file).read(within, out.first(count));
              else
                std::fill_n(out.begin(), count, static_cast<T>(nan));
              first += count;
              out = out.subspan(count);
            }
          }};
}

class builder {
 public:
  builder(recorded_run const& run, prepared_data const& data) : run_(run) {
    tokens_ = susc::npy_input<std::int32_t>(run_.folder / "tokens.npy", 2).shape()[0];
    modes_ = std::min(tokens_, run_.components.size());
    for (auto const& traces : run_.loss) {
      chains_ = std::max(chains_, traces.size());
      for (auto const& trace : traces) draws_ = std::max(draws_, trace.size());
    }
    dataset_.dimensions = {{"checkpoint", 1},
                           {"centring", std::size(centrings)},
                           {"component", run_.components.size()},
                           {"probe", run_.probes.size()},
                           {"token", tokens_},
                           {"mode", modes_},
                           {"chain", chains_},
                           {"draw", draws_},
                           {"head", run_.heads.size()}};
    coordinates();
    describe_tokens(data);
    arrays();
    diagnostics();
    head_scores();
    describe();
  }

  susc::netcdf_dataset const& dataset() const { return dataset_; }

 private:
  template <class Values>
  void add(std::string name, names over, Values values, std::string long_name, std::string units = "",
           attributes more = {}) {
    if (!units.empty()) more.insert(more.begin(), {"units", std::move(units)});
    more.insert(more.begin(), {"long_name", std::move(long_name)});
    dataset_.variables.push_back({std::move(name), std::move(over), std::move(values), std::move(more)});
  }
  std::vector<std::int32_t> numbers(std::size_t count, std::int32_t from) const {
    std::vector<std::int32_t> all(count);
    for (std::size_t i = 0; i != count; ++i) all[i] = from + static_cast<std::int32_t>(i);
    return all;
  }

  void coordinates() {
    if (run_.step) add("checkpoint", {"checkpoint"}, std::vector{*run_.step}, "steps of training");
    names head_names;
    for (auto const& s : run_.heads) head_names.push_back(susc::head_name(s.layer, s.head));
    add("centring", {"centring"}, names{name_of(centrings[0]), name_of(centrings[1])}, "what E[dL] is taken over");
    add("component", {"component"}, run_.components, "component of the model");
    names probes;
    for (std::string const& name : run_.probes) probes.push_back(valid_text(name));
    add("probe", {"probe"}, std::move(probes), "probe data");
    add("token", {"token"}, numbers(tokens_, 0), "row of the per-token arrays");
    add("mode", {"mode"}, numbers(modes_, 1), "principal component");
    add("chain", {"chain"}, numbers(chains_, 0), "chain");
    add("draw", {"draw"}, numbers(draws_, 0), "draw");
    add("head", {"head"}, head_names, "attention head");
  }

  /// What each row of the per-token arrays is.
  void describe_tokens(prepared_data const& data) {
    auto const file = run_.folder / "tokens.npy";
    auto const column = [&](std::size_t c) {
      return susc::netcdf_values<std::int32_t>(tokens_, [file, c](std::size_t first, std::span<std::int32_t> out) {
        std::vector<std::int32_t> rows(4 * out.size());
        susc::npy_input<std::int32_t>(file, 2).read(4 * first, rows);
        for (std::size_t i = 0; i != out.size(); ++i) out[i] = rows[4 * i + c];
      });
    };
    add("token_probe", {"token"}, column(0), "number of the token's probe");
    add("token_sequence", {"token"}, column(1), "sequence of the token in its probe");
    add("token_position", {"token"}, column(2), "position of the token in its sequence");
    add("token_id", {"token"}, column(3), "token");
    token_coordinates_ = "token_probe token_sequence token_position token_id";
    if (!data.pieces_are_text) return;
    auto const text = [&data, ids = column(3)](std::size_t first, std::span<std::string> out) {
      std::vector<std::int32_t> of(out.size());
      ids.fill(first, of);
      for (std::size_t i = 0; i != out.size(); ++i) {
        out[i] = valid_text(data.piece(of[i]));
      }
    };
    add("token_text", {"token"}, susc::netcdf_values<std::string>(tokens_, text), "text of the token");
    token_coordinates_ += " token_text";
    names classes;
    for (auto const pattern : susc::token_patterns) classes.emplace_back(name_of(pattern));
    dataset_.dimensions.push_back({"pattern", classes.size()});
    auto const flags = run_.folder / "token_patterns.npy";
    susc::netcdf_values<std::int8_t> const patterns(
        tokens_ * classes.size(), [flags](std::size_t first, std::span<std::int8_t> out) {
          std::vector<std::int32_t> read(out.size());
          susc::npy_input<std::int32_t>(flags, 2).read(first, read);
          std::transform(read.begin(), read.end(), out.begin(), [](std::int32_t x) { return std::int8_t{x != 0}; });
        });
    add("pattern", {"pattern"}, classes, "class of tokens in context");
    // By this attribute xarray gives booleans.
    add("token_pattern", {"token", "pattern"}, patterns, "whether the token is in the class", "", {{"dtype", "bool"}});
  }

  /// The files of both centrings, in the order of the dimension.
  template <class T = double>
  void array(std::string name, names over, std::size_t slice, std::string const& file, std::string const& part,
             std::string long_name, std::string units) {
    std::vector<std::filesystem::path> files;
    for (auto const how : centrings) files.push_back(array_file(run_, file, how, part));
    bool const of_tokens = std::count(over.begin(), over.end(), "token") > 0;
    over.insert(over.begin(), {"checkpoint", "centring"});
    add(std::move(name), std::move(over), stacked<T>(std::move(files), slice), std::move(long_name), std::move(units),
        of_tokens ? attributes{{"coordinates", token_coordinates_}} : attributes{});
  }

  void arrays() {
    std::size_t const components = run_.components.size(), probes = run_.probes.size();
    std::string const error = "standard error: value +- 1.96 error is a 95 % interval";
    array("response_matrix", {"probe", "component"}, probes * components, "response_matrix", "",
          "susceptibility of the component to the probe", "nats^2");
    array("response_matrix_error", {"probe", "component"}, probes * components, "response_matrix", "_error", error,
          "nats^2");
    array("token_susceptibilities", {"token", "component"}, tokens_ * components, "token_susceptibilities", "",
          "susceptibility of the component to the token in its context", "nats^2");
    array("token_susceptibilities_error", {"token", "component"}, tokens_ * components, "token_susceptibilities",
          "_error", error, "nats^2");
    array("singular_values", {"mode"}, modes_, "principal_components", "_singular_values",
          "singular values of the standardised per-token matrix", "1");
    array("loadings", {"mode", "component"}, modes_ * components, "principal_components", "_loadings",
          "orthonormal rows, one number a component", "1");
    array("scores", {"token", "mode"}, tokens_ * modes_, "principal_components", "_scores",
          "principal component scores of the token", "1");
    add("token_losses", {"checkpoint", "token"}, stacked<float>({run_.folder / "token_losses.npy"}, tokens_),
        "loss at the trained weights", "nats", {{"coordinates", token_coordinates_}});
  }

  /// One number a component.
  template <class T, class Number>
  void of_components(std::string name, Number number, std::string long_name, std::string units = "1") {
    std::vector<T> values;
    for (auto const& d : run_.diagnostics) values.push_back(static_cast<T>(number(d)));
    add(std::move(name), {"checkpoint", "component"}, std::move(values), std::move(long_name), std::move(units));
  }
  void traces(std::string name, std::vector<std::vector<std::vector<double>>> const& of, std::string long_name) {
    std::vector<double> values;
    for (auto const& component : of)
      for (std::size_t chain = 0; chain != chains_; ++chain)
        for (std::size_t draw = 0; draw != draws_; ++draw)
          values.push_back(chain < component.size() && draw < component[chain].size() ? component[chain][draw] : nan);
    add(std::move(name), {"checkpoint", "component", "chain", "draw"}, std::move(values), std::move(long_name), "nats");
  }
  void diagnostics() {
    add("localization", {"checkpoint", "component"}, run_.localization, "gamma of the component's posterior");
    add("step_size", {"checkpoint", "component"}, run_.step_size, "epsilon of the component's chains");
    add("localization_all_weights", {"checkpoint"}, std::vector{run_.localization_all_weights},
        "gamma of the posterior of all weights");
    add("step_size_all_weights", {"checkpoint"}, std::vector{run_.step_size_all_weights},
        "epsilon of the chains of all weights");
    using diagnosed = susc::component_diagnostics;
    of_components<double>(
        "mean_observable", [](diagnosed const& d) { return d.observable.value; }, "E[phi], the mean of the observable",
        "nats");
    of_components<double>(
        "mean_observable_error", [](diagnosed const& d) { return d.observable.error; }, "standard error", "nats");
    of_components<double>(
        "learning_coefficient", [](diagnosed const& d) { return d.learning_coefficient.value; },
        "n_beta (E[L] - L(w*)), weight-refined");
    of_components<double>(
        "learning_coefficient_error", [](diagnosed const& d) { return d.learning_coefficient.error; },
        "standard error");
    of_components<double>(
        "r_hat", [](diagnosed const& d) { return d.r_hat; }, "rank-normalised split R-hat of the observable");
    of_components<double>(
        "effective_sample_size", [](diagnosed const& d) { return d.effective_sample_size; },
        "bulk effective sample size of the observable");
    of_components<double>(
        "drift", [](diagnosed const& d) { return d.drift; },
        "of the loss, from the first half of the draws to the second, in standard errors");
    of_components<std::int64_t>(
        "draws", [](diagnosed const& d) { return d.draws; }, "draws in the estimates");
    of_components<std::int64_t>(
        "dropped_chains", [](diagnosed const& d) { return d.dropped_chains; }, "chains that diverged");
    traces("observable_trace", run_.observable, "phi, NaN after a chain diverged");
    traces("loss_trace", run_.loss, "L(w) - L(w*), NaN after a chain diverged");
    std::vector<std::int8_t> diverged;
    for (auto const& component : run_.diverged) diverged.insert(diverged.end(), component.begin(), component.end());
    add("diverged", {"checkpoint", "component", "chain"}, std::move(diverged),
        "whether the chain diverged and is in no estimate", "", {{"dtype", "bool"}});
  }

  void head_scores() {
    std::vector<double> prefix, previous;
    for (auto const& s : run_.heads) {
      prefix.push_back(s.prefix_matching);
      previous.push_back(s.previous_token);
    }
    add("prefix_matching", {"checkpoint", "head"}, std::move(prefix), "prefix-matching score of the head", "1");
    add("previous_token", {"checkpoint", "head"}, std::move(previous), "previous-token score of the head", "1");
  }

  void describe() {
    dataset_.attributes = {{"title", "Susceptibilities of the components of a language model"},
                           {"source", "structural_inference of susc " + run_.versions["susc"].get<std::string>()},
                           {"references", "arXiv 2504.18274"},
                           {"executor", "threads"}};
    add_attributes(dataset_.attributes, run_.versions, run_.settings, run_.warnings);
  }

  recorded_run const& run_;
  std::size_t tokens_ = 0, modes_ = 0, chains_ = 0, draws_ = 0;
  std::string token_coordinates_;
  susc::netcdf_dataset dataset_;
};

}  // namespace

recorded_run record(std::filesystem::path const& folder, run_results const& results, susc::centring chosen) {
  recorded_run run{.folder = folder,
                   .chosen = chosen,
                   .step = {},
                   .probes = results.response.probes,
                   .components = results.response.component_names(),
                   .diagnostics = results.response.diagnostics(),
                   .localization = {},
                   .step_size = {},
                   .localization_all_weights = results.response.all_weights.posterior.localization,
                   .step_size_all_weights = results.response.all_weights.step_size,
                   .observable = {},
                   .loss = {},
                   .diverged = {},
                   .heads = results.scores,
                   .warnings = warnings_of(results),
                   .settings = results.settings,
                   .versions = results.versions};
  json const& model = results.settings["model"];
  if (model.contains("steps")) run.step = model["steps"].get<std::int64_t>();
  for (auto const& c : results.response.components) {
    run.observable.push_back(c.observable_traces);
    run.loss.push_back(c.loss_traces);
    run.diverged.push_back(c.diverged);
    run.localization.push_back(c.posterior.localization);
    run.step_size.push_back(c.step_size);
  }
  return run;
}

void write_dataset(std::filesystem::path const& path, recorded_run const& run, prepared_data const& data) {
  susc::write_netcdf(path, builder(run, data).dataset());
}

}  // namespace structural_inference
