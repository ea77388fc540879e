// A tokenizer has a token that opens every sequence.
// expect: a Tokenizer needs `std::size_t vocabulary() const`, `token bos() const` and `bool is_text(token) const`
#include "susc/data/tokenizer.hpp"

struct tokenizer {
  std::size_t vocabulary() const { return 2; }
#ifdef SUSC_FAIL
  char bos() const {
    return 0;
  }
#else
  susc::token bos() const {
    return 0;
  }
#endif
  bool is_text(susc::token id) const {
    return id != 0;
  }
  std::vector<susc::token> encode(std::string_view) const {
    return {};
  }
  std::string decode(std::span<susc::token const>) const {
    return {};
  }
  std::string piece(susc::token) const {
    return {};
  }
};
static_assert(susc::Tokenizer<tokenizer>);
