#pragma once
/// What the library needs of the compiler and of the libraries it includes, said in a sentence where it is missing.
/// Every header includes this one, directly or by another.
#if (defined(_MSVC_LANG) ? _MSVC_LANG : __cplusplus) < 202002L
#error "susc needs C++20: compile with -std=c++20 or newer (cpp_std in Meson, cxx_std_20 in CMake)"
#endif

namespace susc::detail {
/// Whether a version, by its first two numbers, is the least that will do or newer.
constexpr bool version_at_least(int found_major, int found_minor, int least_major, int least_minor) {
  return found_major != least_major ? found_major > least_major : found_minor >= least_minor;
}
}  // namespace susc::detail

/// The argument as a string.
#define SUSC_TEXT_AS_WRITTEN(x) #x
/// What a macro stands for, as a string literal.
#define SUSC_TEXT(x) SUSC_TEXT_AS_WRITTEN(x)
/// "first.second".
#define SUSC_VERSION_TEXT(first, second) SUSC_TEXT(first) "." SUSC_TEXT(second)

/// Stands below the includes of every header that includes a library of others: its name, the macros of its version,
/// and the oldest version that will do, which is that of meson.build.
#define SUSC_REQUIRE_VERSION(name, found_major, found_minor, least_major, least_minor)              \
  static_assert(susc::detail::version_at_least(found_major, found_minor, least_major, least_minor), \
                "susc needs " name " " SUSC_VERSION_TEXT(                                           \
                    least_major, least_minor) " or newer, but found " SUSC_VERSION_TEXT(found_major, found_minor))
