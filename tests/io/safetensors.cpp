#include "susc/io/safetensors.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "temporary_folder.hpp"

namespace {
using shape = std::vector<std::size_t>;
using names = std::vector<std::string>;
using susc::detail::concatenate;

/// A file around a header's text; `length` overrides the length written before it.
std::string safetensors(std::string const& header, std::string const& data, std::uint64_t length = 0) {
  return bytes_of<std::uint64_t>({length == 0 ? header.size() : length}) + header + data;
}
std::string entry(std::string const& name, std::string const& dtype, std::string const& extents,
                  std::string const& offsets) {
  return concatenate("\"", name, "\":{\"dtype\":\"", dtype, "\",\"shape\":", extents, ",\"data_offsets\":", offsets,
                     "}");
}
std::string one_tensor(std::string const& dtype, std::string const& extents, std::string const& data) {
  return safetensors(concatenate("{", entry("w", dtype, extents, concatenate("[0,", data.size(), "]")), "}"), data);
}
template <class T>
std::vector<T> read(susc::safetensors_file const& file, std::string const& name) {
  std::vector<T> values(susc::element_count(file.shape(name)).value());
  file.read<T>(name, values, file.shape(name));
  return values;
}
}  // namespace

TEST_CASE("safetensors: round trip of floats, doubles, scalars, empty tensors and metadata") {
  temporary_folder const folder;
  auto const path = folder.path / "w.safetensors";
  std::vector<float> const b{1, -2.5f, 1e-45f};
  std::vector<double> const a{0.1, std::numeric_limits<double>::infinity(), 5e-324, -0.0}, scalar{3};
  std::map<std::string, std::string> const metadata{{"format", "pt"}, {"note", "\"quoted\" \xC3\xA9\n"}};
  susc::write_safetensors(
      path, {{"layer.b", {3, 1}, b}, {"a", {2, 2}, a}, {"s", {}, scalar}, {"none", {0, 7}, std::span<float const>{}}},
      metadata);
  susc::safetensors_file const file(path);
  CHECK(file.names() == names{"a", "layer.b", "none", "s"});
  CHECK(file.metadata() == metadata);
  CHECK(file.shape("layer.b") == shape{3, 1});
  CHECK(file.shape("s") == shape{});
  CHECK(file.dtype("a") == "F64");
  CHECK(read<float>(file, "layer.b") == b);
  CHECK(read<double>(file, "a") == a);
  CHECK(read<double>(file, "s") == scalar);
}

TEST_CASE("safetensors: the bytes written are those of the format and do not depend on the order given") {
  temporary_folder const folder;
  std::vector<float> const f{1, 2, 3}, g{4};
  std::vector<double> const d{5};
  std::string header = concatenate("{", entry("d", "F64", "[]", "[0,8]"), ",", entry("f", "F32", "[3]", "[8,20]"), ",",
                                   entry("g", "F32", "[1,1]", "[20,24]"), "}");
  header.append((8 - header.size() % 8) % 8, ' ');
  std::string const expected = safetensors(header, bytes_of(d) + bytes_of(f) + bytes_of(g));
  susc::write_safetensors(folder.path / "x", {{"f", {3}, f}, {"g", {1, 1}, g}, {"d", {}, d}});
  susc::write_safetensors(folder.path / "y", {{"g", {1, 1}, g}, {"d", {}, d}, {"f", {3}, f}});
  CHECK(susc::read_file(folder.path / "x") == expected);
  CHECK(susc::read_file(folder.path / "y") == expected);
}

TEST_CASE("safetensors: every float type is read, into float and double") {
  temporary_folder const folder;
  std::vector<float> const expected{1, -2, 0.5f};
  for (std::string const& content : {one_tensor("F64", "[3]", bytes_of<double>({1, -2, 0.5})),
                                     one_tensor("F32", "[3]", bytes_of<float>({1, -2, 0.5})),
                                     one_tensor("F16", "[3]", bytes_of<std::uint16_t>({0x3C00, 0xC000, 0x3800})),
                                     one_tensor("BF16", "[3]", bytes_of<std::uint16_t>({0x3F80, 0xC000, 0x3F00}))}) {
    susc::safetensors_file const file(folder.file("x", content));
    CHECK(read<float>(file, "w") == expected);
    CHECK(read<double>(file, "w") == std::vector<double>(expected.begin(), expected.end()));
  }
}

TEST_CASE("safetensors: files that other writers may produce") {
  temporary_folder const folder;
  SUBCASE("no tensors") {
    CHECK(susc::safetensors_file(folder.file("x", safetensors("{}", ""))).names().empty());
    CHECK(susc::safetensors_file(folder.file("x", safetensors("{\"__metadata__\":{\"a\":\"b\"}}   ", ""))).metadata() ==
          std::map<std::string, std::string>{{"a", "b"}});
  }
  SUBCASE("types that are not read stand beside types that are") {
    std::string header = "{";
    std::uint64_t position = 0;
    std::pair<char const*, std::uint64_t> const types[]{{"I64", 8}, {"U64", 8},  {"F32", 4},     {"I32", 4},
                                                        {"U32", 4}, {"I16", 2},  {"U16", 2},     {"I8", 1},
                                                        {"U8", 1},  {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};
    for (auto const& [dtype, size] : types) {
      std::uint64_t const end = position + 2 * size;
      header += concatenate(entry(dtype, dtype, "[2]", concatenate("[", position, ",", end, "]")), ",");
      position = end;
    }
    header.back() = '}';
    susc::safetensors_file const file(folder.file("x", safetensors(header, std::string(position, '\0'))));
    CHECK(file.names().size() == 12);
    CHECK(file.dtype("BOOL") == "BOOL");
    CHECK(read<float>(file, "F32") == std::vector<float>{0, 0});
    check_words(error_message([&] { read<float>(file, "I64"); }), {"x'", "tensor 'I64'", "dtype I64", "wanted F64"});
  }
  SUBCASE("data in another order than the header, and an empty tensor between") {
    std::string const header =
        concatenate("{", entry("a", "F32", "[1]", "[4,8]"), ",", entry("e", "F32", "[0]", "[4,4]"), ",",
                    entry("b", "F32", "[1]", "[0,4]"), "}");
    susc::safetensors_file const file(folder.file("x", safetensors(header, bytes_of<float>({1, 2}))));
    CHECK(read<float>(file, "a") == std::vector<float>{2});
    CHECK(read<float>(file, "b") == std::vector<float>{1});
    CHECK(read<float>(file, "e").empty());
  }
}

TEST_CASE("safetensors: files that are wrong are refused when opened, saying what is and what should be") {
  std::string const data(8, 'x');
  auto const table = [&](std::string const& fields) { return safetensors(concatenate("{", fields, "}"), data); };
  auto const tensor = [&](std::string const& fields) { return table("\"w\":{" + fields + "}"); };
  auto const shaped = [&](std::string const& extents) { return table(entry("w", "F32", extents, "[0,8]")); };
  auto const placed = [&](std::string const& offsets) { return table(entry("w", "F32", "[2]", offsets)); };
  auto const pair = [&](std::string const& first, std::string const& second) {
    return table(concatenate(entry("v", "F32", "[1]", first), ",", entry("w", "F32", "[1]", second)));
  };
  std::string const dtype = "\"dtype\":\"F32\"", extents = "\"shape\":[2]", offsets = "\"data_offsets\":[0,8]";
  struct {
    std::string name;
    std::string content;
    std::vector<std::string> words;
  } const cases[]{
      {"empty", "", {"0 bytes", "wanted at least the 8"}},
      {"shorter than the length", "1234567", {"7 bytes"}},
      {"header cut short", safetensors("{}", "", 3), {"header length is 3", "only 2", "truncated"}},
      {"header beyond the limit", safetensors("{}", data, 100'000'001), {"header length is 100000001", "at most"}},
      {"header length that wraps", safetensors("{}", data, ~std::uint64_t{0}), {"18446744073709551615"}},
      {"header of length 0", std::string(8, '\0'), {"begins with '{'"}},
      {"a list", safetensors("[]", data), {"begins with '{'"}},
      {"a space before the brace", safetensors(" {}", data), {"begins with '{'"}},
      {"a zero byte in the header", safetensors(std::string("{}\0\"\0", 5), ""), {"not JSON"}},
      {"not JSON", safetensors("{w}", data), {"not valid JSON"}},
      {"JSON cut short", safetensors("{\"w\":", data), {"not valid JSON"}},
      {"JSON twice", safetensors("{}{}", data), {"not valid JSON"}},
      {"not UTF-8", safetensors("{\"\xFF\":1}", data), {"not valid JSON"}},
      {"deep nesting", safetensors(concatenate("{\"w\":", std::string(100'000, '[')), data), {"nested too deeply"}},
      {"a tensor twice",
       table(concatenate(entry("w", "F32", "[1]", "[0,4]"), ",", entry("w", "F32", "[1]", "[4,8]"))),
       {"key 'w' appears twice"}},
      {"a field twice", tensor(dtype + "," + dtype + "," + extents + "," + offsets), {"'dtype' appears twice"}},
      {"metadata twice", table("\"__metadata__\":{},\"__metadata__\":{}"), {"'__metadata__' appears twice"}},
      {"metadata that is no table", table("\"__metadata__\":\"x\""), {"'__metadata__'", "object of strings"}},
      {"metadata that is no text", table("\"__metadata__\":{\"a\":1}"), {"'a'", "not a string"}},
      {"a tensor that is a number", table("\"w\":1"), {"tensor 'w'", "number", "wanted an object"}},
      {"no dtype", tensor(extents + "," + offsets), {"tensor 'w'", "'dtype' is missing"}},
      {"no shape", tensor(dtype + "," + offsets), {"tensor 'w'", "'shape' is missing"}},
      {"no offsets", tensor(dtype + "," + extents), {"tensor 'w'", "'data_offsets' is missing"}},
      {"an unknown field", tensor(dtype + "," + extents + "," + offsets + ",\"x\":1"), {"tensor 'w'", "field 'x'"}},
      {"a dtype that is a number", tensor("\"dtype\":32," + extents + "," + offsets), {"'dtype' is not a string"}},
      {"an unknown dtype", table(entry("w", "F31", "[2]", "[0,8]")), {"tensor 'w'", "'F31' is not known"}},
      {"a dtype in small letters", table(entry("w", "f32", "[2]", "[0,8]")), {"'f32' is not known"}},
      {"a shape that is a number", shaped("2"), {"tensor 'w'", "'shape' is 2", "list of integers"}},
      {"a negative extent", shaped("[-2]"), {"'shape' is [-2]", "list of integers"}},
      {"an extent with a fraction", shaped("[2.0]"), {"'shape' is [2.0]", "list of integers"}},
      {"an extent beyond 64 bits", shaped("[18446744073709551616]"), {"'shape'", "list of integers"}},
      {"a size beyond 64 bits", shaped("[4294967296,4294967296]"), {"(4294967296, 4294967296)", "64 bits"}},
      {"a size in bytes beyond 64 bits", shaped("[4611686018427387906]"), {"64 bits"}},
      {"a shape of another size", shaped("[3]"), {"tensor 'w'", "(3,)", "12 bytes", "[0, 8] have 8"}},
      {"an empty shape", shaped("[]"), {"tensor 'w'", "()", "4 bytes"}},
      {"one offset", placed("[8]"), {"tensor 'w'", "has 1 numbers", "begin and end"}},
      {"three offsets", placed("[0,4,8]"), {"has 3 numbers"}},
      {"a negative offset", placed("[-8,0]"), {"'data_offsets' is [-8,0]"}},
      {"offsets as text", placed("\"0-8\""), {"'data_offsets' is \"0-8\""}},
      {"reversed offsets", placed("[8,0]"), {"tensor 'w'", "[8, 0]", "end before they begin"}},
      {"offsets beyond the file", placed("[4,12]"), {"tensor 'w'", "[4, 12]", "beyond the 8 bytes", "truncated"}},
      {"offsets that wrap", placed("[18446744073709551608,0]"), {"end before they begin"}},
      {"data cut short", placed("[0,8]").substr(0, placed("[0,8]").size() - 1), {"tensor 'w'", "truncated"}},
      {"overlap", pair("[0,4]", "[0,4]"), {"tensor 'w'", "byte 0", "overlaps", "ends at 4"}},
      {"overlap in part", pair("[0,4]", "[2,6]"), {"tensor 'w'", "byte 2", "overlaps"}},
      {"an empty tensor inside another",
       table(concatenate(entry("e", "F32", "[0]", "[4,4]"), ",", entry("w", "F32", "[2]", "[0,8]"))),
       {"tensor 'e'", "overlaps"}},
      {"a hole between",
       table(concatenate(entry("v", "U8", "[1]", "[0,1]"), ",", entry("w", "F32", "[1]", "[4,8]"))),
       {"tensor 'w'", "byte 4", "hole of 3 bytes"}},
      {"a hole at the beginning",
       table(entry("w", "F32", "[1]", "[4,8]")),
       {"tensor 'w'", "byte 4", "hole of 4 bytes"}},
      {"trailing bytes", table(entry("w", "F32", "[1]", "[0,4]")), {"4 trailing bytes"}},
      {"bytes without tensors", safetensors("{}", "x"), {"1 trailing bytes"}},
  };
  temporary_folder const folder;
  for (auto const& c : cases) {
    INFO("case: ", c.name);
    auto const path = folder.file("bad.safetensors", c.content);
    std::string const message = error_message([&] { susc::safetensors_file const file(path); });
    check_words(message, c.words);
    check_words(message, {path.string()});
  }
  check_words(error_message([&] { susc::safetensors_file const file(folder.path / "absent"); }),
              {"absent", "No such file"});
}

TEST_CASE("safetensors: every truncation of a good file is refused") {
  temporary_folder const folder;
  std::string const good = one_tensor("F32", "[2]", std::string(8, 'x'));
  for (std::size_t n = 0; n != good.size(); ++n) {
    CAPTURE(n);
    auto const path = folder.file("x", good.substr(0, n));
    CHECK_THROWS_AS(susc::safetensors_file{path}, susc::error);
  }
}

TEST_CASE("safetensors: reading asks for a tensor that is there, of the expected shape, within range") {
  temporary_folder const folder;
  auto const path = folder.path / "w.safetensors";
  std::vector<double> const values{1, 2, 3, 1e300, 5, 6};
  susc::write_safetensors(path, {{"blocks.0.attn.W_Q", {2, 3}, values},
                                 {"blocks.0.attn.W_K", {2, 3}, values},
                                 {"embed", {6}, values},
                                 {"unembed", {6}, values}});
  susc::safetensors_file const file(path);
  std::vector<double> out(6);
  std::vector<float> narrow(6);
  CHECK(file.contains("embed"));
  CHECK(!file.contains("Embed"));
  std::string const unknown = error_message([&] { file.read<double>("blocks.0.attn.W_q", out, {2, 3}); });
  check_words(unknown, {path.string(), "no tensor 'blocks.0.attn.W_q'", "nearest names: blocks.0.attn.W_"});
  CHECK(unknown.find("W_K") < unknown.find("embed"));
  check_words(error_message([&] {
                file.read<double>("embed", out, {3, 2});
              }),
              {path.string(), "tensor 'embed'", "shape (6,)", "wanted (3, 2)"});
  check_words(error_message([&] { file.read<double>("embed", std::span(out).first(5), {6}); }),
              {path.string(), "tensor 'embed'", "room for 5"});
  check_words(error_message([&] {
                file.read<float>("blocks.0.attn.W_K", narrow, {2, 3});
              }),
              {path.string(), "tensor 'blocks.0.attn.W_K'", "1e+300", "(1, 0)", "32-bit float"});
  susc::safetensors_file const none(folder.file("none", safetensors("{}", "")));
  check_words(error_message([&] { none.shape("w"); }), {"none", "'w'", "holds none"});
}

TEST_CASE("safetensors: writing checks names, shapes, text and place, and leaves nothing behind") {
  temporary_folder const folder;
  auto const path = folder.path / "w.safetensors";
  std::vector<float> const f{1, 2};
  std::vector<double> const d{1, 2};
  struct {
    std::vector<susc::named_tensor> tensors;
    std::map<std::string, std::string> metadata;
    std::vector<std::string> words;
  } const cases[]{
      {{{"w", {2}, f}, {"w", {2}, d}}, {}, {"tensor 'w' is given twice"}},
      {{{"", {2}, f}}, {}, {"may not be called ''"}},
      {{{"__metadata__", {2}, f}}, {}, {"may not be called '__metadata__'"}},
      {{{"w", {3}, f}}, {}, {"tensor 'w'", "(3,)", "2 values"}},
      {{{"\xFF", {2}, f}}, {}, {"not UTF-8"}},
      {{{"w", {2}, f}}, {{"k", "\xFF"}}, {"not UTF-8"}},
  };
  for (auto const& c : cases) {
    std::string const message = error_message([&] { susc::write_safetensors(path, c.tensors, c.metadata); });
    check_words(message, c.words);
    check_words(message, {path.string()});
  }
  check_words(error_message([&] { susc::write_safetensors(folder.path / "absent/w", {}); }),
              {"absent/w", "No such file"});
  CHECK(folder.listing().empty());
}
