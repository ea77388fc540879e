#pragma once
/// Token ids as a 2-D array: a dataset, a minibatch and a probe are all one of these.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/core/random.hpp"

namespace susc {

/// The id of a token, below the vocabulary's size.
using token = std::int32_t;

/// Token ids (sequences, length), row-major. An example is a token in its context: each sequence has length - 1 of
/// them, the first token being given.
struct token_batch {
  std::vector<token> tokens;  ///< (sequences, length)
  std::size_t sequences = 0;  ///< rows
  std::size_t length = 0;     ///< tokens of a row

  /// Row i, (length,).
  std::span<token const> sequence(std::size_t i) const { return {tokens.data() + i * length, length}; }
  /// Number of per-token losses, sequences * (length - 1).
  std::size_t example_count() const { return length == 0 ? 0 : sequences * (length - 1); }
  friend bool operator==(token_batch const&, token_batch const&) = default;
};

/// `size` sequences drawn uniformly with replacement. Throws if the dataset is empty, or its tokens are not as many as
/// it says.
inline token_batch sample_sequences(token_batch const& dataset, std::size_t size, random::key key) {
  require(dataset.sequences > 0, "cannot draw a minibatch from a dataset without sequences");
  require(dataset.tokens.size() == dataset.sequences * dataset.length, "a dataset of ", dataset.tokens.size(),
          " tokens, must have ", dataset.sequences, " x ", dataset.length);
  token_batch batch{{}, size, dataset.length};
  batch.tokens.reserve(size * dataset.length);
  random::stream stream(key);
  for (std::size_t i = 0; i != size; ++i) {
    auto const row = dataset.sequence(stream.below(dataset.sequences));
    batch.tokens.insert(batch.tokens.end(), row.begin(), row.end());
  }
  return batch;
}

/// `size` different sequences, each as likely as any other: those of sample_sequences without its repetitions. Where
/// the dataset has no more than `size`, all of it, in its order. Throws as sample_sequences does.
inline token_batch sample_distinct_sequences(token_batch const& dataset, std::size_t size, random::key key) {
  token_batch batch = sample_sequences(dataset, 0, key);
  if (size >= dataset.sequences) return dataset;
  batch.tokens.reserve(size * dataset.length);
  std::vector<char> drawn(dataset.sequences);
  random::stream stream(key);
  while (batch.sequences != size) {
    std::size_t const i = stream.below(dataset.sequences);
    if (drawn[i]) continue;
    drawn[i] = true;
    auto const row = dataset.sequence(i);
    batch.tokens.insert(batch.tokens.end(), row.begin(), row.end());
    ++batch.sequences;
  }
  return batch;
}

}  // namespace susc
