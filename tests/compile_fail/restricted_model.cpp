// The restricted gradient returns the loss in the model's scalar.
// expect: a RestrictedModel needs `scalar loss_and_gradient(std::span<scalar const> w, batch const&, susc::component
// const&, std::span<scalar> gradient) const`
#include "plain_model.hpp"

struct model : plain_model {
#ifdef SUSC_FAIL
  void loss_and_gradient(weights, batch const&, susc::component const&, std::span<float>) const {}
#else
  float loss_and_gradient(weights, batch const&, susc::component const&, std::span<float>) const {
    return 0;
  }
#endif
};
static_assert(susc::RestrictedModel<model>);
