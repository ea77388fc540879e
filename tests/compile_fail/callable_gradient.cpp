// A gradient that is returned.
// expect: std::span<double> sum)` that adds to sum
#include <span>
#include <vector>

#include "susc/models/callable.hpp"

#ifdef SUSC_FAIL
auto const gradient = [](std::span<double const>, int) { return std::vector<double>(1); };
#else
auto const gradient = [](std::span<double const>, int, std::span<double>) {};
#endif

auto const model = susc::from_callables<int>(
    1, [](std::span<double const>, int) { return 0.; }, gradient);
