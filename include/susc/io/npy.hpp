#pragma once
/// NumPy's .npy files, format versions 1.0 and 2.0, little-endian, row-major: the numeric arrays that np.save writes.
/// xtensor's own reader trusts the header; this one checks it, and names file, field, value found and value wanted.
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/io/file.hpp"
#include "susc/io/numbers.hpp"

namespace susc {

/// An array as it lies in a .npy file; xt::adapt(a.values, a.shape) makes an xtensor expression of it.
template <class T>
struct npy_array {
  std::vector<std::size_t> shape;  ///< () for a single number
  std::vector<T> values;           ///< row-major
  friend bool operator==(npy_array const&, npy_array const&) = default;
};

namespace detail {

inline constexpr std::string_view npy_magic = "\x93NUMPY";
inline constexpr std::uint64_t longest_npy_header = 65535;  // what version 1.0 can express; a plain array needs 118
inline constexpr std::size_t highest_npy_rank = 64;         // NumPy 2's limit

/// What the header of a .npy file says.
struct npy_header {
  std::string descr;  ///< e.g. "<f4": byte order, kind, bytes
  std::vector<std::size_t> shape;
  std::uint64_t data_offset = 0;
};

/// Reads the header's text, a Python literal like "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }".
class npy_header_parser {
 public:
  npy_header_parser(std::string_view text, std::string const& where) : rest_(text), where_(where) {}

  npy_header parse() {
    npy_header header;
    std::vector<std::string> seen;
    expect("{");
    while (!accept("}")) {
      std::string const key = quoted("a field's name in quotes");
      require(std::find(seen.begin(), seen.end(), key) == seen.end(), where_, "field '", key, "' appears twice");
      seen.push_back(key);
      expect(":");
      if (key == "descr") {
        require(peek() != '[', where_, "field 'descr' is a list (a structured dtype), wanted a plain number type");
        header.descr = quoted("field 'descr' as a string in quotes");
      } else if (key == "fortran_order") {
        require(!accept("True"), where_, "field 'fortran_order' is True, wanted False: save np.ascontiguousarray(a)");
        if (!accept("False")) refuse("field 'fortran_order' as True or False");
      } else if (key == "shape") {
        header.shape = shape();
      } else {
        fail(where_, "unknown field '", key, "', wanted 'descr', 'fortran_order' and 'shape'");
      }
      if (!accept(",")) {
        expect("}");
        break;
      }
    }
    for (std::string const key : {"descr", "fortran_order", "shape"})
      require(std::find(seen.begin(), seen.end(), key) != seen.end(), where_, "field '", key, "' is missing");
    skip_spaces();
    require(rest_.empty(), where_, "text after the closing brace: '", rest_.substr(0, 20), "'");
    return header;
  }

 private:
  std::vector<std::size_t> shape() {
    std::vector<std::size_t> extents;
    expect("(");
    for (bool comma = true; !accept(")"); comma = accept(",")) {
      if (!comma) refuse("field 'shape' with ',' between extents");
      extents.push_back(extent());
      // (3) is a number in Python, not a tuple.
      if (extents.size() == 1 && peek() == ')') refuse("field 'shape' as a tuple, which needs a ',' after its extent");
    }
    return extents;
  }
  std::size_t extent() {
    std::size_t value = 0, digits = 0;
    for (peek(); digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
      std::size_t const digit = static_cast<std::size_t>(rest_[digits] - '0');
      require(value <= (std::numeric_limits<std::size_t>::max() - digit) / 10, where_,
              "field 'shape': an extent does not fit in 64 bits");
      value = 10 * value + digit;
    }
    if (digits == 0) refuse("field 'shape' with extents that are non-negative integers");
    rest_.remove_prefix(digits);
    return value;
  }
  std::string quoted(char const* wanted) {
    char const quote = peek();
    std::size_t const end = quote == '\'' || quote == '"' ? rest_.find(quote, 1) : std::string_view::npos;
    if (end == std::string_view::npos) refuse(wanted);
    std::string text(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return text;
  }
  void skip_spaces() { rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size())); }
  char peek() {
    skip_spaces();
    return rest_.empty() ? '\0' : rest_.front();
  }
  bool accept(std::string_view token) {
    skip_spaces();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  void expect(std::string_view token) {
    if (!accept(token)) refuse(concatenate("'", token, "'"));
  }
  [[noreturn]] void refuse(std::string_view wanted) const {
    fail(where_, "found '", rest_.substr(0, 20), "', wanted ", wanted);
  }

  std::string_view rest_;
  std::string where_;
};

/// Reads and checks everything before the data, and that the file is as long as the header says.
inline npy_header read_npy_header(input_file const& file) {
  std::string const where = concatenate("file '", file.path(), "': ");
  require(file.size() > 0, where, "is empty, wanted a .npy file");
  unsigned char opening[12]{};
  std::size_t const available = std::min<std::uint64_t>(file.size(), sizeof opening);
  file.read(0, std::as_writable_bytes(std::span(opening).first(available)));
  require(std::memcmp(opening, npy_magic.data(), std::min(available, npy_magic.size())) == 0, where,
          "does not begin with the magic string of a .npy file, \\x93NUMPY");
  require(available >= 8, where, "ends inside the magic string and version: ", file.size(), " bytes");
  int const major = opening[6], minor = opening[7];
  require((major == 1 || major == 2) && minor == 0, where, "format version ", major, ".", minor,
          " is not supported, wanted 1.0 or 2.0");

  std::uint64_t const text_offset = major == 1 ? 10 : 12;
  require(file.size() >= text_offset, where, "ends inside the header length: ", file.size(), " bytes");
  std::uint64_t length = opening[8] | opening[9] << 8;
  if (major == 2)
    length |= static_cast<std::uint64_t>(opening[10]) << 16 | static_cast<std::uint64_t>(opening[11]) << 24;
  require(length <= longest_npy_header, where, "header length is ", length, ", wanted at most ", longest_npy_header);
  require(length <= file.size() - text_offset, where, "header length is ", length, " but only ",
          file.size() - text_offset, " bytes follow: the file is truncated");
  std::string text(length, '\0');
  file.read(text_offset, std::as_writable_bytes(std::span(text)));
  if (text.ends_with('\n')) text.pop_back();
  auto const odd = std::find_if(text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; });
  require(odd == text.end(), where, "header holds byte ", odd == text.end() ? 0 : int{static_cast<unsigned char>(*odd)},
          " at position ", odd - text.begin(), ", wanted plain text");

  npy_header header = npy_header_parser(text, where + "header: ").parse();
  header.data_offset = text_offset + length;
  require(header.shape.size() <= highest_npy_rank, where, "header: field 'shape' has ", header.shape.size(),
          " dimensions, wanted at most ", highest_npy_rank);
  return header;
}

/// The number type that a `descr` names, passed to `use` as a value of that type.
template <bool Integers, class Use>
void with_npy_type(std::string_view descr, std::string const& where, Use use) {
  std::string_view const type = descr.substr(std::min<std::size_t>(descr.size(), 1));
  require(!descr.starts_with('>'), where, "field 'descr' is '", descr, "', big-endian, wanted little-endian '<", type,
          "': save a.astype('<", type, "')");
  // One-byte numbers have no byte order; NumPy writes '|'.
  bool const ordered = descr.starts_with('<') || (descr.starts_with('|') && (type == "i1" || type == "u1"));
  if constexpr (Integers) {
    if (ordered && type == "i1") return use(std::int8_t{});
    if (ordered && type == "i2") return use(std::int16_t{});
    if (ordered && type == "i4") return use(std::int32_t{});
    if (ordered && type == "i8") return use(std::int64_t{});
    if (ordered && type == "u1") return use(std::uint8_t{});
    if (ordered && type == "u2") return use(std::uint16_t{});
    if (ordered && type == "u4") return use(std::uint32_t{});
    if (ordered && type == "u8") return use(std::uint64_t{});
  } else {
    if (ordered && type == "f2") return use(float16{});
    if (ordered && type == "f4") return use(float{});
    if (ordered && type == "f8") return use(double{});
  }
  fail(where, "field 'descr' is '", descr, "', wanted ",
       Integers ? "integers: i1, i2, i4, i8, u1, u2, u4 or u8" : "floats: <f2, <f4 or <f8");
}

}  // namespace detail

/// The array in a .npy file, open to be read by parts and converted to T: any integer type to integers, any float type
/// to floats, with a check that each value fits. Several threads may read at once.
template <class T>
class npy_input {
 public:
  /// Throws susc::error for a file that is not exactly one such array, or, if `rank` is given, of another number of
  /// dimensions.
  explicit npy_input(std::filesystem::path const& path, std::optional<std::size_t> rank = {})
      : file_(path), header_(detail::read_npy_header(file_)) {
    static_assert(std::floating_point<T> || (std::integral<T> && !std::same_as<T, bool>), "wanted a number type");
    require(!rank || shape().size() == *rank, where(), "field 'shape' is ", shape_text(shape()), ", ", shape().size(),
            "-dimensional, wanted ", rank.value_or(0), " dimensions");
    with_type([&]<class Source>(Source) {
      auto const count = element_count(shape());
      std::uint64_t const available = file_.size() - header_.data_offset;
      require(count && *count <= std::numeric_limits<std::int64_t>::max() / sizeof(Source), where(),
              "field 'shape' is ", shape_text(shape()), ", whose size in bytes does not fit in 64 bits");
      require(available >= *count * sizeof(Source), where(), "shape ", shape_text(shape()), " of '", header_.descr,
              "' needs ", *count * sizeof(Source), " bytes of data but ", available, " follow: the file is truncated");
      require(available == *count * sizeof(Source), where(), "shape ", shape_text(shape()), " of '", header_.descr,
              "' needs ", *count * sizeof(Source), " bytes of data but ", available, " follow: trailing bytes");
      size_ = *count;
    });
  }

  /// Extents; () for a single number.
  std::vector<std::size_t> const& shape() const { return header_.shape; }
  /// Elements.
  std::size_t size() const { return size_; }

  /// Fills `out` with the elements [first, first + out.size()) in row-major order. Throws susc::error if there are
  /// fewer, or one does not fit.
  void read(std::size_t first, std::span<T> out) const {
    require(first <= size_ && out.size() <= size_ - first, "file '", file_.path(), "': ", out.size(),
            " elements from element ", first, " on are wanted, it has ", size_);
    with_type([&]<class Source>(Source) {
      read_numbers<Source>(file_, header_.data_offset + first * sizeof(Source), out, shape(), "the array", first);
    });
  }

 private:
  std::string where() const { return detail::concatenate("file '", file_.path(), "': header: "); }
  template <class Use>
  void with_type(Use use) const {
    detail::with_npy_type<std::integral<T>>(header_.descr, where(), use);
  }

  input_file file_;
  detail::npy_header header_;
  std::size_t size_ = 0;
};

/// The array in a .npy file, converted as by npy_input, which throws the same.
template <class T>
npy_array<T> read_npy(std::filesystem::path const& path, std::optional<std::size_t> rank = {}) {
  npy_input<T> const input(path, rank);
  npy_array<T> array{input.shape(), std::vector<T>(input.size())};
  input.read(0, array.values);
  return array;
}

/// Writes `values` (row-major) as a .npy file of the given shape, atomically. Throws susc::error if the shape does not
/// match the number of values or the file cannot be written. Example: write_npy<float>("x.npy", values, {2, 3}).
template <class T>
void write_npy(std::filesystem::path const& path, std::span<T const> values, std::vector<std::size_t> const& shape) {
  static_assert(std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, std::int32_t> ||
                    std::same_as<T, std::int64_t>,
                "write_npy writes float, double, std::int32_t and std::int64_t");
  require(element_count(shape) == values.size(), "file '", path.string(), "': shape ", shape_text(shape),
          " given with ", values.size(), " values");
  require(shape.size() <= detail::highest_npy_rank, "file '", path.string(), "': ", shape.size(),
          " dimensions, wanted at most ", detail::highest_npy_rank);
  std::string header = detail::concatenate("{'descr': '<", std::floating_point<T> ? 'f' : 'i', sizeof(T),
                                           "', 'fortran_order': False, 'shape': ", shape_text(shape), ", }");
  // NumPy aligns the data to 64 bytes, so that the file can be mapped.
  header.append(63 - (detail::npy_magic.size() + 4 + header.size()) % 64, ' ');
  header += '\n';
  write_file_atomically(path, [&](std::ostream& out) {
    out << detail::npy_magic << '\1' << '\0' << static_cast<char>(header.size() & 0xFF)
        << static_cast<char>(header.size() >> 8) << header;
    out.write(reinterpret_cast<char const*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
  });
}

/// The same for an N-d expression, evaluated row-major: anything shaped like an xtensor one, which is the type meant.
template <class E>
requires requires(E const& e) {
  typename E::value_type;
  e.dimension();
  e.shape().begin();
  e.begin();
}
void write_npy(std::filesystem::path const& path, E const& expression) {
  using value = typename E::value_type;
  std::vector<value> const values(expression.begin(), expression.end());
  write_npy<value>(path, values, {expression.shape().begin(), expression.shape().end()});
}

}  // namespace susc
