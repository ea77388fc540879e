// estimate_susceptibilities of a model without scalar: no other error comes first.
// expect: a Model needs `using scalar = float;` (or double) and a type `batch`
// at most: 40 lines
#include <vector>

#include "susc/response/estimate.hpp"

struct model {
#ifdef SUSC_FAIL
  using real = float;
#else
  using scalar = float;
#endif
  using batch = int;
  std::size_t parameter_count() const {
    return 1;
  }
  std::size_t example_count(batch const&) const {
    return 1;
  }
  void losses(std::span<float const>, batch const&, std::span<float>) const {}
  float loss_and_gradient(std::span<float const>, batch const&, std::span<float>) const {
    return 0;
  }
};
int minibatch(std::size_t, susc::random::key) {
  return 0;
}

void test() {
  susc::estimate_susceptibilities(model{}, std::vector<float>(1), susc::data_distribution{0, minibatch}, {{"probe", 1}},
                                  {.draws = 10});
}
