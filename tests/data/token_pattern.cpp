#include "susc/data/token_pattern.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "susc/core/random.hpp"

namespace {

using enum susc::token_pattern;
using susc::pattern_set;
using susc::token_pattern;

/// Texts become a vocabulary in order of appearance; "" stands for BOS.
struct written {
  std::vector<std::string> texts;
  susc::token_batch batch;
};
written write(std::vector<std::vector<std::string>> const& sequences) {
  written result;
  result.batch.sequences = sequences.size();
  result.batch.length = sequences.empty() ? 0 : sequences[0].size();
  for (auto const& sequence : sequences) {
    REQUIRE(sequence.size() == result.batch.length);
    for (std::string const& text : sequence) {
      auto const at = std::find(result.texts.begin(), result.texts.end(), text);
      result.batch.tokens.push_back(static_cast<susc::token>(at - result.texts.begin()));
      if (at == result.texts.end()) result.texts.push_back(text);
    }
  }
  return result;
}

using classes = std::set<token_pattern>;
std::vector<classes> found(std::vector<std::vector<std::string>> const& sequences) {
  written const text = write(sequences);
  std::vector<classes> all;
  for (pattern_set const set : susc::patterns_of(text.batch, text.texts)) {
    classes names;
    for (token_pattern const p : susc::token_patterns)
      if (set.has(p)) names.insert(p);
    all.push_back(names);
  }
  return all;
}

/// Classes of one token, after a full stop that no case below repeats and before a newline.
classes alone(std::string const& text) {
  return found({{"", "?!", text, "\n\n\n"}})[1];
}

TEST_CASE("token patterns: sets and names") {
  pattern_set set;
  for (token_pattern const p : susc::token_patterns) CHECK(!set.has(p));
  set.add(word_end);
  set.add(formatting);
  CHECK(set.bits == 0b10000100);
  for (token_pattern const p : susc::token_patterns) CHECK(set.has(p) == (p == word_end || p == formatting));
  std::set<std::string_view> names;
  for (std::size_t i = 0; i != susc::token_patterns.size(); ++i) {
    CHECK(static_cast<std::size_t>(susc::token_patterns[i]) == i);
    names.insert(susc::name_of(susc::token_patterns[i]));
  }
  CHECK(names.size() == 8);
  CHECK(susc::name_of(word_start) == "word start");
  CHECK(susc::name_of(induction) == "induction");
  CHECK(susc::name_of(formatting) == "formatting");
}

TEST_CASE("token patterns: classes by the text alone") {
  for (char const* text :
       {" the", "the", "\tThe", "Z", " don't", "w17", "\u00E9t\u00E9", " \u65E5\u672C", "\xE6", "'s"}) {
    CAPTURE(text);
    CHECK(alone(text).contains(word_start));
    CHECK(!alone(text).contains(delimiter));
  }
  CHECK(alone(" the") == classes{word_start});
  CHECK(alone("\tThe") == classes{word_start, formatting});
  for (char const* text : {"(", ")", "];", " \"", "...", ",", "''", "\u201C", " \u00BB", "\u27E9", "\u2026"}) {
    CAPTURE(text);
    CHECK(alone(text) == classes{delimiter});
  }
  for (char const* text : {" ", "    "}) CHECK(alone(text) == classes{spacing});
  for (char const* text : {"\n", "\t", " \r\n", "\n    "}) CHECK(alone(text) == classes{spacing, formatting});
  for (char const* text : {"7", " 2024", "3.14", "1,000", "-1"}) CHECK(alone(text) == classes{numeric});
  for (char const* text : {"#", " ==", "**", "_", "|", " &&", "\\"}) CHECK(alone(text) == classes{formatting});
  for (char const* text : {"<", "->", " </", ">>", "*)", ");\n"}) CHECK(alone(text) == classes{delimiter, formatting});
  // Several words, a word before white space, and names with other marks are no piece of one word.
  for (char const* text : {"of the", "end ", "a-b", "foo(", "x=", "."}) {
    CAPTURE(text);
    CHECK(!alone(text).contains(word_start));
    CHECK(!alone(text).contains(word_part));
  }
  CHECK(alone("foo(").empty());
  CHECK(alone("7a") == classes{word_start});
}

TEST_CASE("token patterns: words in pieces") {
  CHECK(found({{"", " sus", "cep", "tib", "le", " to", " it", ".", "foo", "bar", "(", "baz", ")"}}) ==
        std::vector<classes>{{word_start},
                             {word_part},
                             {word_part},
                             {word_part, word_end},
                             {word_start},
                             {word_start},
                             {delimiter},
                             {word_start},
                             {word_part, word_end},
                             {delimiter},
                             {word_start},
                             {delimiter}});
  // An apostrophe joins, a newline and a digit part.
  CHECK(found({{"", " don", "'t", "\n", "go", "7", "up", " "}}) == std::vector<classes>{{word_start},
                                                                                        {word_part, word_end},
                                                                                        {spacing, formatting},
                                                                                        {word_start},
                                                                                        {numeric},
                                                                                        {word_start},
                                                                                        {spacing}});
}

TEST_CASE("token patterns: nothing is claimed beyond the borders of a sequence") {
  // Behind BOS, a word piece without white space may continue a word: neither start nor part; with it, it is a start.
  // At the end of the sequence a part may go on: no end.
  CHECK(found({{"", "ing", "s", " of", "ten"}, {"", " of", "ing", " of", "s"}}) ==
        std::vector<classes>{{},
                             {word_part, word_end},
                             {word_start},
                             {word_part},
                             {word_start},
                             {word_part, word_end},
                             {word_start},
                             {word_part}});
  // The sequence before ends in a word: the first token of the next one is not its part.
  CHECK(found({{"a", " b"}, {"c", "d"}}) == std::vector<classes>{{word_start}, {word_part}});
  // A token without text in the middle hides what it stands for, on both sides.
  CHECK(found({{"x", "y", "", "z", " w"}}) == std::vector<classes>{{word_part}, {}, {}, {word_start}});
  CHECK(found({}).empty());
  CHECK(found({{"a"}, {"b"}}).empty());
}

TEST_CASE("token patterns: induction is a pair that the same sequence had before") {
  auto const at = [](std::vector<std::vector<std::string>> const& sequences) {
    std::string marks;
    for (classes const& c : found(sequences)) marks += c.contains(induction) ? 'i' : '.';
    return marks;
  };
  CHECK(at({{"", " a", " b", " c", " a", " b", " c", " a", " c"}}) == "....iii.");  // (c, a) is new until it repeats
  CHECK(at({{"", " a", " a", " a"}}) == "..i");                                     // overlapping pairs count
  CHECK(at({{" a", " b", " a", " b"}}) == "..i");                                   // the first token is context
  CHECK(at({{"", " a", " b"}, {"", " a", " b"}}) == "....");                        // not across sequences
  CHECK(at({{" a", " b", " b"}, {" a", " b", " a"}}) == "....");
  CHECK(at({{"", " b", " a", " a", " b"}}) == "....");  // not in the other order
  CHECK(at({{"", " a", "", " a"}}) == "..i");           // no text is needed
}

TEST_CASE("token patterns: induction equals a search through the sequence") {
  for (std::uint64_t seed = 0; seed != 50; ++seed) {
    susc::random::stream draw{{seed}};
    susc::token_batch batch{{}, 3, 2 + draw.below(60)};
    for (std::size_t i = 0; i != batch.sequences * batch.length; ++i)
      batch.tokens.push_back(static_cast<susc::token>(draw.below(6)));
    std::vector<std::string> const texts(6);
    auto const sets = susc::patterns_of(batch, texts);
    REQUIRE(sets.size() == batch.example_count());
    std::size_t wrong = 0, row = 0;
    for (std::size_t s = 0; s != batch.sequences; ++s) {
      auto const t = batch.sequence(s);
      for (std::size_t i = 1; i != batch.length; ++i, ++row) {
        bool before = false;
        for (std::size_t j = 1; j < i; ++j) before = before || (t[j - 1] == t[i - 1] && t[j] == t[i]);
        wrong += sets[row].bits != (before ? 1u << 3 : 0u);
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("token patterns: tokens without an entry and ragged batches are refused") {
  std::vector<std::string> const texts{"a", "b"};
  CHECK_THROWS_WITH_AS(susc::patterns_of({{0, 2}, 1, 2}, texts), "patterns: token 2, texts are given for 2",
                       susc::error);
  CHECK_THROWS_WITH_AS(susc::patterns_of({{0, -1}, 1, 2}, texts), "patterns: token -1, texts are given for 2",
                       susc::error);
  CHECK_THROWS_WITH_AS(susc::patterns_of({{0, 1, 1}, 1, 2}, texts), "patterns: 3 tokens, wanted 1 x 2", susc::error);
}

}  // namespace
