// A sampler that accepts or rejects is handed the loss, not a gradient.
// expect: a CorrectedSampler needs `state step(state, evaluate, susc::posterior<T> const&, susc::random::key) const`
#include <span>
#include <vector>

#include "susc/sampling/chain.hpp"

struct state {
  std::vector<double> w;
};
struct sampler {
  double step_size = .1;
  void check(susc::posterior_settings const&) const {}
  state init(std::span<double const> w0) const { return {{w0.begin(), w0.end()}}; }
#ifdef SUSC_FAIL
  state step(state s, std::span<double const>, susc::posterior<double> const&, susc::random::key) const {
    return s;
  }
#else
  template <class Evaluate>
  state step(state s, Evaluate const& evaluate, susc::posterior<double> const&, susc::random::key) const {
    evaluate(std::span<double const>(s.w), std::span<double>(s.w));
    return s;
  }
#endif
};
static_assert(susc::CorrectedSampler<sampler, double>);
