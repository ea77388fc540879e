// The logit of a model that tells none.
// expect: example_logit needs a model that tells its logits: see HasLogits in core/readouts.hpp
#include "susc/response/example_logit.hpp"
#include "susc/models/mlp.hpp"
#include "susc/models/monomial.hpp"

#ifdef SUSC_FAIL
using model = susc::monomial<double>;
#else
using model = susc::mlp<double>;
#endif

double test(susc::draw<model> const& at) {
  return susc::example_logit{}.value(at);
}
