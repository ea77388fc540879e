// The gradient from what was frozen returns the loss.
// expect: a FreezableGradientModel needs `scalar loss_and_gradient(std::span<scalar const> w, frozen const&,
// susc::component const&, std::span<scalar> gradient) const`
#include "plain_model.hpp"

struct model : plain_model {
  struct frozen {};
  frozen freeze(weights, susc::component const&, batch const&) const { return {}; }
  void losses(weights, frozen const&, std::span<float>) const {}
  void freeze(weights, susc::component const&, batch const&, frozen&) const {}
#ifdef SUSC_FAIL
  void loss_and_gradient(weights, frozen const&, susc::component const&, std::span<float>) const {}
#else
  float loss_and_gradient(weights, frozen const&, susc::component const&, std::span<float>) const {
    return 0;
  }
#endif
};
static_assert(susc::FreezableGradientModel<model>);
