#pragma once
/// The safetensors format: named tensors in one file, as other software saves network weights. A file is the length N
/// of the header (8 bytes, little-endian), N bytes of JSON, and the tensors' bytes, without gaps. The checks are those
/// of the reference implementation (huggingface/safetensors).
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/core/error.hpp"
#include "susc/core/requirements.hpp"
#include "susc/io/file.hpp"
#include "susc/io/numbers.hpp"

SUSC_REQUIRE_VERSION("nlohmann/json", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, 3, 11);

namespace susc {

namespace detail {

inline constexpr std::uint64_t longest_safetensors_header = 100'000'000;  // the reference implementation's limit

/// Bytes of one element, 0 for an unknown type.
inline std::uint64_t safetensors_size(std::string_view dtype) {
  constexpr std::pair<std::string_view, std::uint64_t> sizes[]{
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"U16", 2}, {"I16", 2}, {"F16", 2},
      {"BF16", 2}, {"U32", 4}, {"I32", 4}, {"F32", 4},     {"U64", 8},     {"I64", 8}, {"F64", 8}};
  for (auto const& [name, size] : sizes)
    if (name == dtype) return size;
  return 0;
}

/// Parses the header; unlike plain json::parse, refuses a key that appears twice and deep nesting.
inline nlohmann::json parse_safetensors_header(std::string const& text, std::string const& where) {
  // The JSON library takes a zero byte for the end of the text.
  require(text.starts_with('{') && text.find('\0') == std::string::npos, where,
          "header is not JSON text that begins with '{'");
  std::vector<std::set<std::string>> keys;
  auto const check = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using event_type = nlohmann::json::parse_event_t;
    require(depth <= 3, where, "header is nested too deeply for a table of tensors");
    if (event == event_type::object_start) keys.emplace_back();
    if (event == event_type::object_end) keys.pop_back();
    if (event == event_type::key)
      require(keys.back().insert(value.get<std::string>()).second, where, "header: key '", value.get<std::string>(),
              "' appears twice");
    return true;
  };
  try {
    return nlohmann::json::parse(text, check);
  } catch (nlohmann::json::exception const& reason) {
    fail(where, "header is not valid JSON: ", reason.what());
  }
}

}  // namespace detail

/// A safetensors file open for reading: its table of tensors, checked when opened; their data is read on demand.
class safetensors_file {
 public:
  /// Throws susc::error if the file cannot be read or its header breaks a rule of the format.
  explicit safetensors_file(std::filesystem::path const& path) : file_(path) {
    std::string const where = detail::concatenate("file '", file_.path(), "': ");
    require(file_.size() >= 8, where, "has ", file_.size(), " bytes, wanted at least the 8 of the header length");
    std::uint64_t length = 0;
    file_.read(0, std::as_writable_bytes(std::span(&length, 1)));
    require(length <= detail::longest_safetensors_header, where, "header length is ", length, ", wanted at most ",
            detail::longest_safetensors_header);
    require(length <= file_.size() - 8, where, "header length is ", length, " but only ", file_.size() - 8,
            " bytes follow: the file is truncated");
    std::string text(length, '\0');
    file_.read(8, std::as_writable_bytes(std::span(text)));
    data_offset_ = 8 + length;

    nlohmann::json const header = detail::parse_safetensors_header(text, where);
    for (auto const& [name, value] : header.items())
      if (name == "__metadata__")
        read_metadata(value, where);
      else
        tensors_.emplace(name, read_entry(value, where + "tensor '" + name + "': "));
    check_ranges(where);
  }

  /// Names of the tensors, sorted.
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (auto const& [name, tensor] : tensors_) names.push_back(name);
    return names;
  }
  /// Whether there is a tensor of this name.
  bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  /// Free text saved with the tensors.
  std::map<std::string, std::string> const& metadata() const { return metadata_; }
  /// Extents of a tensor; () is a single number. Throws susc::error, with the nearest names, if there is none.
  std::vector<std::size_t> const& shape(std::string_view name) const { return find(name).shape; }
  /// Type of a tensor's numbers as the format spells it: "F32", "BF16", "I64", ... Throws like shape().
  std::string const& dtype(std::string_view name) const { return find(name).dtype; }

  /// Converts a tensor of type F64, F32, F16 or BF16 to `out`, row-major. Throws susc::error if there is no such
  /// tensor, its shape is not `expected`, which has out.size() elements, its type is another, or a value is too large
  /// for T.
  template <std::floating_point T>
  void read(std::string_view name, std::span<T> out, std::vector<std::size_t> const& expected) const {
    entry const& tensor = find(name);
    std::string const what = detail::concatenate("tensor '", name, "'");
    require(tensor.shape == expected, "file '", file_.path(), "': ", what, ": shape ", shape_text(tensor.shape),
            ", wanted ", shape_text(expected));
    require(element_count(expected) == out.size(), "file '", file_.path(), "': ", what, ": shape ",
            shape_text(expected), " is read into room for ", out.size(), " numbers");
    std::uint64_t const offset = data_offset_ + tensor.begin;
    if (tensor.dtype == "F64") return read_numbers<double>(file_, offset, out, expected, what);
    if (tensor.dtype == "F32") return read_numbers<float>(file_, offset, out, expected, what);
    if (tensor.dtype == "F16") return read_numbers<float16>(file_, offset, out, expected, what);
    if (tensor.dtype == "BF16") return read_numbers<bfloat16>(file_, offset, out, expected, what);
    fail("file '", file_.path(), "': ", what, ": dtype ", tensor.dtype, ", wanted F64, F32, F16 or BF16");
  }

 private:
  struct entry {
    std::string dtype;
    std::vector<std::size_t> shape;
    std::uint64_t begin = 0, end = 0;  ///< bytes after the header
  };

  void read_metadata(nlohmann::json const& value, std::string const& where) {
    require(value.is_object(), where, "header: '__metadata__' is not an object of strings");
    for (auto const& [key, text] : value.items()) {
      require(text.is_string(), where, "header: '__metadata__' entry '", key, "' is not a string");
      metadata_.emplace(key, text.get<std::string>());
    }
  }

  /// One line of the table; `where` ends in the tensor's name.
  static entry read_entry(nlohmann::json const& value, std::string const& where) {
    require(value.is_object(), where, "is described by ", value.type_name(), ", wanted an object");
    for (auto const& [key, unused] : value.items())
      require(key == "dtype" || key == "shape" || key == "data_offsets", where, "unknown field '", key,
              "', wanted 'dtype', 'shape' and 'data_offsets'");
    for (char const* key : {"dtype", "shape", "data_offsets"})
      require(value.contains(key), where, "field '", key, "' is missing");
    require(value["dtype"].is_string(), where, "field 'dtype' is not a string");

    entry tensor{value["dtype"].get<std::string>(), {}};
    std::uint64_t const size = detail::safetensors_size(tensor.dtype);
    require(size != 0, where, "dtype '", tensor.dtype, "' is not known");
    for (std::uint64_t const extent : integers(value["shape"], where + "field 'shape'")) tensor.shape.push_back(extent);
    std::vector<std::uint64_t> const offsets = integers(value["data_offsets"], where + "field 'data_offsets'");
    require(offsets.size() == 2, where, "field 'data_offsets' has ", offsets.size(), " numbers, wanted begin and end");
    std::tie(tensor.begin, tensor.end) = std::pair(offsets[0], offsets[1]);
    require(tensor.begin <= tensor.end, where, "data_offsets [", tensor.begin, ", ", tensor.end,
            "] end before they begin");

    auto const count = element_count(tensor.shape);
    std::uint64_t bytes = 0;
    require(count && !__builtin_mul_overflow(*count, size, &bytes), where, "shape ", shape_text(tensor.shape), " of ",
            tensor.dtype, " has a size that does not fit in 64 bits");
    require(bytes == tensor.end - tensor.begin, where, "shape ", shape_text(tensor.shape), " of ", tensor.dtype,
            " has ", bytes, " bytes, but data_offsets [", tensor.begin, ", ", tensor.end, "] have ",
            tensor.end - tensor.begin);
    return tensor;
  }

  static std::vector<std::uint64_t> integers(nlohmann::json const& value, std::string const& what) {
    bool const good = value.is_array() &&
                      std::all_of(value.begin(), value.end(), [](auto const& x) { return x.is_number_unsigned(); });
    require(good, what, " is ", value.dump(), ", wanted a list of integers from 0 to 2^64 - 1");
    return value.get<std::vector<std::uint64_t>>();
  }

  /// The format wants every byte after the header to belong to one tensor.
  void check_ranges(std::string const& where) const {
    std::vector<std::tuple<std::uint64_t, std::uint64_t, std::string_view>> ranges;
    for (auto const& [name, tensor] : tensors_) ranges.emplace_back(tensor.begin, tensor.end, name);
    std::sort(ranges.begin(), ranges.end());
    std::uint64_t const available = file_.size() - data_offset_;
    std::uint64_t position = 0;
    for (auto const& [begin, end, name] : ranges) {
      require(end <= available, where, "tensor '", name, "': data_offsets [", begin, ", ", end, "] reach beyond the ",
              available, " bytes of data: the file is truncated");
      require(begin >= position, where, "tensor '", name, "': its data begins at byte ", begin,
              " and overlaps that of another tensor, which ends at ", position);
      require(begin == position, where, "tensor '", name, "': its data begins at byte ", begin,
              ", which leaves a hole of ", begin - position, " bytes before it");
      position = end;
    }
    require(position == available, where, available - position, " trailing bytes belong to no tensor");
  }

  entry const& find(std::string_view name) const {
    auto const found = tensors_.find(name);
    if (found != tensors_.end()) return found->second;
    std::vector<std::string> candidates = names();
    std::stable_sort(candidates.begin(), candidates.end(), [&](auto const& a, auto const& b) {
      return detail::edit_distance(a, name) < detail::edit_distance(b, name);
    });
    std::string nearest;
    for (std::size_t i = 0; i != std::min<std::size_t>(candidates.size(), 5); ++i)
      nearest += (i == 0 ? "" : ", ") + candidates[i];
    fail("file '", file_.path(), "': no tensor '", name, "'; ",
         candidates.empty() ? "it holds none" : "nearest names: " + nearest);
  }

  input_file file_;
  std::uint64_t data_offset_ = 0;
  std::map<std::string, entry, std::less<>> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// A tensor to be written: values row-major, in one of the two types that the library computes in.
struct named_tensor {
  std::string name;                ///< UTF-8, not "__metadata__", in the file once
  std::vector<std::size_t> shape;  ///< () for a single number
  std::variant<std::span<float const>, std::span<double const>> values;  ///< as many as the shape says; not owned
};

/// Writes tensors and free text as a safetensors file, atomically. The bytes do not depend on the order of `tensors`:
/// as in the reference implementation, doubles come first, then floats, each sorted by name, and the header is padded,
/// so that all data is aligned. Throws susc::error if a name appears twice or is no text, a shape does not match its
/// values, or the file cannot be written.
inline void write_safetensors(std::filesystem::path const& path, std::vector<named_tensor> tensors,
                              std::map<std::string, std::string> const& metadata = {}) {
  std::string const where = detail::concatenate("file '", path.string(), "': ");
  std::sort(tensors.begin(), tensors.end(), [](named_tensor const& a, named_tensor const& b) {
    return std::pair(b.values.index(), std::string_view(a.name)) <
           std::pair(a.values.index(), std::string_view(b.name));
  });
  auto const bytes = [](named_tensor const& t) {
    return std::visit([](auto values) { return std::as_bytes(values); }, t.values);
  };
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t position = 0;
  for (named_tensor const& t : tensors) {
    bool const wide = t.values.index() == 1;
    require(!t.name.empty() && t.name != "__metadata__", where, "a tensor may not be called '", t.name, "'");
    require(!header.contains(t.name), where, "tensor '", t.name, "' is given twice");
    std::uint64_t const count = bytes(t).size() / (wide ? sizeof(double) : sizeof(float));
    require(element_count(t.shape) == count, where, "tensor '", t.name, "': shape ", shape_text(t.shape),
            " given with ", count, " values");
    header[t.name] = {
        {"dtype", wide ? "F64" : "F32"}, {"shape", t.shape}, {"data_offsets", {position, position + bytes(t).size()}}};
    position += bytes(t).size();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (nlohmann::json::exception const& reason) {
    fail(where, "a name or metadata is not UTF-8 text: ", reason.what());
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  std::uint64_t const length = text.size();
  write_file_atomically(path, [&](std::ostream& out) {
    out.write(reinterpret_cast<char const*>(&length), sizeof length);
    out << text;
    for (named_tensor const& t : tensors)
      out.write(reinterpret_cast<char const*>(bytes(t).data()), static_cast<std::streamsize>(bytes(t).size()));
  });
}

}  // namespace susc
