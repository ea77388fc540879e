#pragma once
// The machine's multiply-add peak, measured in the same process: what every kernel's speed is a fraction of.
#include <chrono>
#include <limits>

#include "susc/kernels/ops.hpp"

/// FLOP/s of one core in float32 multiply-adds on registers, the best of a few tries.
inline double multiply_add_peak() {
  using susc::kernels::lane_count;
  using susc::kernels::lanes;
  constexpr int chains = 12, rounds = 1'000'000;
  double best = std::numeric_limits<double>::infinity();
  for (int attempt = 0; attempt != 10; ++attempt) {
    lanes<float> x[chains];
    for (int i = 0; i != chains; ++i) x[i] = lanes<float>(static_cast<float>(i));
    lanes<float> const factor(0.999f), term(0.1f);
    auto const start = std::chrono::steady_clock::now();
    for (int r = 0; r != rounds; ++r)
      for (int i = 0; i != chains; ++i) x[i] = susc::kernels::multiply_add(x[i], factor, term);
    std::chrono::duration<double> const seconds = std::chrono::steady_clock::now() - start;
    lanes<float> sum = x[0];
    for (int i = 1; i != chains; ++i) sum = sum + x[i];
    float volatile keep = susc::kernels::sum_of_lanes(sum);
    (void)keep;
    best = std::min(best, seconds.count());
  }
  return 2. * chains * lane_count<float> * rounds / best;
}
