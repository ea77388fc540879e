#pragma once
/// Expression against suppression: of a component's susceptibilities to single tokens, how many have which sign, and
/// how large they are.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "susc/structure/class_mean.hpp"

namespace susc {

/// An estimate and its standard error, for sequences drawn independently; NaN where undefined.
struct balance_estimate {
  double value;  ///< of the tokens given
  double error;  ///< standard error
};

/// Of one component. A token's χ = -Cov[φ, ΔL] is *negative* where weights that are worse on all data are worse still
/// on this token: the component helps to predict it, or *expresses* it. It is *positive* where they are better on it
/// than on the rest: the component *suppresses* it (arXiv 2504.18274).
struct sign_balance {
  balance_estimate expressed_share;   ///< of the tokens, χ < 0
  balance_estimate expressed_mean;    ///< χ of those, negative
  balance_estimate suppressed_share;  ///< of the tokens, χ > 0
  balance_estimate suppressed_mean;   ///< χ of those, positive
};

/// Balance of one component's per-token susceptibilities, a column of example_susceptibilities; `sequence` numbers each
/// token's sequence as for class_mean, which makes the errors. They are those of the text: noise of the chains widens
/// the distribution of χ and moves shares towards 1/2, which no error here tells. With a χ that is NaN all is NaN.
inline sign_balance balance_of_signs(std::span<double const> susceptibilities, std::span<std::size_t const> sequence) {
  std::size_t const size = susceptibilities.size();
  constexpr balance_estimate unknown{std::numeric_limits<double>::quiet_NaN(),
                                     std::numeric_limits<double>::quiet_NaN()};
  if (std::any_of(susceptibilities.begin(), susceptibilities.end(), [](double chi) { return std::isnan(chi); }))
    return {unknown, unknown, unknown, unknown};
  std::vector<char> const all(size, 1);
  std::vector<char> in_class(size);
  std::vector<double> indicator(size);
  auto const one_sign = [&](double sign, balance_estimate& share, balance_estimate& mean) {
    for (std::size_t j = 0; j != size; ++j) {
      in_class[j] = sign * susceptibilities[j] > 0;
      indicator[j] = in_class[j];
    }
    class_estimate const of_all = class_mean(indicator, all, sequence);
    class_estimate const of_class = class_mean(susceptibilities, in_class, sequence);
    share = {of_all.mean, of_all.error};
    mean = {of_class.mean, of_class.error};
  };
  sign_balance balance{};
  one_sign(-1, balance.expressed_share, balance.expressed_mean);
  one_sign(1, balance.suppressed_share, balance.suppressed_mean);
  return balance;
}

}  // namespace susc
