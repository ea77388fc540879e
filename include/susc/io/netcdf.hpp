#pragma once
/// netCDF-4 files: variables over named dimensions, with attributes, which xarray, ncdump, R and Julia open as they
/// are. Optional: needs netCDF's C library (`libnetcdf-dev`, `-lnetcdf`). That is not made for several threads: write
/// one file at a time.
#include <fcntl.h>
#include <netcdf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/io/file.hpp"
#include "susc/io/numbers.hpp"

namespace susc {

/// A dimension that variables refer to by name.
struct netcdf_dimension {
  std::string name;      ///< letters, digits and _, a letter first
  std::size_t size = 0;  ///< at least 1: to netCDF, 0 means unlimited
};

/// Text or a number about a variable or the whole file.
struct netcdf_attribute {
  std::string name;                                                      ///< letters, digits and _, a letter first
  std::variant<std::string, std::int64_t, std::uint64_t, double> value;  ///< text is UTF-8
};

/// The values of a variable, row-major. They are asked for in order, in blocks of at most 65536, so that an array that
/// is in no memory, but made or read as it is written, takes none but that of a block. Strings are asked for twice.
template <class T>
class netcdf_values {
 public:
  /// Fills `out` with the values at [first, first + out.size()).
  using fill_function = std::function<void(std::size_t first, std::span<T> out)>;

  /// Of values that outlive this.
  netcdf_values(std::span<T const> values)
      : netcdf_values(values.size(), [values](std::size_t first, std::span<T> out) {
          std::ranges::copy(values.subspan(first, out.size()), out.begin());
        }) {}
  /// Of values that are kept here.
  netcdf_values(std::vector<T> values) : size_(values.size()) {
    fill_ = [kept = std::make_shared<std::vector<T> const>(std::move(values))](std::size_t first, std::span<T> out) {
      std::ranges::copy(std::span(*kept).subspan(first, out.size()), out.begin());
    };
  }
  /// Of `size` values that `fill` gives. What it throws, write_netcdf throws.
  netcdf_values(std::size_t size, fill_function fill) : size_(size), fill_(std::move(fill)) {}

  /// How many.
  std::size_t size() const { return size_; }
  /// Those at [first, first + out.size()).
  void fill(std::size_t first, std::span<T> out) const { fill_(first, out); }

 private:
  std::size_t size_;
  fill_function fill_;
};

/// An array over named dimensions.
struct netcdf_variable {
  std::string name;  ///< letters, digits and _, a letter first; that of a dimension for its coordinate
  std::vector<std::string> dimensions;  ///< outermost first, each once; none: a single value
  /// NaN stands for what is undefined; strings are UTF-8.
  std::variant<netcdf_values<double>, netcdf_values<float>, netcdf_values<std::int8_t>, netcdf_values<std::int32_t>,
               netcdf_values<std::int64_t>, netcdf_values<std::string>>
      values;
  std::vector<netcdf_attribute> attributes = {};  ///< e.g. long_name, units
};

/// All that a file holds.
struct netcdf_dataset {
  std::vector<netcdf_dimension> dimensions;       ///< in the order of the file
  std::vector<netcdf_variable> variables;         ///< likewise
  std::vector<netcdf_attribute> attributes = {};  ///< of the file
};

namespace detail {

inline constexpr std::size_t netcdf_block = std::size_t{1} << 16;  // values in memory at once

template <class T>
constexpr nc_type netcdf_type() {
  if constexpr (std::same_as<T, double>) return NC_DOUBLE;
  if constexpr (std::same_as<T, float>) return NC_FLOAT;
  if constexpr (std::same_as<T, std::int8_t>) return NC_BYTE;
  if constexpr (std::same_as<T, std::int32_t>) return NC_INT;
  if constexpr (std::same_as<T, std::int64_t>) return NC_INT64;
  if constexpr (std::same_as<T, std::uint64_t>) return NC_UINT64;
  if constexpr (std::same_as<T, std::string>) return NC_STRING;
}

/// The length of the longest beginning of `bytes` that is UTF-8 text (RFC 3629) without a zero byte.
inline std::size_t text_length(std::string_view bytes) {
  auto const byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  std::size_t done = 0;
  while (done != bytes.size()) {
    unsigned const first = byte(done);
    std::size_t const length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (first == 0 || (first >= 0x80 && first < 0xC2) || first > 0xF4 || length > bytes.size() - done) break;
    // Neither longer than need be, nor a surrogate, nor beyond U+10FFFF: told by the second byte.
    unsigned const least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    unsigned const most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (length > 1 && (byte(done + 1) < least || byte(done + 1) > most)) break;
    std::size_t i = 2;
    while (i < length && byte(done + i) >= 0x80 && byte(done + i) <= 0xBF) ++i;
    if (i < length) break;
    done += length;
  }
  return done;
}

template <class... What>
void require_netcdf_text(std::string const& text, What const&... what) {
  if (std::size_t const length = text_length(text); length != text.size())
    fail(what..., " holds byte ", int{static_cast<unsigned char>(text[length])}, " at position ", length,
         ", wanted UTF-8 text without zero bytes");
}

inline void check_netcdf_names(std::vector<std::string> const& names, std::string const& where, char const* kind) {
  std::set<std::string> seen;
  auto const letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  for (std::string const& name : names) {
    bool const valid =
        !name.empty() && name.size() <= NC_MAX_NAME && letter(name.front()) &&
        std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || c == '_' || (c >= '0' && c <= '9'); });
    require(valid, where, kind, " is named '", name, "', wanted letters, digits and _, a letter first, at most ",
            NC_MAX_NAME);
    require(seen.insert(name).second, where, kind, " '", name, "' is there twice");
  }
}

template <class List>
std::vector<std::string> netcdf_names(List const& list) {
  std::vector<std::string> names;
  for (auto const& entry : list) names.push_back(entry.name);
  return names;
}

inline void check_netcdf_attributes(std::vector<netcdf_attribute> const& attributes, std::string const& where) {
  check_netcdf_names(netcdf_names(attributes), where, "an attribute");
  for (netcdf_attribute const& a : attributes)
    if (auto const* text = std::get_if<std::string>(&a.value))
      require_netcdf_text(*text, where, "attribute '", a.name, "'");
}

/// A netCDF-4 file that is being written, once its dataset is checked; its errors name the file that it is to become.
class netcdf_output {
 public:
  netcdf_output(std::filesystem::path const& path, std::string where) : where_(std::move(where)) {
    // Absolute, since netCDF takes what begins like a URL for one.
    name_ = std::filesystem::absolute(path).string();
    call([&] { return ::nc_create(name_.c_str(), NC_CLOBBER | NC_NETCDF4, &file_); }, "cannot create it");
    open_ = true;
  }
  netcdf_output(netcdf_output const&) = delete;
  netcdf_output& operator=(netcdf_output const&) = delete;
  ~netcdf_output() {
    // Where HDF5 fails to write, netCDF 4.9 crashes as it closes the file: that stays open till the process ends,
    // without its space on the disk.
    std::error_code ignored;
    if (open_ && ::nc_sync(file_) == NC_NOERR)
      ::nc_abort(file_);
    else if (file_ != closed)
      std::filesystem::resize_file(name_, 0, ignored);
  }

  void write(netcdf_dataset const& dataset) {
    int before = 0;  // every value is written: none need be written twice
    call([&] { return ::nc_set_fill(file_, NC_NOFILL, &before); }, "cannot begin it");
    for (netcdf_dimension const& d : dataset.dimensions) {
      int number = 0;
      call([&] { return ::nc_def_dim(file_, d.name.c_str(), d.size, &number); }, "dimension '", d.name, "'");
      dimensions_.push_back({d.name, d.size, number});
    }
    std::vector<int> variables;
    for (netcdf_variable const& v : dataset.variables) variables.push_back(define(v));
    put_attributes(NC_GLOBAL, dataset.attributes, "");
    call([&] { return ::nc_enddef(file_); }, "cannot write its head");
    for (std::size_t i = 0; i != variables.size(); ++i)
      std::visit([&](auto const& values) { put(variables[i], dataset.variables[i], values); },
                 dataset.variables[i].values);
    call([&] { return ::nc_sync(file_); }, "cannot write it");
    open_ = false;
    call([&] { return ::nc_close(file_); }, "cannot close it");
    file_ = closed;
  }

 private:
  struct dimension {
    std::string name;
    std::size_t size;
    int number;
  };

  template <class Call, class... What>
  void call(Call function, What const&... what) {
    errno = 0;
    int const code = function(), reason = errno;
    if (code == NC_NOERR) return;
    if (code == NC_EHDFERR) open_ = false;
    if (code == NC_ENOMEM || reason == ENOMEM) throw std::bad_alloc();
    // "HDF error" says nothing; the system may have.
    bool const by_system = code == NC_EHDFERR && reason != 0;
    fail(where_, what..., ": ", ::nc_strerror(code), by_system ? " (" + os_reason(reason) + ")" : "");
  }

  dimension const& find(std::string const& name) const {
    return *std::find_if(dimensions_.begin(), dimensions_.end(), [&](dimension const& d) { return d.name == name; });
  }

  int define(netcdf_variable const& v) {
    std::vector<int> over;
    for (std::string const& name : v.dimensions) over.push_back(find(name).number);
    nc_type const type = std::visit([]<class T>(netcdf_values<T> const&) { return netcdf_type<T>(); }, v.values);
    int number = 0;
    call([&] { return ::nc_def_var(file_, v.name.c_str(), type, static_cast<int>(over.size()), over.data(), &number); },
         "variable '", v.name, "'");
    put_attributes(number, v.attributes, "variable '" + v.name + "': ");
    return number;
  }

  void put_attributes(int variable, std::vector<netcdf_attribute> const& attributes, std::string const& of) {
    for (netcdf_attribute const& a : attributes)
      call(
          [&] {
            return std::visit(
                [&]<class T>(T const& value) {
                  if constexpr (std::same_as<T, std::string>)
                    return ::nc_put_att_text(file_, variable, a.name.c_str(), value.size(), value.data());
                  else
                    return ::nc_put_att(file_, variable, a.name.c_str(), netcdf_type<T>(), 1, &value);
                },
                a.value);
          },
          of, "attribute '", a.name, "'");
  }

  /// By blocks of whole rows of the innermost dimensions that fit into one.
  template <class T>
  void put(int number, netcdf_variable const& v, netcdf_values<T> const& values) {
    std::vector<std::size_t> shape;
    for (std::string const& name : v.dimensions) shape.push_back(find(name).size);
    if (shape.empty()) shape.push_back(1);  // of a single value netCDF looks at no index
    std::size_t axis = 0, row = values.size() / shape[0];
    while (row > netcdf_block) row /= shape[++axis];
    std::size_t const most = std::min(netcdf_block / row, shape[axis]);
    std::vector<T> buffer(most * row);
    for (std::size_t first = 0; first != values.size();) {
      std::vector<std::size_t> start(shape.size(), 0), count = shape;
      for (std::size_t a = axis + 1, rest = first / row; a-- != 0; rest /= shape[a]) {
        start[a] = rest % shape[a];
        count[a] = 1;
      }
      count[axis] = std::min(most, shape[axis] - start[axis]);
      std::span<T> const block = std::span(buffer).first(count[axis] * row);
      values.fill(first, block);
      call(
          [&] {
            if constexpr (std::same_as<T, std::string>) {
              std::vector<char const*> texts;
              for (std::string const& text : block) texts.push_back(text.c_str());
              return ::nc_put_vara(file_, number, start.data(), count.data(), static_cast<void const*>(texts.data()));
            } else {
              return ::nc_put_vara(file_, number, start.data(), count.data(), static_cast<void const*>(block.data()));
            }
          },
          "variable '", v.name, "': cannot write it");
      first += block.size();
    }
  }

  static constexpr int closed = -1;

  std::string where_, name_;
  int file_ = closed;
  bool open_ = false;
  std::vector<dimension> dimensions_;
};

/// Extents of a variable whose dimensions are defined.
inline std::vector<std::size_t> netcdf_shape(netcdf_dataset const& dataset, netcdf_variable const& v) {
  std::vector<std::size_t> shape;
  for (std::string const& name : v.dimensions)
    for (netcdf_dimension const& d : dataset.dimensions)
      if (d.name == name) shape.push_back(d.size);
  return shape;
}

/// Texts are checked, so that nothing is written of a dataset that holds a bad one. Returns how long they are together.
inline std::uint64_t check_netcdf_texts(netcdf_dataset const& dataset, netcdf_variable const& v,
                                        netcdf_values<std::string> const& values, std::string const& where) {
  std::uint64_t bytes = 0;
  std::vector<std::string> block(std::min(netcdf_block, values.size()));
  for (std::size_t first = 0; first != values.size(); first += block.size()) {
    block.resize(std::min(block.size(), values.size() - first));
    values.fill(first, block);
    for (std::size_t i = 0; i != block.size(); ++i) {
      require_netcdf_text(block[i], where, "variable '", v.name, "' at index ",
                          index_text(first + i, netcdf_shape(dataset, v)));
      bytes += block[i].size();
    }
  }
  return bytes;
}

/// Everything that can be seen without the numbers. Returns about how many bytes the file will have, rather too many.
inline std::uint64_t check_netcdf(netcdf_dataset const& dataset, std::string const& where) {
  std::uint64_t bytes = 1 << 16;
  check_netcdf_names(netcdf_names(dataset.dimensions), where, "a dimension");
  check_netcdf_names(netcdf_names(dataset.variables), where, "a variable");
  check_netcdf_attributes(dataset.attributes, where);
  for (netcdf_dimension const& d : dataset.dimensions)
    require(d.size > 0, where, "dimension '", d.name, "' has size 0, wanted 1 or more");
  for (netcdf_variable const& v : dataset.variables) {
    std::string const of = concatenate(where, "variable '", v.name, "': ");
    check_netcdf_attributes(v.attributes, of);
    std::set<std::string> seen;
    bool own = false;  // a dimension's coordinate
    for (netcdf_dimension const& d : dataset.dimensions) own |= d.name == v.name;
    for (std::string const& name : v.dimensions) {
      auto const found = std::find_if(dataset.dimensions.begin(), dataset.dimensions.end(),
                                      [&](netcdf_dimension const& d) { return d.name == name; });
      require(found != dataset.dimensions.end(), of, "has the dimension '", name, "', which is not defined");
      require(seen.insert(name).second, of, "has the dimension '", name, "' twice");
    }
    std::vector<std::size_t> const shape = netcdf_shape(dataset, v);
    require(!own || v.dimensions == std::vector{v.name}, of, "has ", shape.size(),
            " dimensions, wanted one, itself: it has the name of a dimension, so it is its coordinate");
    std::size_t const size = std::visit([](auto const& values) { return values.size(); }, v.values);
    require(element_count(shape) == size, of, "has ", size, " values, wanted shape ", shape_text(shape));
    bytes += 4096;
  }
  for (netcdf_variable const& v : dataset.variables)
    bytes += std::visit(
        [&]<class T>(netcdf_values<T> const& values) -> std::uint64_t {
          if constexpr (std::same_as<T, std::string>)
            return 80 * values.size() + 2 * check_netcdf_texts(dataset, v, values, where);
          else
            return sizeof(T) * values.size();
        },
        v.values);
  return bytes;
}

/// Takes `bytes` on the disk, so that a full one is noticed where the libraries below are not in the middle of a file.
inline void reserve(std::filesystem::path const& partial, std::uint64_t bytes, std::string const& where) {
  descriptor const file(::open(partial.c_str(), O_WRONLY | O_CLOEXEC));
  int const code = file ? ::posix_fallocate(file.get(), 0, static_cast<::off_t>(bytes)) : errno;
  bool const full = code == ENOSPC || code == EDQUOT || code == EFBIG;  // else it is not known
  require(!full, where, "cannot write ", bytes, " bytes: ", os_reason(code));
}

/// Throws std::bad_alloc unless there is the memory that the libraries below take: HDF5 crashes where it gets none.
inline void require_memory() {
  ::operator delete(::operator new (std::size_t{32} << 20));
}

}  // namespace detail

/// Writes the file, whole or not at all: a reader, or a run cut short, sees the old file or the new one. The same
/// dataset gives the same bytes, with one version of the libraries. Arrays lie in it as they are, not compressed.
/// Throws susc::error naming file, variable, what was found and what is wanted: for a bad name, a name that is there
/// twice, a dimension that is not defined, twice in one variable, or of size 0, a size that is not that of the
/// dimensions, text that is not UTF-8, a file that cannot be written; or what a fill_function throws. Throws
/// std::bad_alloc unless 32 MiB of memory are to be had.
inline void write_netcdf(std::filesystem::path const& path, netcdf_dataset const& dataset) {
  std::string const where = detail::concatenate("file '", path.string(), "': ");
  std::uint64_t const bytes = detail::check_netcdf(dataset, where);
  detail::replace_file(path, [&](std::filesystem::path const& partial) {
    detail::reserve(partial, bytes, where);
    detail::require_memory();
    detail::netcdf_output(partial, where).write(dataset);
  });
}

}  // namespace susc
