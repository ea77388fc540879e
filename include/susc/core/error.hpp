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

namespace detail {
/// Streams every argument into one string.
template <class... Args>
std::string concatenate(Args const&... args) {
  std::ostringstream out;
  (out << ... << args);
  return std::move(out).str();
}
}  // namespace detail

/// Throws susc::error with the concatenation of the arguments.
template <class... Args>
[[noreturn]] void fail(Args const&... args) {
  throw error(detail::concatenate(args...));
}

/// Throws susc::error with the concatenation of the remaining arguments unless `condition` holds.
template <class... Args>
void require(bool condition, Args const&... args) {
  if (!condition) fail(args...);
}

}  // namespace susc
