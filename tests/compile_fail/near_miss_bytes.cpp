// One of two byte counts would not be used, in silence.
// expect: the model has a member `frozen_bytes` or `workspace_bytes`, so it must have `std::size_t
// frozen_bytes(susc::component const&, batch const&) const` and `std::size_t workspace_bytes(batch const&) const` at
// most: 12 lines
#include "plain_model.hpp"

struct model : plain_model {
#ifndef SUSC_FAIL
  std::size_t frozen_bytes(susc::component const&, batch const&) const {
    return 0;
  }
#endif
  std::size_t workspace_bytes(batch const&) const {
    return 0;
  }
};
auto const components = susc::components_of(model{});
