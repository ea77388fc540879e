// A perturbation says how many it stands for.
// expect: a Perturbation needs `std::size_t count(susc::draw<M> const&) const` and `void loss_shifts(susc::draw<M>
// const&, std::span<double>) const`
#include "susc/response/perturbation.hpp"
#include "plain_model.hpp"

struct decay {
#ifndef SUSC_FAIL
  std::size_t count(susc::draw<plain_model> const&) const {
    return 1;
  }
#endif
  void loss_shifts(susc::draw<plain_model> const& at, std::span<double> shifts) const {
    shifts[0] = at.weights()[0];
  }
};
static_assert(susc::Perturbation<decay, plain_model>);
