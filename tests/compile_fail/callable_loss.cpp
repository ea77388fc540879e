// A loss that is not given the weights.
// expect: from_callables needs a loss: a const `double loss(std::span<double const> w, Example const&)`
#include <span>

#include "susc/models/callable.hpp"

#ifdef SUSC_FAIL
auto const loss = [](int) { return 0.; };
#else
auto const loss = [](std::span<double const>, int) { return 0.; };
#endif

auto const model = susc::from_callables<int>(1, loss, [](std::span<double const>, int, std::span<double>) {});
