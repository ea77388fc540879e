#pragma once
/// A folder in which a run keeps its chains, so that it can be interrupted and resumed, and later extended.
///   lock                     held by the process that uses the folder
///   run                      what the run is: settings, weights, data
///   COMPONENT.CHAIN.chain    a chain as it was when it was last kept: settings, outcome, state, visitor
///   COMPONENT.CHAIN.probes   likewise, of a chain that is followed again for probes added to the run
/// Each is a checked file (io/checked_file.hpp), written whole or not at all.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/io/archive.hpp"
#include "susc/io/checked_file.hpp"
#include "susc/io/file.hpp"

namespace susc {

/// Thrown where a run was asked to stop; what it had done is in its run directory, if it has one.
class interrupted : public error {
 public:
  using error::error;
};

/// One of the settings that a run must share with the one it resumes.
struct run_setting {
  std::string name, value;  ///< as text
  friend bool operator==(run_setting const&, run_setting const&) = default;
  static void members(auto& self, auto&& each) { each(self.name, self.value); }
};

/// A number as text, from which the same number is read again.
template <class T>
std::string exact_text(T value) {
  if constexpr (std::same_as<T, bool>) {
    return value ? "yes" : "no";
  } else {
    char text[64];
    return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
  }
}

/// The bits of an array as a short text.
template <class T>
std::string fingerprint(std::span<T const> values) {
  char text[17] = {};
  std::uint64_t const hash =
      fnv1a({reinterpret_cast<char const*>(values.data()), values.size_bytes()}, fnv1a(exact_text(values.size())));
  std::to_chars(text, text + 16, hash, 16);
  return text;
}

/// Throws susc::error, beginning with `where`, that names every setting in which the two differ.
inline void require_same(std::vector<run_setting> const& kept, std::vector<run_setting> const& wanted,
                         std::string const& where) {
  std::string differences;
  auto const differ = [&](std::string const& name, std::string const& there, std::string const& here) {
    differences += (differences.empty() ? "" : "; ") + name + " is " + there + " there, " + here + " here";
  };
  auto const value_of = [](std::vector<run_setting> const& in, std::string const& name) {
    auto const found = std::find_if(in.begin(), in.end(), [&](auto const& s) { return s.name == name; });
    return found == in.end() ? std::string("not set") : found->value;
  };
  for (run_setting const& s : kept)
    if (std::string const here = value_of(wanted, s.name); here != s.value) differ(s.name, s.value, here);
  for (run_setting const& s : wanted)
    if (value_of(kept, s.name) == "not set" && s.value != "not set") differ(s.name, "not set", s.value);
  require(differences.empty(), where, "was made by another run: ", differences,
          ". Resume with the settings there, or name another folder");
}

/// The folder in which the chains of a run are kept, a file each.
class run_directory {
 public:
  static constexpr std::uint32_t format = 1;  ///< of its files; one of another format is refused
  static constexpr std::string_view kept_chains = "chain", added_probes = "probes";  ///< kinds of files

  /// Opens or makes the folder and locks it for this process. Throws susc::error if it cannot be made, another process
  /// has it, it holds other things and no run, or a run of another description, naming the differences.
  run_directory(std::filesystem::path path, std::vector<run_setting> const& description) : path_(std::move(path)) {
    std::error_code failed;
    std::filesystem::create_directories(path_, failed);
    require(std::filesystem::is_directory(path_), where(), "cannot make it: ", failed.message());
    lock_ = detail::descriptor(::open((path_ / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    require(static_cast<bool>(lock_), where(), "cannot lock it: ", detail::os_reason(errno));
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0)
      fail(where(), errno == EWOULDBLOCK ? "another process is using it" : detail::os_reason(errno));
    remove_partial_files();
    auto const file = path_ / "run";
    if (!std::filesystem::exists(std::filesystem::symlink_status(file))) {
      for (auto const& entry : std::filesystem::directory_iterator(path_))
        require(entry.path().filename() == "lock", where(), "holds '", entry.path().filename().string(),
                "' and no run: name an empty or new folder");
      archive_writer to;
      to(description);
      write_checked_file(file, kind_of_run, format, to.bytes());
      return;
    }
    std::string const bytes = read_checked_file(file, kind_of_run, format);
    std::vector<run_setting> kept;
    archive_reader from(bytes, "file '" + file.string() + "': ");
    from(kept);
    from.finish();
    require_same(kept, description, where());
  }

  std::filesystem::path const& path() const { return path_; }  ///< of the folder

  /// What was last kept of a chain; nothing if nothing was. Throws susc::error if the file is damaged.
  std::optional<std::string> load(std::string_view component, std::size_t chain,
                                  std::string_view kind = kept_chains) const {
    auto const file = file_of(component, chain, kind);
    if (!std::filesystem::exists(std::filesystem::symlink_status(file))) return std::nullopt;
    return read_checked_file(file, kind_of_chain, format);
  }
  /// Keeps a chain's bytes, over what was there, whole or not at all.
  void save(std::string_view component, std::size_t chain, std::string_view bytes,
            std::string_view kind = kept_chains) const {
    write_checked_file(file_of(component, chain, kind), kind_of_chain, format, bytes);
  }
  /// Removes what was kept of added probes, if anything was.
  void forget_added_probes(std::string_view component, std::size_t chain) const {
    std::filesystem::remove(file_of(component, chain, added_probes));
  }

  /// Letters, digits and +-_ as they are, other bytes as %XX; long names end in their fingerprint.
  std::filesystem::path file_of(std::string_view component, std::size_t chain,
                                std::string_view kind = kept_chains) const {
    std::string name;
    for (char const c : component) {
      auto const byte = static_cast<unsigned char>(c);
      bool const plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '+' || c == '-' || c == '_' ||
                         (c >= 'A' && c <= 'Z');
      constexpr char digits[] = "0123456789ABCDEF";
      if (plain)
        name += c;
      else
        name.append({'%', digits[byte / 16], digits[byte % 16]});
    }
    if (name.size() > 200) name = name.substr(0, 180) + '.' + fingerprint(std::span(component));
    return path_ / (name + '.' + std::to_string(chain) + '.' + std::string(kind));
  }

 private:
  /// What a killed process was writing; nobody else writes while the lock is held.
  void remove_partial_files() const {
    std::vector<std::filesystem::path> partial;
    for (auto const& entry : std::filesystem::directory_iterator(path_)) {
      std::string const name = entry.path().filename().string();
      if (name.starts_with("run.partial-") || name.find(".chain.partial-") != std::string::npos ||
          name.find(".probes.partial-") != std::string::npos)
        partial.push_back(entry.path());
    }
    for (auto const& file : partial) std::filesystem::remove(file);
  }

  static constexpr std::string_view kind_of_run = "suscrun", kind_of_chain = "suscchn";
  std::string where() const { return "run directory '" + path_.string() + "': "; }

  std::filesystem::path path_;
  detail::descriptor lock_;  ///< the lock goes with it, however the process ends
};

}  // namespace susc
