// Fuzz target: any bytes are a file of a run directory that is read whole and, written again, has the same bytes, or a
// susc::error. Checksums are made right, so that what lies behind them is reached.
#include "susc/sampling/checkpoint.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fuzzing.hpp"
#include "kept_chain.hpp"

namespace {
std::string const where = "the fuzzer's file: ";

template <class... T>
std::string written(T const&... values) {
  susc::archive_writer to;
  to(values...);
  return to.bytes();
}

void envelope(std::string bytes) {
  if (bytes.size() >= 8) {
    std::string_view const checked = std::string_view(bytes).substr(0, bytes.size() - 8);
    bytes.replace(checked.size(), 8, written(susc::fnv1a(checked)));
  }
  auto const path = fuzzing::file("envelope", bytes);
  std::string content;
  if (!fuzzing::reads(bytes.size(), [&] { content = susc::read_checked_file(path, "suscrun", 1); })) return;
  auto const copy = fuzzing::folder() / "copy";
  susc::write_checked_file(copy, "suscrun", 1, content);
  fuzzing::hold(susc::read_file(copy) == bytes, "written again, it has the same bytes");
}

void run(std::string_view content) {
  std::vector<susc::run_setting> settings;
  bool const whole = fuzzing::reads(content.size(), [&] {
    susc::archive_reader from(content, where);
    from(settings);
    from.finish();
  });
  if (whole) fuzzing::hold(written(settings) == content, "written again, it has the same bytes");

  auto const directory = fuzzing::folder() / "run";
  std::filesystem::create_directories(directory);
  susc::write_checked_file(directory / "run", "suscrun", susc::run_directory::format, content);
  bool const opened = fuzzing::reads(content.size(), [&] { susc::run_directory(directory, settings); });
  fuzzing::hold(whole || !opened, "a run that cannot be read is not resumed");
  auto const other = [&](susc::run_setting const& a) {
    return std::any_of(settings.begin(), settings.end(),
                       [&](susc::run_setting const& b) { return a.name == b.name && a.value != b.value; });
  };
  bool const sound = whole && std::none_of(settings.begin(), settings.end(), other);
  fuzzing::hold(opened || !sound, "the same run is resumed");
}

void chain(std::string_view content) {
  using namespace fuzzing;
  susc::detail::kept_chain kept;
  kept_state state{};
  kept_visitor visitor = fresh_visitor();
  bool const whole = reads(content.size(), [&] {
    susc::archive_reader from(content, where);
    kept = susc::detail::read_kept_chain(from, kept_settings(), kept_length, where);
    from(state, visitor);
    from.finish();
  });
  if (!whole) return;
  hold(written(kept, state, visitor) == content, "written again, it has the same bytes");
  hold(kept.outcome.draws <= kept.draws && kept.outcome.steps <= kept_length.steps(), "no more than the run wants");
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view const rest = fuzzing::text(data + 1, size - 1);
  switch (static_cast<fuzzing::part>(data[0] % 3)) {
    case fuzzing::part::envelope:
      envelope(std::string(rest));
      break;
    case fuzzing::part::run:
      run(rest);
      break;
    case fuzzing::part::chain:
      chain(rest);
      break;
  }
  return 0;
}
