#pragma once
// What the files here add to: the least that a Model, a Sampler and a data distribution need.
#include <cstddef>
#include <span>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"

struct plain_model {
  using scalar = float;
  using batch = int;
  using weights = std::span<float const>;
  std::size_t parameter_count() const { return 1; }
  std::size_t example_count(batch const&) const { return 1; }
  void losses(weights, batch const&, std::span<float>) const {}
  float loss_and_gradient(weights, batch const&, std::span<float>) const { return 0; }
};

inline int minibatch(std::size_t, susc::random::key) {
  return 0;
}
