#include "susc/io/run_directory.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "io/temporary_folder.hpp"

namespace {
std::vector<susc::run_setting> const settings{{"seed", "1"}, {"step_size", "0.01"}};
}  // namespace

TEST_CASE("run_directory: what was saved is loaded, by another opening too") {
  temporary_folder const folder;
  {
    susc::run_directory const run(folder.path / "new/run", settings);
    CHECK(!run.load("l0h1", 2));
    run.save("l0h1", 2, "a chain");
    run.save("l0h1", 3, "another");
    run.save("l0h1", 2, std::string("its \0 next", 10));
  }
  susc::run_directory const run(folder.path / "new/run", settings);
  CHECK(run.load("l0h1", 2) == std::string("its \0 next", 10));
  CHECK(run.load("l0h1", 3) == "another");
  CHECK(!run.load("l0h10", 2));
  CHECK(folder.listing() == std::set<std::string>{"new", "new/run", "new/run/lock", "new/run/run",
                                                  "new/run/l0h1.2.chain", "new/run/l0h1.3.chain"});
}

TEST_CASE("run_directory: a state is no chain of the same name, and damaged it is refused") {
  temporary_folder const folder;
  susc::run_directory const run(folder.path, settings);
  CHECK(!run.load("training"));
  run.save("training", "a state");
  run.save("training", 0, "a chain");
  CHECK(run.load("training") == "a state");
  CHECK(run.load("training", 0) == "a chain");
  CHECK(folder.listing() == std::set<std::string>{"lock", "run", "training.0.chain", "training.state"});
  std::filesystem::rename(run.file_of("training", 0), run.file_of("training"));
  check_words(error_message([&] { run.load("training"); }), {"training.state", "is no file of kind 'suscstt'"});
  folder.file("training.state", "half");
  check_words(error_message([&] { run.load("training"); }), {"training.state", "cut short"});
}

TEST_CASE("run_directory: any name of a component is a file of its own inside the folder") {
  temporary_folder const folder;
  susc::run_directory const run(folder.path, settings);
  std::vector<std::string> const names{
      "a/b", "a%2Fb", "..", ".", "a.b", "a b", "ä", std::string(300, 'x'), std::string(301, 'x'), "A", "a", "a+b"};
  for (std::string const& name : names) run.save(name, 0, name);
  for (std::string const& name : names) CHECK(run.load(name, 0) == name);
  CHECK(folder.listing().size() == names.size() + 2);
}

TEST_CASE("run_directory: what a killed process was writing is in nobody's way, and is removed") {
  temporary_folder const folder;
  folder.file("run.partial-123", "");
  {
    susc::run_directory const run(folder.path, settings);
    CHECK(folder.listing() == std::set<std::string>{"lock", "run"});
    run.save("c", 0, "content");
  }
  folder.file("run.partial-5", "");
  folder.file("c.0.chain.partial-123-1", "half");
  folder.file("training.state.partial-7", "half");
  susc::run_directory const run(folder.path, settings);
  CHECK(folder.listing() == std::set<std::string>{"c.0.chain", "lock", "run"});
  CHECK(run.load("c", 0) == "content");
}

TEST_CASE("run_directory: another run is refused with what differs") {
  temporary_folder const folder;
  { susc::run_directory const run(folder.path, settings); }
  std::string const found = error_message([&] {
    susc::run_directory const run(folder.path, {{"seed", "2"}, {"step_size", "0.01"}, {"burn_in", "5"}});
  });
  check_words(found, {folder.path.string(), "seed is 1 there, 2 here", "burn_in is not set there, 5 here"});
  CHECK(found.find("step_size") == std::string::npos);
}

TEST_CASE("run_directory: two at once in a process, and in two processes, are refused") {
  temporary_folder const folder;
  susc::run_directory const run(folder.path, settings);
  check_words(error_message([&] { susc::run_directory const second(folder.path, settings); }),
              {folder.path.string(), "another process is using it"});
  pid_t const child = ::fork();
  if (child == 0) {
    try {
      susc::run_directory const second(folder.path, settings);
      ::_exit(0);
    } catch (susc::error const&) {
      ::_exit(7);
    }
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("run_directory: another process of the same run joins it, and no other run's") {
  temporary_folder const folder;
  auto const path = folder.path / "run";
  check_words(error_message([&] { susc::run_directory::joined(path, settings); }), {path.string(), "not to be seen"});
  CHECK(folder.listing().empty());  // nothing is made
  susc::run_directory const run(path, settings);
  folder.file("run/c.0.chain.partial-1", "being written by another process of the run");
  auto const joined = susc::run_directory::joined(path, settings);
  joined.save("c", 1, "content");
  CHECK(run.load("c", 1) == "content");
  CHECK(folder.listing() ==
        std::set<std::string>{"run", "run/lock", "run/run", "run/c.0.chain.partial-1", "run/c.1.chain"});
  auto other = settings;
  other[0].value += "0";
  check_words(error_message([&] { susc::run_directory::joined(path, other); }),
              {"made by another run", settings[0].name + " is " + settings[0].value + " there"});
  { auto const gone = susc::run_directory::joined(path, settings); }
  check_words(error_message([&] { susc::run_directory const second(path, settings); }), {"is using it"});  // still
}

TEST_CASE("run_directory: a damaged file, and a path that is no folder, are refused by name") {
  temporary_folder const folder;
  {
    susc::run_directory const run(folder.path / "run", settings);
    run.save("c", 0, "content");
    std::string bytes = susc::read_file(run.file_of("c", 0));
    bytes[25] = static_cast<char>(bytes[25] ^ 1);
    folder.file("run/c.0.chain", bytes);
    check_words(error_message([&] { run.load("c", 0); }), {"c.0.chain", "damaged"});
    folder.file("run/c.0.chain", bytes.substr(0, 30));
    check_words(error_message([&] { run.load("c", 0); }), {"c.0.chain", "cut short"});
  }
  folder.file("run/run", "");
  check_words(error_message([&] { susc::run_directory const run(folder.path / "run", settings); }),
              {"run/run", "cut short"});
  std::filesystem::create_directory(folder.path / "full");
  folder.file("full/thesis.txt", "");
  check_words(error_message([&] { susc::run_directory const run(folder.path / "full", settings); }),
              {"full", "thesis.txt"});
  folder.file("plain", "");
  check_words(error_message([&] { susc::run_directory const run(folder.path / "plain", settings); }),
              {"plain", "cannot make it"});
  check_words(error_message([&] { susc::run_directory const run("/proc/susc", settings); }),
              {"/proc/susc", "cannot make it"});
}

TEST_CASE("run_directory: removed or replaced while it is held, it is written to no more") {
  temporary_folder const folder;
  susc::run_directory const run(folder.path / "run", settings);
  run.save("c", 0, "a chain");
  std::filesystem::remove_all(folder.path / "run");
  check_words(error_message([&] { run.save("c", 0, "a chain"); }), {"run'", "removed or replaced"});
  {
    susc::run_directory const other(folder.path / "run",
                                    {{"seed", "2"}});  // the lock of what was removed is no hindrance
    other.save("c", 0, "another chain");
    check_words(error_message([&] { run.save("c", 0, "a chain"); }), {"run'", "removed or replaced"});
    CHECK(other.load("c", 0) == "another chain");
  }
}

TEST_CASE("exact_text and fingerprint") {
  CHECK(susc::exact_text(.1) == "0.1");
  CHECK(susc::exact_text(1 / 3.) == "0.3333333333333333");
  CHECK(susc::exact_text(std::size_t{12}) == "12");
  CHECK(susc::exact_text(true) == "yes");
  std::vector<double> const values{1, 2, 3}, others{1, 2, 3.0000000000000004};
  CHECK(susc::fingerprint(std::span(values)) == susc::fingerprint(std::span(values)));
  CHECK(susc::fingerprint(std::span(values)) != susc::fingerprint(std::span(others)));
  CHECK(susc::fingerprint(std::span(values)) != susc::fingerprint(std::span(values).first(2)));
}
