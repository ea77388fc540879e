#include "susc/io/checked_file.hpp"

#include <doctest/doctest.h>

#include <string>

#include "susc/io/file.hpp"
#include "temporary_folder.hpp"

namespace {
std::string read(std::filesystem::path const& path) {
  return susc::read_checked_file(path, "kind", 3);
}
}  // namespace

TEST_CASE("fnv1a: its published values") {  // Fowler, Noll & Vo's test vectors
  CHECK(susc::fnv1a("") == 0xcbf29ce484222325);
  CHECK(susc::fnv1a("a") == 0xaf63dc4c8601ec8c);
  CHECK(susc::fnv1a("foobar") == 0x85944171f73967e8);
  CHECK(susc::fnv1a("bar", susc::fnv1a("foo")) == susc::fnv1a("foobar"));
}

TEST_CASE("checked file: content comes back") {
  temporary_folder const folder;
  auto const path = folder.path / "f";
  for (std::string const& content : {std::string(), std::string("\0\xff", 2), std::string(100'000, 'x')}) {
    susc::write_checked_file(path, "kind", 3, content);
    CHECK(read(path) == content);
  }
  susc::write_checked_file(path, "kind", 3, "ab");
  std::string const bytes = susc::read_file(path);
  CHECK(bytes.substr(0, 26) == std::string("kind\0\0\0\0\3\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0ab", 26));
  CHECK(bytes.size() == 34);
}

TEST_CASE("checked file: every cut, every flipped bit and every added byte is noticed") {
  temporary_folder const folder;
  auto const path = folder.path / "f";
  susc::write_checked_file(path, "kind", 3, "some content of a checkpoint");
  std::string const bytes = susc::read_file(path);
  auto const refused = [&](std::string const& other) {
    folder.file("f", other);
    return error_message([&] { read(path); });
  };
  for (std::size_t size = 0; size != bytes.size(); ++size)
    check_words(refused(bytes.substr(0, size)), {path.string(), "cut short"});
  for (std::size_t bit = 0; bit != 8 * bytes.size(); ++bit) {
    CAPTURE(bit);
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    check_words(refused(flipped), {path.string()});
  }
  check_words(refused(bytes + "x"), {path.string(), "damaged"});
}

TEST_CASE("checked file: the bytes of its head that are zero must be zero, even if the checksum says they were not") {
  temporary_folder const folder;
  auto const path = folder.path / "f";
  susc::write_checked_file(path, "kind", 3, "some content");
  std::string bytes = susc::read_file(path);
  bytes[13] = 1;
  bytes.resize(bytes.size() - 8);
  susc::archive_writer checksum;
  checksum(susc::fnv1a(bytes));
  folder.file("f", bytes + checksum.bytes());
  check_words(error_message([&] { read(path); }), {path.string(), "bytes 12 to 15", "256, wanted 0"});
}

TEST_CASE("checked file: another kind or version is refused") {
  temporary_folder const folder;
  auto const path = folder.path / "f";
  susc::write_checked_file(path, "other", 3, "x");
  check_words(error_message([&] { read(path); }), {path.string(), "is no file of kind 'kind'"});
  susc::write_checked_file(path, "kind", 4, "x");
  check_words(error_message([&] { read(path); }), {"version 4", "wanted 3"});
  check_words(error_message([&] { susc::write_checked_file(path, "much too long", 1, ""); }), {"too long"});
  check_words(error_message([&] { read(folder.path / "none"); }), {"none", "No such file"});
}
