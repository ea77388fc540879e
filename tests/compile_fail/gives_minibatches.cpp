// Minibatches are of the model's own type, not of one that converts to it.
// expect: minibatches must come from `batch operator()(std::size_t batch_size, susc::random::key) const`, of the
// model's own type `batch`
#include <vector>

#include "susc/core/minibatch_source.hpp"

#ifdef SUSC_FAIL
auto const minibatch = [](std::size_t size, susc::random::key) { return std::vector<long>(size); };
#else
auto const minibatch = [](std::size_t size, susc::random::key) { return std::vector<int>(size); };
#endif
static_assert(susc::GivesMinibatches<decltype(minibatch), std::vector<int>>);
