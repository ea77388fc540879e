#include "susc/data/sentencepiece.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "../bad_input/table.hpp"
#include "../io/temporary_folder.hpp"
#include "susc/core/random.hpp"
#include "susc/data/tokenizer.hpp"

static_assert(susc::Tokenizer<susc::sentencepiece_tokenizer>);

namespace {
/// Lines of a few words with all the white space that must survive.
std::string sample_text(std::uint64_t seed) {
  std::string text;
  susc::random::stream stream({seed});
  constexpr std::string_view words[]{"return", "the",   "value",     "of",     "function", "x1",   "x23",
                                     "if",     "while", "caf\u00e9", "(a, b)", "+=",       "else", "licence"};
  for (int line = 0; line != 3000; ++line) {
    text += std::string(stream.below(4) * 2, ' ') + (stream.below(5) == 0 ? "\t" : "");
    for (int i = 0; i != 6; ++i) text += std::string(words[stream.below(14)]) + (stream.below(9) == 0 ? "  " : " ");
    text += stream.below(4) == 0 ? "\n\n" : "\n";
  }
  return text;
}
struct trained {
  temporary_folder folder;
  std::vector<susc::document> documents;
  trained() {
    for (std::uint64_t i = 0; i != 3; ++i) {
      std::string const name = std::to_string(i) + ".txt", text = sample_text(i);
      folder.file(name, text);
      documents.push_back({folder.path / name, 0, text.size()});
    }
  }
};
constexpr std::size_t vocabulary = 128;
}  // namespace

TEST_CASE("sentencepiece: text with newlines, tabs and runs of spaces comes back exactly") {
  trained const set;
  auto const tokenizer = susc::train_sentencepiece(set.documents, vocabulary, {1});
  CHECK(tokenizer.vocabulary() == vocabulary);
  std::string const unseen = sample_text(99);
  auto const ids = tokenizer.encode(unseen);
  CHECK(ids.size() < unseen.size() / 2);
  CHECK(std::find(ids.begin(), ids.end(), tokenizer.bos()) == ids.end());
  CHECK(std::find(ids.begin(), ids.end(), tokenizer.unknown()) == ids.end());
  CHECK(tokenizer.decode(ids) == unseen);
  for (std::string const text : {"", " ", "  the value", "the value  ", "\n\n\n", "\t\n \t", "no newline after else",
                                 "the\n\nvalue\tof\t\tx1\n", "<s>"})
    CHECK(tokenizer.decode(tokenizer.encode(text)) == (text == "<s>" ? "\uFFFDs\uFFFD" : text));
}

TEST_CASE("sentencepiece: pieces join to the text; newline, tab and digits stand alone") {
  trained const set;
  auto const tokenizer = susc::train_sentencepiece(set.documents, vocabulary, {1});
  std::string joined;
  for (susc::token const id : tokenizer.encode("  the x23\tvalue\n")) joined += tokenizer.piece(id);
  CHECK(joined == "  the x23\tvalue\n");
  for (std::size_t id = 2; id != vocabulary; ++id) {
    std::string const piece = tokenizer.piece(static_cast<susc::token>(id));
    if (piece.size() > 1) CHECK(piece.find_first_of("\n\t0123456789") == piece.npos);
  }
}

TEST_CASE("sentencepiece: characters that were not seen become unknown, BOS and unknown are no text") {
  trained const set;
  auto const tokenizer = susc::train_sentencepiece(set.documents, vocabulary, {1});
  auto const ids = tokenizer.encode("value\u65e5\u672cvalue");
  CHECK(std::count(ids.begin(), ids.end(), tokenizer.unknown()) == 1);
  CHECK(tokenizer.decode(ids) == "value\uFFFDvalue");
  CHECK(tokenizer.decode(std::vector<susc::token>{tokenizer.bos(), ids[0]}) == tokenizer.piece(ids[0]));
  CHECK(!tokenizer.is_text(tokenizer.bos()));
  CHECK(!tokenizer.is_text(tokenizer.unknown()));
  CHECK(tokenizer.is_text(ids[0]));
  CHECK(tokenizer.decode(tokenizer.encode("\xff\xfe")) == "\uFFFD");  // not UTF-8
}

TEST_CASE("sentencepiece: training is a pure function, and a model survives a file") {
  trained const set;
  auto const tokenizer = susc::train_sentencepiece(set.documents, vocabulary, {1});
  auto reversed = set.documents;
  std::reverse(reversed.begin(), reversed.end());
  CHECK(susc::train_sentencepiece(reversed, vocabulary, {1}).serialized() == tokenizer.serialized());
  susc::save_sentencepiece(tokenizer, set.folder.path / "model");
  auto const loaded = susc::load_sentencepiece(set.folder.path / "model");
  CHECK(loaded.serialized() == tokenizer.serialized());
  CHECK(loaded.encode(sample_text(7)) == tokenizer.encode(sample_text(7)));
}

TEST_CASE("sentencepiece: bad input") {
  trained const set;
  auto const tokenizer = susc::train_sentencepiece(set.documents, vocabulary, {1});
  auto const train = [&](std::size_t size) {
    return [&set, size] { susc::train_sentencepiece(set.documents, size, {1}); };
  };
  auto const from = [](std::string const& serialized) {
    return [=] { susc::sentencepiece_tokenizer const refused(serialized); };
  };
  auto const load = [](std::filesystem::path const& file) { return [=] { susc::load_sentencepiece(file); }; };
  auto const text = [&](susc::token id) { return [&tokenizer, id] { tokenizer.is_text(id); }; };
  auto const last = static_cast<susc::token>(vocabulary);
  std::string const beyond =
      "token " + std::to_string(vocabulary) + " is not in the vocabulary of " + std::to_string(vocabulary);
  check_refused({
      {"no text", [] { susc::train_sentencepiece({}, vocabulary, {1}); }, {"without text"}},
      {"more tokens than the text has",
       train(100'000),
       {"cannot train a vocabulary of 100000 tokens", "bytes of text"}},
      {"fewer tokens than characters", train(3), {"cannot train a vocabulary of 3 tokens", "bytes of text"}},
      {"no tokens", train(0), {"cannot train a vocabulary of 0 tokens"}},
      {"tokens beyond 32 bits", train(std::size_t{1} << 40), {"cannot train a vocabulary of 1099511627776 tokens"}},
      {"something else", from("no model"), {"not a SentencePiece model"}},
      {"no bytes", from(""), {"not a SentencePiece model", "empty"}},
      {"a file of something else", load(set.folder.file("other", "no model")), {"other'", "not a SentencePiece model"}},
      {"an empty file", load(set.folder.file("empty", "")), {"empty'", "not a SentencePiece model"}},
      {"half a file",
       load(set.folder.file("half", tokenizer.serialized().substr(0, tokenizer.serialized().size() / 2))),
       {"half'", "not a SentencePiece model"}},
      {"a missing file", load(set.folder.path / "absent"), {"absent'", "No such file"}},
      {"a folder", load(set.folder.path), {set.folder.path.string(), "not a regular file"}},
      {"a token beyond", [&] { tokenizer.piece(last); }, {beyond}},
      {"a token beyond, asked for its kind", text(last), {beyond}},
      {"a negative token, asked for its kind", text(-1), {"token -1 is not in the vocabulary"}},
      {"a negative token in a text",
       [&] { tokenizer.decode(std::vector<susc::token>{-1}); },
       {"token -1 is not in the vocabulary"}},
      {"nowhere to save",
       [&] { susc::save_sentencepiece(tokenizer, set.folder.path / "absent/model"); },
       {"absent/model", "No such file"}},
  });
}
