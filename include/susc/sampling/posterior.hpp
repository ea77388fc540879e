#pragma once
/// The target of sampling: the local tempered posterior at trained weights.
#include <cmath>
#include <concepts>
#include <span>

#include "susc/core/error.hpp"

namespace susc {

/// p(w) ∝ exp( -n_beta L(w) - localization/2 ‖w - center‖² - weight_decay/2 ‖w‖² )   (mathematics of arXiv 2504.18274)
struct posterior_settings {
  double n_beta = 30;         ///< nβ: effective sample size times inverse temperature
  double localization = 300;  ///< γ
  double weight_decay = 0;    ///< λ
  friend bool operator==(posterior_settings const&, posterior_settings const&) = default;
};

/// Throws susc::error naming the setting that no posterior can have.
inline void check(posterior_settings const& p) {
  require(p.n_beta > 0, "n_beta is ", p.n_beta, ", must be positive");
  require(p.localization >= 0, "localization is ", p.localization, ", must not be negative");
  require(p.weight_decay >= 0, "weight_decay is ", p.weight_decay, ", must not be negative");
  require(std::isfinite(p.n_beta) && std::isfinite(p.localization) && std::isfinite(p.weight_decay), "n_beta is ",
          p.n_beta, ", localization ", p.localization, ", weight_decay ", p.weight_decay, ": all must be finite");
}

/// The settings and the coordinates they apply to: those of one component.
template <std::floating_point T>
struct posterior {
  posterior_settings settings;
  std::span<T const> center;  ///< w* restricted to the component

  /// The gradient of -log p along coordinate i, at value w with loss gradient g.
  T slope(std::size_t i, T w, T g) const {
    return static_cast<T>(settings.n_beta) * g + static_cast<T>(settings.localization) * (w - center[i]) +
           static_cast<T>(settings.weight_decay) * w;
  }
};

}  // namespace susc
