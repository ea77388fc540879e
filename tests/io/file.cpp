#include "susc/io/file.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "temporary_folder.hpp"

namespace fs = std::filesystem;

namespace {
auto const text = [](std::string const& content) { return [content](std::ostream& out) { out << content; }; };

/// Makes the operating system refuse to let files grow beyond `bytes`: a full disk in small.
struct file_size_limit {
  ::rlimit before{};
  explicit file_size_limit(::rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before);
    ::rlimit const now{bytes, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
  ~file_size_limit() {
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, SIG_DFL);
  }
};
}  // namespace

TEST_CASE("file: reading a whole file") {
  temporary_folder const folder;
  std::string const content("a\0b\nc", 5);
  CHECK(susc::read_file(folder.file("x", content)) == content);
  CHECK(susc::read_file(folder.file("empty", "")).empty());
  check_words(error_message([&] { susc::read_file(folder.path / "absent"); }), {"absent", "No such file"});
  check_words(error_message([&] { susc::read_file(folder.path); }), {folder.path.string(), "not a regular file"});
  check_words(error_message([&] { susc::read_file("/dev/null"); }), {"/dev/null", "not a regular file"});
}

TEST_CASE("file: reading parts, and past a replacement") {
  temporary_folder const folder;
  susc::input_file const file(folder.file("x", "0123456789"));
  CHECK(file.size() == 10);
  std::string part(4, ' ');
  file.read(3, std::as_writable_bytes(std::span(part)));
  CHECK(part == "3456");
  check_words(error_message([&] { file.read(8, std::as_writable_bytes(std::span(part))); }),
              {"x'", "ends at byte 10", "2 more"});
  susc::write_file_atomically(folder.path / "x", text("new content"));
  file.read(0, std::as_writable_bytes(std::span(part)));
  CHECK(part == "0123");
}

TEST_CASE("file: an atomic write creates and replaces, and leaves nothing else behind") {
  temporary_folder const folder;
  susc::write_file_atomically(folder.path / "x", text("first"));
  susc::write_file_atomically(folder.path / "x", text("second"));
  CHECK(susc::read_file(folder.path / "x") == "second");
  CHECK(folder.listing() == std::set<std::string>{"x"});
}

TEST_CASE("file: a failed atomic write keeps the old file, removes the temporary, names file and reason") {
  temporary_folder const folder;
  folder.file("x", "old");
  SUBCASE("the writer throws") {
    CHECK_THROWS_AS(susc::write_file_atomically(folder.path / "x",
                                                [](std::ostream& out) {
                                                  out << "half";
                                                  throw std::logic_error("no more");
                                                }),
                    std::logic_error);
  }
  SUBCASE("the disk is full, noticed while writing") {
    file_size_limit const limit(1000);
    check_words(error_message([&] { susc::write_file_atomically(folder.path / "x", text(std::string(1 << 20, 'a'))); }),
                {"x'", "cannot write", "File too large"});
  }
  SUBCASE("the disk is full, noticed at the last flush") {
    file_size_limit const limit(1000);
    check_words(error_message([&] { susc::write_file_atomically(folder.path / "x", text(std::string(1001, 'a'))); }),
                {"x'", "cannot write", "File too large"});
  }
  SUBCASE("the writer reports failure through the stream") {
    auto const give_up = [](std::ostream& out) { out.setstate(std::ios::failbit); };
    check_words(error_message([&] { susc::write_file_atomically(folder.path / "x", give_up); }),
                {"x'", "cannot write"});
  }
  CHECK(susc::read_file(folder.path / "x") == "old");
  CHECK(folder.listing() == std::set<std::string>{"x"});
}

TEST_CASE("file: a folder that goes away while a file is written in it is the reason that is told") {
  temporary_folder const folder;
  fs::create_directory(folder.path / "gone");
  check_words(error_message([&] {
                susc::write_file_atomically(folder.path / "gone/x", [&](std::ostream& out) {
                  out << "x";
                  fs::remove_all(folder.path / "gone");
                });
              }),
              {"gone/x", "cannot move it into place: No such file or directory"});
  CHECK(folder.listing().empty());
}

TEST_CASE("file: places that cannot be written") {
  temporary_folder const folder;
  folder.file("plain", "");
  fs::create_directory(folder.path / "sub");
  std::set<std::string> const before = folder.listing();
  struct {
    fs::path path;
    std::vector<std::string> words;
  } const cases[]{{folder.path / "absent/x", {"absent/x", "No such file or directory"}},
                  {folder.path / "plain/x", {"plain/x", "Not a directory"}},
                  {folder.path / "sub", {"sub", "not the name of a regular file"}},
                  {folder.path / "sub/", {"sub/", "not the name of a regular file"}},
                  {"", {"not the name of a regular file"}},
                  {"/dev/null", {"/dev/null", "not the name of a regular file"}},
                  {folder.path / std::string(250, 'n'), {"nnn", "File name too long"}}};
  for (auto const& c : cases)
    check_words(error_message([&] { susc::write_file_atomically(c.path, text("x")); }), c.words);
  CHECK(folder.listing() == before);
}

TEST_CASE("file: simultaneous writers of one file never mix") {
  temporary_folder const folder;
  {
    std::vector<std::jthread> writers;
    for (char c = 'a'; c != 'e'; ++c)
      writers.emplace_back([&, c] {
        for (int i = 0; i != 10; ++i) susc::write_file_atomically(folder.path / "x", text(std::string(5000, c)));
      });
  }
  std::string const content = susc::read_file(folder.path / "x");
  CHECK(content == std::string(5000, content.at(0)));
  CHECK(folder.listing() == std::set<std::string>{"x"});
}

TEST_CASE("staged_directory: a new folder appears whole, at commit") {
  temporary_folder const folder;
  {
    susc::staged_directory results(folder.path / "a/b/out");
    CHECK(results.path().parent_path() == fs::canonical(folder.path) / "a/b");
    CHECK(results.path().filename().string().starts_with("out.partial-"));
    susc::write_file_atomically(results.path() / "x", text("x"));
    fs::create_directory(results.path() / "sub");
    susc::write_file_atomically(results.path() / "sub/y", text("y"));
    CHECK(!fs::exists(folder.path / "a/b/out"));
    results.commit();
    CHECK(results.path().empty());
    check_words(error_message([&] { results.commit(); }), {"out", "already committed"});
  }
  CHECK(folder.listing() == std::set<std::string>{"a", "a/b", "a/b/out", "a/b/out/x", "a/b/out/sub", "a/b/out/sub/y"});
}

TEST_CASE("staged_directory: an existing folder keeps what is not replaced") {
  temporary_folder const folder;
  fs::create_directories(folder.path / "out/sub");
  folder.file("out/other", "other");
  folder.file("out/x", "old");
  folder.file("out/sub/z", "z");
  susc::staged_directory results(folder.path / "out/");
  for (std::string const file : {"x", "sub/y", "new/w"}) {
    fs::create_directories((results.path() / file).parent_path());
    susc::write_file_atomically(results.path() / file, text("new"));
  }
  CHECK(susc::read_file(folder.path / "out/x") == "old");
  results.commit();
  CHECK(susc::read_file(folder.path / "out/x") == "new");
  CHECK(susc::read_file(folder.path / "out/other") == "other");
  CHECK(folder.listing() == std::set<std::string>{"out", "out/other", "out/x", "out/sub", "out/sub/z", "out/sub/y",
                                                  "out/new", "out/new/w"});
}

TEST_CASE("staged_directory: without commit no trace is left") {
  temporary_folder const folder;
  fs::create_directory(folder.path / "present");
  for (std::string const name : {"new", "deep/er/new", "present", "present/", "new/"}) {
    CAPTURE(name);
    susc::staged_directory const results(folder.path / name);
    susc::write_file_atomically(results.path() / "x", text("x"));
  }
  CHECK(folder.listing() == std::set<std::string>{"present"});
}

TEST_CASE("staged_directory: two at once, and a name left behind by a killed run") {
  temporary_folder const folder;
  fs::create_directory(folder.path / ("out.partial-" + std::to_string(::getpid())));
  susc::staged_directory first(folder.path / "out"), second(folder.path / "out");
  CHECK(first.path() != second.path());
  susc::write_file_atomically(first.path() / "a", text("first"));
  susc::write_file_atomically(second.path() / "a", text("second"));
  first.commit();
  second.commit();
  CHECK(susc::read_file(folder.path / "out/a") == "second");
  CHECK(fs::is_empty(folder.path / ("out.partial-" + std::to_string(::getpid()))));
}

namespace {
/// What a process leaves behind that is killed while it writes results to `output`: the name of the staging folder.
fs::path killed_while_writing(fs::path const& output) {
  ::pid_t const child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    susc::staged_directory const results(output);
    susc::write_file_atomically(results.path() / "x", text("half"));
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  std::string const name =
      (fs::is_directory(output) ? "" : output.filename().string()) + ".partial-" + std::to_string(child);
  return (fs::is_directory(output) ? output : output.parent_path()) / name;
}
}  // namespace

TEST_CASE("staged_directory: what a killed process left is removed by the next one with that folder, no other") {
  temporary_folder const folder;
  fs::path const out = folder.path / "out", beside = killed_while_writing(out),
                 other = killed_while_writing(folder.path / "out2");
  REQUIRE(fs::exists(beside / "x"));
  fs::create_directory(out);
  fs::path const inside = killed_while_writing(out);
  CHECK(!fs::exists(beside));
  REQUIRE(fs::exists(inside / "x"));
  // Not to be removed: of another machine, without a mark, in use, or of a name that only resembles.
  fs::path const far = out / ".partial-11", unmarked = out / ".partial-12", resembling = out / ".partial-13a";
  for (fs::path const& copy : {far, unmarked, resembling}) fs::copy(inside, copy);
  std::ofstream(far / ".unfinished") << "elsewhere.example";
  fs::remove(unmarked / ".unfinished");
  {
    susc::staged_directory const first(out), second(out);
    CHECK(first.path() != second.path());  // the first was not removed, and its name taken
    CHECK(!fs::exists(inside));
    for (fs::path const& kept : {far, unmarked, resembling, other}) CHECK(fs::exists(kept / "x"));
  }
}

TEST_CASE("staged_directory: results that could not be moved into place are not taken for abandoned") {
  temporary_folder const folder;
  fs::create_directories(folder.path / "out/z");
  fs::path kept;
  {
    susc::staged_directory results(folder.path / "out");
    kept = results.path();
    susc::write_file_atomically(results.path() / "z", text("hours of work"));
    error_message([&] { results.commit(); });
  }
  susc::staged_directory const next(folder.path / "out");
  CHECK(susc::read_file(kept / "z") == "hours of work");
}

TEST_CASE("staged_directory: a place that cannot be written is refused at once, without debris") {
  temporary_folder const folder;
  folder.file("plain", "");
  fs::create_symlink("nowhere", folder.path / "dangling");
  std::set<std::string> const before = folder.listing();
  struct {
    fs::path path;
    std::vector<std::string> words;
  } const cases[]{{folder.path / "plain", {"plain", "not a folder"}},
                  {folder.path / "plain/out", {"plain/out"}},
                  {folder.path / "dangling", {"dangling", "not a folder"}},
                  {folder.path / ("new/" + std::string(300, 'n')), {"nnn", "File name too long"}},
                  {"/proc/susc/out", {"/proc/susc/out", "output folder"}},
                  {"/proc", {"/proc", "output folder"}},
                  {"", {"output folder", "empty"}}};
  for (auto const& c : cases)
    check_words(error_message([&] { susc::staged_directory const results(c.path); }), c.words);
  if (::geteuid() != 0) {
    fs::create_directory(folder.path / "locked");
    fs::permissions(folder.path / "locked", fs::perms::owner_read | fs::perms::owner_exec);
    for (std::string const name : {"locked", "locked/out"})
      check_words(error_message([&] { susc::staged_directory const results(folder.path / name); }),
                  {name, "Permission denied"});
    fs::remove(folder.path / "locked");
  }
  CHECK(folder.listing() == before);
}

TEST_CASE("staged_directory: a conflict at commit moves nothing and keeps the results where the message says") {
  temporary_folder const folder;
  fs::create_directories(folder.path / "out/z");
  folder.file("out/f", "f");
  for (std::string const staged : {"z", "f/y"}) {  // a file over a folder; a folder over a file
    CAPTURE(staged);
    fs::path kept;
    {
      susc::staged_directory results(folder.path / "out");
      kept = results.path();
      fs::create_directories((results.path() / staged).parent_path());
      susc::write_file_atomically(results.path() / "a", text("a"));
      susc::write_file_atomically(results.path() / staged, text("new"));
      check_words(error_message([&] { results.commit(); }), {"out", "exists there", kept.string()});
    }
    CHECK(!fs::exists(folder.path / "out/a"));
    CHECK(susc::read_file(kept / "a") == "a");
    fs::remove_all(kept);
  }
}
