#include "susc/sampling/posterior.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

TEST_CASE("posterior: the slope is the derivative of -log p") {
  // -log p along one coordinate of a loss with slope g at w: nβ g w + γ/2 (w - w*)² + λ/2 w², differentiated at w.
  susc::posterior_settings const settings{.n_beta = 7, .localization = 3, .weight_decay = .5};
  std::vector<double> const center{.25, -2};
  susc::posterior<double> const target{settings, center};
  for (std::size_t i : {0, 1})
    for (double const w : {-1.5, .25, 4.})
      for (double const g : {-2., 0., .75}) {
        auto const energy = [&](double x) { return 7 * g * x + 1.5 * (x - center[i]) * (x - center[i]) + .25 * x * x; };
        double const h = .0625;  // exact for a quadratic but for rounding
        CHECK(std::abs(target.slope(i, w, g) - (energy(w + h) - energy(w - h)) / (2 * h)) < 1e-12);
      }
  CHECK(target.slope(0, .25, 0.) == .125);  // at the centre only weight decay pulls, towards 0
  CHECK(target.slope(1, -2., 0.) == -1);
}

TEST_CASE("posterior: float computes the same slope") {
  std::vector<float> const center{.25f};
  susc::posterior<float> const target{{.n_beta = 7, .localization = 3, .weight_decay = .5}, center};
  CHECK(target.slope(0, 4.f, .75f) == 7 * .75f + 3 * 3.75f + .5f * 4);
}

TEST_CASE("posterior: settings that no posterior can have are refused by name") {
  double const nan = std::numeric_limits<double>::quiet_NaN();
  auto const refused = [](susc::posterior_settings const& p, char const* message) {
    CHECK_THROWS_WITH_AS(susc::check(p), message, susc::error);
  };
  CHECK_NOTHROW(susc::check(susc::posterior_settings{}));
  CHECK_NOTHROW(susc::check({.n_beta = 1e-9, .localization = 0, .weight_decay = 0}));
  refused({.n_beta = 0}, "n_beta is 0, must be positive");
  refused({.n_beta = -3}, "n_beta is -3, must be positive");
  refused({.n_beta = nan}, "n_beta is nan, must be positive");
  refused({.localization = -1}, "localization is -1, must not be negative");
  refused({.localization = nan}, "localization is nan, must not be negative");
  refused({.localization = std::numeric_limits<double>::infinity()},
          "n_beta is 30, localization inf, weight_decay 0: all must be finite");
  refused({.weight_decay = -.5}, "weight_decay is -0.5, must not be negative");
}

TEST_CASE("posterior: defaults are the customary ones") {
  CHECK(susc::posterior_settings{} == susc::posterior_settings{.n_beta = 30, .localization = 300, .weight_decay = 0});
}
