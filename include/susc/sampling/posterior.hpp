#pragma once
/// The target of sampling: the local tempered posterior at trained weights.
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <span>

#include "susc/core/error.hpp"

namespace susc {

/// p(w) ∝ exp( -n_beta L(w) - localization/2 ‖w - center‖² - weight_decay/2 ‖w‖² )   (mathematics of arXiv 2504.18274)
/// where every coordinate of w is within `bounding_box` of the center's, and 0 elsewhere.
struct posterior_settings {
  double n_beta = 30;         ///< nβ: effective sample size times inverse temperature
  double localization = 300;  ///< γ
  double weight_decay = 0;    ///< λ
  double bounding_box = std::numeric_limits<double>::infinity();  ///< half-width, about w*; must be positive
  friend bool operator==(posterior_settings const&, posterior_settings const&) = default;
};

/// Throws susc::error naming the setting that no posterior can have.
inline void check(posterior_settings const& p) {
  require(p.n_beta > 0, "n_beta is ", p.n_beta, ", must be positive");
  require(p.localization >= 0, "localization is ", p.localization, ", must not be negative");
  require(p.weight_decay >= 0, "weight_decay is ", p.weight_decay, ", must not be negative");
  require(std::isfinite(p.n_beta) && std::isfinite(p.localization) && std::isfinite(p.weight_decay), "n_beta is ",
          p.n_beta, ", localization ", p.localization, ", weight_decay ", p.weight_decay, ": all must be finite");
  require(p.bounding_box > 0, "bounding_box is ", p.bounding_box, ", must be positive");
}

/// The settings and the coordinates they apply to: those of one component.
template <std::floating_point T>
struct posterior {
  posterior_settings settings;  ///< of all coordinates
  std::span<T const> center;    ///< w* restricted to the component

  /// The gradient of -log p along coordinate i, at value w with loss gradient g.
  T slope(std::size_t i, T w, T g) const {
    return static_cast<T>(settings.n_beta) * g + static_cast<T>(settings.localization) * (w - center[i]) +
           static_cast<T>(settings.weight_decay) * w;
  }

  /// -log p at w (dimension,) up to a constant, the mean loss there being `loss`.
  double energy(std::span<T const> w, T loss) const {
    double displacement = 0, norm = 0;
    for (std::size_t i = 0; i != w.size(); ++i) {
      double const x = static_cast<double>(w[i]), d = x - static_cast<double>(center[i]);
      if (std::abs(d) > settings.bounding_box) return std::numeric_limits<double>::infinity();
      displacement += d * d;
      norm += x * x;
    }
    return settings.n_beta * static_cast<double>(loss) + settings.localization / 2 * displacement +
           settings.weight_decay / 2 * norm;
  }

  /// Reflects w (dimension,) at the walls of the bounding box, which leaves the density inside as it is; a wall turns
  /// the momentum (dimension,), where there is one.
  void reflect(std::span<T> w, std::span<T> momentum = {}) const {
    if (std::isinf(settings.bounding_box)) return;
    T const half = static_cast<T>(settings.bounding_box);
    for (std::size_t i = 0; i != w.size(); ++i) {
      if (!(std::abs(w[i] - center[i]) > half)) continue;
      T const folded = std::remainder(w[i] - center[i], 4 * half);  // walls on both sides: period of four half-widths
      bool const turned = std::abs(folded) > half;
      w[i] = center[i] + (turned ? std::copysign(2 * half, folded) - folded : folded);
      if (turned && !momentum.empty()) momentum[i] = -momentum[i];
    }
  }
};

}  // namespace susc
