// A sampler's state holds the weights under the name w.
// expect: a Sampler needs `state init(std::span<T const> w0) const`, the state with a member `w`
#include <span>
#include <vector>

#include "susc/sampling/chain.hpp"

struct state {
  std::vector<double> w;
};
struct sampler {
  double step_size = .1;
  void check(susc::posterior_settings const&) const {}
#ifdef SUSC_FAIL
  std::vector<double> init(std::span<double const> w0) const {
    return {w0.begin(), w0.end()};
  }
#else
  state init(std::span<double const> w0) const {
    return {{w0.begin(), w0.end()}};
  }
#endif
  state step(state s, std::span<double const>, susc::posterior<double> const&, susc::random::key) const {
    return s;
  }
};
static_assert(susc::Sampler<sampler, double>);
