#pragma once
/// How well one number separates two classes of components: the area under the ROC curve.
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <ranges>
#include <span>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/core/error.hpp"

namespace susc {

// clang-format off
/// One yes or no an element: std::vector<bool>, std::array<bool, N>, std::span<char const>, ...
template <class R>
concept Labels =
    ((std::ranges::random_access_range<R> && std::ranges::sized_range<R>) ||
     detail::because<"Labels must be a range with a size and random access, e.g. std::vector<bool>">) &&
    (std::convertible_to<std::ranges::range_reference_t<R>, bool> ||
     detail::because<"Labels must be of elements that convert to bool">);
// clang-format on

/// The probability that a positive scores higher than a negative, both drawn at random, ties counting half
/// (Mann-Whitney's U over the number of pairs): 1 if all positives score higher, .5 if the score says nothing, 0 if all
/// score lower. NaN if either class is empty. Throws for unequal lengths or a NaN score.
template <Labels R>
double area_under_curve(std::span<double const> scores, R const& positive) {
  std::size_t const labels = std::ranges::size(positive);
  require(scores.size() == labels, "area under the curve: ", scores.size(), " scores, ", labels, " labels");
  struct scored {
    double score;
    bool positive;
  };
  std::vector<scored> sorted;
  auto label = std::ranges::begin(positive);
  for (std::size_t i = 0; i != labels; ++i, ++label) {
    require(!std::isnan(scores[i]), "area under the curve: score ", i, " is NaN");
    sorted.push_back({scores[i], static_cast<bool>(*label)});
  }
  std::sort(sorted.begin(), sorted.end(), [](scored a, scored b) { return a.score < b.score; });
  double wins = 0, positives = 0, negatives = 0;  // so far, in order of the score; integers and halves: exact
  for (auto first = sorted.begin(); first != sorted.end();) {
    auto const last = std::find_if(first, sorted.end(), [&](scored s) { return s.score != first->score; });
    double const tied = static_cast<double>(std::count_if(first, last, [](scored s) { return s.positive; }));
    double const others = static_cast<double>(last - first) - tied;
    wins += tied * (negatives + others / 2);
    positives += tied;
    negatives += others;
    first = last;
  }
  if (positives == 0 || negatives == 0) return std::numeric_limits<double>::quiet_NaN();
  return wins / (positives * negatives);
}

/// The same whichever class scores higher, max(a, 1 - a), in [.5, 1]: for principal components, whose sign means
/// nothing.
template <Labels R>
double separation(std::span<double const> scores, R const& positive) {
  double const area = area_under_curve(scores, positive);
  return std::isnan(area) ? area : std::max(area, 1 - area);
}

/// Separation within the elements that `among` selects. With a mode's loadings as scores, induction heads as positives
/// and the heads of the second layer as subset this is the "AUC-L1" of the structural inference example: layers differ
/// so much that heads are fairly compared only with those of their own.
template <Labels R, Labels S>
double separation(std::span<double const> scores, R const& positive, S const& among) {
  std::size_t const labels = std::ranges::size(positive), chosen = std::ranges::size(among);
  require(scores.size() == labels && scores.size() == chosen, "separation: ", scores.size(), " scores, ", labels,
          " labels, ", chosen, " subset entries");
  std::vector<double> scores_within;
  std::vector<bool> positive_within;
  auto label = std::ranges::begin(positive);
  auto is_in = std::ranges::begin(among);
  for (std::size_t i = 0; i != labels; ++i, ++label, ++is_in) {
    if (!static_cast<bool>(*is_in)) continue;
    scores_within.push_back(scores[i]);
    positive_within.push_back(static_cast<bool>(*label));
  }
  return separation(scores_within, positive_within);
}

}  // namespace susc
