#pragma once
// The modes of all checkpoints, each aligned to those of the next.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "susc/core/error.hpp"
#include "susc/structure/principal_components.hpp"
#include "susc/structure/procrustes.hpp"

namespace development {

/// Principal components of the tokens' susceptibilities at T checkpoints, K = min(tokens, components) each. Those of a
/// checkpoint are matched to the aligned ones of the next, going back from the last, whose order and signs are its own:
/// none is mixed with another, so each keeps its singular value. NaN at a checkpoint with numbers that are not finite.
struct aligned_modes {
  xt::xtensor<double, 2> singular_values;  // (T, K)
  xt::xtensor<double, 2> explained;        // (T, K) shares of the sum of squares
  xt::xtensor<double, 3> loadings;         // (T, K, components)
  xt::xtensor<double, 3> scores;           // (T, tokens, K)
  // (T) shares of the next one's sum of squares that the best matching, and the best rotation of all components, leave
  // unexplained; NaN for the last, which has no next.
  xt::xtensor<double, 1> matching_residual, rotation_residual;
};

/// Of the tokens' susceptibilities (tokens, components) at each checkpoint. Throws susc::error unless those of one of
/// them are finite.
inline aligned_modes modes_of(std::span<xt::xtensor<double, 2> const> tokens) {
  std::size_t const count = tokens.size();
  std::vector<std::size_t> whole;  // checkpoints whose numbers are all finite
  for (std::size_t t = 0; t != count; ++t) {
    auto const& here = tokens[t];
    if (std::all_of(here.begin(), here.end(), [](double x) { return std::isfinite(x); })) whole.push_back(t);
  }
  susc::require(!whole.empty(), "at every checkpoint all chains of some component diverged; a smaller --step-size or ",
                "--n-beta, or a larger --localization, would help");
  std::vector<susc::principal_modes> modes;
  std::vector<xt::xtensor<double, 2>> scores;
  for (std::size_t const t : whole) {
    modes.push_back(susc::principal_components(tokens[t]));
    scores.push_back(modes.back().scores);
  }
  auto const found = susc::align_to_last(std::span<xt::xtensor<double, 2> const>(scores), susc::procrustes_matching);
  std::size_t const rows = scores[0].shape(0), k_count = scores[0].shape(1), columns = modes[0].loadings.shape(1);
  aligned_modes all{xt::xtensor<double, 2>::from_shape({count, k_count}),
                    xt::xtensor<double, 2>::from_shape({count, k_count}),
                    xt::xtensor<double, 3>::from_shape({count, k_count, columns}),
                    xt::xtensor<double, 3>::from_shape({count, rows, k_count}),
                    xt::xtensor<double, 1>::from_shape({count}),
                    xt::xtensor<double, 1>::from_shape({count})};
  double const unknown = std::numeric_limits<double>::quiet_NaN();
  all.singular_values.fill(unknown), all.explained.fill(unknown), all.loadings.fill(unknown), all.scores.fill(unknown);
  all.matching_residual.fill(unknown), all.rotation_residual.fill(unknown);
  for (std::size_t i = 0; i != whole.size(); ++i) {
    std::size_t const t = whole[i];
    auto const aligned = susc::rotated(scores[i], found[i].rotation);
    auto const loadings = susc::rotated(modes[i].loadings, found[i].rotation, true);
    for (std::size_t k = 0; k != k_count; ++k) {
      for (std::size_t c = 0; c != columns; ++c) all.loadings(t, k, c) = loadings(k, c);
      for (std::size_t r = 0; r != rows; ++r) all.scores(t, r, k) = aligned(r, k);
      for (std::size_t own = 0; own != k_count; ++own)
        if (found[i].rotation(own, k) != 0) {
          all.singular_values(t, k) = modes[i].singular_values(own);
          all.explained(t, k) = modes[i].explained(own);
        }
    }
    if (i + 1 == whole.size()) continue;
    all.matching_residual(t) = found[i].residual;
    all.rotation_residual(t) = susc::procrustes_rotation(scores[i], scores[i + 1]).residual;
  }
  return all;
}

}  // namespace development
