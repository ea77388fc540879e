#pragma once
/// A generated language in four domains, small enough that a model learns it in under a minute. One key fixes the
/// language, another the sequences, so that held-out data is of the same language.
#include <array>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/core/random.hpp"
#include "susc/data/token_batch.hpp"

namespace susc {

/// Token 0 is BOS, 1..8 open a bracket, 9..16 close it, the others are words.
struct synthetic_language {
  static constexpr token bos = 0;                             ///< opens every sequence
  static constexpr token bracket_types = 8;                   ///< pairs of brackets
  static constexpr token first_word = 1 + 2 * bracket_types;  ///< 17; all ids from here on are words
  /// Probabilities of a word's four successors.
  static constexpr std::array<double, 4> successor_probabilities{.5, .25, .15, .1};

  std::size_t vocabulary = 0;                    ///< number of tokens
  std::vector<std::array<token, 4>> successors;  ///< (vocabulary - first_word), four different words each
  std::vector<std::vector<token>> phrases;       ///< 96 of 3 to 8 words

  bool opens(token id) const { return id >= 1 && id <= bracket_types; }          ///< an opening bracket
  bool closes(token id) const { return id > bracket_types && id < first_word; }  ///< a closing bracket
  /// A token for display: "<s>", a bracket, or "w17". Throws for an id outside of the vocabulary.
  std::string piece(token id) const {
    require(id >= 0 && static_cast<std::size_t>(id) < vocabulary, "token ", id, " is not in the vocabulary of ",
            vocabulary);
    constexpr std::array<std::string_view, first_word> names{"<s>", "(", "[", "{", "<", "«", "⟨", "⌈", "⌊",
                                                             ")",   "]", "}", ">", "»", "⟩", "⌉", "⌋"};
    return id < first_word ? std::string(names[static_cast<std::size_t>(id)]) : "w" + std::to_string(id);
  }
  friend bool operator==(synthetic_language const&, synthetic_language const&) = default;
};

/// bigram:    each word is followed by one of its four successors.
/// phrases:   fixed phrases, one after the other.
/// brackets:  eight types, well nested, at most 8 deep; the last ones may stay open.
/// induction: a random segment of 4 to 16 tokens (any but BOS), new for each sequence, repeated from a random phase on;
///            before a quarter of the repeats 0 to 4 random tokens.
enum class synthetic_domain { bigram, phrases, brackets, induction };
/// All four, in the order of generate_mixture.
inline constexpr std::array<synthetic_domain, 4> synthetic_domains{
    synthetic_domain::bigram, synthetic_domain::phrases, synthetic_domain::brackets, synthetic_domain::induction};

/// "bigram", "phrases", "brackets" or "induction".
inline std::string_view name_of(synthetic_domain domain) {
  constexpr std::array<std::string_view, 4> names{"bigram", "phrases", "brackets", "induction"};
  return names[static_cast<std::size_t>(domain)];
}

/// The successor table and the phrases that belong to the key. Throws for a vocabulary below 32, or beyond
/// what a token can number.
inline synthetic_language make_synthetic_language(random::key key, std::size_t vocabulary = 128) {
  require(vocabulary >= 32, "a vocabulary of ", vocabulary, " is too small: 17 tokens are BOS and brackets; least: 32");
  require(vocabulary <= std::size_t{1} << 31, "a vocabulary of ", vocabulary, " is too large: token ids have 31 bits");
  synthetic_language language{vocabulary, {}, {}};
  random::stream stream(key);
  std::size_t const words = vocabulary - synthetic_language::first_word;
  auto const word = [&] { return synthetic_language::first_word + static_cast<token>(stream.below(words)); };
  language.successors.resize(words);
  for (auto& each : language.successors)
    for (std::size_t i = 0; i != each.size();) {
      each[i] = word();
      bool known = false;
      for (std::size_t j = 0; j != i; ++j) known = known || each[j] == each[i];
      if (!known) ++i;
    }
  language.phrases.resize(96);
  for (auto& each : language.phrases) {
    each.resize(3 + stream.below(6));
    for (token& id : each) id = word();
  }
  return language;
}

namespace detail {
inline void append_bigram(synthetic_language const& language, std::vector<token>& tokens, std::size_t end,
                          random::stream& stream) {
  token id = language.first_word + static_cast<token>(stream.below(language.successors.size()));
  while (tokens.size() != end) {
    tokens.push_back(id);
    double const u = stream.uniform();
    auto const& p = language.successor_probabilities;
    std::size_t const which = u < p[0] ? 0 : u < p[0] + p[1] ? 1 : u < p[0] + p[1] + p[2] ? 2 : 3;
    id = language.successors[static_cast<std::size_t>(id - language.first_word)][which];
  }
}

inline void append_phrases(synthetic_language const& language, std::vector<token>& tokens, std::size_t end,
                           random::stream& stream) {
  while (tokens.size() != end)
    for (token const id : language.phrases[stream.below(language.phrases.size())])
      if (tokens.size() != end) tokens.push_back(id);
}

inline void append_brackets(synthetic_language const& language, std::vector<token>& tokens, std::size_t end,
                            random::stream& stream) {
  std::vector<token> open;
  while (tokens.size() != end) {
    if (open.empty() || (open.size() != 8 && stream.below(2) == 0)) {
      open.push_back(1 + static_cast<token>(stream.below(language.bracket_types)));
      tokens.push_back(open.back());
    } else {
      tokens.push_back(open.back() + language.bracket_types);
      open.pop_back();
    }
  }
}

inline void append_induction(synthetic_language const& language, std::vector<token>& tokens, std::size_t end,
                             random::stream& stream) {
  auto const any = [&] { return 1 + static_cast<token>(stream.below(language.vocabulary - 1)); };
  std::vector<token> segment(4 + stream.below(13));
  for (token& id : segment) id = any();
  std::size_t from = stream.below(segment.size());  // the first copy may lack its beginning
  for (;;) {
    for (; from != segment.size(); ++from) {
      if (tokens.size() == end) return;
      tokens.push_back(segment[from]);
    }
    from = 0;
    if (stream.below(4) != 0) continue;
    for (std::size_t fillers = stream.below(5); fillers != 0 && tokens.size() != end; --fillers)
      tokens.push_back(any());
  }
}
}  // namespace detail

/// Sequences (sequences, length) of one domain: BOS and length - 1 tokens. Sequence i depends on the key and i alone.
inline token_batch generate_sequences(synthetic_language const& language, synthetic_domain domain,
                                      std::size_t sequences, std::size_t length, random::key key) {
  require(length >= 2, "sequences of length ", length, " predict nothing; the least is 2");
  require(sequences <= std::numeric_limits<std::size_t>::max() / length, sequences, " sequences of ", length,
          " tokens are more than fit in 64 bits");
  token_batch batch{{}, sequences, length};
  batch.tokens.reserve(sequences * length);
  for (std::size_t i = 0; i != sequences; ++i) {
    random::stream stream(random::fold_in(random::fold_in(key, name_of(domain)), i));
    std::size_t const end = batch.tokens.size() + length;
    batch.tokens.push_back(language.bos);
    switch (domain) {
      case synthetic_domain::bigram:
        detail::append_bigram(language, batch.tokens, end, stream);
        break;
      case synthetic_domain::phrases:
        detail::append_phrases(language, batch.tokens, end, stream);
        break;
      case synthetic_domain::brackets:
        detail::append_brackets(language, batch.tokens, end, stream);
        break;
      case synthetic_domain::induction:
        detail::append_induction(language, batch.tokens, end, stream);
        break;
    }
  }
  return batch;
}

/// Sequences (4 sequences_per_domain, length): all four domains in equal parts, one after the other.
inline token_batch generate_mixture(synthetic_language const& language, std::size_t sequences_per_domain,
                                    std::size_t length, random::key key) {
  token_batch batch{{}, synthetic_domains.size() * sequences_per_domain, length};
  batch.tokens.reserve(batch.sequences * length);
  for (synthetic_domain const domain : synthetic_domains) {
    token_batch const part = generate_sequences(language, domain, sequences_per_domain, length, key);
    batch.tokens.insert(batch.tokens.end(), part.tokens.begin(), part.tokens.end());
  }
  return batch;
}

}  // namespace susc
