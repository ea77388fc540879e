#pragma once
// What a calibration leaves behind: calibration.json, and calibration.html with its figures.
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "options.hpp"
#include "recommendation.hpp"
#include "sweep.hpp"

namespace calibrate {

struct calibration {
  options settings = {};
  std::size_t parameters = 0, all_parameters = 0;  // of the component, of the model
  double scale = 1;                                // see `problem`
  std::vector<measurement> table = {};
  recommendation advice = {};
  costs spent = {};
  double seconds = 0;  // all together
};

/// How the options' localization and step size relate to those of the chains; one sentence.
std::string note(calibration const& c);

/// The page, which needs no network and no script.
std::string html_page(calibration const& c);

/// Writes both files into `folder`, which the caller commits.
void write(std::filesystem::path const& folder, calibration const& c);

}  // namespace calibrate
