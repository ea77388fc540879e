// The slope of a model that tells no gradient by its inputs.
// expect: input_slope needs a model that tells the gradient by its inputs: see HasInputGradient in
#include "susc/response/input_slope.hpp"
#include "susc/models/mlp.hpp"
#include "susc/models/monomial.hpp"

#ifdef SUSC_FAIL
using model = susc::monomial<double>;
#else
using model = susc::mlp<double>;
#endif

double test(susc::draw<model> const& at) {
  return susc::input_slope{}.value(at);
}
