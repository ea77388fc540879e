#pragma once
// Everything that a run writes: arrays, summary.json and report.html, all together or not at all.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "data.hpp"
#include "susc/data/token_pattern.hpp"
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
  susc::cost expected;  ///< of the sampling
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

/// A row a token of the per-token arrays: probe, sequence, position, token id.
xt::xtensor<std::int32_t, 2> token_table(prepared_data const& data);

/// What is known of each row of the per-token arrays besides its numbers.
struct token_rows {
  std::vector<std::size_t> sequence;        // numbered through all probes
  std::vector<susc::pattern_set> patterns;  // empty if tokens have no text
};
token_rows rows_of_tokens(prepared_data const& data);

/// A row a token, a column a class: 1 where the token is in it.
xt::xtensor<std::int32_t, 2> pattern_table(std::span<susc::pattern_set const> patterns);

/// Writes into `folder`, which the caller commits. Returns the summary.
json write(std::filesystem::path const& folder, run_results const& results, prepared_data const& data,
           susc::centring chosen);

}  // namespace structural_inference
