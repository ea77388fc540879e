// The gradient by the inputs comes with the mean loss.
// expect: HasInputGradient needs `std::size_t input_count(batch const&) const` and
#include <span>

#include "susc/core/readouts.hpp"

struct model {
  using scalar = float;
  using batch = int;
  std::size_t input_count(batch const&) const { return 2; }
#ifdef SUSC_FAIL
  void input_gradient(std::span<float const>, batch const&, std::span<float>) const {}
#else
  float input_gradient(std::span<float const>, batch const&, std::span<float>) const {
    return 0;
  }
#endif
};

void use(susc::HasInputGradient auto const&);
void test() {
  use(model{});
}
