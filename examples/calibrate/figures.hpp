#pragma once
// The figures of a calibration, as SVG inside HTML. Their colours are variables of the page's style.
#include <string>

#include "page.hpp"

namespace calibrate {

/// Three significant digits, or as `format` says; a dash where there is no number.
std::string digits(double value, char const* format = "%.3g");

/// Learning coefficient, speed and diagnostics of the settings with this localization against the step size.
std::string figures(calibration const& c, double localization);

/// What colours and marks mean.
std::string legend(calibration const& c);

}  // namespace calibrate
