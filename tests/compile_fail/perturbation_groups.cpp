// A perturbation with groups gives them as ranges.
// expect: the groups of a Perturbation must be `std::vector<susc::index_range> groups(susc::draw<M> const&) const`
#include "plain_model.hpp"
#include "susc/response/perturbation.hpp"

struct decay {
  std::size_t count(susc::draw<plain_model> const&) const { return 1; }
  void loss_shifts(susc::draw<plain_model> const& at, std::span<double> shifts) const { shifts[0] = at.weights()[0]; }
#ifdef SUSC_FAIL
  std::vector<std::size_t> groups(susc::draw<plain_model> const&) const {
    return {0};
  }
#else
  std::vector<susc::index_range> groups(susc::draw<plain_model> const&) const {
    return {{0, 1}};
  }
#endif
};
static_assert(susc::Perturbation<decay, plain_model>);
