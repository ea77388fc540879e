#pragma once
/// Estimates held against exact answers: the rows of the table in docs/method.md, which tests/oracles/table.py writes.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <string>

namespace oracle {

/// Fails unless `measured` is within 5 standard errors of `exact` and the error at most `precision` of the exact value
/// (infinity where that is 0). Test cases that call it have "[oracle]" in their names; `what` names the row: quantity,
/// sampler, target, e.g. "variance, SGLD, 50 dimensions".
inline void check(std::string const& what, double measured, double error, double exact, double precision = .02) {
  CAPTURE(what);
  CAPTURE(measured);
  CAPTURE(error);
  CAPTURE(exact);
  double const z = (measured - exact) / error;
  CHECK(std::abs(z) < 5);
  CHECK(error <= precision * std::abs(exact));
  if (char const* path = std::getenv("SUSC_ORACLES")) {
    std::ofstream file(path, std::ios::app);
    file << std::setprecision(17) << what << '\t' << measured << '\t' << error << '\t' << exact << '\n';
    REQUIRE(file.good());
  }
}

}  // namespace oracle
