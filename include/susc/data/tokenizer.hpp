#pragma once
/// What a tokenizer is, and the simplest one: bytes.
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/core/error.hpp"
#include "susc/data/token_batch.hpp"

namespace susc {

namespace detail {
template <class T>
concept has_token_ids = requires(T const& t, token id) {
  { t.vocabulary() } -> std::same_as<std::size_t>;
  { t.bos() } -> std::same_as<token>;
  { t.is_text(id) } -> std::same_as<bool>;
};
template <class T>
concept has_token_text = requires(T const& t, token id, std::string_view text, std::span<token const> ids) {
  { t.encode(text) } -> std::same_as<std::vector<token>>;
  { t.decode(ids) } -> std::same_as<std::string>;
  { t.piece(id) } -> std::same_as<std::string>;
};
}  // namespace detail

/// Text to token ids in [0, vocabulary()) and back. `encode` never yields bos(), which opens every sequence; `decode`
/// leaves it out. `is_text`: the id stands for some text, unlike bos() and an id for unknown characters. `piece`: one
/// token for display, valid UTF-8, white space as it is. Const members may be called from several threads at once.
// clang-format off
template <class T>
concept Tokenizer =
    (detail::has_token_ids<T> ||
     detail::because<"a Tokenizer needs `std::size_t vocabulary() const`, `token bos() const` and `bool is_text(token) const`">) &&
    (detail::has_token_text<T> ||
     detail::because<"a Tokenizer needs `std::vector<token> encode(std::string_view) const`, `std::string decode(std::span<token const>) const` and `std::string piece(token) const`">);
// clang-format on

/// Every byte is a token; id 256 is BOS. Any text is reproduced exactly.
struct byte_tokenizer {
  std::size_t vocabulary() const { return 257; }        ///< 256 bytes and BOS
  token bos() const { return 256; }                     ///< opens every sequence
  bool is_text(token id) const { return id != bos(); }  ///< any byte

  /// One id a byte.
  std::vector<token> encode(std::string_view text) const {
    std::vector<token> ids;
    ids.reserve(text.size());
    for (char const c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  /// Throws for an id outside of the vocabulary.
  std::string decode(std::span<token const> ids) const {
    std::string text;
    for (token const id : ids) {
      require(id >= 0 && id <= bos(), "token ", id, " is not in the vocabulary of 257");
      if (id != bos()) text += static_cast<char>(id);
    }
    return text;
  }
  /// Bytes that are no ASCII character as "<0xE2>". Throws for an id outside of the vocabulary.
  std::string piece(token id) const {
    require(id >= 0 && id <= bos(), "token ", id, " is not in the vocabulary of 257");
    if (id == bos()) return "<s>";
    if (id < 128) return {static_cast<char>(id)};
    constexpr std::string_view digits = "0123456789ABCDEF";
    auto const byte = static_cast<std::size_t>(id);
    return {'<', '0', 'x', digits[byte / 16], digits[byte % 16], '>'};
  }
};

}  // namespace susc
