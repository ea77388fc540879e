#include "measure.hpp"

#include <limits>
#include <utility>

namespace development {

checkpoint measure(options const& o, std::vector<std::string> const& components, trained_model const& at,
                   prepared_data const& data, std::size_t step, susc::progress& shown, std::atomic<bool> const* stop,
                   std::vector<chosen_localization> const& chosen) {
  checkpoint c;
  c.step = step;
  for (auto const& probe : data.probes) c.losses.push_back(mean_loss(at, probe.batch));
  c.scores = scores_of(at, data, o);
  auto const found = structural_inference::sample(o, components, at, data, shown, stop, chosen);
  c.diagnostics = found.diagnostics();
  c.all_weights = susc::diagnose(found.all_weights);
  for (auto const& component : found.components) {
    c.localization.push_back(component.posterior.localization);
    c.step_size.push_back(component.step_size);
  }
  c.localization.push_back(found.all_weights.posterior.localization);
  c.step_size.push_back(found.all_weights.step_size);
  c.response = found.response_matrix(o.centring);
  c.tokens = found.example_susceptibilities(o.centring).value;
  c.warnings = found.warnings();
  // Where every chain diverged there are no rows; all checkpoints have the same.
  std::size_t rows = 0;
  for (auto const& probe : data.probes) rows += probe.batch.example_count();
  for (auto const& [matrix, count] : {std::pair(&c.response.value, data.probes.size()),
                                      std::pair(&c.response.error, data.probes.size()), std::pair(&c.tokens, rows)})
    if (matrix->shape(0) != count) {
      matrix->resize({count, components.size()});
      matrix->fill(std::numeric_limits<double>::quiet_NaN());
    }
  return c;
}

}  // namespace development
