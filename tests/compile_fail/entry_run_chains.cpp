// run_chains with a visitor that cannot be merged.
// expect: a Visitor needs `void start(susc::draw<M> const& center, susc::draw_counts)`, `void add(susc::draw<M>
// const&)` and `void merge(visitor const&)` at most: 40 lines
#include <vector>

#include "plain_model.hpp"
#include "susc/sampling/chains.hpp"

struct counter {
  void start(susc::draw<plain_model> const&, susc::draw_counts) {}
  void add(susc::draw<plain_model> const&) {}
#ifndef SUSC_FAIL
  void merge(counter const&) {}
#endif
};

void test() {
  susc::sampling_options<> const options;
  auto const plan = susc::plan_sampling(plain_model{}, options);
  susc::run_chains(plain_model{}, std::vector<float>(1), susc::data_distribution{0, minibatch}, {}, plan.components,
                   options, counter{});
}
