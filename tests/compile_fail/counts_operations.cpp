// Operations are counted in double: there may be more than an integer holds.
// expect: CountsOperations needs `double operations(susc::pass, susc::component const&, batch const&) const`
#include "plain_model.hpp"

struct model : plain_model {
#ifdef SUSC_FAIL
  int operations(susc::pass, susc::component const&, batch const&) const {
    return 0;
  }
#else
  double operations(susc::pass, susc::component const&, batch const&) const {
    return 0;
  }
#endif
};
static_assert(susc::CountsOperations<model>);
