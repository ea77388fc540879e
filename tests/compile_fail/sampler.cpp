// A sampler's step gives back the state that it takes.
// expect: a Sampler needs `state step(state, std::span<T const> gradient, susc::posterior<T> const&,
#include <span>
#include <vector>

#include "susc/sampling/chain.hpp"

struct gradient_descent {
  struct state {
    std::vector<double> w;
  };
  double step_size = .1;
  void check(susc::posterior_settings const&) const {}
  state init(std::span<double const> w0) const { return {{w0.begin(), w0.end()}}; }
#ifdef SUSC_FAIL
  void step(state, std::span<double const>, susc::posterior<double> const&, susc::random::key) const {}
#else
  state step(state s, std::span<double const>, susc::posterior<double> const&, susc::random::key) const {
    return s;
  }
#endif
};

void use(susc::Sampler<double> auto const&);
void test() {
  use(gradient_descent{});
}
