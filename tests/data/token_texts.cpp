#include "susc/data/token_texts.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "../io/temporary_folder.hpp"

namespace {

using nlohmann::json;
using texts = std::vector<std::string>;

susc::token_texts read_all(json const& file) {
  temporary_folder const folder;
  return susc::read_token_texts(folder.file("tokenizer.json", file.dump()));
}
texts read(json const& file) {
  return read_all(file).text;
}

std::string utf8(unsigned character) {
  if (character < 0x80) return {static_cast<char>(character)};
  return {static_cast<char>(0xC0 | character >> 6), static_cast<char>(0x80 | (character & 0x3F))};
}

}  // namespace

TEST_CASE("token texts: byte-level BPE, every byte by GPT-2's rule") {
  // Printable bytes stand for themselves; the others, in order, for the characters from U+0100 on.
  json vocabulary;
  unsigned next = 0x100;
  texts expected;
  for (unsigned byte = 0; byte != 256; ++byte) {
    bool const printable =
        (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
    vocabulary[utf8(printable ? byte : next++)] = byte;
    expected.emplace_back(1, static_cast<char>(byte));
  }
  CHECK(next == 0x144);
  REQUIRE(vocabulary.size() == 256);
  json file{{"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", json::array()}}},
            {"decoder", {{"type", "ByteLevel"}, {"add_prefix_space", true}}}};
  CHECK(read(file) == expected);
  // The decoder may be one of several steps, or only the other end be there.
  file["decoder"] = {{"type", "Sequence"}, {"decoders", {{{"type", "Fuse"}}, {{"type", "ByteLevel"}}}}};
  CHECK(read(file) == expected);
  file.erase("decoder");
  file["pre_tokenizer"] = {{"type", "ByteLevel"}};
  CHECK(read(file) == expected);
}

TEST_CASE("token texts: words of GPT-2's vocabulary, tokens that were added, ids without a token") {
  json const file{
      {"model", {{"vocab", {{"\u0120the", 262}, {"\u010A", 198}, {"\u00E2\u0122\u013B", 447}, {"<|end|>", 5}}}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"added_tokens", {{{"id", 5}, {"content", "<|end|>"}}, {{"id", 449}, {"content", "\u0120as it is"}}}}};
  auto const found = read(file);
  REQUIRE(found.size() == 450);
  CHECK(found[262] == " the");
  CHECK(found[198] == "\n");
  CHECK(found[447] == "\xE2\x80\x99");  // an apostrophe
  CHECK(found[5] == "<|end|>");
  CHECK(found[449] == "\u0120as it is");
  CHECK(found[300].empty());
}

TEST_CASE("token texts: which tokens stand for no text") {
  json file{{"model", {{"vocab", {{"<s>", 1}, {"a", 2}, {"<unk>", 0}}}}},
            {"added_tokens",
             {{{"id", 3}, {"content", "  "}, {"special", false}},
              {{"id", 5}, {"content", "<pad>"}, {"special", true}},
              {{"id", 1}, {"content", "<s>"}, {"special", true}},
              {{"id", 6}, {"content", "b"}}}}};
  auto const found = read_all(file);
  CHECK(found.special == std::vector<std::size_t>{1, 5});
  CHECK(found.text == texts{"<unk>", "<s>", "a", "  ", "", "<pad>", "b"});
  file.erase("added_tokens");
  CHECK(read_all(file).special.empty());
}

TEST_CASE("token texts: pieces with U+2581 and bytes, as an object or as a list with scores") {
  texts const pieces{"<unk>", "<0x0A>", "<0xE2>", "\u2581the", "in\u2581\u2581it", "<0xG1>"};
  texts const expected{"<unk>", "\n", "\xE2", " the", "in  it", "<0xG1>"};
  json object, list = json::array();
  for (std::size_t i = 0; i != pieces.size(); ++i) {
    object[pieces[i]] = i;
    list.push_back({pieces[i], -1.5});
  }
  CHECK(read({{"model", {{"vocab", object}}}, {"decoder", nullptr}}) == expected);
  CHECK(read({{"model", {{"vocab", object}}}, {"added_tokens", {{{"id", 1}, {"content", "<0x0A>"}}}}}) == expected);
  CHECK(read({{"model", {{"type", "Unigram"}, {"vocab", list}}}}) == expected);
}

TEST_CASE("token texts: what is no tokenizer.json is refused with what is wrong") {
  auto const refused = [](json const& file, std::string const& what) {
    CAPTURE(what);
    std::string message;
    try {
      read(file);
    } catch (susc::error const& e) {
      message = e.what();
    }
    CHECK(message.find(what) != message.npos);
    CHECK(message.find("tokenizer.json") != message.npos);
  };
  refused({{"vocab", 1}}, "field 'model.vocab' is missing: this is no tokenizer.json");
  refused({{"model", {{"vocab", 3}}}}, "field 'model.vocab' is number, wanted an object or an array");
  refused({{"model", {{"vocab", {{"a\n", -1}}}}}},
          "the id of token \"a\\n\" is -1, wanted a whole number below 16777216");
  refused({{"model", {{"vocab", {{"a", 1 << 24}}}}}}, "is 16777216, wanted a whole number below 16777216");
  refused({{"model", {{"vocab", {{"a", 1}, {"b", 1}}}}}}, "two tokens have id 1");
  refused({{"model", {{"vocab", json::object()}}}}, "has no tokens");
  refused({{"model", {{"vocab", {{1, 2}}}}}}, "a token is 1, wanted a text");
  refused({{"model", {{"vocab", {{"a", 1}}}}}, {"added_tokens", {{{"id", 2}}}}},
          "an added token is {\"id\":2}, wanted its 'id' and 'content'");
}
