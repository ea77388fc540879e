#pragma once
// The chains of a run, with the sampler that its options name.
#include <atomic>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "data.hpp"
#include "options.hpp"
#include "susc/report/progress.hpp"
#include "susc/response/result.hpp"
#include "susc/response/susceptibility.hpp"
#include "susc/sampling/cost.hpp"
#include "trained_model.hpp"

namespace structural_inference {

/// That of all components, or where a pilot run begins.
inline double localization_of(options const& o) {
  return o.localization.value_or(o.synthetic() ? 300 : 200);
}
inline double step_size_of(options const& o) {
  return o.step_size.value_or(1 / localization_of(o));
}

inline std::filesystem::path run_directory_of(options const& o) {
  return o.run_directory.empty() ? o.output / "chains" : o.run_directory;
}

/// What a pilot run chose for a component.
struct chosen_localization {
  std::string component;
  double localization = 0, step_size = 0;
  susc::estimate observable;
  std::size_t rounds = 0;
  bool reached = false;
  std::string warning;
};

/// Throws on settings that no model could be sampled with.
void check_sampling(options const& o);

/// For all weights, then for each component: see susc/response/localization.hpp.
std::vector<chosen_localization> choose_localization(options const& o, std::vector<std::string> const& components,
                                                     trained_model const& trained, prepared_data const& data,
                                                     std::atomic<bool> const* stop);

/// What the results say of how they were made.
nlohmann::json settings_of(options const& o, trained_model const& trained);

/// What was chosen, and E[φ] of the pilot run's chains at it, on standard output.
void print_localization(std::vector<chosen_localization> const& chosen, double target);

/// What `sample` with these arguments will take.
susc::cost expected_cost(options const& o, std::vector<std::string> const& components, trained_model const& trained,
                         prepared_data const& data, std::atomic<bool> const* stop,
                         std::vector<chosen_localization> const& chosen = {});

/// Where nothing was chosen, the localization is that of the options. `shown` counts steps.
susc::susceptibility_result sample(options const& o, std::vector<std::string> const& components,
                                   trained_model const& trained, prepared_data const& data, susc::progress& shown,
                                   std::atomic<bool> const* stop, std::vector<chosen_localization> const& chosen = {});

}  // namespace structural_inference
