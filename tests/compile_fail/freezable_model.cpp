// A model that freezes must be able to use what it froze.
// expect: FreezableModel
#include <span>

#include "susc/core/concepts.hpp"

struct model {
  using scalar = float;
  using batch = int;
  struct frozen {};
  frozen freeze(std::span<float const>, susc::component const&, batch const&) const { return {}; }
#ifndef SUSC_FAIL
  void losses(std::span<float const>, frozen const&, std::span<float>) const {}
#endif
};

void use(susc::FreezableModel auto const&);
void test() {
  use(model{});
}
