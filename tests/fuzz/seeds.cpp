// Writes what the fuzzer starts from: OUT/TARGET/NAME, a few small files of each kind. Usage: seeds OUT
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "kept_chain.hpp"
#include "susc/io/npy.hpp"
#include "susc/io/safetensors.hpp"
#include "susc/models/mlp.hpp"

namespace {
namespace fs = std::filesystem;

void put(fs::path const& path, std::string const& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}
std::string bytes_of(std::vector<std::uint8_t> const& bytes) {
  return {bytes.begin(), bytes.end()};
}

void npy(fs::path const& to) {
  std::vector<float> const f{1, -2.5f, 1e-45f, 3e38f, 0, 6};
  std::vector<double> const d{0.1, 1e300};
  std::vector<std::int32_t> const i{-1, 7, 1 << 30};
  std::vector<std::int64_t> const l{std::int64_t{1} << 62};
  susc::write_npy<float>(to / "f4", f, {2, 3});
  susc::write_npy<double>(to / "f8", d, {2});
  susc::write_npy<std::int32_t>(to / "i4", i, {1, 3, 1});
  susc::write_npy<std::int64_t>(to / "i8", l, {});
  susc::write_npy<float>(to / "empty", std::span<float const>(), {0, 7});
  auto const others = [&](char const* name, std::string const& version, std::string const& header, std::string data) {
    std::string length = bytes_of({static_cast<std::uint8_t>(header.size()), 0});
    if (version[0] == '\2') length += bytes_of({0, 0});
    put(to / name, "\x93NUMPY" + version + length + header + data);
  };
  others("u1", bytes_of({1, 0}), "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }\n", "abc");
  others("f2", bytes_of({2, 0}), "{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }\n", "abcd");
  others("fortran", bytes_of({1, 0}), "{'descr': '>f4', 'fortran_order': True, 'shape': (1, 1), }", "abcd");
}

void safetensors(fs::path const& to) {
  std::vector<float> const f{1, -2.5f, 1e-45f};
  std::vector<double> const d{0.1, 1e300};
  susc::write_safetensors(to / "two", {{"f", {3, 1}, f}, {"d", {2}, d}}, {{"format", "pt"}});
  susc::write_safetensors(to / "empty", {{"none", {0, 7}, std::span<float const>()}});
  susc::write_safetensors(to / "nothing", {});
  std::string const header =
      R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[],"data_offsets":[4,6]},)"
      R"("c":{"dtype":"I64","shape":[1,1],"data_offsets":[6,14]},"__metadata__":{"x":"\u00e9"}})";
  put(to / "others",
      bytes_of({static_cast<std::uint8_t>(header.size()), 0, 0, 0, 0, 0, 0, 0}) + header + std::string(14, '\1'));
}

/// A run directory as a run leaves it, with the settings of the target.
void checkpoint(fs::path const& to) {
  auto const put_part = [&](std::string const& name, fuzzing::part what, std::string const& bytes) {
    put(to / name, static_cast<char>(what) + bytes);
  };
  susc::archive_writer run;
  run(std::vector<susc::run_setting>{{"seed", "1"}, {"n_beta", "10"}, {"", ""}});
  put_part("run", fuzzing::part::run, run.bytes());
  susc::write_checked_file(to / "whole", "suscrun", 1, run.bytes());
  put_part("envelope", fuzzing::part::envelope, susc::read_file(to / "whole"));
  fs::remove(to / "whole");

  susc::mlp<double> const network({2, 2, 2});
  auto const points = [](std::size_t count, susc::random::key key) {
    susc::random::stream random(key);
    susc::mlp<double>::batch batch;
    for (std::size_t i = 0; i != count; ++i) {
      batch.inputs.insert(batch.inputs.end(), {random.normal(), random.normal()});
      batch.labels.push_back(random.below(2));
    }
    return batch;
  };
  std::vector<susc::probe<susc::mlp<double>::batch>> const probes{{"probe", points(2, {3})}};
  auto const folder = to / "directory";
  susc::sampling_options<susc::sgnht> const options{.components = {"layer1"},
                                                    .posterior = {.n_beta = 10, .localization = 20},
                                                    .sampler = {.step_size = .01},
                                                    .chains = 2,
                                                    .draws = fuzzing::kept_length.draws,
                                                    .burn_in = fuzzing::kept_length.burn_in,
                                                    .thinning = fuzzing::kept_length.thinning,
                                                    .batch_size = 2,
                                                    .run_directory = folder};
  susc::run_chains(network, network.initial_weights({1}), susc::data_distribution{points(2, {2}), points}, probes,
                   susc::plan_sampling(network, options).components, options, fuzzing::fresh_visitor(),
                   susc::sequential{});
  for (std::size_t chain = 0; chain != options.chains; ++chain) {
    std::string const name = "layer1." + std::to_string(chain) + ".chain";
    std::string const content = susc::read_checked_file(folder / name, "suscchn", susc::run_directory::format);
    susc::archive_reader from(content, name + ": ");
    susc::detail::kept_chain kept;
    fuzzing::kept_state state{};
    fuzzing::kept_visitor visitor = fuzzing::fresh_visitor();
    from(kept, state, visitor);
    from.finish();
    kept.settings = fuzzing::kept_settings();
    susc::archive_writer small;
    small(kept, state, visitor);
    put_part(name, fuzzing::part::chain, small.bytes());
  }
  fs::remove_all(folder);
}
}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: seeds OUT\n", stderr);
    return 2;
  }
  auto const folder = [&](char const* name) {
    fs::create_directories(fs::path(arguments[1]) / name);
    return fs::path(arguments[1]) / name;
  };
  npy(folder("npy"));
  safetensors(folder("safetensors"));
  checkpoint(folder("checkpoint"));
}
