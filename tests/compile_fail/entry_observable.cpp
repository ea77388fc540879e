// estimate_susceptibilities of an observable and a perturbation that are swapped.
// expect: an Observable needs `double value(susc::draw<M> const&) const`
// at most: 40 lines
#include <vector>

#include "plain_model.hpp"
#include "susc/response/estimate.hpp"

void test() {
#ifdef SUSC_FAIL
  susc::example_reweighting const observable;
  susc::component_loss const perturbation;
#else
  susc::component_loss const observable;
  susc::example_reweighting const perturbation;
#endif
  susc::estimate_susceptibilities(plain_model{}, std::vector<float>(1), susc::data_distribution{0, minibatch},
                                  {{"probe", 1}}, {}, susc::threads{}, observable, perturbation);
}
