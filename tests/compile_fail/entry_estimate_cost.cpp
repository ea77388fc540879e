// estimate_cost with an executor that is none.
// expect: an Executor needs `template <class F> void operator()(std::size_t tasks, F&& task) const`
// at most: 60 lines
#include <vector>

#include "plain_model.hpp"
#include "susc/response/estimate.hpp"

void test() {
#ifdef SUSC_FAIL
  int const run = 4;
#else
  susc::threads const run{4};
#endif
  susc::sampling_options<> const options;
  susc::estimate_cost(plain_model{}, std::vector<float>(1), susc::data_distribution{0, minibatch}, {}, options, run);
}
