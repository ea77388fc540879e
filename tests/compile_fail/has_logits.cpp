// Logits are told one example at a time.
// expect: HasLogits needs `std::size_t class_count() const` and
#include <span>

#include "susc/core/readouts.hpp"

struct model {
  using scalar = float;
  using batch = int;
  std::size_t class_count() const { return 2; }
#ifdef SUSC_FAIL
  void logits(std::span<float const>, batch const&, std::span<float>) const {}
#else
  void logits(std::span<float const>, batch const&, std::size_t, std::span<float>) const {}
#endif
};

void use(susc::HasLogits auto const&);
void test() {
  use(model{});
}
