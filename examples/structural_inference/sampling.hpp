#pragma once
// The chains of a run, with the sampler that its options name.
#include <atomic>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data.hpp"
#include "options.hpp"
#include "susc/response/result.hpp"
#include "susc/sampling/cost.hpp"
#include "trained_model.hpp"

namespace structural_inference {

inline double localization_of(options const& o) {
  return o.localization.value_or(o.synthetic() ? 300 : 200);
}
inline double step_size_of(options const& o) {
  return o.step_size.value_or(1 / localization_of(o));
}

inline std::filesystem::path run_directory_of(options const& o) {
  return o.run_directory.empty() ? o.output / "chains" : o.run_directory;
}

/// Throws on settings that no model could be sampled with.
void check_sampling(options const& o);

/// What `sample` with these arguments will take.
susc::cost expected_cost(options const& o, std::vector<std::string> const& components, trained_model const& trained,
                         prepared_data const& data, std::atomic<bool> const* stop);

susc::susceptibility_result sample(options const& o, std::vector<std::string> const& components,
                                   trained_model const& trained, prepared_data const& data,
                                   std::function<void(std::size_t parameters)> progress, std::atomic<bool> const* stop);

}  // namespace structural_inference
