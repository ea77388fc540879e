#pragma once
// What is measured around the weights of one checkpoint.
#include <atomic>
#include <cstddef>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "../structural_inference/data.hpp"
#include "../structural_inference/options.hpp"
#include "../structural_inference/sampling.hpp"
#include "../structural_inference/trained_model.hpp"
#include "susc/models/head_scores.hpp"
#include "susc/report/progress.hpp"
#include "susc/response/result.hpp"

namespace development {

using structural_inference::chosen_localization;
using structural_inference::options;
using structural_inference::prepared_data;
using structural_inference::trained_model;

struct checkpoint {
  std::size_t step = 0;        // of training, taken before
  std::vector<double> losses;  // of the probes, nats a token
  std::vector<susc::head_score> scores;
  std::vector<susc::component_diagnostics> diagnostics;  // of the components
  susc::component_diagnostics all_weights;
  std::vector<double> localization, step_size;  // of the components' chains, last of those with all weights free
  susc::response_estimates response;            // probes x components
  xt::xtensor<double, 2> tokens;                // the probes' tokens x components
  std::vector<std::string> warnings;
};

/// Samples around the weights, keeping the chains in `o.run_directory`, counting the steps in `shown`.
checkpoint measure(options const& o, std::vector<std::string> const& components, trained_model const& at,
                   prepared_data const& data, std::size_t step, susc::progress& shown, std::atomic<bool> const* stop,
                   std::vector<chosen_localization> const& chosen);

}  // namespace development
