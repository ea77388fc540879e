// A model whose scalar is an integer.
// expect: a Model needs `using scalar = float;` (or double) and a type `batch`
#include <cstddef>
#include <span>

#include "susc/core/concepts.hpp"

struct model {
#ifdef SUSC_FAIL
  using scalar = int;
#else
  using scalar = float;
#endif
  using batch = int;
  std::size_t parameter_count() const {
    return 1;
  }
  std::size_t example_count(batch const&) const {
    return 1;
  }
  void losses(std::span<float const>, batch const&, std::span<float>) const {}
  float loss_and_gradient(std::span<float const>, batch const&, std::span<float>) const {
    return 0;
  }
};

auto const components = susc::components_of(model{});
