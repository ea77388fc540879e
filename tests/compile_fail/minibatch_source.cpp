// Minibatches are functions of size and key.
// expect: a MinibatchSource needs `batch operator()(std::size_t batch_size, susc::random::key) const` or
#include <vector>

#include "susc/core/minibatch_source.hpp"

#ifdef SUSC_FAIL
auto const minibatch = [](std::size_t size) { return std::vector<int>(size); };
#else
auto const minibatch = [](std::size_t size, susc::random::key) { return std::vector<int>(size); };
#endif
static_assert(susc::MinibatchSource<decltype(minibatch), std::vector<int>>);
