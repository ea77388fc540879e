// A model without a batch type.
// expect: a Model needs `using scalar = float;` (or double) and a type `batch`
#include <cstddef>
#include <span>

#include "susc/core/concepts.hpp"

struct model {
  using scalar = float;
#ifdef SUSC_FAIL
  using minibatch = int;
#else
  using batch = int;
#endif
  std::size_t parameter_count() const {
    return 1;
  }
  std::size_t example_count(int const&) const {
    return 1;
  }
  void losses(std::span<float const>, int const&, std::span<float>) const {}
  float loss_and_gradient(std::span<float const>, int const&, std::span<float>) const {
    return 0;
  }
};

auto const components = susc::components_of(model{});
