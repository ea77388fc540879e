#pragma once
// What a calibration measures at each setting, and the rule by which it recommends one.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <iomanip>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/response/susceptibility.hpp"

namespace calibrate {

inline constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

/// One setting, as the options give it, and what its chains yielded; NaN where it cannot be said.
struct measurement {
  double localization = 0, n_beta = 0, step_size = 0;
  std::size_t burn_in = 0, dropped_chains = 0;
  susc::estimate learning_coefficient{unknown, unknown};
  susc::estimate excess_loss{unknown, unknown};  // E[L] - L(w*), nats
  double acceptance = unknown;                   // of SGLD's step by MALA
  double r_hat = unknown, ess = unknown, drift = unknown;
  double ess_per_second = unknown, ess_per_gradient = unknown;
};

struct recommendation {
  std::optional<std::size_t> best;                    // index of the setting; none keeps every rule
  std::vector<std::vector<std::string_view>> broken;  // the rules that each setting breaks
  std::string reason;
};

inline constexpr double highest_r_hat = 1.05, largest_drift = 4, relative_tolerance = .05, tolerated_errors = 2;

/// A rule and how far a setting is from its limit, which is at 1.
struct distance {
  std::string_view rule;
  double ratio;  // kept iff at most 1; NaN where it cannot be said
};

/// Of every rule; `reference` has the smallest step size at the same n_beta and localization.
inline std::array<distance, 5> distances(measurement const& m, measurement const& reference) {
  auto const &own = m.learning_coefficient, &other = reference.learning_coefficient;
  double const difference = &m == &reference ? 0 : std::abs(own.value - other.value);
  double const tolerance =
      relative_tolerance * std::abs(other.value) + tolerated_errors * std::hypot(own.error, other.error);
  return {{{"dropped", m.dropped_chains > 0 ? 1. + static_cast<double>(m.dropped_chains) : 0},
           {"R-hat", (m.r_hat - 1) / (highest_r_hat - 1)},
           {"drift", std::abs(m.drift) / largest_drift},
           {"LLC", own.value > 0 ? 0 : 2 - own.value / own.error},
           {"bias", difference == 0 ? 0 : difference / tolerance}}};
}

/// Four significant digits.
inline std::string brief(double value) {
  std::ostringstream out;
  out << std::setprecision(4) << value;
  return std::move(out).str();
}

/// What a broken rule means and what would help.
inline std::string advice(std::string_view rule, measurement const& m) {
  using susc::detail::concatenate;
  if (rule == "dropped")
    return concatenate(m.dropped_chains, " diverged chains: a smaller --step-size or a larger --localization");
  if (rule == "R-hat")
    return concatenate("R-hat ", brief(m.r_hat), ", above ", highest_r_hat, ": more --draws, or a larger --thinning");
  if (rule == "drift") return concatenate("a drift of ", brief(m.drift), " standard errors: a longer --burn-in");
  if (rule == "LLC")
    return concatenate("LLC ", brief(m.learning_coefficient.value),
                       ", not positive: the chains find lower loss than w*'s; ",
                       "a larger --localization or a smaller --n-beta, more --evaluation-tokens, or longer training");
  return concatenate("LLC ", brief(m.learning_coefficient.value),
                     ", unlike that at the smallest step size: a smaller --step-size, or a --sampler of less bias "
                     "(leimkuhler_matthews)");
}

/// As arguments of calibrate and structural_inference.
inline std::string arguments(measurement const& m) {
  return susc::detail::concatenate("--n-beta ", m.n_beta, " --localization ", m.localization, " --step-size ",
                                   m.step_size);
}

/// The setting of most effective draws a second among those with no chain dropped, R-hat <= 1.05, |drift| <= 4, a
/// positive LLC, and an LLC that agrees with that at the smallest step size of the same n_beta and localization: within
/// 5 % of it and 2 combined errors. What cannot be said (NaN) breaks its rule. Where no setting is left, the reason
/// says what the nearest breaks and what would help: that whose farthest rule is the least far.
inline recommendation recommend(std::vector<measurement> const& table) {
  susc::require(!table.empty(), "there is no setting to recommend");
  auto const alike = [&](measurement const& m, auto better) -> measurement const& {
    measurement const* found = &m;
    for (measurement const& other : table)
      if (other.n_beta == m.n_beta && other.localization == m.localization && better(other.step_size, found->step_size))
        found = &other;
    return *found;
  };
  recommendation r;
  std::size_t fastest = table.size(), nearest = 0, keeping = 0;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i != table.size(); ++i) {
    r.broken.emplace_back();
    double farthest = 0;
    for (auto const [rule, ratio] : distances(table[i], alike(table[i], std::less<>{}))) {
      if (ratio <= 1) continue;
      r.broken.back().push_back(rule);
      farthest = std::isnan(ratio) ? std::numeric_limits<double>::infinity() : std::max(farthest, ratio);
    }
    if (farthest < least) least = farthest, nearest = i;
    if (!r.broken.back().empty()) continue;
    ++keeping;
    if (fastest == table.size() || table[i].ess_per_second > table[fastest].ess_per_second) fastest = i;
  }
  using susc::detail::concatenate;
  if (keeping == 0) {
    measurement const& m = table[nearest];
    r.reason = concatenate("No setting keeps every rule. Nearest: ", arguments(m), ".");
    for (std::string_view const rule : r.broken[nearest]) r.reason += " It has " + advice(rule, m) + " would help.";
    return r;
  }
  measurement const& m = table[fastest];
  r.best = fastest;
  r.reason = concatenate("Most effective draws a second (", std::round(10 * m.ess_per_second) / 10, ") of the ",
                         keeping, " settings of ", table.size(), " that keep every rule.");
  if (&alike(m, std::less<>{}) == &m)
    r.reason += " It is the smallest step size tried, so that nothing tells its bias: try smaller ones too.";
  else if (&alike(m, std::greater<>{}) == &m)
    r.reason += " It is the largest step size tried: larger ones may be faster still.";
  return r;
}

}  // namespace calibrate
