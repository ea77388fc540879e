#pragma once
/// A folder in which a run keeps what it has done, so that it can be interrupted and resumed, and later extended.
///   lock                     held by the process that uses the folder, or by one of them for all
///   run                      what the run is: settings, weights, data
///   COMPONENT.CHAIN.chain    a chain as it was when it was last kept: settings, outcome, state, visitor
///   COMPONENT.CHAIN.probes   likewise, of a chain that is followed again for probes added to the run
///   NAME.state               the same of what is no chain: training.state
/// Each is a checked file (io/checked_file.hpp), written whole or not at all.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
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
#if __has_include("susc/version.hpp")
#include "susc/version.hpp"
#endif

namespace susc {

/// One of the settings that a run must share with the one it resumes.
struct run_setting {
  std::string name, value;  ///< as text
  friend bool operator==(run_setting const&, run_setting const&) = default;
  static void members(auto& self, auto&& each) { each(self.name, self.value); }
};

/// The version of this library, which runs are compared by.
inline std::string library_version() {
#ifdef SUSC_VERSION_MAJOR
  return std::string(version);
#else
  return "of no version";
#endif
}

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

/// Every setting in which two runs differ, "there" and "here"; empty if there is none.
inline std::string differences_of(std::vector<run_setting> const& kept, std::vector<run_setting> const& wanted) {
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
  return differences;
}

/// Throws susc::error, beginning with `where`, that names every setting in which the two differ.
inline void require_same(std::vector<run_setting> const& kept, std::vector<run_setting> const& wanted,
                         std::string const& where) {
  std::string const differences = differences_of(kept, wanted);
  require(differences.empty(), where, "was made by another run: ", differences,
          ". Resume with the settings there, or name another folder");
}

/// The folder in which a run is kept: its chains, a file each, or its training.
class run_directory {
 public:
  static constexpr std::uint32_t format = 1;  ///< of its files; one of another format is refused
  static constexpr std::string_view kept_chains = "chain", added_probes = "probes";  ///< kinds of files

  /// Opens or makes the folder and locks it for this process. Throws susc::error if it cannot be made, another process
  /// has it, it holds other things and no run, or a run of another description, naming the differences.
  run_directory(std::filesystem::path path, std::vector<run_setting> const& description) : path_(std::move(path)) {
    std::error_code failed, ignored;
    std::filesystem::create_directories(path_, failed);
    require(std::filesystem::is_directory(path_, ignored), where(), "cannot make it: ", failed.message());
    check_own();
    lock_ = detail::descriptor(::open((path_ / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    require(static_cast<bool>(lock_), where(), "cannot lock it: ", detail::os_reason(errno));
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0)
      fail(where(), errno == EWOULDBLOCK ? "another process is using it" : detail::os_reason(errno));
    try {
      remove_partial_files();
    } catch (std::filesystem::filesystem_error const& reason) {
      fail(where(), reason.code().message());
    }
    check_own();
    auto const file = path_ / "run";
    if (!present(file)) {
      archive_writer to;
      to(description);
      write_checked_file(file, kind_of_run, format, to.bytes());
      return;
    }
    require_description(description);
  }

  /// The folder that another process of the same run has opened, and locked for all of them. Throws susc::error if it
  /// cannot be seen from here, or holds a run of another description.
  static run_directory joined(std::filesystem::path path, std::vector<run_setting> const& description) {
    run_directory directory(std::move(path));
    // Not locked: that it is the one which is, a file of the same name and number tells.
    directory.lock_ = detail::descriptor(::open((directory.path_ / "lock").c_str(), O_RDWR | O_CLOEXEC));
    require(directory.lock_ && present(directory.path_ / "run"), directory.where(),
            "opened by another process of this run, but not to be seen from here: it must be on a file system that all "
            "of them share");
    directory.require_description(description);
    return directory;
  }

  std::filesystem::path const& path() const { return path_; }  ///< of the folder

  /// What was last kept of a chain; nothing if nothing was. Throws susc::error if the file is damaged.
  std::optional<std::string> load(std::string_view component, std::size_t chain,
                                  std::string_view kind = kept_chains) const {
    return load(file_of(component, chain, kind), kind_of_chain);
  }
  /// Keeps a chain's bytes, over what was there, whole or not at all. Throws susc::error if they cannot be written, or
  /// the folder is no longer the one that was locked.
  void save(std::string_view component, std::size_t chain, std::string_view bytes,
            std::string_view kind = kept_chains) const {
    save(file_of(component, chain, kind), kind_of_chain, bytes);
  }
  /// Removes what was kept of added probes, if anything was.
  void forget_added_probes(std::string_view component, std::size_t chain) const {
    require_held();
    auto const file = file_of(component, chain, added_probes);
    std::error_code failed;
    std::filesystem::remove(file, failed);
    require(!failed, "file '", file.string(), "': cannot remove it: ", failed.message());
  }
  /// What was last kept under a name of letters; nothing if nothing was. Throws susc::error if the file is damaged.
  std::optional<std::string> load(std::string_view name) const { return load(file_of(name), kind_of_state); }
  /// Keeps bytes under a name of letters as those of a chain are kept.
  void save(std::string_view name, std::string_view bytes) const { save(file_of(name), kind_of_state, bytes); }

  /// NAME.state in the folder.
  std::filesystem::path file_of(std::string_view name) const { return path_ / (std::string(name) + ".state"); }

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
  explicit run_directory(std::filesystem::path path) : path_(std::move(path)) {}

  void require_description(std::vector<run_setting> const& description) const {
    auto const file = path_ / "run";
    std::string const bytes = read_checked_file(file, kind_of_run, format);
    std::vector<run_setting> kept;
    archive_reader from(bytes, "file '" + file.string() + "': ");
    from(kept);
    from.finish();
    require_same(kept, description, where());
  }

  static bool present(std::filesystem::path const& file) {
    std::error_code ignored;
    return std::filesystem::symlink_status(file, ignored).type() != std::filesystem::file_type::not_found;
  }
  /// A folder that was removed, and perhaps made anew by another process, which has a lock of its own there.
  void require_held() const {
    struct ::stat held {
    }, there{};
    bool const same = ::fstat(lock_.get(), &held) == 0 && ::stat((path_ / "lock").c_str(), &there) == 0 &&
                      held.st_dev == there.st_dev && held.st_ino == there.st_ino;
    require(same, where(), "was removed or replaced while the run went on; the run begins anew if started again");
  }
  /// What a killed process was writing.
  static bool is_partial(std::string const& name) {
    return name.starts_with("run.partial-") || name.find(".chain.partial-") != std::string::npos ||
           name.find(".probes.partial-") != std::string::npos || name.find(".state.partial-") != std::string::npos;
  }
  /// Throws if the folder holds other things and no run. Asked before it is locked, too: no lock is left there then.
  void check_own() const {
    if (present(path_ / "run")) return;
    std::error_code failed;
    std::filesystem::directory_iterator const entries(path_, failed);
    require(!failed, where(), "cannot read it: ", failed.message());
    for (auto const& entry : entries) {
      std::string const name = entry.path().filename().string();
      require(name == "lock" || is_partial(name), where(), "holds '", name,
              "' and no run: name an empty or new folder");
    }
  }
  /// Nobody else writes while the lock is held.
  void remove_partial_files() const {
    std::vector<std::filesystem::path> partial;
    for (auto const& entry : std::filesystem::directory_iterator(path_))
      if (is_partial(entry.path().filename().string())) partial.push_back(entry.path());
    for (auto const& file : partial) std::filesystem::remove(file);
  }

  static std::optional<std::string> load(std::filesystem::path const& file, std::string_view kind) {
    if (!present(file)) return std::nullopt;
    return read_checked_file(file, kind, format);
  }
  void save(std::filesystem::path const& file, std::string_view kind, std::string_view bytes) const {
    require_held();
    try {
      write_checked_file(file, kind, format, bytes);
    } catch (error const&) {
      require_held();  // if that is why
      throw;
    }
  }

  static constexpr std::string_view kind_of_run = "suscrun", kind_of_chain = "suscchn", kind_of_state = "suscstt";
  std::string where() const { return "run directory '" + path_.string() + "': "; }

  std::filesystem::path path_;
  detail::descriptor lock_;  ///< the lock goes with it, however the process ends
};

}  // namespace susc
