#pragma once
/// Numbers below the smallest normal one count as zero while this lives: arithmetic on them is a hundred times slower,
/// and exponentials of masked scores make many. Acts on the calling thread, whose setting is restored at the end.
#if defined(__SSE2__)
#include <xmmintrin.h>
#elif defined(__aarch64__)
#include <cstdint>
#endif

#include "susc/core/requirements.hpp"

namespace susc::kernels {

/// Sets the calling thread's mode while it lives; does nothing on other processors than x86 and ARM.
class flush_denormals {
 public:
#if defined(__SSE2__)
  flush_denormals() : before_(_mm_getcsr()) {
    _mm_setcsr(before_ | flush_to_zero | denormals_are_zero);
  }
  ~flush_denormals() {
    _mm_setcsr(before_);
  }
#elif defined(__aarch64__)
  flush_denormals() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" : : "r"(before_ | flush_to_zero));
  }
  ~flush_denormals() {
    asm volatile("msr fpcr, %0" : : "r"(before_));
  }
#endif
  flush_denormals(flush_denormals const&) = delete;
  flush_denormals& operator=(flush_denormals const&) = delete;

 private:
#if defined(__SSE2__)
  static constexpr unsigned flush_to_zero = 0x8000, denormals_are_zero = 0x0040;
  unsigned before_;
#elif defined(__aarch64__)
  static constexpr std::uint64_t flush_to_zero = std::uint64_t{1} << 24;
  std::uint64_t before_;
#endif
};

}  // namespace susc::kernels
