// What is refilled is a batch.
// expect: minibatches that are refilled must come from `void operator()(std::size_t batch_size, susc::random::key,
// batch&) const`
#include <vector>

#include "susc/core/minibatch_source.hpp"

#ifdef SUSC_FAIL
auto const minibatch = [](std::size_t size, susc::random::key, std::vector<long>& to) { to.resize(size); };
#else
auto const minibatch = [](std::size_t size, susc::random::key, std::vector<int>& to) { to.resize(size); };
#endif
static_assert(susc::RefillsMinibatches<decltype(minibatch), std::vector<int>>);
