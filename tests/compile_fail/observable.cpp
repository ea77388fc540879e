// An observable has one number, under the name value.
// expect: an Observable needs `double value(susc::draw<M> const&) const`
#include "susc/response/observable.hpp"
#include "plain_model.hpp"

struct norm {
#ifdef SUSC_FAIL
  double operator()(susc::draw<plain_model> const& at) const {
    return at.weights()[0];
  }
#else
  double value(susc::draw<plain_model> const& at) const {
    return at.weights()[0];
  }
#endif
};
static_assert(susc::Observable<norm, plain_model>);
