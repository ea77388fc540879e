// A visitor takes in other chains.
// expect: a Visitor needs `void start(susc::draw<M> const& center, susc::draw_counts)`
#include "susc/sampling/visitor.hpp"
#include "susc/models/monomial.hpp"

using model = susc::monomial<double>;

struct counter {
  void start(susc::draw<model> const&, susc::draw_counts) {}
  void add(susc::draw<model> const&) {}
#ifndef SUSC_FAIL
  void merge(counter const&) {}
#endif
};

void use(susc::Visitor<model> auto const&);
void test() {
  use(counter{});
}
