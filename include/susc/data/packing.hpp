#pragma once
/// Documents to sequences of equal length.
#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/core/random.hpp"
#include "susc/data/corpus.hpp"
#include "susc/data/token_batch.hpp"
#include "susc/data/tokenizer.hpp"

namespace susc {

/// Sequences (max_tokens / length, length), fewer if the text ends before: BOS and length - 1 consecutive tokens of one
/// document. Documents are read one at a time, in seeded random order, only as far as needed; the rest of each that
/// fills no sequence is dropped, so that no context spans two documents. Neighbouring sequences come from one document:
/// for a small set that represents many, pack more and draw from it (sample_sequences). Throws if no document fills a
/// sequence.
template <Tokenizer T>
token_batch pack_documents(std::vector<document> documents, T const& tokenizer, std::size_t length,
                           std::size_t max_tokens, random::key key) {
  require(length >= 2, "sequences of length ", length, " predict nothing; the least is 2");
  require(max_tokens >= length, "max_tokens ", max_tokens, " is less than one sequence of length ", length);
  std::size_t const wanted = max_tokens / length, text_length = length - 1;
  token_batch batch{{}, 0, length};
  for (document const& each : shuffled_documents(std::move(documents), key)) {
    if (batch.sequences == wanted) break;
    std::vector<token> const ids = tokenizer.encode(read_document(each));
    for (std::size_t at = 0; at + text_length <= ids.size() && batch.sequences != wanted; at += text_length) {
      batch.tokens.push_back(tokenizer.bos());
      batch.tokens.insert(batch.tokens.end(), ids.data() + at, ids.data() + at + text_length);
      ++batch.sequences;
    }
  }
  require(batch.sequences != 0, "no document has the ", text_length, " tokens of a sequence of length ", length);
  return batch;
}

}  // namespace susc
