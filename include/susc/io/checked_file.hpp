#pragma once
/// Files that know whether they are whole: bytes in an envelope of kind, version, length and checksum.
///   8 bytes    kind, e.g. "suscrun", filled with zeros
///   4 bytes    version of the kind's format, 4 bytes zero
///   8 bytes    length of the content
///   content
///   8 bytes    checksum of all before, FNV-1a in 64 bits
/// Integers are little-endian.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <ostream>
#include <string>
#include <string_view>

#include "susc/core/error.hpp"
#include "susc/io/archive.hpp"
#include "susc/io/file.hpp"

namespace susc {

/// FNV-1a in 64 bits (Fowler, Noll & Vo): each byte's step is a bijection, so that no change of a single byte escapes.
/// For accidents, not for attacks. `begin` continues the hash of what came before.
inline std::uint64_t fnv1a(std::string_view bytes, std::uint64_t begin = 0xcbf29ce484222325) {
  for (char const byte : bytes) begin = (begin ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  return begin;
}

namespace detail {
using file_kind = std::array<char, 8>;
inline file_kind padded(std::string_view kind) {
  file_kind bytes{};
  require(kind.size() <= bytes.size(), "'", kind, "' is too long for the kind of a file");
  kind.copy(bytes.data(), bytes.size());
  return bytes;
}
inline constexpr std::size_t envelope_head = 24, envelope_tail = 8;
}  // namespace detail

/// Writes the file whole or not at all. Throws susc::error naming the file and the reason.
inline void write_checked_file(std::filesystem::path const& path, std::string_view kind, std::uint32_t version,
                               std::string_view content) {
  archive_writer head;
  for (char const c : detail::padded(kind)) head(c);
  head(version, std::uint32_t{0}, std::uint64_t{content.size()});
  archive_writer tail;
  tail(fnv1a(content, fnv1a(head.bytes())));
  write_file_atomically(path, [&](std::ostream& out) { out << head.bytes() << content << tail.bytes(); });
}

/// The content of a file written by write_checked_file. Throws susc::error naming the file, and what is wrong with it:
/// another kind, another version, a length that is not the file's, or a checksum that is not the content's.
inline std::string read_checked_file(std::filesystem::path const& path, std::string_view kind, std::uint32_t version) {
  std::string bytes = read_file(path);
  std::string const where = "file '" + path.string() + "': ";
  std::size_t const least = detail::envelope_head + detail::envelope_tail;
  require(bytes.size() >= least, where, "has ", bytes.size(), " bytes, wanted ", least, " or more: it is cut short");
  detail::file_kind found_kind{};
  std::uint32_t found_version = 0, zero = 0;
  std::uint64_t length = 0, checksum = 0;
  archive_reader head(std::string_view(bytes).substr(0, detail::envelope_head), where);
  for (char& c : found_kind) head(c);
  head(found_version, zero, length);
  require(found_kind == detail::padded(kind), where, "is no file of kind '", kind, "'");
  require(found_version == version, where, "has version ", found_version, " of its format, wanted ", version);
  require(zero == 0, where, "bytes 12 to 15 of its head are ", zero, ", wanted 0: it is damaged");
  require(length == bytes.size() - least, where, "has ", bytes.size() - least, " bytes of content, its head says ",
          length, ": it is cut short or damaged");
  std::string_view const checked = std::string_view(bytes).substr(0, bytes.size() - detail::envelope_tail);
  archive_reader(std::string_view(bytes).substr(checked.size()), where)(checksum);
  require(checksum == fnv1a(checked), where, "is damaged: its checksum is not that of its content");
  bytes.erase(bytes.size() - detail::envelope_tail);
  bytes.erase(0, detail::envelope_head);
  return bytes;
}

}  // namespace susc
