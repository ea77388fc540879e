// train_adamw with minibatches of another type.
// expect: minibatches must come from `batch operator()(std::size_t batch_size, susc::random::key) const`, of the
// model's own type `batch` at most: 40 lines
#include <vector>

#include "plain_model.hpp"
#include "susc/sampling/executor.hpp"
#include "susc/training/adamw.hpp"

#ifdef SUSC_FAIL
auto const batches = [](std::size_t) { return 0; };
#else
auto const batches = [](std::size_t, susc::random::key) { return 0; };
#endif

void test() {
  std::vector<float> w(1);
  susc::train_adamw(plain_model{}, w, batches, {}, {}, susc::sequential{});
}
