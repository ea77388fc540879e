// Operations in another order of arguments would not be used, in silence.
// expect: the model has a member `operations`, which must be `double operations(susc::pass, susc::component const&,
// batch const&) const` at most: 12 lines
#include "plain_model.hpp"

struct model : plain_model {
#ifdef SUSC_FAIL
  double operations(susc::component const&, susc::pass, batch const&) const {
    return 0;
  }
#else
  double operations(susc::pass, susc::component const&, batch const&) const {
    return 0;
  }
#endif
};
auto const components = susc::components_of(model{});
