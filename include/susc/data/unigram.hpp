#pragma once
/// How often each token occurs, and draws from that distribution.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/core/random.hpp"
#include "susc/data/token_batch.hpp"
#include "susc/data/tokenizer.hpp"

namespace susc {

/// Occurrences (vocabulary,) of each token among those a model predicts: the first of a sequence is given, not counted.
/// Throws for a token outside of the vocabulary.
inline std::vector<std::uint64_t> unigram_counts(token_batch const& batch, std::size_t vocabulary) {
  std::vector<std::uint64_t> counts(vocabulary);
  for (std::size_t i = 0; i != batch.sequences; ++i)
    for (std::size_t t = 1; t < batch.length; ++t) {
      token const id = batch.sequence(i)[t];
      require(id >= 0 && static_cast<std::size_t>(id) < vocabulary, "sequence ", i, " holds token ", id,
              ", which is not in the vocabulary of ", vocabulary);
      ++counts[static_cast<std::size_t>(id)];
    }
  return counts;
}

/// The same with 0 for the ids that stand for no text (BOS, unknown): what sequences are drawn from.
template <Tokenizer T>
std::vector<std::uint64_t> unigram_counts(token_batch const& batch, T const& tokenizer) {
  auto counts = unigram_counts(batch, tokenizer.vocabulary());
  for (std::size_t id = 0; id != counts.size(); ++id)
    if (!tokenizer.is_text(static_cast<token>(id))) counts[id] = 0;
  return counts;
}

/// Draws tokens with probability proportional to integer weights (vocabulary,), in exact arithmetic.
class unigram_sampler {
 public:
  /// Throws if all weights are 0, or their sum does not fit in 64 bits.
  explicit unigram_sampler(std::span<std::uint64_t const> weights) {
    std::uint64_t sum = 0;
    for (std::uint64_t const weight : weights) {
      require(!__builtin_add_overflow(sum, weight, &sum), "weights of tokens up to ", cumulative_.size(),
              " have a sum that does not fit in 64 bits");
      cumulative_.push_back(sum);
    }
    require(sum != 0, "cannot draw tokens: all ", weights.size(), " weights are 0, at least one must be positive");
  }
  /// One token; ids of weight 0 are never drawn.
  token operator()(random::stream& stream) const {
    auto const above = std::upper_bound(cumulative_.begin(), cumulative_.end(), stream.below(cumulative_.back()));
    return static_cast<token>(above - cumulative_.begin());
  }

 private:
  std::vector<std::uint64_t> cumulative_;
};

}  // namespace susc
