#pragma once
/// The observable of how probable a model finds one answer.
#include <cmath>
#include <cstddef>

#include "susc/core/error.hpp"
#include "susc/sampling/draw.hpp"

namespace susc {

/// One example of a draw's probes, both counted from 0.
struct probe_example {
  std::size_t probe = 0;    ///< of the draw
  std::size_t example = 0;  ///< of the probe

  /// Its place among the examples of all probes. Throws susc::error if there is no such probe or example; `who` asks.
  template <Model M>
  std::size_t index(draw<M> const& at, char const* who) const {
    auto const& ranges = at.probe_ranges();
    require(probe < ranges.size(), who, ": probe ", probe, ", must be below the ", ranges.size(), " probes");
    require(example < ranges[probe].size(), who, ": example ", example, " of probe '", at.probes()[probe].name,
            "', must be below its ", ranges[probe].size(), " examples");
    return ranges[probe].begin + example;
  }
};

/// Observable. p(y | x, w) = e^{-l}, for models whose loss is -log p, of one example of the probes; it costs no
/// evaluation beyond that of the probes. Throws susc::error where there is no such example.
struct example_probability {
  probe_example of = {};  ///< whose probability

  /// φ(w), in [0, 1].
  template <Model M>
  double value(draw<M> const& at) const {
    std::size_t const i = of.index(at, "example_probability");
    return std::exp(-static_cast<double>(at.probe_losses()[i]));
  }
};

}  // namespace susc
