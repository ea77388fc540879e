#pragma once
// Runs the chains of every setting.
#include <vector>

#include "../network.hpp"
#include "options.hpp"
#include "recommendation.hpp"
#include "susc/core/aligned_vector.hpp"
#include "susc/core/component.hpp"
#include "susc/data/token_batch.hpp"

namespace calibrate {

struct problem {
  network model;
  susc::aligned_vector<float> weights;
  susc::token_batch pretraining, evaluation;
  susc::component moving;
  double scale = 1;  // of the options' localization; their step sizes are divided by it
};

/// In seconds of one thread.
struct costs {
  double step_seconds = 0, draw_seconds = 0;
};

/// Every combination that the options ask for, without results; the step size is the fastest to change.
std::vector<measurement> settings(options const& o);

/// Fills in the results of every setting, and returns what one step and one draw cost, the acceptance test not counted.
/// Shows progress on the screen. Throws susc::error on unusable settings before any chain is run.
costs sweep(std::vector<measurement>& table, problem const& p, options const& o);

}  // namespace calibrate
