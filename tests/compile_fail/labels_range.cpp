// Labels belong to scores by their position.
// expect: Labels must be a range with a size and random access, e.g. std::vector<bool>
#include <list>
#include <string>
#include <vector>

#include "susc/structure/auc.hpp"

#ifdef SUSC_FAIL
using labels = std::list<bool>;
#else
using labels = std::vector<bool>;
#endif
static_assert(susc::Labels<labels>);
