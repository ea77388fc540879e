// A gradient from what was frozen needs a freeze that uses its memory again.
// expect: a FreezableGradientModel needs `void freeze(std::span<scalar const> w, susc::component const&, batch const&,
// frozen& to) const`
#include "plain_model.hpp"

struct model : plain_model {
  struct frozen {};
  frozen freeze(weights, susc::component const&, batch const&) const { return {}; }
  void losses(weights, frozen const&, std::span<float>) const {}
  float loss_and_gradient(weights, frozen const&, susc::component const&, std::span<float>) const { return 0; }
#ifndef SUSC_FAIL
  void freeze(weights, susc::component const&, batch const&, frozen&) const {}
#endif
};
static_assert(susc::FreezableGradientModel<model>);
