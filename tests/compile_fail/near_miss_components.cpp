// Components that are not const would not be used, in silence.
// expect: the model has a member `components`, which must be `std::vector<susc::component> components() const`
// at most: 16 lines
#include "plain_model.hpp"

struct model : plain_model {
#ifdef SUSC_FAIL
  std::vector<susc::component> components() {
    return {};
  }
#else
  std::vector<susc::component> components() const {
    return {};
  }
#endif
};
auto const components = susc::components_of(model{});
