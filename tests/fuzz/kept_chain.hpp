#pragma once
// The chains of which the checkpoint target reads files: every kind of thing that a visitor or a state can hold.
#include <vector>

#include "susc/io/run_directory.hpp"
#include "susc/response/estimate.hpp"
#include "susc/response/influence.hpp"
#include "susc/response/learning_coefficient.hpp"
#include "susc/response/posterior_predictive.hpp"
#include "susc/sampling/chains.hpp"
#include "susc/sampling/checkpoint.hpp"
#include "susc/sampling/mala_acceptance.hpp"
#include "susc/sampling/sgnht.hpp"

namespace fuzzing {

using kept_visitor = susc::visitors<susc::susceptibility_moments<>, susc::loss_trace, susc::posterior_predictive,
                                    susc::influence, susc::mala_acceptance>;
using kept_state = susc::sampler_state<susc::sgnht, double>;
inline constexpr susc::chain_length kept_length{.draws = 6, .burn_in = 3, .thinning = 2};

inline kept_visitor fresh_visitor() {
  return kept_visitor{susc::susceptibility_moments<>{}, susc::loss_trace{}, susc::posterior_predictive{},
                      susc::influence(), susc::mala_acceptance{.every = 2}};
}
/// Few and short, so that the fuzzer finds what follows them.
inline std::vector<susc::run_setting> kept_settings() {
  return {{"n_beta", "10"}};
}

/// The first byte of an input says what the others are.
enum class part : unsigned char { envelope, run, chain };

}  // namespace fuzzing
