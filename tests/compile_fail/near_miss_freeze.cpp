// What freezes without losses from it would not be used, in silence.
// expect: the model has a member `freeze` or `frozen`, so it must have a type `frozen`, `frozen freeze(std::span<scalar
// const> w, susc::component const&, batch const&) const` and `void losses(std::span<scalar const> w, frozen const&,
// std::span<scalar> losses) const` at most: 12 lines
#include "plain_model.hpp"

struct model : plain_model {
  using plain_model::losses;
  struct frozen {};
  frozen freeze(weights, susc::component const&, batch const&) const { return {}; }
#ifndef SUSC_FAIL
  void losses(weights, frozen const&, std::span<float>) const {}
#endif
};
auto const components = susc::components_of(model{});
