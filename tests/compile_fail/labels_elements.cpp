// A label is a yes or no.
// expect: Labels must be of elements that convert to bool
#include <list>
#include <string>
#include <vector>

#include "susc/structure/auc.hpp"

#ifdef SUSC_FAIL
using labels = std::vector<std::string>;
#else
using labels = std::vector<bool>;
#endif
static_assert(susc::Labels<labels>);
