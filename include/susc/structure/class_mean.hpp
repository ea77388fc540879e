#pragma once
/// The mean of a number over a class of tokens, with an error that knows that tokens of one sequence depend on each
/// other.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <ranges>
#include <span>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/structure/auc.hpp"

namespace susc {

/// Errors are standard errors for sequences drawn independently, tokens within one depending on each other in any way.
/// They do not hold what all tokens share, such as the noise of the chains in susceptibilities. NaN where undefined.
struct class_estimate {
  std::size_t count = 0;                                               ///< tokens of the class
  std::size_t sequences = 0;                                           ///< sequences with a token of the class
  double mean = std::numeric_limits<double>::quiet_NaN();              ///< over the class; NaN if it is empty
  double error = std::numeric_limits<double>::quiet_NaN();             ///< NaN if fewer than 2 sequences have the class
  double difference = std::numeric_limits<double>::quiet_NaN();        ///< the mean less that of all other tokens
  double difference_error = std::numeric_limits<double>::quiet_NaN();  ///< with the covariance of the two means
};

/// Mean of `values` where `in_class` holds, and its difference to the mean of the rest. `sequence` (values.size(),)
/// numbers the sequence of each value, from 0 and below values.size(). The mean is a ratio of two sums over sequences,
/// so its squared error is g/(g-1) Σ r_i², with r_i the sum over sequence i of (value - mean)/count and g the number of
/// sequences that hold the class (Cochran, Sampling Techniques, 3rd ed., section 6.3; Liang & Zeger 1986). For the
/// difference r_i is that of the class less that of the rest, and g the smaller of their numbers of sequences. Throws
/// for unequal lengths or a sequence's number out of range.
template <Labels R>
class_estimate class_mean(std::span<double const> values, R const& in_class, std::span<std::size_t const> sequence) {
  std::size_t const size = values.size(), labels = std::ranges::size(in_class);
  require(labels == size && sequence.size() == size, "class mean: ", size, " values, ", labels, " labels, ",
          sequence.size(), " sequence numbers");
  auto const label = [&](std::size_t j) -> std::size_t {  // 1: in the class
    return static_cast<bool>(*(std::ranges::begin(in_class) + static_cast<std::ptrdiff_t>(j))) ? 1 : 0;
  };
  struct part {
    double sum = 0, count = 0, sequences = 0;
    double mean() const { return sum / count; }  // 0/0: NaN
  };
  part parts[2];  // the rest, the class
  std::vector<char> holds[2] = {std::vector<char>(size), std::vector<char>(size)};
  for (std::size_t j = 0; j != size; ++j) {
    require(sequence[j] < size, "class mean: value ", j, " is of sequence ", sequence[j], ", wanted numbers below ",
            size);
    part& mine = parts[label(j)];
    char& seen = holds[label(j)][sequence[j]];
    mine.sum += values[j];
    mine.count += 1;
    mine.sequences += seen == 0;
    seen = 1;
  }
  std::vector<double> residual[2] = {std::vector<double>(size), std::vector<double>(size)};  // of each sequence
  for (std::size_t j = 0; j != size; ++j) {
    part const& mine = parts[label(j)];
    residual[label(j)][sequence[j]] += (values[j] - mine.mean()) / mine.count;
  }
  double squares = 0, squares_of_difference = 0;
  for (std::size_t i = 0; i != size; ++i) {
    double const of_class = residual[1][i], between = of_class - residual[0][i];
    squares += of_class * of_class;
    squares_of_difference += between * between;
  }
  auto const error = [](double sum_of_squares, double g) {
    return g < 2 ? std::numeric_limits<double>::quiet_NaN() : std::sqrt(g / (g - 1) * sum_of_squares);
  };
  auto const& [rest, own] = parts;
  return {.count = static_cast<std::size_t>(own.count),
          .sequences = static_cast<std::size_t>(own.sequences),
          .mean = own.mean(),
          .error = error(squares, own.sequences),
          .difference = own.mean() - rest.mean(),
          .difference_error = error(squares_of_difference, std::min(own.sequences, rest.sequences))};
}

}  // namespace susc
