#include "susc/data/corpus.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "../io/temporary_folder.hpp"

namespace {
std::string lines(std::size_t bytes, char fill = 'x') {
  std::string text;
  for (std::size_t i = 0; text.size() < bytes; ++i) text += std::string(i % 79, fill) + "\n";
  return text;
}
/// A folder whose files may lie in subfolders, made as needed.
struct tree : temporary_folder {
  void write(std::string const& name, std::string const& content) const {
    std::filesystem::create_directories((path / name).parent_path());
    file(name, content);
  }
};
}  // namespace

TEST_CASE("corpus: each subfolder is a domain, sorted; binary files are counted, hidden and empty folders dropped") {
  tree const root;
  root.write("prose/b/two.txt", "two\n");
  root.write("prose/a.txt", "one\n");
  root.write("prose/picture.png", std::string("\x89PNG\0\0", 6));
  root.write("prose/empty.txt", "");
  root.write("code/main.c", "int main() {}\n");
  root.write("nothing/picture.png", std::string("\0", 1));
  root.write(".git/config", "[core]\n");
  root.write("README", "no domain\n");
  susc::corpus const found = susc::corpus_from_directory(root.path);
  REQUIRE(found.domains.size() == 2);
  CHECK(found.skipped_files == 2);
  CHECK(found.domains[0].name == "code");
  CHECK(found.domains[1].name == "prose");
  CHECK(found.domains[1].bytes == 8);
  REQUIRE(found.domains[1].documents.size() == 2);
  CHECK(susc::read_document(found.domains[1].documents[0]) == "one\n");
  CHECK(susc::read_document(found.domains[1].documents[1]) == "two\n");
}

TEST_CASE("corpus: large files are cut at line ends into documents that make up the file") {
  tree const root;
  std::string const text = lines(1'000'000);
  std::string wide;  // no line end at all: cut between characters of three bytes
  while (wide.size() < 300'000) wide += "\u20AC";
  root.write("a/large.txt", text);
  root.write("b/wide.txt", wide);
  susc::corpus const found = susc::corpus_from_directory(root.path);
  for (auto const& [domain, whole] : {std::pair(found.domains[0], text), std::pair(found.domains[1], wide)}) {
    CHECK(domain.documents.size() <= whole.size() / susc::document_bytes + 2);
    std::string joined;
    for (susc::document const& each : domain.documents) {
      CHECK(each.size <= susc::document_bytes);
      CHECK(each.offset == joined.size());
      std::string const piece = susc::read_document(each);
      if (domain.name == "a") CHECK(piece.back() == '\n');
      if (domain.name == "b") CHECK(piece.size() % 3 == 0);
      joined += piece;
    }
    CHECK(joined == whole);
    CHECK(domain.bytes == whole.size());
  }
}

TEST_CASE("corpus: links inside a domain are not followed") {
  tree const root;
  root.write("a/one.txt", "one\n");
  root.write("b/two.txt", "two\n");
  std::filesystem::create_symlink(root.path / "a/one.txt", root.path / "a/link.txt");
  std::filesystem::create_directory_symlink(root.path / "a", root.path / "a/loop");
  CHECK(susc::corpus_from_directory(root.path).domains[0].documents.size() == 1);
}

TEST_CASE("corpus: errors say how a directory must look") {
  tree const root;
  root.write("only/one.txt", "one\n");
  std::string const one = error_message([&] { susc::corpus_from_directory(root.path); });
  check_words(one, {"found 1 domains", "(only)", "--corpus DIR", "two subfolders"});
  std::string const none = error_message([&] { susc::corpus_from_directory(root.path / "absent"); });
  CHECK(none.find("--corpus DIR") != none.npos);
  CHECK(error_message([&] { susc::system_corpus(8 << 20, {}, root.path); }).find("--corpus DIR") != none.npos);
}

TEST_CASE("corpus: a document whose file shrank or vanished is an error that names it") {
  tree const root;
  root.write("a.txt", "short");
  CHECK(susc::read_document({root.path / "a.txt", 1, 3}) == "hor");
  CHECK(error_message([&] { susc::read_document({root.path / "b.txt", 0, 6}); }).find("b.txt") != std::string::npos);
}

TEST_CASE("corpus: the system's text by kind, without copies, up to a budget") {
  tree const root;
  for (int i = 0; i != 20; ++i) {
    std::string const name = std::to_string(i), text = name + lines(40'000);
    root.write("usr/include/c++/12/header" + name, text);
    root.write("usr/include/lib/header" + name + ".h", text + "h");
    root.write("usr/include/lib/notes" + name, "not a header" + text);
    root.write("usr/lib/python3.11/module" + name + ".py", text);
    root.write("usr/lib/python3.11/module" + name + ".txt", text);
    root.write("usr/share/doc/package" + name + "/copyright", lines(400'000));  // all the same
  }
  susc::corpus const found = susc::system_corpus(8 << 20, {1}, root.path);
  REQUIRE(found.domains.size() == 3);
  CHECK(found.domains[0].name == "cxx");
  CHECK(found.domains[0].documents.size() == 40);
  CHECK(found.domains[1].name == "python");
  CHECK(found.domains[1].documents.size() == 20);
  CHECK(found.domains[2].name == "licence");
  CHECK(found.domains[2].bytes == lines(400'000).size());

  constexpr std::uint64_t budget = 300'000;
  susc::corpus const small = susc::system_corpus(budget, {1}, root.path);
  for (susc::domain const& each : small.domains) {
    CHECK(each.bytes >= budget);
    CHECK(each.bytes < budget + susc::document_bytes);
  }
  CHECK(susc::system_corpus(budget, {1}, root.path).domains[0].documents == small.domains[0].documents);
  CHECK(susc::system_corpus(budget, {2}, root.path).domains[0].documents != small.domains[0].documents);
}

TEST_CASE("corpus: a split is disjoint, exhaustive, of the size asked for and independent of the order given") {
  susc::domain source{"d", {}, 0};
  for (std::size_t i = 0; i != 100; ++i) source.documents.push_back({"file" + std::to_string(i / 3), i % 3, 1});
  auto const before = [](susc::document const& a, susc::document const& b) {
    return std::tie(a.path, a.offset) < std::tie(b.path, b.offset);
  };
  auto const split = susc::split_documents(source, .1, {5});
  CHECK(split.held_out.size() == 10);
  std::vector<susc::document> all = split.training, expected = source.documents;
  all.insert(all.end(), split.held_out.begin(), split.held_out.end());
  std::sort(all.begin(), all.end(), before);
  std::sort(expected.begin(), expected.end(), before);
  CHECK(all == expected);

  std::reverse(source.documents.begin(), source.documents.end());
  CHECK(susc::split_documents(source, .1, {5}).held_out == split.held_out);
  CHECK(susc::split_documents(source, .1, {6}).held_out != split.held_out);
  source.documents.resize(2);
  for (double const fraction : {.001, .5, .999}) {
    CHECK(susc::split_documents(source, fraction, {5}).held_out.size() == 1);
    CHECK(susc::split_documents(source, fraction, {5}).training.size() == 1);
  }
  source.documents.resize(1);
}
