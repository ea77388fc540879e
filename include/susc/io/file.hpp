#pragma once
/// Files that are whole or absent: reading with the reason of a failure, atomic writing, and a folder of results that
/// appears all at once. POSIX.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "susc/core/error.hpp"

namespace susc {

namespace detail {
inline std::string os_reason(int code) {
  return std::generic_category().message(code);
}

/// Owns a file descriptor.
class descriptor {
 public:
  explicit descriptor(int value = -1) : value_(value) {}
  descriptor(descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const { return value_; }
  explicit operator bool() const { return value_ >= 0; }

 private:
  int value_;
};

/// Creates something under the first free name of BASE.partial-PID, BASE.partial-PID-1, ... and returns that name.
/// `create(name)` returns whether it succeeded, with the reason in errno if not. Process ids come back (in a container
/// they are nearly constant), so a killed run may have left the first name behind.
template <class Create>
std::filesystem::path create_partial(std::filesystem::path const& base, Create create) {
  std::string const stem = base.string() + ".partial-" + std::to_string(::getpid());
  for (unsigned n = 0;; ++n) {
    std::string const name = n == 0 ? stem : stem + "-" + std::to_string(n);
    if (create(name.c_str())) return name;
    require(errno == EEXIST, "cannot create '", name, "': ", os_reason(errno));
  }
}

/// In a staging folder: not finished, says this file, locked by the process that writes there and naming its machine.
inline constexpr char staging_mark[] = ".unfinished";

inline std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

/// Removes the staging folders STEM* in `parent` whose process is no more, of this machine: a lock says nothing about
/// another one's, where the file system does not share them. What cannot be removed is left.
inline void remove_abandoned(std::filesystem::path const& parent, std::string const& stem) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  std::vector<fs::path> abandoned;
  for (fs::directory_iterator entry(parent, ignored), end; entry != end; entry.increment(ignored)) {
    std::string const name = entry->path().filename().string();
    if (name.starts_with(stem) && name.find_first_not_of("0123456789-", stem.size()) == name.npos)
      abandoned.push_back(entry->path());
  }
  for (fs::path const& folder : abandoned) {
    fs::path const mark = folder / staging_mark;
    descriptor const file(::open(mark.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    char host[257] = {};
    if (!file || ::read(file.get(), host, sizeof host - 1) <= 0 || host != host_name()) continue;
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) continue;
    // Not one that was removed, and made anew by another process, since it was opened.
    struct ::stat opened {
    }, there{};
    if (::fstat(file.get(), &opened) == 0 && ::lstat(mark.c_str(), &there) == 0 && opened.st_dev == there.st_dev &&
        opened.st_ino == there.st_ino)
      fs::remove_all(folder, ignored);
  }
}

/// Makes a file's content, or a folder's list of names, survive a power cut. Returns 0 or the reason.
inline int synchronize(std::filesystem::path const& path) {
  descriptor const file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file && ::fsync(file.get()) == 0 ? 0 : errno;
}
}  // namespace detail

/// A regular file open for reading; several threads may read at once. If the file is replaced meanwhile, the old
/// content is read to the end.
class input_file {
 public:
  /// Throws susc::error if the file is missing, unreadable, or not a regular file.
  explicit input_file(std::filesystem::path const& path)
      : path_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    require(static_cast<bool>(file_), "file '", path_.string(), "': cannot open it: ", detail::os_reason(errno));
    struct ::stat status {};
    bool const known = ::fstat(file_.get(), &status) == 0;
    require(known, "file '", path_.string(), "': ", detail::os_reason(errno));
    require(S_ISREG(status.st_mode), "file '", path_.string(), "': not a regular file");
    size_ = static_cast<std::uint64_t>(status.st_size);
  }

  std::string path() const { return path_.string(); }  ///< as given to the constructor
  /// Bytes in the file when it was opened.
  std::uint64_t size() const { return size_; }

  /// Fills `out` with the bytes at [offset, offset + out.size()). Throws susc::error if there are fewer.
  void read(std::uint64_t offset, std::span<std::byte> out) const {
    while (!out.empty()) {
      ::ssize_t const count = ::pread(file_.get(), out.data(), out.size(), static_cast<::off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      require(count >= 0, "file '", path_.string(), "': cannot read it: ", detail::os_reason(errno));
      require(count > 0, "file '", path_.string(), "': ends at byte ", offset, ", wanted ", out.size(), " more");
      offset += static_cast<std::uint64_t>(count);
      out = out.subspan(static_cast<std::size_t>(count));
    }
  }

 private:
  std::filesystem::path path_;
  detail::descriptor file_;
  std::uint64_t size_ = 0;
};

/// The whole content of a regular file. Throws susc::error naming the file and the reason.
inline std::string read_file(std::filesystem::path const& path) {
  input_file const file(path);
  std::string content(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(content)));
  return content;
}

namespace detail {
/// Calls `writer(std::filesystem::path const&)` with the name of an empty temporary file beside `path`, which it writes
/// and closes; then renames that to `path`. As write_file_atomically, for libraries that open files by name.
template <class Writer>
void replace_file(std::filesystem::path const& path, Writer writer) {
  auto const check = [&](bool ok, char const* action, int reason) {
    require(ok, "file '", path.string(), "': cannot ", action, ": ", os_reason(reason));
  };
  std::error_code ignored;
  auto const status = std::filesystem::status(path, ignored);
  // A rename would put a plain file in the place of /dev/null.
  require(path.has_filename() && (!exists(status) || is_regular_file(status)), "file '", path.string(),
          "': cannot write it: not the name of a regular file");

  struct temporary {
    std::filesystem::path name;
    ~temporary() {
      if (!name.empty()) ::unlink(name.c_str());
    }
  } partial;
  descriptor file;
  try {
    partial.name = create_partial(path, [&](char const* name) {
      file = descriptor(::open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
      return static_cast<bool>(file);
    });
  } catch (error const& reason) {
    fail("file '", path.string(), "': ", reason.what());
  }
  writer(std::as_const(partial.name));
  // On lines of their own: a call and errno in one list of arguments are evaluated in any order.
  bool const synchronized = ::fsync(file.get()) == 0;
  check(synchronized, "bring it to the disk", errno);
  bool const renamed = ::rename(partial.name.c_str(), path.c_str()) == 0;
  check(renamed, "move it into place", errno);
  partial.name.clear();
  // Some file systems cannot synchronise a folder; the file is in place either way.
  synchronize(path.has_parent_path() ? path.parent_path() : ".");
}
}  // namespace detail

/// Calls `writer(std::ostream&)` on a temporary file beside `path`, then renames it to `path`: a reader, or a run cut
/// short, sees the old file or the new one, never a part. A symbolic link at `path` is replaced, not followed.
/// Throws susc::error naming the file and the reason, or what the writer throws; nothing is left behind then.
template <std::invocable<std::ostream&> Writer>
void write_file_atomically(std::filesystem::path const& path, Writer&& writer) {
  detail::replace_file(path, [&](std::filesystem::path const& partial) {
    auto const check = [&](bool ok, char const* action, int reason) {
      require(ok, "file '", path.string(), "': cannot ", action, ": ", detail::os_reason(reason));
    };
    std::ofstream out(partial, std::ios::binary | std::ios::trunc);
    check(out.is_open(), "open a temporary file beside it", errno);
    errno = 0;
    std::forward<Writer>(writer)(static_cast<std::ostream&>(out));
    out.flush();
    check(out.good(), "write it", errno == 0 ? EIO : errno);
    out.close();
    check(out.good(), "close it", errno == 0 ? EIO : errno);
  });
}

/// A folder of results that appears whole or not at all: write the files under path(), then commit(). Destroyed without
/// commit(), it leaves no trace. A killed process leaves a folder *.partial-PID, which the next one on the same machine
/// with the same output folder removes; it is safe to delete.
class staged_directory {
 public:
  /// Creates the staging folder at once, so that a long run does not find out at its end that it may not write: beside
  /// `directory` if that does not exist yet (missing parents are made), inside it if it does, as it may be a mount
  /// point, into which nothing can be renamed from outside. Throws susc::error naming the folder and the reason.
  explicit staged_directory(std::filesystem::path const& directory) {
    namespace fs = std::filesystem;
    try {
      require(!directory.empty(), "the name is empty");
      target_ = fs::weakly_canonical(fs::absolute(directory));
      if (!target_.has_filename()) target_ = target_.parent_path();
      bool const present = fs::is_directory(target_);
      require(present || !fs::exists(fs::symlink_status(target_)), "it exists and is not a folder");
      detail::remove_abandoned(target_, ".partial-");
      detail::remove_abandoned(target_.parent_path(), target_.filename().string() + ".partial-");
      if (!present) create_parents();
      staging_ = detail::create_partial(present ? target_ / "" : target_,
                                        [](char const* name) { return ::mkdir(name, 0777) == 0; });
      mark_staging();
    } catch (std::exception const& reason) {
      discard();
      fail("output folder '", directory.string(), "': ", reason.what());
    }
  }
  staged_directory(staged_directory const&) = delete;             ///< There is one owner.
  staged_directory& operator=(staged_directory const&) = delete;  ///< There is one owner.
  ~staged_directory() { discard(); }                              ///< Removes what was not committed.

  /// Where to write; subfolders are allowed. Empty after commit().
  std::filesystem::path const& path() const { return staging_; }

  /// Moves everything written into the output folder: by one rename if the folder is new, else file by file over older
  /// files of the same name, leaving others alone. Conflicts are looked for before anything moves. Throws susc::error
  /// if it fails; what was not moved then stays in the staging folder, which the message names: it may be hours of
  /// work.
  void commit() {
    namespace fs = std::filesystem;
    require(!staging_.empty(), "output folder '", target_.string(), "': already committed");
    try {
      fs::remove(staging_ / detail::staging_mark);  // from here on nobody may take it for abandoned
      std::vector<fs::path> files, folders;
      for (auto const& entry : fs::recursive_directory_iterator(staging_)) {
        bool const folder = entry.is_directory() && !entry.is_symlink();
        (folder ? folders : files).push_back(entry.path().lexically_relative(staging_));
        int const reason = entry.is_symlink() ? 0 : detail::synchronize(entry.path());
        require(folder || reason == 0, "cannot bring '", entry.path().string(),
                "' to the disk: ", detail::os_reason(reason));
      }
      if (fs::exists(fs::symlink_status(target_)))
        merge(files, folders);
      else
        fs::rename(staging_, target_);
    } catch (std::exception const& reason) {
      std::string const kept = std::exchange(staging_, {}).string();
      created_.clear();
      fail("output folder '", target_.string(), "': ", reason.what(), "; the results are kept in '", kept, "'");
    }
    std::error_code ignored;
    fs::remove_all(std::exchange(staging_, {}), ignored);
    created_.clear();
    detail::synchronize(target_);
    detail::synchronize(target_.parent_path());
  }

 private:
  void create_parents() {
    namespace fs = std::filesystem;
    std::vector<fs::path> missing;
    for (fs::path p = target_.parent_path(); !fs::exists(fs::symlink_status(p)); p = p.parent_path())
      missing.push_back(p);
    for (auto p = missing.rbegin(); p != missing.rend(); ++p)
      if (fs::create_directory(*p)) created_.push_back(*p);
  }

  void mark_staging() {
    std::filesystem::path const name = staging_ / detail::staging_mark;
    mark_ = detail::descriptor(::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    require(static_cast<bool>(mark_), "cannot create '", name.string(), "': ", detail::os_reason(errno));
    // Without a lock or a name the folder is merely never removed by another process.
    std::string const host = detail::host_name();
    if (::flock(mark_.get(), LOCK_EX | LOCK_NB) != 0 || host.empty()) return;
    errno = 0;
    bool const written = ::write(mark_.get(), host.data(), host.size()) == static_cast<::ssize_t>(host.size());
    require(written, "cannot write '", name.string(), "': ", detail::os_reason(errno == 0 ? ENOSPC : errno));
  }

  void merge(std::vector<std::filesystem::path> const& files, std::vector<std::filesystem::path> const& folders) const {
    namespace fs = std::filesystem;
    for (fs::path const& f : folders) {
      auto const there = fs::status(target_ / f);
      require(!fs::exists(there) || fs::is_directory(there), "'", f.string(), "' exists there and is not a folder");
    }
    for (fs::path const& f : files) {
      require(!fs::is_directory(target_ / f), "'", f.string(), "' exists there and is a folder");
      fs::path const parent = (target_ / f).parent_path();
      bool const writable = !fs::exists(parent) || ::access(parent.c_str(), W_OK | X_OK) == 0;
      require(writable, "cannot write in '", parent.string(), "': ", detail::os_reason(errno));
    }
    for (fs::path const& f : folders) fs::create_directory(target_ / f);
    for (fs::path const& f : files) fs::rename(staging_ / f, target_ / f);
  }

  void discard() noexcept {
    try {
      std::error_code ignored;
      if (!staging_.empty()) std::filesystem::remove_all(staging_, ignored);
      // `remove` leaves a folder alone that someone else has put a file into.
      for (; !created_.empty(); created_.pop_back()) std::filesystem::remove(created_.back(), ignored);
    } catch (std::exception const&) {  // no memory, not even for a name: another process will remove it
    }
  }

  std::filesystem::path target_;                ///< absolute, so that a change of the working folder does no harm
  std::filesystem::path staging_;               ///< empty once committed
  detail::descriptor mark_;                     ///< its lock says that the staging folder is in use
  std::vector<std::filesystem::path> created_;  ///< parents made by the constructor, outermost first
};

}  // namespace susc
