#pragma once
// Chains of given losses: visitors fed with numbers that a test has stored, for comparison with brute force.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "susc/core/random.hpp"
#include "susc/sampling/draw.hpp"
#include "susc/sampling/visitor.hpp"

/// Satisfies Model: the losses are the weights themselves; a batch is a list of them.
struct weights_as_losses {
  using scalar = double;
  using batch = std::vector<std::size_t>;
  std::size_t count;
  std::size_t parameter_count() const { return count; }
  std::size_t example_count(batch const& b) const { return b.size(); }
  void losses(std::span<double const> w, batch const& b, std::span<double> losses) const {
    for (std::size_t k = 0; k != b.size(); ++k) losses[k] = w[b[k]];
  }
  double loss_and_gradient(std::span<double const>, batch const&, std::span<double>) const { return 0; }
};

using losses_of_draws = std::vector<std::vector<double>>;  ///< (draws) x (examples)

/// The visitors of all chains, one a chain, after these losses; `probe_sizes` examples to each probe.
template <class V>
std::vector<V> visited(V const& visitor, std::vector<losses_of_draws> const& chains, std::vector<double> const& center,
                       std::vector<std::size_t> const& probe_sizes) {
  weights_as_losses const model{center.size()};
  susc::component const all = susc::full_component(center.size());
  std::vector<std::size_t> const evaluation{0};
  std::vector<susc::probe<std::vector<std::size_t>>> probes;
  std::size_t next = 0;
  for (std::size_t const size : probe_sizes) {
    std::vector<std::size_t> examples(size);
    std::iota(examples.begin(), examples.end(), next);
    next += size;
    probes.push_back({"probe", examples});
  }
  std::vector<V> result;
  for (std::size_t chain = 0; chain != chains.size(); ++chain) {
    V own = visitor;
    susc::draw<weights_as_losses> at(model, center, all, evaluation, probes);
    own.start(at, susc::draw_counts{chains[chain].size(), chains.size(), chain});
    for (auto const& losses : chains[chain]) {
      at.move_to(losses);
      own.add(std::as_const(at));
    }
    result.push_back(std::move(own));
  }
  return result;
}
template <class V>
V merged(std::vector<V> const& chains) {
  V all = chains[0];
  for (std::size_t chain = 1; chain != chains.size(); ++chain) all.merge(chains[chain]);
  return all;
}

/// Correlated losses about `center`, of AR(1) factors: autocorrelation rho, correlation between examples.
inline std::vector<losses_of_draws> random_chains(std::size_t chains, std::size_t draws,
                                                  std::vector<double> const& center, double rho, std::uint64_t seed) {
  susc::random::stream stream({seed});
  std::vector<losses_of_draws> result(chains, losses_of_draws(draws, std::vector<double>(center.size())));
  for (auto& chain : result) {
    std::vector<double> x(center.size());
    for (double& v : x) v = stream.normal();
    for (auto& losses : chain) {
      for (double& v : x) v = rho * v + std::sqrt(1 - rho * rho) * stream.normal();
      for (std::size_t e = 0; e != x.size(); ++e) losses[e] = center[e] + x[e] + .7 * x[e / 2] - .4 * x[0];
    }
  }
  return result;
}

/// (K - 1)/K times the sum of squares of what `value` is without each of K batches: the delete-one jackknife's
/// variance. Batches are `per_chain` parts of each chain's consecutive draws.
inline double jackknife_variance(std::vector<losses_of_draws> const& chains, std::size_t per_chain, std::size_t width,
                                 std::function<double(losses_of_draws const&)> const& value) {
  std::vector<losses_of_draws> batches;
  for (auto const& chain : chains) {
    std::size_t const first = batches.size();
    batches.resize(first + per_chain);
    for (std::size_t t = 0; t != chain.size(); ++t) batches[first + t * per_chain / chain.size()].push_back(chain[t]);
  }
  std::vector<double> values;
  for (std::size_t left_out = 0; left_out < batches.size(); left_out += width) {
    losses_of_draws rest;
    for (std::size_t b = 0; b != batches.size(); ++b)
      if (b < left_out || b >= left_out + width) rest.insert(rest.end(), batches[b].begin(), batches[b].end());
    values.push_back(value(rest));
  }
  double const count = static_cast<double>(values.size());
  double mean = 0, square = 0;
  for (double const v : values) mean += v / count;
  for (double const v : values) square += (v - mean) * (v - mean);
  return (count - 1) / count * square;
}

inline losses_of_draws joined(std::vector<losses_of_draws> const& chains) {
  losses_of_draws all;
  for (auto const& chain : chains) all.insert(all.end(), chain.begin(), chain.end());
  return all;
}
