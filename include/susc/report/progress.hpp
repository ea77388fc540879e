#pragma once
/// Progress of a long job on a stream of the caller's choice: one redrawn line on a terminal, a few plain lines in a
/// log file.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <ostream>
#include <string>
#include <utility>

#include "susc/core/requirements.hpp"

namespace susc {

/// Whether a file descriptor (1: standard output, 2: standard error) is a terminal.
inline bool is_terminal(int file_descriptor) {
  return ::isatty(file_descriptor) == 1;
}

/// Seconds of a clock that never goes back; its zero means nothing.
inline double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Counts work done against a total and shows percentage, rate and time left.
///   susc::progress shown(std::cerr, "sampling", draws, susc::is_terminal(2), "draws");
///   shown.advance();   // from any thread
///   shown.finish();
class progress {
 public:
  /// `unit` names what is counted ("tokens"), and turns the rate on; `clock` is there for tests. The stream must
  /// outlive the object and is written by it alone until finish().
  progress(std::ostream& out, std::string label, std::uint64_t total, bool terminal, std::string unit = {},
           double (*clock)() = steady_seconds)
      : out_(out),
        label_(std::move(label)),
        unit_(std::move(unit)),
        total_(total),
        terminal_(terminal),
        clock_(clock),
        start_(clock()),
        next_redraw_(start_) {}
  progress(progress const&) = delete;             ///< There is one line to draw.
  progress& operator=(progress const&) = delete;  ///< There is one line to draw.
  /// Leaves a line begun on a terminal, so that what an exception prints starts on its own.
  ~progress() {
    if (!terminal_ || finished_ || !drawn_) return;
    try {
      out_ << std::endl;
    } catch (...) {  // a stream that throws must not end the program from a destructor
    }
  }

  /// Adds finished work. Thread-safe; no allocation, and no lock unless a line is due.
  void advance(std::uint64_t count = 1) {
    std::uint64_t const before = done_.fetch_add(count, std::memory_order_relaxed);
    if (terminal_) {
      double const now = clock_();
      if (now < next_redraw_.load(std::memory_order_relaxed)) return;
      // Whoever finds the line busy leaves it: the next one shows their work too.
      std::unique_lock const lock(mutex_, std::try_to_lock);
      if (!lock || finished_ || now < next_redraw_.load(std::memory_order_relaxed)) return;
      next_redraw_.store(now + seconds_between_redraws, std::memory_order_relaxed);
      draw_bar(now);
    } else if (tenth(before) != tenth(before + count)) {
      std::lock_guard const lock(mutex_);
      std::uint64_t const reached = tenth(done());
      // The last tenth is left to finish().
      if (finished_ || reached <= printed_tenth_ || reached == 10) return;
      printed_tenth_ = reached;
      print_line(clock_());
    }
  }

  /// Adds work that an earlier process did: it counts in the percentage, not in the rate and the time left.
  void skip(std::uint64_t count) {
    done_.fetch_add(count, std::memory_order_relaxed);
    skipped_.fetch_add(count, std::memory_order_relaxed);
  }

  /// Work counted so far.
  std::uint64_t done() const { return done_.load(std::memory_order_relaxed); }

  /// Prints the final line with the elapsed seconds; later calls do nothing.
  void finish() {
    std::lock_guard const lock(mutex_);
    if (std::exchange(finished_, true)) return;
    double const elapsed = clock_() - start_;
    char text[96];
    if (terminal_) out_ << '\r';
    out_ << label_ << ": ";
    if (done() != total_) {
      // Ended early: say so rather than claim the whole.
      std::snprintf(text, sizeof text, "%llu of %llu", static_cast<unsigned long long>(done()),
                    static_cast<unsigned long long>(total_));
      out_ << text;
    } else {
      out_ << "done";
    }
    std::snprintf(text, sizeof text, " in %.1f s", elapsed);
    out_ << text;
    print_rate(elapsed, "  ");
    out_ << (terminal_ ? "\x1b[K" : "") << std::endl;
  }

 private:
  static constexpr double seconds_between_redraws = 0.1;
  static constexpr int bar_width = 24;

  double fraction() const {
    return total_ == 0 ? 1.0 : std::min(1.0, static_cast<double>(done()) / static_cast<double>(total_));
  }
  /// Tenths of the work that `count` completes, 0 to 10.
  std::uint64_t tenth(std::uint64_t count) const {
    return total_ == 0 || count >= total_
               ? 10
               : static_cast<std::uint64_t>(10.0 * (static_cast<double>(count) / static_cast<double>(total_)));
  }
  void print_rate(double elapsed, char const* before) {
    if (unit_.empty() || elapsed <= 0) return;
    double rate = static_cast<double>(done() - skipped_.load(std::memory_order_relaxed)) / elapsed;
    char const* prefix = "";
    for (char const* larger : {"k", "M", "G"}) {
      if (rate < 999.5) break;
      rate /= 1000;
      prefix = larger;
    }
    char text[48];  // three digits, also after rounding
    std::snprintf(text, sizeof text, "%s%.*f%s ", before, rate < 9.995 ? 2 : rate < 99.95 ? 1 : 0, rate, prefix);
    out_ << text << unit_ << "/s";
  }
  /// "   42 %  1.20k tokens/s  0:32 left"
  void print_state(double now) {
    double const elapsed = now - start_, part = fraction();
    char text[64];
    std::snprintf(text, sizeof text, "%3d %%", static_cast<int>(100 * part));
    out_ << text;
    print_rate(elapsed, "  ");
    double const before = part * static_cast<double>(skipped_.load(std::memory_order_relaxed)) /
                          static_cast<double>(std::max<std::uint64_t>(done(), 1));
    if (part <= before || part >= 1) return;
    auto const left = static_cast<unsigned long long>(elapsed * (1 - part) / (part - before) + 0.5);
    if (left < 3600)
      std::snprintf(text, sizeof text, "  %llu:%02llu left", left / 60, left % 60);
    else
      std::snprintf(text, sizeof text, "  %llu:%02llu:%02llu left", left / 3600, left / 60 % 60, left % 60);
    out_ << text;
  }
  void draw_bar(double now) {
    drawn_ = true;
    char bar[bar_width + 1];
    int const filled = static_cast<int>(bar_width * fraction());
    for (int i = 0; i != bar_width; ++i) bar[i] = i < filled ? '=' : ' ';
    bar[bar_width] = '\0';
    out_ << '\r' << label_ << " [" << bar << "] ";
    print_state(now);
    out_ << "\x1b[K" << std::flush;
  }
  void print_line(double now) {
    out_ << label_ << ": ";
    print_state(now);
    out_ << std::endl;
  }

  std::ostream& out_;
  std::string label_;
  std::string unit_;
  std::uint64_t total_;
  bool terminal_;
  double (*clock_)();
  double start_;
  std::atomic<double> next_redraw_;
  std::atomic<std::uint64_t> done_{0}, skipped_{0};
  std::mutex mutex_;
  std::uint64_t printed_tenth_ = 0;
  bool drawn_ = false;
  bool finished_ = false;
};

}  // namespace susc
