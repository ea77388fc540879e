#pragma once
/// Sequences that repeat themselves: what teaches a model induction, and what shows which heads learnt it.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/core/random.hpp"
#include "susc/data/token_batch.hpp"
#include "susc/data/unigram.hpp"

namespace susc {

namespace detail {
/// Draws tokens by weight (vocabulary,), never BOS.
inline unigram_sampler sampler_without(std::vector<std::uint64_t> weights, token bos) {
  if (bos >= 0 && static_cast<std::size_t>(bos) < weights.size()) weights[static_cast<std::size_t>(bos)] = 0;
  return unigram_sampler(weights);
}
}  // namespace detail

/// Sequences (sequences, length): BOS, then a segment of shortest..longest tokens drawn independently by weight
/// (vocabulary,), repeated until the sequence is full. Tokens of weight 0 (unigram_counts of a tokenizer) and BOS are
/// never drawn. Throws for segments that are empty, weights that are all 0, or BOS beyond them.
inline token_batch repeat_sequences(std::span<std::uint64_t const> weights, token bos, std::size_t sequences,
                                    std::size_t length, random::key key, std::size_t shortest = 4,
                                    std::size_t longest = 12) {
  require(shortest >= 1 && shortest <= longest, "segments of ", shortest, " to ", longest,
          " tokens, must have at least 1, and the shortest number first");
  require(length >= 2, "sequences of length ", length, " predict nothing; the least is 2");
  require(bos >= 0 && static_cast<std::size_t>(bos) < weights.size(), "BOS is ", bos, ", not in the vocabulary of ",
          weights.size());
  unigram_sampler const draw = detail::sampler_without({weights.begin(), weights.end()}, bos);
  token_batch batch{{}, sequences, length};
  batch.tokens.reserve(sequences * length);
  for (std::size_t i = 0; i != sequences; ++i) {
    random::stream stream(random::fold_in(key, i));
    std::vector<token> segment(shortest + stream.below(longest - shortest + 1));
    for (token& each : segment) each = draw(stream);
    batch.tokens.push_back(bos);
    for (std::size_t t = 0; t != length - 1; ++t) batch.tokens.push_back(segment[t % segment.size()]);
  }
  return batch;
}

/// Sequences (count, 1 + 2 segment_length): BOS and a random segment r twice, [r ; r], from which heads are scored for
/// prefix matching. Drawn uniformly from the vocabulary without BOS, or by weight (vocabulary,) if weights are given.
inline token_batch repeated_random_tokens(std::size_t vocabulary, token bos, std::size_t segment_length,
                                          std::size_t count, random::key key,
                                          std::span<std::uint64_t const> weights = {}) {
  require(weights.empty() || weights.size() == vocabulary, "got ", weights.size(), " weights for a vocabulary of ",
          vocabulary);
  std::vector<std::uint64_t> const uniform(vocabulary, 1);
  return repeat_sequences(weights.empty() ? std::span<std::uint64_t const>(uniform) : weights, bos, count,
                          1 + 2 * segment_length, key, segment_length, segment_length);
}

}  // namespace susc
