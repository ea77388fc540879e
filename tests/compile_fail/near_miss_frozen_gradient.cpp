// A gradient from what is frozen, without the freeze that goes with it, would not be used, in silence.
// expect: the model has one of two functions, and must have both or none: `void freeze(std::span<scalar const> w,
// susc::component const&, batch const&, frozen& to) const` and `scalar loss_and_gradient(std::span<scalar const> w,
// frozen const&, susc::component const&, std::span<scalar> gradient) const` at most: 12 lines
#include "plain_model.hpp"

struct model : plain_model {
  using plain_model::loss_and_gradient;
  using plain_model::losses;
  struct frozen {};
  frozen freeze(weights, susc::component const&, batch const&) const { return {}; }
  void losses(weights, frozen const&, std::span<float>) const {}
  float loss_and_gradient(weights, frozen const&, susc::component const&, std::span<float>) const { return 0; }
#ifndef SUSC_FAIL
  void freeze(weights, susc::component const&, batch const&, frozen&) const {}
#endif
};
auto const components = susc::components_of(model{});
