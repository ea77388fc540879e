#include "susc/io/sharded_safetensors.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "temporary_folder.hpp"

namespace {

void write(std::filesystem::path const& path, std::string const& name, std::vector<double> const& values) {
  susc::write_safetensors(path, {{name, {values.size()}, std::span<double const>(values)}});
}

std::vector<double> read(susc::sharded_safetensors const& file, std::string const& name) {
  std::vector<double> values(file.shape(name).at(0));
  file.read(name, std::span(values), {values.size()});
  return values;
}

std::string const index_name = "model.safetensors.index.json";

TEST_CASE("a folder's tensors: of one file, or of the files that its index names") {
  temporary_folder const folder;
  write(folder.path / "one.safetensors", "first", {1, 2});
  write(folder.path / "two.safetensors", "second", {3});
  folder.file(index_name,
              R"({"metadata": {}, "weight_map": {"first": "one.safetensors", "second": "two.safetensors"}})");
  {
    susc::sharded_safetensors const sharded(folder.path);
    CHECK(sharded.names() == std::vector<std::string>{"first", "second"});
    CHECK(read(sharded, "first") == std::vector<double>{1, 2});
    CHECK(read(sharded, "second") == std::vector<double>{3});
    CHECK(sharded.contains("first"));
    CHECK_FALSE(sharded.contains("third"));
    check_words(error_message([&] { sharded.shape("third"); }), {"no tensor 'third'", folder.path.string()});
    std::vector<double> wrong(3);
    check_words(error_message([&] { sharded.read("first", std::span(wrong), {3}); }), {"one.safetensors", "shape"});
  }
  write(folder.path / "model.safetensors", "whole", {4, 5, 6});  // comes before the index
  susc::sharded_safetensors const single(folder.path);
  CHECK(single.names() == std::vector<std::string>{"whole"});
  CHECK(read(single, "whole") == std::vector<double>{4, 5, 6});
}

TEST_CASE("what is wrong with an index is said") {
  temporary_folder const folder;
  auto const message = [&] { return error_message([&] { susc::sharded_safetensors file(folder.path); }); };
  check_words(message(), {folder.path.string(), "neither model.safetensors nor", index_name});
  write(folder.path / "one.safetensors", "first", {1, 2});
  folder.file(index_name, "{");
  check_words(message(), {index_name, "not valid JSON"});
  folder.file(index_name, "[]");
  check_words(message(), {index_name, "holds array, wanted an object"});
  folder.file(index_name, "{}");
  check_words(message(), {index_name, "no 'weight_map'"});
  folder.file(index_name, R"({"weight_map": {"first": 1}})");
  check_words(message(), {index_name, "tensor 'first' lies in 1"});
  folder.file(index_name, R"({"weight_map": {"first": "../one.safetensors"}})");
  check_words(message(), {index_name, "'../one.safetensors', wanted a file of the same folder"});
  folder.file(index_name, R"({"weight_map": {"second": "one.safetensors"}})");
  check_words(message(), {index_name, "tensor 'second' should lie in 'one.safetensors'"});
  folder.file(index_name, R"({"weight_map": {"first": "absent.safetensors"}})");
  check_words(message(), {"absent.safetensors"});
}

}  // namespace
