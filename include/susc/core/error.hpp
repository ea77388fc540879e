#pragma once
/// Errors: what was wrong, where, and what would be right.
#include <sstream>
#include <stdexcept>
#include <string>

#include "susc/core/requirements.hpp"

namespace susc {

/// Thrown for every input that the library cannot use. The message is one line for a person to read.
class error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;  ///< From a message.
};

/// Thrown where a run was asked to stop; what it had done is in its run directory, if it has one.
class interrupted : public error {
 public:
  using error::error;  ///< From a message.
};

namespace detail {
/// Streams every argument into one string.
template <class... Args>
std::string concatenate(Args const&... args) {
  std::ostringstream out;
  (out << ... << args);
  return std::move(out).str();
}
/// A name in a damaged file may hold line ends and codes that a terminal obeys: they are shown as "\x0A".
inline std::string one_line(std::string const& text) {
  std::string line;
  for (char const c : text) {
    auto const byte = static_cast<unsigned char>(c);
    constexpr char digits[] = "0123456789ABCDEF";
    if (byte >= 0x20 && byte != 0x7F)
      line += c;
    else
      line.append({'\\', 'x', digits[byte / 16], digits[byte % 16]});
  }
  return line;
}
}  // namespace detail

/// Throws susc::error with the concatenation of the arguments, on one line.
template <class... Args>
[[noreturn]] void fail(Args const&... args) {
  throw error(detail::one_line(detail::concatenate(args...)));
}

/// Throws susc::error with the concatenation of the remaining arguments unless `condition` holds.
template <class... Args>
void require(bool condition, Args const&... args) {
  if (!condition) fail(args...);
}

}  // namespace susc
