#include "susc/io/netcdf.hpp"

#include <doctest/doctest.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "../bad_input/table.hpp"
#include "temporary_folder.hpp"

namespace fs = std::filesystem;
using susc::netcdf_dataset;
using susc::netcdf_values;

namespace {

/// What netCDF's own functions read.
class reader {
 public:
  explicit reader(fs::path const& path) { REQUIRE(::nc_open(path.c_str(), NC_NOWRITE, &file_) == NC_NOERR); }
  reader(reader const&) = delete;
  reader& operator=(reader const&) = delete;
  ~reader() { ::nc_close(file_); }

  /// (name, size) of each dimension of a variable.
  std::vector<std::pair<std::string, std::size_t>> dimensions(std::string const& variable) const {
    int count = 0, numbers[NC_MAX_VAR_DIMS];
    REQUIRE(::nc_inq_var(file_, find(variable), nullptr, nullptr, &count, numbers, nullptr) == NC_NOERR);
    std::vector<std::pair<std::string, std::size_t>> found;
    for (int i = 0; i != count; ++i) {
      char name[NC_MAX_NAME + 1];
      std::size_t size = 0;
      REQUIRE(::nc_inq_dim(file_, numbers[i], name, &size) == NC_NOERR);
      found.emplace_back(name, size);
    }
    return found;
  }
  nc_type type(std::string const& variable) const {
    nc_type found = 0;
    REQUIRE(::nc_inq_vartype(file_, find(variable), &found) == NC_NOERR);
    return found;
  }
  template <class T>
  std::vector<T> values(std::string const& variable) const {
    std::size_t size = 1;
    for (auto const& d : dimensions(variable)) size *= d.second;
    std::vector<T> read(size);
    REQUIRE(::nc_get_var(file_, find(variable), read.data()) == NC_NOERR);
    return read;
  }
  std::vector<std::string> texts(std::string const& variable) const {
    auto read = values<char*>(variable);
    std::vector<std::string> found(read.begin(), read.end());
    ::nc_free_string(read.size(), read.data());
    return found;
  }
  std::string text(std::string const& variable, std::string const& attribute) const {
    std::size_t length = 0;
    int const of = variable.empty() ? NC_GLOBAL : find(variable);
    REQUIRE(::nc_inq_attlen(file_, of, attribute.c_str(), &length) == NC_NOERR);
    std::string read(length, '?');
    REQUIRE(::nc_get_att_text(file_, of, attribute.c_str(), read.data()) == NC_NOERR);
    return read;
  }
  template <class T>
  T number(std::string const& attribute, nc_type wanted) const {
    nc_type found = 0;
    T read{};
    REQUIRE(::nc_inq_atttype(file_, NC_GLOBAL, attribute.c_str(), &found) == NC_NOERR);
    CHECK(found == wanted);
    REQUIRE(::nc_get_att(file_, NC_GLOBAL, attribute.c_str(), &read) == NC_NOERR);
    return read;
  }

 private:
  int find(std::string const& variable) const {
    int number = -1;
    CAPTURE(variable);
    REQUIRE(::nc_inq_varid(file_, variable.c_str(), &number) == NC_NOERR);
    return number;
  }
  int file_ = -1;
};

/// The numbers 0, 1, ..., made as they are asked for; `blocks` gets the size of each block.
template <class T>
netcdf_values<T> counted(std::size_t size, std::vector<std::size_t>* blocks = nullptr) {
  return {size, [=](std::size_t first, std::span<T> out) {
            if (blocks != nullptr) blocks->push_back(out.size());
            for (std::size_t i = 0; i != out.size(); ++i) {
              if constexpr (std::is_same_v<T, std::string>)
                out[i] = std::to_string(first + i);
              else
                out[i] = static_cast<T>(first + i);
            }
          }};
}

netcdf_dataset small(double value) {
  return {{{"row", 2}}, {{"x", {"row"}, std::vector{value, -value}}}, {{"title", "small"}}};
}

/// The most memory that this process has held, in bytes, since `begin_peak`.
void begin_peak() {
  std::ofstream("/proc/self/clear_refs") << 5;
}
std::size_t peak() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "VmHWM:") {
      std::size_t kilobytes = 0;
      status >> kilobytes;
      return 1024 * kilobytes;
    }
  return 0;
}

}  // namespace

TEST_CASE("netcdf: every type comes back, with names, shapes and attributes") {
  temporary_folder const folder;
  std::vector<double> const x{0, -0.5, 5e-324, 1.7e308, std::nan(""), -std::numeric_limits<double>::infinity()};
  std::vector<float> const y{1e-45f, 3.4e38f, 1.0f / 3};
  std::vector<std::int8_t> const flags{-128, 0, 127};
  std::vector<std::int32_t> const ids{std::numeric_limits<std::int32_t>::min(), 7};
  std::vector<std::int64_t> const steps{std::numeric_limits<std::int64_t>::max(), -1};
  std::vector<std::string> const names{"", "l0h3", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"};
  susc::write_netcdf(folder.path / "x.nc", {{{"row", 2}, {"column", 3}},
                                            {{"x", {"row", "column"}, std::span(x), {{"units", "nats"}, {"empty", ""}}},
                                             {"y", {"column"}, std::span(y)},
                                             {"flag", {"column"}, std::span(flags)},
                                             {"id", {"row"}, std::span(ids)},
                                             {"row", {"row"}, std::span(steps)},
                                             {"column", {"column"}, names},
                                             {"single", {}, std::vector{2.5}}},
                                            {{"title", "\xC3\xA9"},
                                             {"draws", std::int64_t{-3}},
                                             {"seed", std::numeric_limits<std::uint64_t>::max()},
                                             {"n_beta", 30.5}}});
  reader const file(folder.path / "x.nc");
  using list = std::vector<std::pair<std::string, std::size_t>>;
  CHECK(file.dimensions("x") == list{{"row", 2}, {"column", 3}});
  CHECK(file.dimensions("single").empty());
  CHECK(file.type("x") == NC_DOUBLE);
  CHECK(bytes_of(file.values<double>("x")) == bytes_of(x));
  CHECK(file.type("y") == NC_FLOAT);
  CHECK(file.values<float>("y") == y);
  CHECK(file.type("flag") == NC_BYTE);
  CHECK(file.values<std::int8_t>("flag") == flags);
  CHECK(file.type("id") == NC_INT);
  CHECK(file.values<std::int32_t>("id") == ids);
  CHECK(file.type("row") == NC_INT64);
  CHECK(file.values<std::int64_t>("row") == steps);
  CHECK(file.type("column") == NC_STRING);
  CHECK(file.texts("column") == names);
  CHECK(file.values<double>("single") == std::vector{2.5});
  CHECK(file.text("x", "units") == "nats");
  CHECK(file.text("x", "empty").empty());
  CHECK(file.text("", "title") == "\xC3\xA9");
  CHECK(file.number<std::int64_t>("draws", NC_INT64) == -3);
  CHECK(file.number<std::uint64_t>("seed", NC_UINT64) == std::numeric_limits<std::uint64_t>::max());
  CHECK(file.number<double>("n_beta", NC_DOUBLE) == 30.5);
}

TEST_CASE("netcdf: arrays of several blocks, split along any of their dimensions") {
  temporary_folder const folder;
  std::vector<std::vector<std::size_t>> const shapes{{65536},        {65537},          {140'001},
                                                     {3, 70'001},    {100'001, 3},     {1, 2, 1, 65'537},
                                                     {2, 3, 40'000}, {3, 5, 7, 2'001}, {200, 1, 1, 1'000}};
  for (auto const& shape : shapes) {
    CAPTURE(susc::shape_text(shape));
    netcdf_dataset dataset;
    std::vector<std::string> names;
    for (std::size_t const extent : shape) {
      names.push_back("d" + std::to_string(names.size()));
      dataset.dimensions.push_back({names.back(), extent});
    }
    std::size_t const size = susc::element_count(shape).value();
    std::vector<std::size_t> blocks;
    dataset.variables.push_back({"x", names, counted<double>(size, &blocks)});
    dataset.variables.push_back({"i", names, counted<std::int32_t>(size)});
    susc::write_netcdf(folder.path / "x.nc", dataset);
    CHECK(std::accumulate(blocks.begin(), blocks.end(), std::size_t{0}) == size);
    CHECK(*std::max_element(blocks.begin(), blocks.end()) <= 65536);
    std::vector<double> expected(size);
    std::iota(expected.begin(), expected.end(), 0.);
    reader const file(folder.path / "x.nc");
    CHECK(file.values<double>("x") == expected);
    CHECK(file.values<std::int32_t>("i") == std::vector<std::int32_t>(expected.begin(), expected.end()));
  }
  susc::write_netcdf(folder.path / "x.nc",
                     {{{"a", 3}, {"b", 30'000}}, {{"x", {"a", "b"}, counted<std::string>(90'000)}}});
  auto const texts = reader(folder.path / "x.nc").texts("x");
  std::size_t wrong = 0;
  for (std::size_t i = 0; i != texts.size(); ++i) wrong += texts[i] != std::to_string(i);
  CHECK(wrong == 0);
}

TEST_CASE("netcdf: the same dataset gives the same bytes") {
  temporary_folder const folder;
  netcdf_dataset const dataset{{{"row", 70'000}, {"mode", 2}},
                               {{"x", {"row", "mode"}, counted<double>(140'000), {{"units", "nats"}}},
                                {"text", {"row"}, counted<std::string>(70'000)}},
                               {{"title", "same"}}};
  susc::write_netcdf(folder.path / "x.nc", dataset);
  ::sleep(1);  // whatever holds the time would differ
  susc::write_netcdf(folder.path / "y.nc", dataset);
  CHECK(susc::read_file(folder.path / "x.nc") == susc::read_file(folder.path / "y.nc"));
}

TEST_CASE("netcdf: what cannot be written is refused, and the old file stays") {
  temporary_folder const folder;
  fs::path const path = folder.path / "x.nc";
  susc::write_netcdf(path, small(1));
  std::string const old = susc::read_file(path);
  auto const give = [&](netcdf_dataset const& dataset) { return [=] { susc::write_netcdf(path, dataset); }; };
  std::vector<double> const two{1, 2};
  std::string const zero("a\0b", 3);
  auto const text = [&](std::string const& bad) {
    return give(
        {{{"row", 2}, {"column", 2}}, {{"x", {"row", "column"}, std::vector<std::string>{"a", "b", bad, "c"}}}});
  };
  std::vector<bad_input> table{
      {"a variable without name", give({{{"row", 2}}, {{"", {"row"}, two}}}), {"x.nc'", "variable", "''", "letter"}},
      {"a name with a slash", give({{{"row", 2}}, {{"a/b", {"row"}, two}}}), {"'a/b'", "wanted letters"}},
      {"a name that begins with a digit", give({{{"2d", 2}}, {}}), {"dimension", "'2d'", "a letter first"}},
      {"a name of netCDF's own", give({{{"row", 2}}, {}, {{"_FillValue", 1.}}}), {"attribute", "'_FillValue'"}},
      {"a name too long", give({{{std::string(257, 'a'), 2}}, {}}), {"dimension", "aaa", "at most 256"}},
      {"a dimension twice", give({{{"row", 2}, {"row", 3}}, {}}), {"dimension 'row' is there twice"}},
      {"a variable twice",
       give({{{"row", 2}}, {{"x", {"row"}, two}, {"x", {"row"}, two}}}),
       {"variable 'x' is there twice"}},
      {"an attribute twice",
       give({{{"row", 2}}, {{"x", {"row"}, two, {{"units", "a"}, {"units", "b"}}}}}),
       {"variable 'x'", "attribute 'units' is there twice"}},
      {"an unlimited dimension", give({{{"row", 0}}, {}}), {"dimension 'row' has size 0, wanted 1 or more"}},
      {"a dimension not defined",
       give({{{"row", 2}}, {{"x", {"column"}, two}}}),
       {"variable 'x'", "dimension 'column', which is not defined"}},
      {"a dimension twice in a variable",
       give({{{"row", 2}}, {{"x", {"row", "row"}, two}}}),
       {"variable 'x'", "dimension 'row' twice"}},
      {"too few values",
       give({{{"row", 2}, {"column", 3}}, {{"x", {"row", "column"}, two}}}),
       {"variable 'x': has 2 values, wanted shape (2, 3)"}},
      {"too many values", give({{}, {{"x", {}, two}}}), {"variable 'x': has 2 values, wanted shape ()"}},
      {"more values than 64 bits count",
       give({{{"a", std::size_t{1} << 32}, {"b", std::size_t{1} << 32}}, {{"x", {"a", "b"}, two}}}),
       {"variable 'x': has 2 values, wanted shape (4294967296, 4294967296)"}},
      {"a coordinate of two dimensions",
       give({{{"row", 2}, {"one", 1}}, {{"row", {"row", "one"}, two}}}),
       {"variable 'row': has 2 dimensions, wanted one, itself"}},
      {"a coordinate of another dimension",
       give({{{"row", 2}, {"column", 2}}, {{"row", {"column"}, two}}}),
       {"variable 'row': has 1 dimensions, wanted one, itself"}},
      {"a zero byte in an attribute",
       give({{}, {}, {{"title", zero}}}),
       {"x.nc'", "attribute 'title' holds byte 0 at position 1"}},
      {"an attribute of a variable that is not text",
       give({{{"row", 2}}, {{"x", {"row"}, two, {{"units", "a\xFF"}}}}}),
       {"variable 'x': attribute 'units' holds byte 255 at position 1"}},
      {"a zero byte in a value", text(zero), {"variable 'x' at index (1, 0) holds byte 0 at position 1", "UTF-8"}},
      {"an attribute that netCDF keeps for itself",
       give({{{"row", 2}}, {{"x", {"row"}, two, {{"DIMENSION_LIST", "a"}}}}}),
       {"x.nc'", "variable 'x': attribute 'DIMENSION_LIST'", "NetCDF"}},
      {"no folder",
       [&] { susc::write_netcdf(folder.path / "absent/x.nc", small(1)); },
       {"absent/x.nc'", "No such file"}},
      {"a folder in the way", [&] { susc::write_netcdf(folder.path, small(1)); }, {"not the name of a regular file"}},
  };
  for (std::string const bad : {"ab\x80", "ab\xC1\xBF", "ab\xC3", "ab\xC3(", "ab\xE0\x9F\xBF", "ab\xED\xA0\x80",
                                "ab\xE2\x82", "ab\xE2\x82(", "ab\xF0\x8F\xBF\xBF", "ab\xF4\x90\x80\x80",
                                "ab\xF0\x9F\x98", "ab\xF0\x9F\x98(", "ab\xF5\x80\x80\x80", "ab\xFF"})
    table.push_back({"a value that is not UTF-8",
                     text(bad),
                     {"variable 'x' at index (1, 0) holds byte " + std::to_string(static_cast<unsigned char>(bad[2])),
                      "at position 2"}});
  check_refused(table);
  CHECK(susc::read_file(path) == old);
  CHECK(folder.listing() == std::set<std::string>{"x.nc"});
  // The outermost of UTF-8 are taken.
  text("\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF")();
}

TEST_CASE("netcdf: whole or not at all") {
  temporary_folder const folder;
  fs::path const path = folder.path / "x.nc";
  susc::write_netcdf(path, small(1));
  std::string const old = susc::read_file(path);
  std::size_t const size = 300'000;
  auto const large = [&](std::function<void(std::size_t)> at) {
    return netcdf_dataset{{{"row", size}},
                          {{"x", {"row"}, netcdf_values<double>(size, [=](std::size_t first, auto out) {
                              at(first);
                              std::fill(out.begin(), out.end(), 1.);
                            })}}};
  };
  SUBCASE("the values' source throws") {
    auto const dataset = large([](std::size_t first) {
      if (first > 100'000) throw std::logic_error("no more");
    });
    CHECK_THROWS_AS(susc::write_netcdf(path, dataset), std::logic_error);
  }
  ::rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  auto const limit_files = [&](::rlim_t bytes) {
    ::rlimit const limit{std::min(bytes, before.rlim_max), before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  };
  SUBCASE("the disk is full") {
    std::signal(SIGXFSZ, SIG_IGN);
    limit_files(1 << 20);
    check_words(error_message([&] { susc::write_netcdf(path, large([](std::size_t) {})); }),
                {"x.nc': cannot write 24", " bytes: File too large"});
    limit_files(RLIM_INFINITY);
    std::signal(SIGXFSZ, SIG_DFL);
  }
  SUBCASE("the disk is full once it is begun") {
    // In a process of its own, as HDF5 keeps the file open.
    ::pid_t const child = ::fork();
    if (child == 0) {
      std::signal(SIGXFSZ, SIG_IGN);
      std::string message;
      try {
        susc::write_netcdf(path, large([&](std::size_t first) {
                             if (first > 100'000) limit_files(1 << 20);
                           }));
      } catch (susc::error const& reason) {
        message = reason.what();
      }
      bool const told = message.find("x.nc': variable 'x': cannot write it") != message.npos &&
                        message.find("File too large") != message.npos;
      ::_exit(told ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  SUBCASE("the process is killed") {
    ::pid_t const child = ::fork();
    if (child == 0) {
      susc::write_netcdf(path, large([](std::size_t first) {
                           if (first > 100'000) ::raise(SIGKILL);
                         }));
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    CHECK(susc::read_file(path) == old);
    for (std::string const& name : folder.listing())
      if (name != "x.nc") fs::remove(folder.path / name);
  }
  CHECK(susc::read_file(path) == old);
  CHECK(folder.listing() == std::set<std::string>{"x.nc"});
  susc::write_netcdf(path, small(2));
  CHECK(reader(path).values<double>("x") == std::vector<double>{2, -2});
}

TEST_CASE("netcdf: memory does not grow with the array") {
  temporary_folder const folder;
  std::size_t const rows = 500'000, columns = 100;  // 400 MB
  susc::write_netcdf(folder.path / "x.nc", small(1));
  ::malloc_trim(0);  // what was freed counts neither way
  begin_peak();
  std::size_t const before = peak();
  REQUIRE(before > 0);
  susc::write_netcdf(folder.path / "x.nc", {{{"row", rows}, {"column", columns}},
                                            {{"x", {"row", "column"}, counted<double>(rows * columns)}}});
  MESSAGE("400 MB written, ", (peak() - before) / 1024, " kB more memory");
  CHECK(peak() - before < 48'000'000);  // 32 MiB are asked for first, and touched where MALLOC_PERTURB_ is set
  CHECK(fs::file_size(folder.path / "x.nc") > 8 * rows * columns);
}
