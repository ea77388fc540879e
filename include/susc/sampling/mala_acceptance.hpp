#pragma once
/// How far from exact is a step size? The probability with which MALA would accept SGLD's step with the gradient of the
/// evaluation set: 1 as ε → 0. Nothing is said of gradient noise.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"
#include "susc/kernels/langevin.hpp"
#include "susc/sampling/chain.hpp"
#include "susc/sampling/draw.hpp"
#include "susc/sampling/mala.hpp"
#include "susc/sampling/posterior.hpp"
#include "susc/sampling/visitor.hpp"

namespace susc {

/// Visitor of chains that sample `posterior` with `step_size`: proposes a step from one draw in `every` and records the
/// probability of its acceptance, at the cost of two gradients of the evaluation set.
struct mala_acceptance {
  posterior_settings posterior = {};             ///< that the chains sample
  double step_size = 1e-3;                       ///< ε of the proposals
  std::size_t every = 10;                        ///< draws a proposal
  std::uint64_t seed = 1;                        ///< of the proposals
  std::vector<std::vector<double>> traces = {};  ///< (chains) x (proposals), in [0, 1]
  std::size_t seen = 0;                          ///< draws of the chain
  random::key key = {};                          ///< of the chain

  /// Begins one chain's trace. Throws susc::error if `every` is 0.
  template <Model M>
  void start(draw<M> const&, draw_counts counts) {
    require(every > 0, "every is 0, must be at least 1");
    traces.assign(1, {});
    seen = 0;
    key = random::fold_in(random::fold_in({seed}, "mala_acceptance"), counts.chain);
  }

  /// Proposes a step from every so many draws.
  template <Model M>
  void add(draw<M> const& at) {
    if (seen++ % every != 0) return;
    using T = typename M::scalar;
    component const& c = at.moving();
    std::size_t const n = c.size();
    aligned_vector<T> center(n), from(n), to(n), from_slope(n), to_slope(n), whole,
        w(at.weights().begin(), at.weights().end());
    c.gather(at.center(), std::span<T>(center));
    c.gather(at.weights(), std::span<T>(from));
    susc::posterior<T> const target{posterior, center};
    auto const look = [&](aligned_vector<T> const& v, aligned_vector<T>& slope) {
      c.scatter(std::span<T const>(v), std::span<T>(w));
      T const loss = detail::component_gradient(at.model(), std::span<T const>(w), at.evaluation_batch(), c,
                                                std::span<T>(slope), whole);
      for (std::size_t i = 0; i != n; ++i) slope[i] = target.slope(i, v[i], slope[i]);
      return target.energy(v, loss);
    };
    double const from_energy = look(from, from_slope);
    kernels::normals<T>(to, key, seen);
    for (std::size_t i = 0; i != n; ++i)
      to[i] = from[i] + static_cast<T>(std::sqrt(step_size)) * to[i] - static_cast<T>(step_size / 2) * from_slope[i];
    double const to_energy = look(to, to_slope);
    traces[0].push_back(std::exp(
        std::min(0., log_acceptance_ratio<T>(step_size, from, from_energy, from_slope, to, to_energy, to_slope))));
  }

  /// The chain gets more draws, `draws` in all.
  void extend(std::size_t /*draws*/) {}
  void batch_like(mala_acceptance const&) {}  ///< There are no batches.
  /// Sees no probes.
  template <Model M>
  void join_probes(mala_acceptance const&, draw<M> const&) {}
  static void members(auto& self, auto&& each) {
    auto& p = self.posterior;
    each(p.n_beta, p.localization, p.weight_decay, p.bounding_box, self.step_size, self.every, self.seed);
    each(self.traces, self.seen, self.key.bits);
  }
  /// Appends the other chains' traces.
  void merge(mala_acceptance const& other) { traces.insert(traces.end(), other.traces.begin(), other.traces.end()); }
};

}  // namespace susc
