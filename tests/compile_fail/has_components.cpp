// Components must be susc::component, not bare names.
// expect: HasComponents needs `std::vector<susc::component> components() const`
#include <string>
#include <vector>

#include "susc/core/concepts.hpp"

struct model {
#ifdef SUSC_FAIL
  std::vector<std::string> components() const {
    return {};
  }
#else
  std::vector<susc::component> components() const {
    return {};
  }
#endif
};
static_assert(susc::HasComponents<model>);
