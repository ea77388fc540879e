// A model that does not say how many examples a batch has.
// expect: a Model needs `std::size_t parameter_count() const` and `std::size_t example_count(batch const&) const`
#include <cstddef>
#include <span>

#include "susc/core/concepts.hpp"

struct model {
  using scalar = float;
  using batch = int;
  std::size_t parameter_count() const { return 1; }
#ifdef SUSC_FAIL
#else
  std::size_t example_count(batch const&) const {
    return 1;
  }
#endif
  void losses(std::span<float const>, batch const&, std::span<float>) const {}
  float loss_and_gradient(std::span<float const>, batch const&, std::span<float>) const {
    return 0;
  }
};

auto const components = susc::components_of(model{});
