// A sampler checks its tuning against the posterior.
// expect: a Sampler needs a member `step_size` and `void check(susc::posterior_settings) const`
#include <span>
#include <vector>

#include "susc/sampling/chain.hpp"

struct state {
  std::vector<double> w;
};
struct sampler {
  double step_size = .1;
#ifdef SUSC_FAIL
  void check() const {}
#else
  void check(susc::posterior_settings const&) const {}
#endif
  state init(std::span<double const> w0) const {
    return {{w0.begin(), w0.end()}};
  }
  state step(state s, std::span<double const>, susc::posterior<double> const&, susc::random::key) const {
    return s;
  }
};
static_assert(susc::Sampler<sampler, double>);
