// An n-gram model tells probabilities, not logarithms of them in float.
// expect: an NgramModel needs `std::size_t vocabulary() const` and `double probability(token previous, token next)
// const`
#include "susc/data/ngram.hpp"

struct uniform {
  std::size_t vocabulary() const { return 2; }
#ifdef SUSC_FAIL
  float log_probability(susc::token, susc::token) const {
    return -1;
  }
#else
  double probability(susc::token, susc::token) const {
    return .5;
  }
#endif
};
static_assert(susc::NgramModel<uniform>);
