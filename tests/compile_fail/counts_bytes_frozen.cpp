// A model that counts bytes says what a frozen batch takes.
// expect: CountsBytes needs `std::size_t frozen_bytes(susc::component const&, batch const&) const`
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
static_assert(susc::CountsBytes<model>);
