// A model whose losses are not const.
// expect: a Model needs `void losses(std::span<scalar const> w, batch const&, std::span<scalar> losses) const`
#include <cstddef>
#include <span>

#include "susc/core/concepts.hpp"

struct model {
  using scalar = float;
  using batch = int;
  std::size_t parameter_count() const { return 1; }
  std::size_t example_count(batch const&) const { return 1; }
#ifdef SUSC_FAIL
  void losses(std::span<float const>, batch const&, std::span<float>) {}
#else
  void losses(std::span<float const>, batch const&, std::span<float>) const {}
#endif
  float loss_and_gradient(std::span<float const>, batch const&, std::span<float>) const {
    return 0;
  }
};

auto const components = susc::components_of(model{});
