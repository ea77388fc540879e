#include "susc/data/tokenizer.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {
struct no_text {
  std::size_t vocabulary() const { return 1; }
  susc::token bos() const { return 0; }
  bool is_text(susc::token) const { return false; }
};
struct no_ids {
  std::vector<susc::token> encode(std::string_view) const { return {}; }
  std::string decode(std::span<susc::token const>) const { return {}; }
  std::string piece(susc::token) const { return {}; }
};
struct derived : susc::byte_tokenizer {};
struct reading_strings : susc::byte_tokenizer {
  std::vector<susc::token> encode(std::string const& text) const { return byte_tokenizer::encode(text); }
};
struct letters : no_ids {
  std::size_t vocabulary() const { return 27; }
  susc::token bos() const { return 0; }
  bool is_text(susc::token id) const { return id != 0; }
};
struct wide_ids : letters {
  std::vector<long> encode(std::string_view) const { return {}; }
};
struct unsure_of_text : letters {
  double is_text(susc::token) const { return .5; }
};
}  // namespace

static_assert(susc::Tokenizer<susc::byte_tokenizer>);
static_assert(susc::Tokenizer<derived> && susc::Tokenizer<letters>);
static_assert(!susc::Tokenizer<wide_ids> && !susc::Tokenizer<unsure_of_text>);
static_assert(!susc::Tokenizer<reading_strings>);  // a text is a view
static_assert(!susc::Tokenizer<no_text>);
static_assert(!susc::Tokenizer<no_ids>);
static_assert(!susc::Tokenizer<std::string>);

TEST_CASE("byte_tokenizer: every byte comes back") {
  susc::byte_tokenizer const bytes;
  std::string all;
  for (int i = 0; i != 256; ++i) all += static_cast<char>(i);
  auto ids = bytes.encode(all);
  CHECK(ids.front() == 0);
  CHECK(ids.back() == 255);
  ids.insert(ids.begin(), bytes.bos());
  CHECK(bytes.decode(ids) == all);
  CHECK(bytes.vocabulary() == 257);
  CHECK(bytes.is_text(255));
  CHECK(!bytes.is_text(bytes.bos()));
}

TEST_CASE("byte_tokenizer: pieces for display") {
  susc::byte_tokenizer const bytes;
  CHECK(bytes.piece('\n') == "\n");
  CHECK(bytes.piece(' ') == " ");
  CHECK(bytes.piece(0xE2) == "<0xE2>");
  CHECK(bytes.piece(bytes.bos()) == "<s>");
}
