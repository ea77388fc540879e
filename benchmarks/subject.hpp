#pragma once
// A transformer with random weights, none of them zero, and random tokens: what the phases of a run are timed on.
#include <cstddef>
#include <span>
#include <vector>

#include "problem.hpp"
#include "susc/models/transformer.hpp"
#include "susc/models/transformer_init.hpp"
#include "work.hpp"

namespace bench {

struct subject {
  susc::dynamic_transformer model;
  susc::aligned_vector<float> w;
  susc::token_batch batch;

  subject(std::size_t tokens, susc::transformer_config config)
      : model(config),
        w(susc::initial_weights<float>(model.layout(), {1})),
        batch{{}, tokens / config.context, config.context + 1} {
    susc::random::stream draw({2});
    for (float& weight : w) weight += static_cast<float>(.01 * draw.normal());
    for (std::size_t i = 0; i != batch.sequences * batch.length; ++i)
      batch.tokens.push_back(static_cast<susc::token>(draw.below(config.vocabulary)));
  }
  /// Head 3 of a layer.
  susc::component head(std::size_t layer) const {
    return susc::find_component(model.components(), susc::head_name(layer, 3));
  }
  /// What the model counts of a pass (models/transformer_cost.hpp).
  double flop(susc::pass pass, susc::component const& c) const { return model.operations(pass, c, batch); }
  susc::component everything() const { return susc::full_component(model.parameter_count()); }
  work done(double flop) const { return flop_of_tokens(flop, batch.example_count()); }
};

using vector_map = Eigen::Map<Eigen::VectorXf const>;
template <class V>
vector_map vector(V const& v) {
  return {v.data(), static_cast<Index>(v.size())};
}

}  // namespace bench
