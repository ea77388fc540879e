// estimate_susceptibilities of a model whose losses are not const.
// expect: a Model needs `void losses(std::span<scalar const> w, batch const&, std::span<scalar> losses) const`
// at most: 40 lines
#include <vector>

#include "plain_model.hpp"
#include "susc/response/estimate.hpp"

struct model : plain_model {
#ifdef SUSC_FAIL
  void losses(weights, batch const&, std::span<float>) {}
#endif
};

void test() {
  susc::estimate_susceptibilities(model{}, std::vector<float>(1), susc::data_distribution{0, minibatch}, {{"probe", 1}},
                                  {.draws = 10});
}
