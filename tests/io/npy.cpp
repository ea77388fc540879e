#include "susc/io/npy.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xview.hpp>

#include "temporary_folder.hpp"

namespace {
using shape = std::vector<std::size_t>;

/// A file of the given version around a header's text; `length` overrides the length written before it.
std::string npy(std::string const& header, std::string const& data, char major = 1, long long length = -1) {
  std::uint64_t const n = length < 0 ? header.size() : static_cast<std::uint64_t>(length);
  std::string bytes = std::string("\x93NUMPY") + major + '\0';
  for (int i = 0; i != (major == 1 ? 2 : 4); ++i) bytes += static_cast<char>(n >> 8 * i & 0xFF);
  return bytes + header + data;
}
std::string header(std::string const& descr, std::string const& shape_literal) {
  return "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape_literal + ", }\n";
}
template <class T>
std::string npy_of(std::string const& descr, std::vector<T> const& values) {
  return npy(header(descr, susc::shape_text(shape{values.size()})), bytes_of(values));
}

template <class Source>
void check_integers(std::string const& descr) {
  CAPTURE(descr);
  temporary_folder const folder;
  using limits = std::numeric_limits<Source>;
  bool const tops_int64 = std::is_same_v<Source, std::uint64_t>;
  std::vector<Source> const stored{0, 1, 100, limits::min(), tops_int64 ? Source(1) : limits::max()};
  auto const array = susc::read_npy<std::int64_t>(folder.file("x.npy", npy_of(descr, stored)), 1);
  CHECK(array.shape == shape{5});
  CHECK(array.values == std::vector<std::int64_t>(stored.begin(), stored.end()));
}

template <class T>
void check_round_trip(std::vector<T> const& values) {
  temporary_folder const folder;
  auto const path = folder.path / "x.npy";
  std::size_t const n = values.size();
  for (shape const& s : {shape{n}, shape{1, n}, shape{n, 1, 1}, shape{2, n / 2}}) {
    susc::write_npy<T>(path, values, s);
    CHECK(susc::read_npy<T>(path, s.size()) == susc::npy_array<T>{s, values});
    std::string const bytes = susc::read_file(path);
    CHECK((bytes.size() - n * sizeof(T)) % 64 == 0);
  }
}
}  // namespace

TEST_CASE("npy: round trips") {
  check_round_trip<float>({0, -0.5f, 1e-45f, 3.4e38f, std::numeric_limits<float>::infinity(), 1.0f / 3});
  check_round_trip<double>({0, -0.5, 5e-324, 1.7e308, -std::numeric_limits<double>::infinity(), 1.0 / 3});
  check_round_trip<std::int32_t>({0, -1, std::numeric_limits<std::int32_t>::min(), 7});
  check_round_trip<std::int64_t>({0, -1, std::numeric_limits<std::int64_t>::max(), 7});
}

TEST_CASE("npy: a number, and empty arrays") {
  temporary_folder const folder;
  auto const path = folder.path / "x.npy";
  susc::write_npy<double>(path, std::vector{2.5}, {});
  CHECK(susc::read_npy<double>(path, 0) == susc::npy_array<double>{{}, {2.5}});
  susc::write_npy<double>(path, {}, {3, 0});
  CHECK(susc::read_npy<double>(path, 2) == susc::npy_array<double>{{3, 0}, {}});
}

TEST_CASE("npy: the bytes written are those of the format") {
  temporary_folder const folder;
  susc::write_npy<float>(folder.path / "x.npy", std::vector<float>{1, 2}, {2, 1});
  std::string expected("\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }", 10 + 59);
  expected += std::string(127 - expected.size(), ' ') + '\n' + bytes_of<float>({1, 2});
  CHECK(susc::read_file(folder.path / "x.npy") == expected);
}

TEST_CASE("npy: xtensor expressions are written row-major") {
  temporary_folder const folder;
  auto const path = folder.path / "x.npy";
  xt::xarray<double> const a{{1, 2, 3}, {4, 5, 6}};
  susc::write_npy(path, a);
  auto const back = susc::read_npy<double>(path, 2);
  CHECK(xt::adapt(back.values, back.shape) == a);
  susc::write_npy(path, xt::transpose(a));
  CHECK(susc::read_npy<double>(path) == susc::npy_array<double>{{3, 2}, {1, 4, 2, 5, 3, 6}});
  susc::write_npy(path, 2.0 * xt::view(a, 1));
  CHECK(susc::read_npy<double>(path) == susc::npy_array<double>{{3}, {8, 10, 12}});
  susc::write_npy(path, xt::xtensor<std::int32_t, 1>{7, 8});
  CHECK(susc::read_npy<std::int32_t>(path) == susc::npy_array<std::int32_t>{{2}, {7, 8}});
}

TEST_CASE("npy: every integer type is read, with a check") {
  check_integers<std::int8_t>("|i1");
  check_integers<std::int8_t>("<i1");
  check_integers<std::uint8_t>("|u1");
  check_integers<std::int16_t>("<i2");
  check_integers<std::uint16_t>("<u2");
  check_integers<std::int32_t>("<i4");
  check_integers<std::uint32_t>("<u4");
  check_integers<std::int64_t>("<i8");
  check_integers<std::uint64_t>("<u8");
}

TEST_CASE("npy: every float type is read") {
  temporary_folder const folder;
  auto const half = folder.file("h.npy", npy_of<std::uint16_t>("<f2", {0x3C00, 0xC000, 0x0001, 0x7C00}));
  auto const single = folder.file("s.npy", npy_of<float>("<f4", {0.1f, -2}));
  auto const wide = folder.file("d.npy", npy_of<double>("<f8", {0.1, -2}));
  CHECK(susc::read_npy<double>(half).values ==
        std::vector<double>{1, -2, 0x1p-24, std::numeric_limits<double>::infinity()});
  CHECK(susc::read_npy<float>(half).values[1] == -2);
  CHECK(susc::read_npy<float>(single).values == std::vector<float>{0.1f, -2});
  CHECK(susc::read_npy<double>(single).values == std::vector<double>{0.1f, -2});
  CHECK(susc::read_npy<float>(wide).values == std::vector<float>{0.1f, -2});
  CHECK(susc::read_npy<double>(wide).values == std::vector<double>{0.1, -2});
}

TEST_CASE("npy: headers that other writers may produce") {
  temporary_folder const folder;
  std::string const data = bytes_of<float>({1, 2, 3, 4, 5, 6});
  susc::npy_array<float> const expected{{2, 3}, {1, 2, 3, 4, 5, 6}};
  for (std::string const& text :
       {npy(header("<f4", "(2, 3)"), data), npy(header("<f4", "(2, 3)"), data, 2), npy(header("<f4", "(2,3,)"), data),
        npy("{\"shape\":(2,3),\"fortran_order\":False,\"descr\":\"<f4\"}", data),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }" + std::string(300, ' ') + '\n', data)})
    CHECK(susc::read_npy<float>(folder.file("x.npy", text), 2) == expected);
}

TEST_CASE("npy: files that are wrong are refused, saying what is and what should be") {
  std::string const good = header("<f4", "(2, 3)"), data(24, 'x');
  std::string const order = "'fortran_order': False", descr = "'descr': '<f4'", extents = "'shape': (2, 3)";
  auto const dictionary = [&](std::string const& fields) {
    return npy(susc::detail::concatenate("{", fields, "}\n"), data);
  };
  auto const shaped = [&](std::string const& literal) { return npy(header("<f4", literal), data); };
  auto const typed = [&](std::string const& type) { return npy(header(type, "(2, 3)"), data); };
  std::string const one = ", ", two = std::string("(") + "18446744073709551615, 2)";
  struct {
    std::string name;
    std::string content;
    std::vector<std::string> words;
  } const cases[]{
      {"empty", "", {"is empty"}},
      {"half a magic string", "\x93NUM", {"ends inside the magic"}},
      {"no version", "\x93NUMPY\x01", {"ends inside the magic string and version", "7 bytes"}},
      {"another format", "PK\x03\x04 something else", {"magic"}},
      {"shorter than the magic", "{}", {"magic"}},
      {"version 3.0", npy(good, data, 3), {"version 3.0", "wanted 1.0 or 2.0"}},
      {"version 0.0", npy(good, data, 0), {"version 0.0"}},
      {"version 1.1", "\x93NUMPY\x01\x01\x10" + std::string(9, '\0'), {"version 1.1"}},
      {"no header length", "\x93NUMPY\x01" + std::string(1, '\0') + "v", {"ends inside the header length"}},
      {"no header length, 2.0", "\x93NUMPY\x02" + std::string(1, '\0') + "vvv", {"ends inside the header length"}},
      {"header cut short", npy(good, "", 1, 500), {"header length is 500", "truncated"}},
      {"absurd header length", npy(good, data, 2, 4'000'000'000), {"header length is 4000000000", "at most"}},
      {"header of length 0", npy("", data), {"found ''", "wanted '{'"}},
      {"not a dictionary", npy("[1, 2]\n", data), {"found '[1, 2]", "wanted '{'"}},
      {"no closing brace", npy("{" + descr + one + order + one + extents + "\n", data), {"wanted '}'"}},
      {"no colon", dictionary("'descr' '<f4'"), {"wanted ':'"}},
      {"a key without quotes", dictionary("descr: '<f4'"), {"found 'descr", "in quotes"}},
      {"a string that does not end", dictionary("'descr': '<f4"), {"found ''<f4", "in quotes"}},
      {"text after the dictionary", npy("{" + descr + one + order + one + extents + "} 1\n", data), {"closing brace"}},
      {"a zero byte in the header",
       npy(good.substr(0, 5) + '\0' + good.substr(6), data),
       {"byte 0 at position 5", "plain text"}},
      {"no descr", dictionary(order + one + extents), {"'descr' is missing"}},
      {"no fortran_order", dictionary(descr + one + extents), {"'fortran_order' is missing"}},
      {"no shape", dictionary(descr + one + order), {"'shape' is missing"}},
      {"an unknown field", dictionary(descr + one + order + one + extents + ", 'x': 1"), {"unknown field 'x'"}},
      {"a field twice", dictionary(descr + one + extents + one + extents + one + order), {"'shape' appears twice"}},
      {"Fortran order", dictionary(descr + ", 'fortran_order': True, " + extents), {"fortran_order", "True", "False"}},
      {"another order", dictionary(descr + ", 'fortran_order': 0, " + extents), {"fortran_order", "found '0"}},
      {"big-endian", typed(">f4"), {"'>f4'", "big-endian", "'<f4'"}},
      {"native order spelt out", typed("=f4"), {"'=f4'", "wanted floats"}},
      {"no byte order", typed("|f4"), {"'|f4'", "wanted floats"}},
      {"integers for floats", typed("<i4"), {"'<i4'", "wanted floats"}},
      {"complex numbers", typed("<c8"), {"'<c8'", "wanted floats"}},
      {"text", typed("<U1"), {"'<U1'", "wanted floats"}},
      {"objects", typed("|O"), {"'|O'", "wanted floats"}},
      {"empty dtype", typed(""), {"descr' is ''", "wanted floats"}},
      {"structured", dictionary("'descr': [('a', '<f4')], " + order + one + extents), {"descr", "structured"}},
      {"one dimension", shaped("(6,)"), {"(6,)", "1-dimensional", "wanted 2"}},
      {"three dimensions", shaped("(1, 2, 3)"), {"(1, 2, 3)", "3-dimensional", "wanted 2"}},
      {"a number for the shape", shaped("6"), {"found '6", "wanted '('"}},
      {"a shape in brackets", shaped("(6)"), {"shape", "tuple"}},
      {"a negative extent", shaped("(2, -3)"), {"shape", "found '-3", "non-negative"}},
      {"an extent with a fraction", shaped("(2, 3.0)"), {"shape", "found '.0"}},
      {"a Python 2 extent", shaped("(2L, 3L)"), {"shape", "found 'L"}},
      {"two commas", shaped("(2,, 3)"), {"shape", "found ',"}},
      {"an extent beyond 64 bits", shaped("(2, 18446744073709551616)"), {"shape", "64 bits"}},
      {"a size beyond 64 bits", shaped(two), {two, "64 bits"}},
      {"a size in bytes beyond 64 bits", shaped("(2, 4611686018427387904)"), {"shape", "64 bits"}},
      {"65 dimensions",
       shaped("(" +
              [] {
                std::string s;
                for (int i = 0; i != 65; ++i) s += "1, ";
                return s;
              }() +
              ")"),
       {"65 dimensions", "at most 64"}},
      {"no data", npy(good, ""), {"needs 24 bytes", "0 follow", "truncated"}},
      {"data cut short", npy(good, data.substr(1)), {"needs 24 bytes", "23 follow", "truncated"}},
      {"trailing bytes", npy(good, data + "x"), {"needs 24 bytes", "25 follow", "trailing"}},
      {"a huge array in a small file", shaped("(1000000, 1000000)"), {"4000000000000 bytes", "truncated"}},
  };
  temporary_folder const folder;
  for (auto const& c : cases) {
    INFO("case: ", c.name);
    auto const path = folder.file("bad.npy", c.content);
    std::string const message = error_message([&] { susc::read_npy<float>(path, 2); });
    check_words(message, c.words);
    check_words(message, {path.string()});
    CHECK(message.find('\n') == std::string::npos);
  }
  check_words(error_message([&] { susc::read_npy<float>(folder.path / "absent.npy"); }),
              {"absent.npy", "No such file"});
}

TEST_CASE("npy: every truncation of a good file is refused") {
  temporary_folder const folder;
  std::string const good = npy(header("<f4", "(2, 3)"), std::string(24, 'x'));
  for (std::size_t n = 0; n != good.size(); ++n) {
    CAPTURE(n);
    auto const path = folder.file("x.npy", good.substr(0, n));
    CHECK_THROWS_AS(susc::read_npy<float>(path), susc::error);
  }
}

TEST_CASE("npy: integers that do not fit, and floats for integers") {
  temporary_folder const folder;
  struct {
    std::string content;
    std::vector<std::string> words;
  } const cases[]{
      {npy_of<std::int64_t>("<i8", {1, 2'147'483'648}), {"2147483648", "(1,)", "signed 32-bit integer"}},
      {npy_of<std::int64_t>("<i8", {-2'147'483'649}), {"-2147483649", "(0,)"}},
      {npy_of<std::uint64_t>("<u8", {~std::uint64_t{0}}), {"18446744073709551615"}},
      {npy_of<std::uint32_t>("<u4", {0, 0, ~std::uint32_t{0}}), {"4294967295", "(2,)"}},
      {npy_of<float>("<f4", {1}), {"'<f4'", "wanted integers"}},
      {npy_of<char>("|b1", {1}), {"'|b1'", "wanted integers"}},
      {npy_of<std::int32_t>(">i4", {1}), {"'>i4'", "big-endian"}},
  };
  for (auto const& c : cases) {
    auto const path = folder.file("bad.npy", c.content);
    std::string const message = error_message([&] { susc::read_npy<std::int32_t>(path); });
    check_words(message, c.words);
    check_words(message, {path.string()});
  }
}

TEST_CASE("npy: writing checks shape and place") {
  temporary_folder const folder;
  std::vector<double> const values(6);
  check_words(error_message([&] {
                susc::write_npy<double>(folder.path / "x.npy", values, {2, 2});
              }),
              {"x.npy", "(2, 2)", "6 values"});
  check_words(error_message([&] { susc::write_npy<double>(folder.path / "absent/x.npy", values, {6}); }),
              {"absent/x.npy", "No such file"});
  CHECK(folder.listing().empty());
}

TEST_CASE("npy: parts of an array") {
  temporary_folder const folder;
  auto const path = folder.path / "x.npy";
  susc::write_npy<std::int64_t>(path, std::vector<std::int64_t>{0, 1, 2, 3, std::int64_t{1} << 40, 5}, {2, 3});
  susc::npy_input<std::int32_t> const input(path, 2);
  CHECK(input.shape() == shape{2, 3});
  CHECK(input.size() == 6);
  std::vector<std::int32_t> part(2);
  input.read(2, part);
  CHECK(part == std::vector<std::int32_t>{2, 3});
  input.read(6, std::span<std::int32_t>{});
  check_words(error_message([&] { input.read(3, part); }), {"x.npy'", "1099511627776 at index (1, 1)", "does not fit"});
  check_words(error_message([&] { input.read(5, part); }), {"x.npy'", "2 elements from element 5 on", "it has 6"});
  check_words(error_message([&] { input.read(7, part); }), {"x.npy'", "from element 7 on", "it has 6"});
}
