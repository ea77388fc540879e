// A model that freezes must be able to use what it froze.
// expect: a FreezableModel needs `void losses(std::span<scalar const> w, frozen const&, std::span<scalar> losses)
// const`
#include "plain_model.hpp"

struct model : plain_model {
  struct frozen {};
  frozen freeze(weights, susc::component const&, batch const&) const { return {}; }
#ifndef SUSC_FAIL
  void losses(weights, frozen const&, std::span<float>) const {}
#endif
};
static_assert(susc::FreezableModel<model>);
