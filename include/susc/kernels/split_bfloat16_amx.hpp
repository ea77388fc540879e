#pragma once
/// Blocks of bfloat16 on the tile registers of x86 CPUs with AMX: the operations of portable_tiles (see
/// split_bfloat16_tiles.hpp, which says what they compute), denormals counting as zero. Not yet run on hardware: the
/// instructions were checked by emulating them.
#include <cstddef>
#include <cstdint>

#include "susc/kernels/split_bfloat16_tiles.hpp"
#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
// clang 14 spells them otherwise.
#if (defined(__AMX_TILE__) && defined(__AMX_BF16__)) || (defined(__AMXTILE__) && defined(__AMXBF16__))
/// The compiler may use AMX's instructions for bfloat16.
#define SUSC_HAS_AMX
#include <immintrin.h>

#include <atomic>
#endif

namespace susc::kernels {

/// Whether this CPU has AMX for bfloat16 and the system lets this process use it, which is asked for at the first call.
inline bool amx_permitted() {
#if defined(__x86_64__) && defined(__linux__) && defined(SYS_arch_prctl)
  static bool const permitted = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c >> 27 & 1) == 0) return false;  // OSXSAVE: XGETBV may be used
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
    bool const bfloat16 = (d >> 22 & 1) != 0, tile = (d >> 24 & 1) != 0;
    if (!bfloat16 || !tile) return false;
    unsigned low = 0, high = 0;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    constexpr unsigned tile_state = 3U << 17;                    // configuration and data are saved when threads switch
    constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return (low & tile_state) == tile_state && syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
  }();
  return permitted;
#else
  return false;
#endif
}

#if defined(SUSC_HAS_AMX)
namespace detail {
/// Of the 8 tile registers. Static: g++ takes LDTILECFG to read 8 bytes of it and might not write the others.
struct alignas(64) tile_configuration {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(tile_configuration) == 64);

/// Owns the calling thread's tile registers while it lives: 0 to 3 sums, 4 and 5 left, 6 and 7 right, all 16 x 64
/// bytes. Configured anew for every product, since other libraries may have configured them otherwise. Needs
/// amx_permitted().
class amx_tiles {
 public:
  amx_tiles() { _tile_loadconfig(&configuration); }
  ~amx_tiles() { _tile_release(); }
  amx_tiles(amx_tiles const&) = delete;
  amx_tiles& operator=(amx_tiles const&) = delete;

  void zero() {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  void load(float const* c, std::size_t ldc) {
    written();
    _tile_loadd(0, c, ldc * sizeof(float));
    _tile_loadd(1, c + tile_side, ldc * sizeof(float));
    _tile_loadd(2, c + tile_side * ldc, ldc * sizeof(float));
    _tile_loadd(3, c + tile_side * ldc + tile_side, ldc * sizeof(float));
  }
  void store(float* c, std::size_t ldc) const {
    _tile_stored(0, c, ldc * sizeof(float));
    _tile_stored(1, c + tile_side, ldc * sizeof(float));
    _tile_stored(2, c + tile_side * ldc, ldc * sizeof(float));
    _tile_stored(3, c + tile_side * ldc + tile_side, ldc * sizeof(float));
  }
  void left(std::uint32_t const* tiles) {
    written();
    _tile_loadd(4, tiles, 64);
    _tile_loadd(5, tiles + tile_words, 64);
  }
  void right(std::uint32_t const* tiles) {
    written();
    _tile_loadd(6, tiles, 64);
    _tile_loadd(7, tiles + tile_words, 64);
  }
  void dot() {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }

 private:
  static constexpr tile_configuration configuration{};
  /// g++ does not know that loads of tiles read memory: what was written before must be there.
  static void written() { std::atomic_signal_fence(std::memory_order_seq_cst); }
};
}  // namespace detail
#endif

}  // namespace susc::kernels
