#pragma once
// Shared by the tests of everything that touches files.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "susc/core/error.hpp"

/// A folder of its own for a test, removed with its content at the end.
struct temporary_folder {
  std::filesystem::path path;

  temporary_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "susc-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  temporary_folder(temporary_folder const&) = delete;
  temporary_folder& operator=(temporary_folder const&) = delete;
  ~temporary_folder() { std::filesystem::remove_all(path); }

  /// A file with this content.
  std::filesystem::path file(std::string const& name, std::string const& content) const {
    std::ofstream(path / name, std::ios::binary) << content;
    return path / name;
  }
  /// Everything in the folder, subfolders too, by relative name.
  std::set<std::string> listing() const {
    std::set<std::string> names;
    for (auto const& entry : std::filesystem::recursive_directory_iterator(path))
      names.insert(entry.path().lexically_relative(path).string());
    return names;
  }
};

/// The message of the susc::error that `action` throws; fails the test if it throws none.
template <class Action>
std::string error_message(Action action) {
  try {
    action();
  } catch (susc::error const& reason) {
    return reason.what();
  }
  FAIL_CHECK("no susc::error was thrown");
  return "";
}

/// Checks that `message` contains every one of `words`.
inline void check_words(std::string const& message, std::vector<std::string> const& words) {
  CAPTURE(message);
  for (std::string const& word : words) {
    CAPTURE(word);
    CHECK(message.find(word) != std::string::npos);
  }
}

/// The bytes of a number or an array of numbers, as they lie in a file.
template <class T>
std::string bytes_of(std::vector<T> const& values) {
  return {reinterpret_cast<char const*>(values.data()), values.size() * sizeof(T)};
}
