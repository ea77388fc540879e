#pragma once
/// What a token is in its context: part of a word, a repetition, a bracket, white space, ... The classes are those by
/// which arXiv 2504.18274 reads its principal components; the rules below are this library's.
///
/// A token is told by its text. *White space*: space, tab, line breaks. *Letters*: of ASCII, and every byte above 0x7F
/// that belongs to no delimiter below. A *word piece* is, after any white space, letters, digits and apostrophes with
/// at least one letter: " the", "ing", "'s", "w17".
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/data/token_batch.hpp"

namespace susc {

/// Classes of a token in its context; a token may be in several, or in none.
enum class token_pattern : std::uint8_t {
  word_start,  ///< a word piece with white space before it, or after a token that is no word piece; whole words too
  word_part,   ///< a word piece that continues that of the token before
  word_end,    ///< a word part whose successor does not continue the word
  induction,   ///< with the token before it a pair that occurred earlier in the sequence
  delimiter,   ///< punctuation with a bracket, quotation mark, or one of . , ; : ! ? in it
  spacing,     ///< white space alone
  numeric,     ///< digits and no letter
  formatting,  ///< a line break or tab in it, or punctuation with a mark of layout or an operator, as # * _ | = - < > /
};

/// All, in their order.
inline constexpr std::array<token_pattern, 8> token_patterns{
    token_pattern::word_start, token_pattern::word_part, token_pattern::word_end, token_pattern::induction,
    token_pattern::delimiter,  token_pattern::spacing,   token_pattern::numeric,  token_pattern::formatting};

/// "word start", "induction", ...
inline std::string_view name_of(token_pattern pattern) {
  constexpr std::array<std::string_view, token_patterns.size()> names{
      "word start", "word part", "word end", "induction", "delimiter", "spacing", "numeric", "formatting"};
  return names[static_cast<std::size_t>(pattern)];
}

/// The classes that a token is in.
struct pattern_set {
  std::uint8_t bits = 0;  ///< bit i: token_patterns[i]

  /// Whether the token is in this class.
  bool has(token_pattern pattern) const { return (bits >> static_cast<unsigned>(pattern) & 1u) != 0; }
  /// Puts the token into this class.
  void add(token_pattern pattern) { bits = static_cast<std::uint8_t>(bits | 1u << static_cast<unsigned>(pattern)); }
  friend bool operator==(pattern_set const&, pattern_set const&) = default;
};

namespace detail {

/// What a token's text says without its context.
struct piece_kind {
  bool text = false, word = false, space_first = false;
  pattern_set patterns;  // of those that need no context
};

inline bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
inline bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Bytes of the delimiter that the text begins with; 0 if it begins with none.
inline std::size_t delimiter_size(std::string_view text) {
  constexpr std::array<std::string_view, 35> marks{"(", ")", "[", "]", "{", "}", "<", ">", "\"", "'", "`", ".",
                                                   ",", ";", ":", "!", "?", "«", "»", "‹", "›",  "“", "”", "„",
                                                   "‘", "’", "‚", "⟨", "⟩", "⌈", "⌉", "⌊", "⌋",  "…", "–"};
  auto const mark = std::find_if(marks.begin(), marks.end(), [&](std::string_view m) { return text.starts_with(m); });
  return mark == marks.end() ? 0 : mark->size();
}

inline piece_kind kind_of(std::string_view text) {
  piece_kind kind{
      .text = !text.empty(), .word = true, .space_first = !text.empty() && is_space(text.front()), .patterns = {}};
  bool letter = false, digit = false, delimiter = false, mark = false, visible = false, line_break = false;
  while (!text.empty()) {
    char const c = text.front();
    std::size_t const size = std::max<std::size_t>(1, delimiter_size(text));
    bool const delimits = delimiter_size(text) != 0;
    if (is_space(c)) {
      line_break = line_break || c != ' ';
      kind.word = kind.word && !visible;  // white space within or after a word: no single piece of one
    } else {
      visible = true;
      if (is_digit(c)) {
        digit = true;
      } else if (is_letter(c) || (!delimits && static_cast<unsigned char>(c) > 127)) {
        letter = true;
      } else {
        delimiter = delimiter || delimits;
        mark = mark || std::string_view("#*_~`|=-+<>/\\&^@$%").find(c) != std::string_view::npos;
        kind.word = kind.word && (c == '\'' || text.starts_with("’"));
      }
    }
    text.remove_prefix(size);
  }
  kind.word = kind.word && letter;
  bool const punctuation = !letter && !digit;
  for (auto const& [pattern, holds] :
       {std::pair(token_pattern::delimiter, punctuation && delimiter),
        std::pair(token_pattern::spacing, kind.text && !visible), std::pair(token_pattern::numeric, digit && !letter),
        std::pair(token_pattern::formatting, line_break || (punctuation && mark))})
    if (holds) kind.patterns.add(pattern);
  return kind;
}

}  // namespace detail

/// The classes of every token but the first of each sequence (example_count,), as the examples of a batch are numbered.
/// `texts` (vocabulary,): the text of each token, with its white space and not as a tokenizer's files spell it, empty
/// for one that stands for none, such as BOS. Nothing is said that lies beyond a sequence's borders or a token without
/// text: a word piece there without white space is neither a start nor a part, and one at the sequence's end is no end.
/// Throws for a token without entry in `texts`.
inline std::vector<pattern_set> patterns_of(token_batch const& batch, std::span<std::string const> texts) {
  require(batch.tokens.size() == batch.sequences * batch.length, "patterns: ", batch.tokens.size(), " tokens, wanted ",
          batch.sequences, " x ", batch.length);
  std::vector<detail::piece_kind> kinds;
  for (std::string const& text : texts) kinds.push_back(detail::kind_of(text));
  for (token const id : batch.tokens)
    require(id >= 0 && static_cast<std::size_t>(id) < kinds.size(), "patterns: token ", id, ", texts are given for ",
            kinds.size());
  std::vector<pattern_set> all;
  all.reserve(batch.example_count());
  std::vector<std::pair<token, token>> seen;  // pairs of the sequence so far, sorted
  for (std::size_t s = 0; s != batch.sequences; ++s) {
    auto const row = batch.sequence(s);
    auto const kind = [&](std::size_t t) -> detail::piece_kind const& {
      return kinds[static_cast<std::size_t>(row[t])];
    };
    auto const continues = [&](std::size_t t) { return kind(t).word && !kind(t).space_first && kind(t - 1).word; };
    seen.clear();
    for (std::size_t t = 1; t < row.size(); ++t) {
      pattern_set set = kind(t).patterns;
      // Where the word may have begun before the text, nobody knows which part of it this is.
      bool const cut = !kind(t).space_first && !kind(t - 1).text;
      if (kind(t).word && !cut) set.add(continues(t) ? token_pattern::word_part : token_pattern::word_start);
      if (set.has(token_pattern::word_part) && t + 1 != row.size() && kind(t + 1).text && !continues(t + 1))
        set.add(token_pattern::word_end);
      std::pair const pair(row[t - 1], row[t]);
      auto const place = std::lower_bound(seen.begin(), seen.end(), pair);
      if (place != seen.end() && *place == pair)
        set.add(token_pattern::induction);
      else
        seen.insert(place, pair);
      all.push_back(set);
    }
  }
  return all;
}

}  // namespace susc
