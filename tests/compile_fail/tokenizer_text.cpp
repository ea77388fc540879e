// A tokenizer shows its tokens.
// expect: a Tokenizer needs `std::vector<token> encode(std::string_view) const`, `std::string decode(std::span<token
// const>) const` and `std::string piece(token) const`
#include "susc/data/tokenizer.hpp"

struct tokenizer {
  std::size_t vocabulary() const { return 2; }
  susc::token bos() const { return 0; }
  bool is_text(susc::token id) const { return id != 0; }
  std::vector<susc::token> encode(std::string_view) const { return {}; }
  std::string decode(std::span<susc::token const>) const { return {}; }
#ifndef SUSC_FAIL
  std::string piece(susc::token) const {
    return {};
  }
#endif
};
static_assert(susc::Tokenizer<tokenizer>);
