// run_chains in several processes, with a visitor that has no way between them.
// expect: the executor runs chains in other processes, from which what they have seen must come back: the visitor
// at most: 40 lines
#include <atomic>
#include <vector>

#include "plain_model.hpp"
#include "susc/sampling/chains.hpp"

struct remote : susc::sequential {
  template <class F, class G>
  void prepare(F&& first, G&&) const {
    first();
  }
  template <class T, class R>
  void distribute(std::size_t tasks, T&& task, R&&, std::atomic<bool> const* stop) const {
    while (tasks-- != 0) task(tasks, stop);
  }
};

struct counter {
  int draws = 0;
  void start(susc::draw<plain_model> const&, susc::draw_counts) {}
  void add(susc::draw<plain_model> const&) { ++draws; }
  void merge(counter const& other) { draws += other.draws; }
#ifndef SUSC_FAIL
  static void members(auto& self, auto&& each) {
    each(self.draws);
  }
#endif
};

void test() {
  susc::sampling_options<> const options;
  auto const plan = susc::plan_sampling(plain_model{}, options);
  susc::run_chains(plain_model{}, std::vector<float>(1), susc::data_distribution{0, minibatch}, {}, plan.components,
                   options, counter{}, remote{});
}
