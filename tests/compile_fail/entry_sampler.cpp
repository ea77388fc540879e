// estimate_susceptibilities by a sampler whose step gives nothing back.
// expect: a Sampler needs `state step(state, std::span<T const> gradient, susc::posterior<T> const&,
// at most: 40 lines
#include <vector>

#include "plain_model.hpp"
#include "susc/response/estimate.hpp"

struct descent {
  struct state {
    std::vector<float> w;
  };
  double step_size = .1;
  void check(susc::posterior_settings const&) const {}
  state init(std::span<float const> w0) const { return {{w0.begin(), w0.end()}}; }
#ifdef SUSC_FAIL
  void step(state, std::span<float const>, susc::posterior<float> const&, susc::random::key) const {}
#else
  state step(state s, std::span<float const>, susc::posterior<float> const&, susc::random::key) const {
    return s;
  }
#endif
};

void test() {
  susc::estimate_susceptibilities(plain_model{}, std::vector<float>(1), susc::data_distribution{0, minibatch},
                                  {{"probe", 1}}, susc::sampling_options<descent>{});
}
