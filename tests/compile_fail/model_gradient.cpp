// A model that returns the loss in another type than its scalar.
// expect: a Model needs `scalar loss_and_gradient(std::span<scalar const> w, batch const&, std::span<scalar> gradient)
#include <cstddef>
#include <span>

#include "susc/core/concepts.hpp"

struct model {
  using scalar = float;
  using batch = int;
  std::size_t parameter_count() const { return 1; }
  std::size_t example_count(batch const&) const { return 1; }
  void losses(std::span<float const>, batch const&, std::span<float>) const {}
#ifdef SUSC_FAIL
  double loss_and_gradient(std::span<float const>, batch const&, std::span<float>) const {
    return 0;
  }
#else
  float loss_and_gradient(std::span<float const>, batch const&, std::span<float>) const {
    return 0;
  }
#endif
};

auto const components = susc::components_of(model{});
