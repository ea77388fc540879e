#pragma once
// Everything that a run writes: arrays, summary.json and report.html, all together or not at all.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data.hpp"
#include "sampling.hpp"
#include "susc/models/head_scores.hpp"
#include "susc/response/result.hpp"
#include "susc/sampling/cost.hpp"

namespace structural_inference {

using nlohmann::json;

inline constexpr double induction_threshold = .2;  ///< prefix-matching score above which a head is called induction

struct phase {
  std::string name;
  double seconds = 0;
  double tokens = 0;  ///< 0: not counted
};

struct domain_losses {
  std::string domain;
  double model = 0, unigram = 0, bigram = 0;
};

struct run_results {
  susc::susceptibility_result response;
  susc::cost expected;                             ///< of the sampling
  std::vector<chosen_localization> localizations;  ///< empty where one was given
  std::vector<susc::head_score> scores;
  std::vector<domain_losses> losses;
  std::vector<float> token_losses;  ///< at the trained weights, of all probes' tokens
  std::vector<phase> phases;
  json settings, versions, data_sizes;
};

inline char const* name_of(susc::centring c) {
  return c == susc::centring::full ? "full" : "restricted";
}

/// For JSON: what is not finite is null, and no more digits than an error bar needs.
json number(double value);

/// Of the pilot run and the chains.
std::vector<std::string> warnings_of(run_results const& results);

/// Writes into `folder`, which the caller commits. Returns the summary.
json write(std::filesystem::path const& folder, run_results const& results, prepared_data const& data,
           susc::centring chosen);

}  // namespace structural_inference
