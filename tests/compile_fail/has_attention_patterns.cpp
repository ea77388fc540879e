// Heads are scored where a model shows their attention.
// expect: head_scores needs `void for_each_attention_pattern(weights, token_batch const&, F) const`
#include <span>

#include "susc/models/head_scores.hpp"

struct model {
  struct shape {
    std::size_t layers = 1, heads = 1;
  };
  using scalar = float;
  shape config() const { return {}; }
#ifndef SUSC_FAIL
  template <class F>
  void for_each_attention_pattern(std::span<float const>, susc::token_batch const&, F) const {}
#endif
};

void test() {
  susc::head_scores(model{}, {}, {});
}
