// A model that counts bytes says what a thread needs.
// expect: CountsBytes needs `std::size_t workspace_bytes(batch const&) const`
#include "plain_model.hpp"

struct model : plain_model {
  std::size_t frozen_bytes(susc::component const&, batch const&) const { return 0; }
#ifdef SUSC_FAIL
  std::size_t workspace_bytes(batch&) const {
    return 0;
  }
#else
  std::size_t workspace_bytes(batch const&) const {
    return 0;
  }
#endif
};
static_assert(susc::CountsBytes<model>);
