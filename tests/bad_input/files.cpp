// Files that are not there, are no files, are damaged, or announce what they do not hold. What the headers of .npy and
// safetensors files may say is in tests/io/npy.cpp and tests/io/safetensors.cpp.
#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../io/temporary_folder.hpp"
#include "susc/data/corpus.hpp"
#include "susc/data/packing.hpp"
#include "susc/data/read_tokens.hpp"
#include "susc/data/tokenizer.hpp"
#include "susc/io/checked_file.hpp"
#include "susc/io/npy.hpp"
#include "susc/io/run_directory.hpp"
#include "susc/io/safetensors.hpp"
#include "susc/models/transformer_file.hpp"
#include "table.hpp"

namespace {
using path = std::filesystem::path;
using shape = std::vector<std::size_t>;
constexpr std::size_t huge = std::size_t{1} << 40;
double const no_number = std::numeric_limits<double>::quiet_NaN();

/// Everything that reads one file.
struct reader {
  std::string name;
  std::function<void(path const&)> read;
};
std::vector<reader> const readers{
    {"read_npy", [](path const& p) { susc::read_npy<float>(p); }},
    {"read_tokens", [](path const& p) { susc::read_tokens(p); }},
    {"safetensors_file", [](path const& p) { susc::safetensors_file const file(p); }},
    {"load_transformer", [](path const& p) { susc::load_transformer<float>(p); }},
    {"read_checked_file", [](path const& p) { susc::read_checked_file(p, "suscrun", 1); }},
};

/// A safetensors file, tensor by tensor, whose header may say what it likes.
struct tensor_file {
  struct entry {
    std::string dtype;
    shape extents;
    std::string bytes;
  };
  std::map<std::string, entry> tensors;
  std::map<std::string, std::string> metadata;

  std::string text() const {
    nlohmann::json header = nlohmann::json::object();
    if (!metadata.empty()) header["__metadata__"] = metadata;
    std::string data;
    for (auto const& [name, t] : tensors) {
      header[name] = {
          {"dtype", t.dtype}, {"shape", t.extents}, {"data_offsets", {data.size(), data.size() + t.bytes.size()}}};
      data += t.bytes;
    }
    std::string const json = header.dump();
    return bytes_of<std::uint64_t>({json.size()}) + json + data;
  }
};

/// A whole transformer of one layer, in doubles, without biases.
tensor_file transformer_of(std::size_t mlp_width) {
  susc::transformer_layout const layout{
      {.vocabulary = 5, .context = 3, .width = 4, .layers = 1, .heads = 2, .mlp_width = mlp_width, .biases = false}};
  tensor_file file;
  susc::detail::for_each_tensor(layout, [&](susc::detail::tensor_place const& place) {
    file.tensors[place.name] = {"F64", place.shape, bytes_of(std::vector<double>(place.pieces * place.count, .5))};
  });
  return file;
}
}  // namespace

TEST_CASE("bad input: what is no readable file, whoever reads it") {
  temporary_folder const folder;
  path const loop = folder.path / "loop", file = folder.file("a_file", "something else\n");
  std::filesystem::create_symlink(loop, loop);
  std::vector<bad_input> table;
  for (reader const& r : readers) {
    auto const refused = [&](std::string const& wrong, path const& p, std::vector<std::string> words) {
      words.push_back("'" + p.string() + "'");
      table.push_back({r.name + ": " + wrong, [&r, p] { r.read(p); }, std::move(words)});
    };
    refused("missing", folder.path / "missing", {"No such file"});
    refused("a folder", folder.path, {"not a regular file"});
    refused("a device", "/dev/zero", {"not a regular file"});
    refused("a link to itself", loop, {"symbolic link"});
    refused("a folder that is a file", file / "x", {"Not a directory"});
    refused("a name too long", folder.path / std::string(300, 'x'), {"name too long"});
    refused("empty", folder.file("empty", ""), {});
    refused("something else", file, {});
  }
  check_refused(table);
}

TEST_CASE("bad input: transformers") {
  temporary_folder const folder;
  path const file = folder.path / "model.safetensors";
  std::vector<bad_input> table;
  auto const refused = [&](std::string const& wrong, std::size_t mlp_width,
                           std::function<void(tensor_file&)> const& damage, std::vector<std::string> words,
                           std::string const& activation = {}) {
    words.push_back(file.string());
    table.push_back({wrong,
                     [=, &file] {
                       tensor_file bad = transformer_of(mlp_width);
                       damage(bad);
                       std::ofstream(file, std::ios::binary) << bad.text();
                       susc::load_transformer<float>(file, activation);
                     },
                     std::move(words)});
  };
  auto const resized = [](char const* name, shape extents) {
    return [=](tensor_file& f) {
      std::size_t count = 1;
      for (std::size_t const e : extents) count *= e;
      f.tensors.at(name) = {"F64", extents, std::string(count * sizeof(double), '\0')};
    };
  };
  auto const typed = [](char const* name, char const* dtype, std::size_t bytes) {
    return [=](tensor_file& f) {
      auto& t = f.tensors.at(name);
      t = {dtype, t.extents, std::string(t.bytes.size() / sizeof(double) * bytes, '\0')};
    };
  };
  auto const one = [](char const* name, double value) {
    return [=](tensor_file& f) { f.tensors.at(name).bytes.replace(0, sizeof value, bytes_of<double>({value})); };
  };
  auto const metadata = [](char const* key, char const* value) {
    return [=](tensor_file& f) { f.metadata[key] = value; };
  };

  CHECK_NOTHROW(susc::load_transformer<float>(folder.file("good", transformer_of(6).text())));
  CHECK_NOTHROW(susc::load_transformer<float>(folder.file("good", transformer_of(0).text())));
  refused("no tensors", 0, [](tensor_file& f) { f.tensors.clear(); }, {"no tensor 'embed.W_E'", "it holds none"});
  refused("a name in other letters", 0,
          [](tensor_file& f) {
            f.tensors["embed.w_e"] = f.tensors.at("embed.W_E");
            f.tensors.erase("embed.W_E");
          },
          {"no tensor 'embed.W_E'", "nearest names: embed.w_e"});
  refused("no vocabulary", 0, resized("embed.W_E", {0, 4}), {"vocabulary is 0, must be at least 1"});
  refused("no width", 0, resized("embed.W_E", {5, 0}), {"width is 0, must be at least 1"});
  refused("no context", 0, resized("pos_embed.W_pos", {0, 4}), {"context is 0, must be at least 1"});
  refused("no heads", 0, resized("blocks.0.attn.W_Q", {0, 4, 2}), {"heads is 0, must be at least 1"});
  refused("heads of no width", 0, resized("blocks.0.attn.W_Q", {3, 4, 0}), {"width 4 is not a multiple of heads 3"});
  refused("an MLP of no width", 6, resized("blocks.0.mlp.W_in", {4, 0}),
          {"blocks.0.mlp.W_in has 0 columns, wanted at least 1"});
  // Of no bytes, so that a small file can announce it.
  refused("a context beyond memory", 0, resized("pos_embed.W_pos", {huge, 0}),
          {"pos_embed.W_pos", "shape (1099511627776, 0), wanted (1099511627776, 4)"});
  refused("a context beyond 2^60 weights", 0, resized("pos_embed.W_pos", {std::size_t{1} << 62, 0}),
          {"context 4611686018427387904", "fewer than 2^60"});
  refused("heads beyond memory", 0, resized("blocks.0.attn.W_Q", {huge, 0, 2}),
          {"blocks.0.attn.W_Q", "shape (1099511627776, 0, 2), wanted (1099511627776, 4, 2)"});
  refused("an MLP beyond memory", 6, resized("blocks.0.mlp.W_in", {0, huge}),
          {"blocks.0.mlp.W_in", "shape (0, 1099511627776), wanted (4, 1099511627776)"});
  refused("heads of rank 2", 0, resized("blocks.0.attn.W_Q", {4, 4}), {"blocks.0.attn.W_Q has 2 dimensions, wanted 3"});
  refused("a transposed output matrix", 0, resized("blocks.0.attn.W_O", {2, 4, 2}),
          {"blocks.0.attn.W_O", "shape (2, 4, 2), wanted (2, 2, 4)"});
  refused("a norm of another width", 0, resized("ln_final.w", {5}), {"ln_final.w", "shape (5,), wanted (4,)"});
  refused("integers for weights", 0, typed("unembed.W_U", "I64", 8),
          {"unembed.W_U", "dtype I64", "wanted F64, F32, F16 or BF16"});
  refused("bytes for weights", 0, typed("embed.W_E", "U8", 1), {"embed.W_E", "dtype U8"});
  refused("a type nobody knows", 0, typed("embed.W_E", "F7", 7), {"embed.W_E", "dtype 'F7' is not known"});
  refused("a NaN", 0, one("embed.W_E", no_number), {"embed.W_E is nan at index (0, 0)", "wanted finite numbers"});
  refused("an infinity", 0, one("blocks.0.attn.W_V", -HUGE_VAL), {"blocks.0.attn.W_V is -inf at index (0, 0, 0)"});
  refused("a weight too large for a float", 0, one("ln_final.b", 1e300),
          {"ln_final.b", "1e+300 at index (0,)", "32-bit float"});
  refused("an activation of the file's", 6, metadata("activation", "silu"),
          {"unknown activation 'silu'; known: gelu, gelu_new, relu"});
  refused(
      "an activation asked for, where there is no MLP", 0, [](tensor_file&) {}, {"unknown activation 'swish'"},
      "swish");
  refused("a tensor's name of two lines", 0,
          [](tensor_file& f) {
            f.tensors["blocks.0\n\x1B[31mhook"] = {"F64", {1}, std::string(8, '\0')};
          },
          {"tensor blocks.0\\x0A\\x1B[31mhook is not part of"});
  check_refused(table);

  susc::transformer_layout const layout{{.vocabulary = 5, .context = 3, .width = 4, .layers = 0, .heads = 1}};
  std::vector<float> const few(layout.size() - 1);
  check_refused({{"too few weights to save",
                  [&] { susc::save_transformer(folder.path / "saved", layout, std::span<float const>(few)); },
                  {"saved", "64 weights, must have 65"}}});
  CHECK(!std::filesystem::exists(folder.path / "saved"));
}

TEST_CASE("bad input: tokens") {
  temporary_folder const folder;
  auto const written = [&](std::vector<std::int64_t> const& values, shape const& extents) {
    susc::write_npy<std::int64_t>(folder.path / "tokens.npy", values, extents);
    return folder.path / "tokens.npy";
  };
  susc::token_batch const short_of_one{{1, 2, 3, 4, 5}, 2, 3}, of_no_length{{7}, 1, 0};
  check_refused(
      {{"a single number", [&] { susc::read_tokens(written({7}, {})); }, {"tokens.npy", "()", "wanted 2 dimensions"}},
       {"an id below 32 bits",
        [&] {
          susc::read_tokens(written({1, std::int64_t{-1} << 40}, {1, 2}));
        },
        {"tokens.npy", "-1099511627776 at index (0, 1)", "32-bit integer"}},
       {"fewer tokens than rows",
        [&] { susc::check_tokens(short_of_one, 9, "probe.npy"); },
        {"probe.npy", "5 tokens, wanted 2 x 3"}},
       {"rows of no length", [&] { susc::check_tokens(of_no_length, 9, "probe.npy"); }, {"1 tokens, wanted 1 x 0"}},
       {"no vocabulary",
        [&] {
          susc::check_tokens({{0, 1}, 1, 2}, 0, "probe.npy");
        },
        {"token id 0 at row 0, column 0", "vocabulary's size, 0"}}});
}

TEST_CASE("bad input: text") {
  temporary_folder const folder;
  path const text = folder.file("text.txt", "twelve bytes"), loop = folder.path / "loop";
  std::filesystem::create_symlink(loop, loop);
  auto const document = [](path const& p, std::uint64_t offset, std::uint64_t size) {
    return [=] { susc::read_document({p, offset, size}); };
  };
  auto const corpus = [](path const& p) { return [=] { susc::corpus_from_directory(p); }; };
  auto const split = [](std::size_t count, double fraction) {
    return [=] { susc::split_documents({"prose", std::vector<susc::document>(count), 0}, fraction, {5}); };
  };
  auto const pack = [&](std::vector<susc::document> const& documents, std::size_t length, std::size_t tokens) {
    return [=] { susc::pack_documents(documents, susc::byte_tokenizer(), length, tokens, {3}); };
  };
  std::vector<susc::document> const whole{{text, 0, 12}}, absent{{folder.path / "absent", 0, 12}};
  std::string const most = "18446744073709551615";
  check_refused({
      {"a document that vanished", document(folder.path / "absent", 0, 1), {"absent", "vanished or changed"}},
      {"a document that shrank", document(text, 0, 13), {"13 bytes from byte 0", text.string()}},
      {"a document beyond the end", document(text, 13, 0), {"0 bytes from byte 13", text.string()}},
      {"a document beyond memory",
       document(text, 1, std::uint64_t{1} << 62),
       {"4611686018427387904 bytes from byte 1"}},
      {"an end beyond 64 bits", document(text, 2, ~std::uint64_t{0}), {most + " bytes from byte 2", text.string()}},
      {"a folder for a document", document(folder.path, 0, 1), {folder.path.string()}},
      {"a file for a corpus", corpus(text), {text.string(), "is no directory", "subfolders of text files"}},
      {"a corpus that is missing", corpus(folder.path / "absent"), {"absent", "is no directory"}},
      {"a corpus that links to itself", corpus(loop), {loop.string(), "is no directory"}},
      {"a corpus of no subfolder", corpus(folder.path), {"found 0 domains", "two are needed"}},
      {"no bytes of a domain",
       [&] { susc::system_corpus(0, {}, folder.path); },
       {"domain_bytes is 0, must be at least 1"}},
      {"nothing held out", split(4, 0), {"held-out fraction is 0", "between 0 and 1"}},
      {"everything held out", split(4, 1), {"held-out fraction is 1", "between 0 and 1"}},
      {"a fraction that is no number", split(4, no_number), {"held-out fraction is nan", "between 0 and 1"}},
      {"one document to split", split(1, .5), {"domain 'prose' has 1 documents", "at least two"}},
      {"sequences that predict nothing", pack(whole, 1, 1000), {"length 1", "the least is 2"}},
      {"fewer tokens than a sequence", pack(whole, 11, 10), {"max_tokens 10", "length 11"}},
      {"documents shorter than a sequence", pack(whole, 14, 1000), {"no document has the 13 tokens", "length 14"}},
      {"no document to pack", pack({}, 11, 1000), {"no document has the 10 tokens"}},
      {"a document to pack that vanished", pack(absent, 11, 1000), {"absent", "vanished"}},
  });
}

TEST_CASE("bad input: run directories") {
  temporary_folder const folder;
  std::vector<susc::run_setting> const settings{{"seed", "1"}};
  auto const open = [&](path const& p) { return [=] { susc::run_directory const run(p, settings); }; };
  std::filesystem::create_directories(folder.path / "locked/lock");
  std::filesystem::create_directories(folder.path / "taken/run");
  path const loop = folder.path / "loop", plain = folder.file("plain", ""), kept = folder.path / "kept";
  std::filesystem::create_symlink(loop, loop);
  {
    susc::run_directory const run(kept, settings);
    std::filesystem::create_directory(run.file_of("l0h1", 2));
  }
  check_refused({
      {"a name too long", open(folder.path / std::string(300, 'x')), {"run directory", "too long"}},
      {"a link to itself", open(loop), {loop.string(), "cannot make it"}},
      {"inside a file", open(plain / "run"), {"plain/run", "cannot make it: Not a directory"}},
      {"no name", open(""), {"run directory ''", "cannot make it"}},
      {"a lock that is a folder", open(folder.path / "locked"), {"locked", "cannot lock it: Is a directory"}},
      {"a run that is a folder", open(folder.path / "taken"), {"taken/run", "not a regular file"}},
      {"a chain that is a folder",
       [&] { susc::run_directory(kept, settings).load("l0h1", 2); },
       {"l0h1.2.chain", "not a regular file"}},
  });
}
