#pragma once
/// Runs AMX instructions on x86 CPUs without AMX, as Intel's Software Developer's Manual defines them: each raises
/// SIGILL, whose handler does what it says. For one thread, and the few instructions that the library uses.
#if defined(__x86_64__) && defined(__linux__)
#include <signal.h>
#include <ucontext.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

class amx_emulation {
 public:
  amx_emulation() {
    struct sigaction action = {};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGILL, &action, &before_);
  }
  ~amx_emulation() { sigaction(SIGILL, &before_, nullptr); }
  amx_emulation(amx_emulation const&) = delete;
  amx_emulation& operator=(amx_emulation const&) = delete;

  /// Instructions emulated so far.
  static std::size_t count() { return machine().count; }

 private:
  struct state {
    bool configured = false;
    std::uint16_t row_bytes[8];
    std::uint8_t rows[8];
    alignas(64) std::uint8_t tiles[8][16][64];
    std::size_t count = 0;
  };
  static state& machine() {
    static state s;
    return s;
  }

  static void handle(int, siginfo_t*, void* context) {
    auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    if (std::size_t const length = execute(registers); length != 0) {
      registers[REG_RIP] += static_cast<greg_t>(length);
      ++machine().count;
    } else {
      signal(SIGILL, SIG_DFL);  // not ours: it happens again and ends the program
    }
  }

  /// The length of the instruction, or 0 where it is none of those known.
  static std::size_t execute(gregset_t const& registers) {
    auto const* const code = reinterpret_cast<std::uint8_t const*>(registers[REG_RIP]);
    // Three-byte VEX, map 0F38, W = 0, L = 0.
    if (code[0] != 0xC4 || (code[1] & 0x1F) != 2 || (code[2] & 0x84) != 0) return 0;
    unsigned const prefix = code[2] & 3, third = ~code[2] >> 3 & 15, modrm = code[4], tile = modrm >> 3 & 7;
    bool const in_register = modrm >> 6 == 3;
    constexpr unsigned none = 0, f3 = 2, f2 = 3;
    state& s = machine();
    std::size_t length = 5;
    if (code[3] == 0x49 && prefix == none) {
      s.configured = !in_register;
      if (in_register) return length;  // TILERELEASE
      std::uint8_t configuration[64];
      std::memcpy(configuration, address(registers, code, length), 64);
      if (configuration[0] != 1 || configuration[1] != 0) return 0;
      std::memcpy(s.row_bytes, configuration + 16, sizeof s.row_bytes);
      std::memcpy(s.rows, configuration + 48, sizeof s.rows);
      for (int t = 0; t != 8; ++t)
        if (s.row_bytes[t] > 64 || s.rows[t] > 16) return 0;
      std::memset(s.tiles, 0, sizeof s.tiles);
      return length;
    }
    if (!s.configured) return 0;
    if (code[3] == 0x49 && prefix == f2 && in_register) {  // TILEZERO
      std::memset(s.tiles[tile], 0, sizeof s.tiles[tile]);
      return length;
    }
    if (code[3] == 0x4B && !in_register) {  // TILELOADD, TILESTORED: the index register holds the stride
      std::ptrdiff_t const stride = index(registers, code);
      std::uint8_t* memory = address(registers, code, length) - stride;
      for (int row = 0; row != s.rows[tile]; ++row, memory += stride)
        prefix == f2 ? std::memcpy(s.tiles[tile][row], memory, s.row_bytes[tile])
                     : std::memcpy(memory, s.tiles[tile][row], s.row_bytes[tile]);
      return prefix == f2 || prefix == f3 ? length : 0;
    }
    if (code[3] != 0x5C || prefix != f3 || !in_register) return 0;
    dot(s, tile, modrm & 7, third);
    return length;
  }

  /// TDPBF16PS.
  static void dot(state& s, unsigned to, unsigned left, unsigned right) {
    for (int m = 0; m != s.rows[to]; ++m) {
      float sums[2][16] = {};
      for (int k = 0; k != s.row_bytes[left] / 4; ++k)
        for (int n = 0; n != s.row_bytes[to] / 4; ++n)
          for (int half = 0; half != 2; ++half)
            // The product is exact, so this is rounded once, as the multiply-add is.
            sums[half][n] = flushed(sums[half][n] +
                                    element(s.tiles[left][m], 2 * k + half) * element(s.tiles[right][k], 2 * n + half));
      for (int n = 0; n != s.row_bytes[to] / 4; ++n) {
        float c;
        std::memcpy(&c, s.tiles[to][m] + 4 * n, 4);
        c = flushed(flushed(c) + flushed(sums[0][n] + sums[1][n]));
        std::memcpy(s.tiles[to][m] + 4 * n, &c, 4);
      }
    }
  }
  static float flushed(float x) { return std::abs(x) < std::numeric_limits<float>::min() ? 0.0f : x; }
  static float element(std::uint8_t const* row, int i) {
    std::uint16_t half;
    std::memcpy(&half, row + 2 * i, 2);
    return flushed(std::bit_cast<float>(std::uint32_t{half} << 16));
  }

  static greg_t numbered(gregset_t const& registers, unsigned number) {
    constexpr int order[16]{REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                            REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return registers[order[number]];
  }
  /// Scaled.
  static std::ptrdiff_t index(gregset_t const& registers, std::uint8_t const* code) {
    unsigned const number = (code[5] >> 3 & 7) + ((code[1] & 0x40) != 0 ? 0 : 8);
    return number == 4 ? 0 : numbered(registers, number) << (code[5] >> 6);
  }
  /// What the memory operand points to; `length` grows by its bytes.
  static std::uint8_t* address(gregset_t const& registers, std::uint8_t const* code, std::size_t& length) {
    unsigned const mode = code[4] >> 6, extension = (code[1] & 0x20) != 0 ? 0 : 8;
    bool const indexed = (code[4] & 7) == 4;
    unsigned const base = (indexed ? code[5] : code[4]) & 7;
    if (indexed) ++length;
    std::int32_t shift = 0;
    bool const no_base = mode == 0 && base == 5;
    if (mode == 1) shift = static_cast<std::int8_t>(code[length++]);
    if (mode == 2 || no_base) {
      std::memcpy(&shift, code + length, 4);
      length += 4;
    }
    greg_t from = no_base ? 0 : numbered(registers, base + extension);
    if (no_base && !indexed) from = registers[REG_RIP] + static_cast<greg_t>(length);
    if (indexed) from += index(registers, code);
    return reinterpret_cast<std::uint8_t*>(from + shift);
  }

  struct sigaction before_;
};
#endif
