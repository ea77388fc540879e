#pragma once
// What a model is compared with: n-grams of the same training text.
#include <algorithm>
#include <vector>

#include "data.hpp"
#include "results.hpp"
#include "susc/data/ngram.hpp"
#include "trained_model.hpp"

namespace structural_inference {

/// At most 256 of its sequences: enough for a mean loss.
inline token_batch held_out_sample(susc::token_mixture::part const& held_out) {
  std::size_t const most = 256;
  if (held_out.sequences.sequences <= most) return held_out.sequences;
  return susc::sample_sequences(held_out.sequences, most, susc::random::fold_in({1}, held_out.name));
}

/// Held-out loss of the model against n-grams fitted to the same domain's training text.
inline std::vector<domain_losses> baselines(trained_model const& trained, prepared_data const& data) {
  std::vector<domain_losses> losses;
  for (std::size_t i = 0; i != data.held_out.parts.size(); ++i) {
    auto const& held_out = data.held_out.parts[i];
    auto const& fitted = data.training.parts[std::min(i, data.training.parts.size() - 1)].sequences;
    token_batch const sample = held_out_sample(held_out);
    losses.push_back({held_out.name, mean_loss(trained, sample),
                      susc::mean_loss(susc::unigram_model(fitted, data.vocabulary), sample),
                      susc::mean_loss(susc::bigram_model(fitted, data.vocabulary), sample)});
  }
  return losses;
}

}  // namespace structural_inference
