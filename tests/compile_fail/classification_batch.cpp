// Labels are counted from 0.
// expect: a ClassificationBatch needs vectors `inputs`, of floating point, and `labels`, of unsigned integers
#include <vector>

#include "susc/data/classification_batch.hpp"

struct batch {
  std::vector<float> inputs;
#ifdef SUSC_FAIL
  std::vector<float> labels;
#else
  std::vector<unsigned> labels;
#endif
};

void use(susc::ClassificationBatch auto const&);
void test() {
  use(batch{});
}
