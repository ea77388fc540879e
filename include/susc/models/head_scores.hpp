#pragma once
/// What attention heads do on repeated random tokens: the two scores that name induction and previous-token heads
/// (Olsson et al. 2022, arXiv 2209.11895).
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/core/error.hpp"
#include "susc/data/token_batch.hpp"

namespace susc {

/// Means over sequences and positions, in [0, 1].
struct head_score {
  std::size_t layer = 0;       ///< counted from 0
  std::size_t head = 0;        ///< of its layer, counted from 0
  double prefix_matching = 0;  ///< attention from a token's second occurrence to the token after its first
  double previous_token = 0;   ///< attention to the token just before
};

namespace detail {
template <class M>
concept has_attention_patterns = requires(M const& m, std::span<typename M::scalar const> w, token_batch const& b,
                                          void (*f)(std::size_t, std::size_t, std::size_t,
                                                    std::span<typename M::scalar const>)) {
  m.for_each_attention_pattern(w, b, f);
  { m.config().layers } -> std::convertible_to<std::size_t>;
  { m.config().heads } -> std::convertible_to<std::size_t>;
};
}  // namespace detail

// clang-format off
/// A transformer that shows where its heads look.
template <class M>
concept HasAttentionPatterns =
    (detail::has_attention_patterns<M> ||
     detail::because<"head_scores needs `void for_each_attention_pattern(weights, token_batch const&, F) const`, which calls F(layer, head, sequence, pattern (positions, positions)), and `config()` with `layers` and `heads`">);
// clang-format on

/// Mean scores of every head, layer by layer. `repeated` (sequences, 1 + 2 segment) are a first token and [r ; r].
template <HasAttentionPatterns M>
std::vector<head_score> head_scores(M const& model, std::span<typename M::scalar const> w,
                                    token_batch const& repeated) {
  using T = typename M::scalar;
  require(repeated.length >= 5 && repeated.length % 2 == 1,
          "head scores need sequences of 1 + 2 n tokens, n >= 2, not ", repeated.length);
  std::size_t const segment = (repeated.length - 1) / 2, positions = repeated.length - 1;
  auto const c = model.config();
  std::vector<head_score> scores(c.layers * c.heads);
  model.for_each_attention_pattern(w, repeated, [&](std::size_t l, std::size_t h, std::size_t, std::span<T const> p) {
    head_score& score = scores[l * c.heads + h];
    score.layer = l;
    score.head = h;
    double prefix = 0, previous = 0;
    for (std::size_t i = segment + 1; i != positions; ++i)
      prefix += static_cast<double>(p[i * positions + i - segment + 1]);
    for (std::size_t i = 1; i != positions; ++i) previous += static_cast<double>(p[i * positions + i - 1]);
    double const sequences = static_cast<double>(repeated.sequences);
    score.prefix_matching += prefix / static_cast<double>(positions - segment - 1) / sequences;
    score.previous_token += previous / static_cast<double>(positions - 1) / sequences;
  });
  return scores;
}

}  // namespace susc
