// The restricted gradient returns the loss in the model's scalar.
// expect: RestrictedModel
#include <span>

#include "susc/core/concepts.hpp"

struct model {
  using scalar = float;
  using batch = int;
#ifdef SUSC_FAIL
  void loss_and_gradient(std::span<float const>, batch const&, susc::component const&, std::span<float>) const {}
#else
  float loss_and_gradient(std::span<float const>, batch const&, susc::component const&, std::span<float>) const {
    return 0;
  }
#endif
};

void use(susc::RestrictedModel auto const&);
void test() {
  use(model{});
}
