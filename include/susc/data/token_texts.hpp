#pragma once
/// The texts of token ids, from the tokenizer.json of Hugging Face's tokenizers.
#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/core/requirements.hpp"
#include "susc/io/sharded_safetensors.hpp"

SUSC_REQUIRE_VERSION("nlohmann/json", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, 3, 11);

namespace susc {

namespace detail {
/// Whether a step of the tokenizer, or one in it, writes bytes as printable characters.
inline bool writes_bytes_as_characters(nlohmann::json const& step) {
  if (step.is_object() && step.contains("type") && step["type"] == "ByteLevel") return true;
  return step.is_structured() && std::any_of(step.begin(), step.end(), writes_bytes_as_characters);
}

/// The characters of U+0100 to U+0143 stand for the bytes that are not printable in Latin-1, the others for themselves
/// (GPT-2's encoder). A character that stands for no byte is kept.
inline std::string bytes_of_characters(std::string_view text) {
  static std::array<char, 68> const hidden = [] {
    std::array<char, 68> bytes{};
    std::size_t i = 0;
    for (int b = 0; b != 256; ++b)
      if (b <= 32 || (b >= 127 && b <= 160) || b == 173) bytes[i++] = static_cast<char>(b);
    return bytes;
  }();
  std::string bytes;
  for (std::size_t i = 0; i != text.size(); ++i) {
    auto const first = static_cast<unsigned char>(text[i]);
    if (first >= 0xC2 && first <= 0xC5 && i + 1 != text.size()) {
      unsigned const character = (first & 0x1Fu) << 6 | (static_cast<unsigned char>(text[i + 1]) & 0x3Fu);
      if (character < 0x100 + hidden.size()) {
        bytes += character < 0x100 ? static_cast<char>(character) : hidden[character - 0x100];
        ++i;
        continue;
      }
    }
    bytes += text[i];
  }
  return bytes;
}

/// A space for each U+2581, and the byte of <0xNN>.
inline std::string text_of_piece(std::string piece) {
  if (piece.size() == 6 && piece.starts_with("<0x") && piece.back() == '>') {
    auto const digit = [](char c) { return std::string_view("0123456789ABCDEF").find(c); };
    std::size_t const high = digit(piece[3]), low = digit(piece[4]);
    if (high < 16 && low < 16) return {static_cast<char>(high * 16 + low)};
  }
  for (std::size_t at; (at = piece.find("\u2581")) != piece.npos;) piece.replace(at, 3, " ");
  return piece;
}
}  // namespace detail

/// What the tokens of a tokenizer stand for.
struct token_texts {
  std::vector<std::string> text;     ///< (vocabulary,), UTF-8 or a part of it; empty where there is no token
  std::vector<std::size_t> special;  ///< ids, ascending, of tokens of no text: "<|endoftext|>", say, is but their name
};

/// Reads a tokenizer.json. Knows byte-level BPE (GPT-2, Pythia, Llama 3), and pieces with U+2581 for spaces and <0xNN>
/// for bytes (Llama 2). Throws susc::error on a file that is no tokenizer.json, or has two texts for an id.
inline token_texts read_token_texts(std::filesystem::path const& path) {
  nlohmann::json const file = read_json_object(path);
  std::string const where = "file '" + path.string() + "': ";
  require(file.contains("model") && file["model"].is_object() && file["model"].contains("vocab"), where,
          "field 'model.vocab' is missing: this is no tokenizer.json");
  nlohmann::json const& vocabulary = file["model"]["vocab"];
  bool const byte_level = (file.contains("decoder") && detail::writes_bytes_as_characters(file["decoder"])) ||
                          (file.contains("pre_tokenizer") && detail::writes_bytes_as_characters(file["pre_tokenizer"]));
  std::vector<std::string> texts;
  std::vector<char> seen, special;
  constexpr std::size_t most = std::size_t{1} << 24;
  constexpr auto replace = nlohmann::json::error_handler_t::replace;
  auto const add = [&](nlohmann::json const& id, std::string text, bool again) {
    require(id.is_number_unsigned() && id < most, where, "the id of token ",
            nlohmann::json(text).dump(-1, ' ', true, replace), " is ", id.dump(), ", wanted a whole number below ",
            most);
    std::size_t const i = id.get<std::size_t>();
    if (i >= texts.size()) texts.resize(i + 1), seen.resize(i + 1), special.resize(i + 1);
    require(!seen[i] || again, where, "two tokens have id ", i);
    texts[i] = std::move(text);
    seen[i] = true;
    return i;
  };
  auto const text_of = [&](nlohmann::json const& piece) {
    require(piece.is_string(), where, "a token is ", piece.dump(), ", wanted a text");
    auto text = piece.get<std::string>();
    return byte_level ? detail::bytes_of_characters(text) : detail::text_of_piece(std::move(text));
  };
  if (vocabulary.is_object()) {
    for (auto const& [piece, id] : vocabulary.items()) add(id, text_of(piece), false);
  } else {  // (piece, score), by id
    require(vocabulary.is_array(), where, "field 'model.vocab' is ", vocabulary.type_name(),
            ", wanted an object or an array");
    for (std::size_t i = 0; i != vocabulary.size(); ++i) {
      nlohmann::json const& entry = vocabulary[i];
      add(i, text_of(entry.is_array() && !entry.empty() ? entry[0] : entry), false);
    }
  }
  if (file.contains("added_tokens") && file["added_tokens"].is_array())
    for (nlohmann::json const& token : file["added_tokens"]) {
      require(token.is_object() && token.contains("id") && token.contains("content") && token["content"].is_string(),
              where, "an added token is ", token.dump(), ", wanted its 'id' and 'content'");
      auto content = token["content"].get<std::string>();  // not written as characters for bytes
      std::size_t const id = add(token["id"], byte_level ? content : detail::text_of_piece(std::move(content)), true);
      special[id] = token.contains("special") && token["special"] == true;
    }
  require(!texts.empty(), where, "has no tokens");
  token_texts found{std::move(texts), {}};
  for (std::size_t id = 0; id != special.size(); ++id)
    if (special[id]) found.special.push_back(id);
  return found;
}

}  // namespace susc
