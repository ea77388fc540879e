#pragma once
// What one core of this machine can do, measured in the same process: speeds are reported as fractions of it.
#include <algorithm>
#include <cstring>
#include <ctime>
#include <limits>
#include <utility>

#include "susc/core/aligned_vector.hpp"
#include "susc/kernels/ops.hpp"

namespace bench {

/// Seconds of processor time, which other programs do not count into.
inline double processor_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

/// Of the fastest of a few calls: other programs can only slow one down.
template <class F>
double best_seconds(int attempts, F&& call) {
  double best = std::numeric_limits<double>::infinity();
  for (int attempt = 0; attempt != attempts; ++attempt) {
    double const start = processor_seconds();
    call();
    best = std::min(best, processor_seconds() - start);
  }
  return best;
}

namespace detail {
/// `rounds` times a multiply-add on each of independent registers; indices known to the compiler keep them there.
template <std::size_t... I>
void multiply_add_rounds(int rounds, std::index_sequence<I...>) {
  using lanes = susc::kernels::lanes<float>;
  lanes x[]{lanes(static_cast<float>(I))...};
  lanes const factor(0.999f), term(0.1f);
  for (int r = 0; r != rounds; ++r) ((x[I] = susc::kernels::multiply_add(x[I], factor, term)), ...);
  float volatile keep = (susc::kernels::sum_of_lanes(x[I]) + ...);
  (void)keep;
}
}  // namespace detail

/// FLOP/s in float32 multiply-adds on registers; a multiply-add is two.
inline double multiply_add_peak() {
  constexpr int chains = 12, rounds = 1'000'000;
  double const seconds =
      best_seconds(5, [] { detail::multiply_add_rounds(rounds, std::make_index_sequence<chains>{}); });
  return 2. * chains * rounds * static_cast<double>(susc::kernels::lane_count<float>) / seconds;
}

/// Bytes/s of copying an array that no cache holds, counting those read and those written.
inline double copy_bandwidth() {
  constexpr std::size_t count = std::size_t{1} << 24;
  static susc::aligned_vector<float> const from(count, 1.f);
  static susc::aligned_vector<float> to(count);
  double const seconds = best_seconds(3, [] {
    std::memcpy(to.data(), from.data(), count * sizeof(float));
    float volatile keep = to[count / 2];
    (void)keep;
  });
  return 2. * count * sizeof(float) / seconds;
}

}  // namespace bench
