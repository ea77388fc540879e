#pragma once
/// Losses that need no network: what tokens cost when predicted from counts.
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/core/error.hpp"
#include "susc/data/token_batch.hpp"
#include "susc/data/unigram.hpp"

namespace susc {

/// p(b) = (c(b) + alpha) / (N + alpha V), where c counts the predicted tokens, N of them.
class unigram_model {
 public:
  /// Throws for tokens outside of the vocabulary, or alpha not above 0 (an unseen token would cost infinitely much).
  unigram_model(token_batch const& training, std::size_t vocabulary, double alpha = 1) {
    require(alpha > 0 && std::isfinite(alpha), "alpha is ", alpha, ", it must be above 0 and finite");
    double const total = static_cast<double>(training.example_count()) + alpha * static_cast<double>(vocabulary);
    for (std::uint64_t const count : unigram_counts(training, vocabulary))
      probability_.push_back((static_cast<double>(count) + alpha) / total);
  }
  std::size_t vocabulary() const { return probability_.size(); }  ///< number of tokens
  /// P(next), whatever came before.
  double probability(token, token next) const { return probability_[static_cast<std::size_t>(next)]; }

 private:
  std::vector<double> probability_;
};

/// p(b | a) = (c(a, b) + d(a) p(b)) / (c(a) + d(a)), where d(a) is the number of different tokens seen after a and p
/// the unigram model; p(b | a) = p(b) if a was never seen (Witten & Bell 1991). Memory grows with the pairs seen.
class bigram_model {
 public:
  /// Throws as unigram_model does.
  bigram_model(token_batch const& training, std::size_t vocabulary, double alpha = 1)
      : unigram_(training, vocabulary, alpha), contexts_(vocabulary) {
    for (std::size_t i = 0; i != training.sequences; ++i) {
      auto const sequence = training.sequence(i);
      for (std::size_t t = 1; t < sequence.size(); ++t) {
        token const previous = sequence[t - 1];
        require(previous >= 0 && static_cast<std::size_t>(previous) < vocabulary, "sequence ", i, " holds token ",
                previous, ", which is not in the vocabulary of ", vocabulary);
        context& after = contexts_[static_cast<std::size_t>(previous)];
        ++after.total;
        ++after.counts[sequence[t]];
      }
    }
  }
  std::size_t vocabulary() const { return contexts_.size(); }  ///< number of tokens
  /// p(next | previous).
  double probability(token previous, token next) const {
    context const& after = contexts_[static_cast<std::size_t>(previous)];
    double const shorter = unigram_.probability(previous, next);
    if (after.total == 0) return shorter;
    auto const found = after.counts.find(next);
    double const count = found == after.counts.end() ? 0 : static_cast<double>(found->second);
    double const different = static_cast<double>(after.counts.size());
    return (count + different * shorter) / (static_cast<double>(after.total) + different);
  }

 private:
  struct context {
    std::uint64_t total = 0;
    std::unordered_map<token, std::uint32_t> counts;
  };
  unigram_model unigram_;
  std::vector<context> contexts_;  // (vocabulary,)
};

namespace detail {
template <class M>
concept has_probability = requires(M const& m, token previous, token next) {
  { m.vocabulary() } -> std::same_as<std::size_t>;
  { m.probability(previous, next) } -> std::same_as<double>;
};
}  // namespace detail

// clang-format off
/// Predicts a token from the one before it.
template <class M>
concept NgramModel =
    (detail::has_probability<M> ||
     detail::because<"an NgramModel needs `std::size_t vocabulary() const` and `double probability(token previous, token next) const`">);
// clang-format on

/// Mean of -log p over the predicted tokens, in nats. Throws if there are none, or for tokens outside of the
/// vocabulary.
template <NgramModel M>
double mean_loss(M const& model, token_batch const& held_out) {
  require(held_out.example_count() != 0, "cannot measure a loss without tokens");
  for (token const id : held_out.tokens)
    require(id >= 0 && static_cast<std::size_t>(id) < model.vocabulary(), "the held-out token ", id,
            " is not in the vocabulary of ", model.vocabulary());
  double sum = 0;
  for (std::size_t i = 0; i != held_out.sequences; ++i) {
    auto const sequence = held_out.sequence(i);
    for (std::size_t t = 1; t < sequence.size(); ++t) sum -= std::log(model.probability(sequence[t - 1], sequence[t]));
  }
  return sum / static_cast<double>(held_out.example_count());
}

}  // namespace susc
