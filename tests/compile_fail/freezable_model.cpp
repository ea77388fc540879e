// freeze returns what the model calls frozen.
// expect: a FreezableModel needs a type `frozen` and `frozen freeze(std::span<scalar const> w, susc::component const&,
// batch const&) const`
#include "plain_model.hpp"

struct model : plain_model {
  struct frozen {};
#ifdef SUSC_FAIL
  void freeze(weights, susc::component const&, batch const&) const {}
#else
  frozen freeze(weights, susc::component const&, batch const&) const {
    return {};
  }
#endif
  void losses(weights, frozen const&, std::span<float>) const {}
};
static_assert(susc::FreezableModel<model>);
