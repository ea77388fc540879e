// A restricted gradient that returns nothing would not be used, in silence.
// expect: the model has a loss_and_gradient of a component, which must be `scalar loss_and_gradient(std::span<scalar
// const> w, batch const&, susc::component const&, std::span<scalar> gradient) const` at most: 12 lines
#include "plain_model.hpp"

struct model : plain_model {
  using plain_model::loss_and_gradient;
#ifdef SUSC_FAIL
  void loss_and_gradient(weights, batch const&, susc::component const&, std::span<float>) const {}
#else
  float loss_and_gradient(weights, batch const&, susc::component const&, std::span<float>) const {
    return 0;
  }
#endif
};
auto const components = susc::components_of(model{});
