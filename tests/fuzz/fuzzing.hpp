#pragma once
// Shared by the fuzz targets: a folder for their files, and what must hold of every reader.
#include <sanitizer/allocator_interface.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "susc/core/error.hpp"

namespace fuzzing {

/// Ends the program, which is what a fuzzer takes for a finding.
inline void hold(bool condition, char const* what) {
  if (condition) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

/// Made once in TMPDIR, which had better be in memory (run.py sees to it); its path, without a slash at its end.
inline std::filesystem::path const& folder() {
  static struct temporary {
    std::filesystem::path path;
    temporary() {
      std::string name = (std::filesystem::temp_directory_path() / "susc-fuzz-XXXXXX").string();
      hold(::mkdtemp(name.data()) != nullptr, "a temporary folder");
      path = name;
    }
    ~temporary() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  } const made;
  return made.path;
}

/// A file of these bytes, over what was there.
inline std::filesystem::path file(std::string_view name, std::string_view bytes) {
  auto const path = folder() / name;
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  hold(out.flush().good(), "the fuzzer's file is written");
  return path;
}

inline std::string_view text(std::uint8_t const* data, std::size_t size) {
  return {reinterpret_cast<char const*>(data), size};
}

template <class T>
bool same_bits(std::vector<T> const& a, std::vector<T> const& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// Bytes that the program holds, and the most since `most` was last set.
inline std::atomic<std::int64_t> held = 0, most = 0;
inline void count_memory() {
  static int const installed = ::__sanitizer_install_malloc_and_free_hooks(
      [](void const volatile*, std::size_t size) {
        std::int64_t const now = held += static_cast<std::int64_t>(size);
        if (now > most) most = now;
      },
      [](void const volatile* block) {
        if (block != nullptr)
          held -= static_cast<std::int64_t>(::__sanitizer_get_allocated_size(const_cast<void const*>(block)));
      });
  hold(installed != 0, "memory is counted");
}

// A table of tensors in JSON, or of settings, takes some 60 times its bytes once it is parsed, while it grows.
inline constexpr std::int64_t memory_factor = 128, memory_for_nothing = 64 * 1024;

/// Whether `read` reads its `bytes` without an error. It may throw susc::error with a message and nothing else, and
/// take memory in proportion to its bytes and no more.
template <class Read>
bool reads(std::size_t bytes, Read&& read) {
  count_memory();
  std::int64_t const before = most = held.load();
  bool whole = true;
  try {
    read();
  } catch (susc::error const& reason) {
    hold(*reason.what() != '\0', "an error has a message");
    whole = false;
  }
  std::int64_t const allowed = memory_for_nothing + memory_factor * static_cast<std::int64_t>(bytes);
  if (most - before > allowed)
    std::fprintf(stderr, "%zu bytes took %lld bytes of memory\n", bytes, static_cast<long long>(most - before));
  hold(most - before <= allowed, "memory stays within a multiple of the file");
  return whole;
}

}  // namespace fuzzing
