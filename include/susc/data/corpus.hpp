#pragma once
/// Text on disk as domains of documents. Only an index is held in memory, so that corpora of many GB can be used.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/core/random.hpp"

namespace susc {

/// Bytes [offset, offset + size) of a file: all of a small file, a piece of a large one.
struct document {
  std::filesystem::path path;  ///< of the file, as it was found
  std::uint64_t offset = 0;    ///< bytes before it in the file
  std::uint64_t size = 0;      ///< bytes
  friend bool operator==(document const&, document const&) = default;
};

/// Documents of one kind.
struct domain {
  std::string name;                 ///< of the folder, or of the language
  std::vector<document> documents;  ///< sorted by path and offset
  std::uint64_t bytes = 0;          ///< sum of the documents' sizes
};

/// What was found: an index, no text.
struct corpus {
  std::vector<domain> domains;    ///< at least two
  std::size_t skipped_files = 0;  ///< binary or unreadable files met
};

/// No document is larger than this many bytes.
inline constexpr std::uint64_t document_bytes = 64 * 1024;

/// The text of a document. Throws if the file has vanished or become shorter since it was indexed.
inline std::string read_document(document const& source) {
  std::error_code failed;
  std::uint64_t const there = std::filesystem::file_size(source.path, failed);
  bool const within = !failed && source.offset <= there && source.size <= there - source.offset;
  std::string text(within ? source.size : 0, '\0');
  std::ifstream file(source.path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(source.offset));
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  require(within && file.good(), "cannot read ", source.size, " bytes from byte ", source.offset, " of '",
          source.path.native(), "': the file has vanished or changed since the corpus was indexed");
  return text;
}

/// A hash that orders documents at random: depends on the key, the path and the offset alone.
inline std::uint64_t document_hash(document const& source, random::key key) {
  return random::fold_in(random::fold_in(key, source.path.native()), source.offset).bits;
}

/// The documents in a random order that depends on each document's path and offset, not on the order given.
inline std::vector<document> shuffled_documents(std::vector<document> documents, random::key key) {
  std::vector<std::pair<std::uint64_t, document>> order;
  order.reserve(documents.size());
  for (document& each : documents) order.emplace_back(document_hash(each, key), std::move(each));
  std::sort(order.begin(), order.end(), [](auto const& a, auto const& b) {
    return std::tie(a.first, a.second.path, a.second.offset) < std::tie(b.first, b.second.path, b.second.offset);
  });
  documents.clear();
  for (auto& [hash, each] : order) documents.push_back(std::move(each));
  return documents;
}

namespace detail {
/// The file's documents, cut at line ends, appended to `documents`. False if it is binary or cannot be read.
inline bool index_file(std::filesystem::path const& path, std::vector<document>& documents) {
  std::array<char, 4096> block;
  std::error_code failed;
  std::uint64_t const size = std::filesystem::file_size(path, failed);
  std::ifstream file(path, std::ios::binary);
  if (failed || !file) return false;
  if (size == 0) return true;
  file.read(block.data(), block.size());
  std::string_view const head(block.data(), static_cast<std::size_t>(file.gcount()));
  if (head.empty() || head.find('\0') != head.npos) return false;
  for (std::uint64_t start = 0; start != size;) {
    std::uint64_t const remaining = size - start, pieces = (remaining - 1) / document_bytes + 1;
    std::uint64_t end = start + (remaining - 1) / pieces + 1;
    if (pieces > 1) {
      file.clear();
      file.seekg(static_cast<std::streamoff>(end - block.size()));
      if (!file.read(block.data(), block.size())) return false;
      std::string_view const tail(block.data(), block.size());
      if (std::size_t const line_end = tail.rfind('\n'); line_end != tail.npos) {
        end -= tail.size() - line_end - 1;
      } else {
        // Without lines: at least never inside a UTF-8 character, which has at most four bytes.
        auto const starts_character = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
        std::size_t back = 1;
        while (back != 4 && !starts_character(tail[tail.size() - back])) ++back;
        if (starts_character(tail[tail.size() - back])) end -= back;
      }
    }
    documents.push_back({path, start, end - start});
    start = end;
  }
  return true;
}

/// Regular files below a folder, sorted. Links are not followed: what they point to counts where it lies.
inline std::vector<std::filesystem::path> files_below(std::filesystem::path const& folder) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  std::error_code failed, ignored;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, failed);
  for (; !failed && entry != fs::recursive_directory_iterator(); entry.increment(failed))
    if (entry->symlink_status(ignored).type() == fs::file_type::regular) files.push_back(entry->path());
  std::sort(files.begin(), files.end());
  return files;
}

/// Paths under `root` that match a pattern with at most one '*' in each part ("usr/lib/python3*"), without links.
inline std::vector<std::filesystem::path> matching_paths(std::filesystem::path const& root, std::string_view pattern) {
  namespace fs = std::filesystem;
  std::vector<fs::path> matches{root};
  for (fs::path const& part : fs::path(pattern)) {
    std::string const name = part.native();
    std::size_t const star = name.find('*');
    std::vector<fs::path> deeper;
    for (fs::path const& folder : matches) {
      std::error_code failed;
      if (star == name.npos) {
        if (fs::exists(folder / part, failed)) deeper.push_back(folder / part);
        continue;
      }
      std::string const before = name.substr(0, star), after = name.substr(star + 1);
      for (fs::directory_iterator entry(folder, failed); !failed && entry != fs::directory_iterator();
           entry.increment(failed)) {
        std::string const found = entry->path().filename().native();
        if (found.size() >= before.size() + after.size() && found.starts_with(before) && found.ends_with(after) &&
            !fs::is_symlink(entry->symlink_status(failed)))
          deeper.push_back(entry->path());
      }
    }
    std::sort(deeper.begin(), deeper.end());
    matches = std::move(deeper);
  }
  return matches;
}

inline void require_two_domains(corpus const& found, std::filesystem::path const& where) {
  std::string names;
  for (domain const& each : found.domains) names += (names.empty() ? "" : ", ") + each.name;
  require(found.domains.size() >= 2, "found ", found.domains.size(), " domains of text in '", where.native(), "'",
          names.empty() ? "" : " (", names, names.empty() ? "" : ")",
          ", two are needed: --corpus DIR names a directory with at least two subfolders, each a domain that holds "
          "text files, e.g. DIR/english/*.txt and DIR/python/*.py");
}
}  // namespace detail

/// Each subfolder of `directory` (hidden ones apart) as a domain of all the text files below it, sorted by path. Files
/// with a NUL byte in the first 4 KiB are binary and skipped. Throws unless at least two subfolders hold text.
inline corpus corpus_from_directory(std::filesystem::path const& directory) {
  namespace fs = std::filesystem;
  std::error_code failed;
  require(fs::is_directory(directory, failed), "'", directory.native(),
          "' is no directory: --corpus DIR names one with at least two subfolders of text files, each a domain");
  std::vector<fs::path> folders;
  for (fs::directory_iterator entry(directory, failed); !failed && entry != fs::directory_iterator();
       entry.increment(failed)) {
    std::error_code ignored;
    if (entry->is_directory(ignored) && !entry->path().filename().native().starts_with('.'))
      folders.push_back(entry->path());
  }
  std::sort(folders.begin(), folders.end());
  corpus result;
  for (fs::path const& folder : folders) {
    domain found{folder.filename().native(), {}, 0};
    for (fs::path const& file : detail::files_below(folder))
      if (!detail::index_file(file, found.documents)) ++result.skipped_files;
    for (document const& each : found.documents) found.bytes += each.size;
    if (found.bytes != 0) result.domains.push_back(std::move(found));
  }
  detail::require_two_domains(result, directory);
  return result;
}

/// The text that a Debian machine has anyway: the domains "cxx" (headers), "python", "perl" and "licence", of which
/// those with at least 256 KiB are kept. Files are taken in a seeded random order until a domain has `domain_bytes`
/// (exceeded by less than one document); copies of a file already taken are left out. `root`: where "/usr" lies.
/// Throws if fewer than two domains are found, or none are wanted.
inline corpus system_corpus(std::uint64_t domain_bytes = 8 << 20, random::key key = {},
                            std::filesystem::path const& root = "/") {
  struct place {
    std::string_view domain, pattern;
    std::vector<std::string_view> extensions;  // below a folder that matches; a file that matches needs none
  };
  std::array<place, 8> const places{{{"cxx", "usr/include", {".h", ".hpp", ".hh", ".ipp"}},
                                     {"cxx", "usr/include/c++", {""}},
                                     {"python", "usr/lib/python3*", {".py"}},
                                     {"python", "usr/share/python3", {".py"}},
                                     {"perl", "usr/share/perl*", {".pm", ".pl"}},
                                     {"perl", "usr/lib/*-linux-gnu/perl*", {".pm", ".pl"}},
                                     {"licence", "usr/share/common-licenses/*", {}},
                                     {"licence", "usr/share/doc/*/copyright", {}}}};
  constexpr std::uint64_t least_bytes = 256 * 1024;
  require(domain_bytes > 0, "domain_bytes is 0, must be at least 1");
  corpus result;
  for (std::string_view const name : {"cxx", "python", "perl", "licence"}) {
    std::vector<document> files;  // whole files: put in order first, indexed only when taken
    for (auto const& [domain, pattern, extensions] : places) {
      if (domain != name) continue;
      for (auto const& match : detail::matching_paths(root, pattern)) {
        std::error_code ignored;
        if (std::filesystem::is_regular_file(match, ignored)) files.push_back({match, 0, 0});
        for (auto const& file : detail::files_below(match))
          // Perl's Unicode tables are numbers, not a language.
          if (file.native().find("/unicore/") == std::string::npos &&
              std::find(extensions.begin(), extensions.end(), file.extension().native()) != extensions.end())
            files.push_back({file, 0, 0});
      }
    }
    domain found{std::string(name), {}, 0};
    std::set<std::pair<std::uint64_t, std::uint64_t>> contents;  // (size, hash) of the files taken
    for (document& file : shuffled_documents(std::move(files), key)) {
      if (found.bytes >= domain_bytes) break;
      std::vector<document> pieces;
      if (!detail::index_file(file.path, pieces)) {
        ++result.skipped_files;
        continue;
      }
      for (document const& piece : pieces) file.size += piece.size;
      if (!contents.emplace(file.size, random::fold_in({}, read_document(file)).bits).second) continue;
      for (document& piece : pieces) {
        if (found.bytes >= domain_bytes) break;
        found.bytes += piece.size;
        found.documents.push_back(std::move(piece));
      }
    }
    std::sort(found.documents.begin(), found.documents.end(), [](document const& a, document const& b) {
      return std::tie(a.path, a.offset) < std::tie(b.path, b.offset);
    });
    if (found.bytes >= std::min(least_bytes, domain_bytes)) result.domains.push_back(std::move(found));
  }
  detail::require_two_domains(result, root);
  return result;
}

/// A domain's documents, to train on and to measure on.
struct document_split {
  std::vector<document> training;  ///< in random order
  std::vector<document> held_out;  ///< in random order
};

/// Holds out the nearest whole number of documents to the fraction, chosen by hash of path and offset; pieces of one
/// file count as documents of their own. Neither side is empty. Throws for fewer than two documents.
inline document_split split_documents(domain const& source, double held_out_fraction, random::key key) {
  std::size_t const count = source.documents.size();
  require(held_out_fraction > 0 && held_out_fraction < 1, "the held-out fraction is ", held_out_fraction,
          ", it must lie between 0 and 1");
  require(count >= 2, "domain '", source.name, "' has ", count, " documents; a split needs at least two");
  auto shuffled = shuffled_documents(source.documents, key);
  auto const wanted = static_cast<std::size_t>(held_out_fraction * static_cast<double>(count) + 0.5);
  auto const middle = shuffled.begin() + static_cast<std::ptrdiff_t>(std::clamp<std::size_t>(wanted, 1, count - 1));
  return {{middle, shuffled.end()}, {shuffled.begin(), middle}};
}

}  // namespace susc
