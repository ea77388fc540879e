// A visitor that tells its bytes does so as a const member.
// expect: the bytes() of a Visitor must be `std::size_t bytes() const`
#include "plain_model.hpp"
#include "susc/sampling/visitor.hpp"

struct counter {
  void start(susc::draw<plain_model> const&, susc::draw_counts) {}
  void add(susc::draw<plain_model> const&) {}
  void merge(counter const&) {}
#ifdef SUSC_FAIL
  std::size_t bytes() {
    return 0;
  }
#else
  std::size_t bytes() const {
    return 0;
  }
#endif
};
static_assert(susc::Visitor<counter, plain_model>);
