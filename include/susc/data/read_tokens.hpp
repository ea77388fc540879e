#pragma once
/// Token ids from files.
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string_view>
#include <utility>

#include "susc/core/error.hpp"
#include "susc/data/token_batch.hpp"
#include "susc/io/npy.hpp"
#include "susc/io/numbers.hpp"

namespace susc {

/// Throws susc::error, naming `what` (a file, say), row, column and id, unless every id is in [0, vocabulary),
/// and there are as many as the batch says.
inline void check_tokens(token_batch const& batch, std::size_t vocabulary, std::string_view what) {
  require(batch.tokens.size() == batch.sequences * batch.length, what, ": ", batch.tokens.size(), " tokens, wanted ",
          batch.sequences, " x ", batch.length);
  auto const wrong = std::find_if(batch.tokens.begin(), batch.tokens.end(),
                                  [&](token id) { return id < 0 || static_cast<std::size_t>(id) >= vocabulary; });
  if (wrong == batch.tokens.end()) return;
  std::size_t const position = static_cast<std::size_t>(wrong - batch.tokens.begin());
  fail(what, ": token id ", *wrong, " at row ", position / batch.length, ", column ", position % batch.length,
       ", wanted ids that are not negative and below the vocabulary's size, ", vocabulary);
}

/// Token ids (sequences, length) from a 2-D .npy file of any integer type. Throws susc::error if the file is not that,
/// holds no sequence or sequences shorter than 2 tokens, or an id that is negative or beyond 32 bits.
inline token_batch read_tokens(std::filesystem::path const& path) {
  npy_array<token> array = read_npy<token>(path, 2);
  token_batch batch{std::move(array.values), array.shape[0], array.shape[1]};
  require(batch.sequences >= 1 && batch.length >= 2, "file '", path.string(), "': shape ", shape_text(array.shape),
          ", wanted (sequences, length) with at least 1 sequence of at least 2 tokens: a token and its successor");
  auto const negative = std::find_if(batch.tokens.begin(), batch.tokens.end(), [](token id) { return id < 0; });
  if (negative != batch.tokens.end()) {
    std::size_t const position = static_cast<std::size_t>(negative - batch.tokens.begin());
    fail("file '", path.string(), "': token id ", *negative, " at row ", position / batch.length, ", column ",
         position % batch.length, ", wanted ids that are not negative");
  }
  return batch;
}

}  // namespace susc
