#pragma once
// A table of inputs that the library cannot use: what is wrong with each, how to give it, what the message must say.
#include <doctest/doctest.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "susc/core/error.hpp"

struct bad_input {
  std::string wrong;               ///< what is wrong
  std::function<void()> give;      ///< gives it to the library
  std::vector<std::string> words;  ///< file or field, value found, value wanted
};

/// Checks that each is refused by a susc::error of one line that holds the words.
inline void check_refused(std::vector<bad_input> const& table) {
  for (bad_input const& input : table) {
    CAPTURE(input.wrong);
    std::string message;
    try {
      input.give();
      FAIL_CHECK("was taken");
      continue;
    } catch (susc::error const& reason) {
      message = reason.what();
    } catch (std::exception const& other) {
      FAIL_CHECK("no susc::error but: ", other.what());
      continue;
    }
    CAPTURE(message);
    for (std::string const& word : input.words) {
      CAPTURE(word);
      CHECK(message.find(word) != message.npos);
    }
    CHECK(std::none_of(message.begin(), message.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }));
  }
}
