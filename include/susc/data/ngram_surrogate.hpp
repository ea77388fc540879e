#pragma once
/// Surrogates of a corpus that share its n-grams and nothing beyond: data of growing complexity, for probes.
#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/core/random.hpp"
#include "susc/data/token_batch.hpp"

namespace susc {

/// Draws sequences token by token from what followed the same n - 1 tokens in the corpus, each occurrence with the same
/// probability, in exact arithmetic: n = 1 knows how often tokens occur, 2 what follows what, 3 what follows two. As in
/// losses, the first token of a sequence is given, not predicted: it is drawn from the corpus's first tokens, and those
/// are not among what follows. A token early in a sequence follows all before it. Back-off: where a context never
/// occurred, or only at the end of sequences, its longest suffix that did is taken, down to no context at all.
/// Memory: the corpus, and an index for each of its tokens.
class ngram_surrogate {
 public:
  /// Throws susc::error for order 0, sequences of fewer than two tokens, none at all, or negative tokens.
  ngram_surrogate(token_batch corpus, std::size_t order) : corpus_(std::move(corpus)), order_(order) {
    require(order != 0, "ngram_surrogate: order is 0, must be at least 1, a unigram");
    require(corpus_.example_count() != 0, "ngram_surrogate: a corpus of ", corpus_.sequences, " sequences of ",
            corpus_.length, " tokens predicts none, must have sequences of at least 2");
    require(corpus_.tokens.size() == corpus_.sequences * corpus_.length, "ngram_surrogate: ", corpus_.tokens.size(),
            " tokens, must be ", corpus_.sequences, " x ", corpus_.length);
    for (std::size_t p = 0; p != corpus_.tokens.size(); ++p) {
      require(corpus_.tokens[p] >= 0, "ngram_surrogate: token ", corpus_.tokens[p], " at sequence ", p / corpus_.length,
              ", position ", p % corpus_.length, ", must not be negative");
      if (p % corpus_.length != 0) sorted_.push_back(p);
    }
    // By the token before, then that before it, ...: every context of up to n - 1 tokens is one range.
    std::sort(sorted_.begin(), sorted_.end(), [this](std::size_t a, std::size_t b) {
      for (std::size_t back = 1; back != order_; ++back)
        if (token const x = before(a, back), y = before(b, back); x != y) return x < y;
      return a < b;
    });
  }

  std::size_t order() const { return order_; }  ///< 1: unigrams, 2: bigrams, ...

  /// `sequences` of `length` tokens: a function of the key. Throws susc::error for sequences without a prediction.
  token_batch sample(std::size_t sequences, std::size_t length, random::key key) const {
    require(length >= 2, "ngram_surrogate: sequences of ", length, " tokens, must have at least 2");
    token_batch batch{{}, sequences, length};
    batch.tokens.reserve(sequences * length);
    random::stream stream(key);
    for (std::size_t s = 0; s != sequences; ++s) {
      batch.tokens.push_back(corpus_.sequence(stream.below(corpus_.sequences))[0]);
      for (std::size_t t = 1; t != length; ++t) {
        auto const seen = occurrences(std::span<token const>(batch.tokens).last(t));
        batch.tokens.push_back(corpus_.tokens[seen[stream.below(seen.size())]]);
      }
    }
    return batch;
  }

 private:
  /// The token `back` places before position p of the corpus, -1 beyond the beginning of its sequence.
  token before(std::size_t p, std::size_t back) const {
    return p % corpus_.length < back ? token{-1} : corpus_.tokens[p - back];
  }
  /// Where the longest suffix of `context`, of at most n - 1 tokens, was followed by a token: these tokens' positions.
  std::span<std::size_t const> occurrences(std::span<token const> context) const {
    std::span<std::size_t const> range(sorted_);
    for (std::size_t back = 1; back <= std::min(order_ - 1, context.size()); ++back) {
      token const wanted = context[context.size() - back];
      auto const low = std::lower_bound(range.begin(), range.end(), wanted,
                                        [&](std::size_t p, token id) { return before(p, back) < id; });
      auto const high =
          std::upper_bound(low, range.end(), wanted, [&](token id, std::size_t p) { return id < before(p, back); });
      if (low == high) break;
      range = {low, high};
    }
    return range;
  }

  token_batch corpus_;
  std::size_t order_;
  std::vector<std::size_t> sorted_;  // positions of the predicted tokens
};

}  // namespace susc
