#pragma once
/// The posterior predictive: the mean over draws of p(y | x, w), for every example of the probes.
#include <cmath>
#include <cstddef>
#include <vector>

#include "susc/response/moments.hpp"
#include "susc/response/susceptibility.hpp"
#include "susc/sampling/visitor.hpp"

namespace susc {

/// Visitor.
struct posterior_predictive {
  std::vector<moments> batches = {};  ///< of p(y|x,w) / p(y|x,w*), batches of consecutive draws, chain by chain
  std::vector<double> center = {};    ///< l(w*; x, y), nats, (probe_example_count,)

  /// Begins at w*.
  template <Model M>
  void start(draw<M> const& at, draw_counts counts) {
    auto const losses = at.probe_losses();
    center.assign(losses.begin(), losses.end());
    ratios.resize(center.size());
    schedule = {counts.draws, batches_per_chain(counts.draws, counts.chains)};
    batches.assign(schedule.batches(), moments(center.size()));
    seen = 0;
  }
  /// One more draw.
  template <Model M>
  void add(draw<M> const& at) {
    auto const losses = at.probe_losses();
    // Relative to w*: no underflow where an example is improbable throughout.
    for (std::size_t j = 0; j != ratios.size(); ++j) ratios[j] = std::exp(center[j] - static_cast<double>(losses[j]));
    batches[schedule.batch_of(seen++)].add(0, ratios);
  }
  /// The chain gets more draws, `draws` in all.
  void extend(std::size_t draws) {
    schedule.extend(draws);
    batches.resize(schedule.batches(), moments(center.size()));
  }
  /// Sees the same draws as another, in its batches.
  void batch_like(posterior_predictive const& other) {
    schedule = other.schedule;
    batches.assign(schedule.batches(), moments(center.size()));
  }
  /// Takes in what was seen of further probes at the same draws.
  template <Model M>
  void join_probes(posterior_predictive const& more, draw<M> const&) {
    center.insert(center.end(), more.center.begin(), more.center.end());
    ratios.insert(ratios.end(), more.ratios.begin(), more.ratios.end());
    for (std::size_t b = 0; b != batches.size(); ++b) batches[b].append(more.batches[b]);
  }
  static void members(auto& self, auto&& each) {
    each(self.batches, self.center, self.schedule, self.seen, self.ratios);
  }
  /// Appends the other chain's batches.
  void merge(posterior_predictive const& other) {
    batches.insert(batches.end(), other.batches.begin(), other.batches.end());
  }

  /// Held between start and the end of the run.
  std::size_t bytes() const {
    std::size_t sum = sizeof(double) * (center.capacity() + ratios.capacity()) + schedule.bytes();
    for (moments const& b : batches) sum += b.bytes();
    return sum;
  }

  /// -log E[p(y|x,w)] of every example, nats, with its error.
  estimates losses() const {
    estimates result{std::vector<double>(center.size()), std::vector<double>(center.size())};
    for (std::size_t j = 0; j != center.size(); ++j) {
      double count = 0, sum = 0;
      for (moments const& b : batches) count += b.count, sum += b.count * b.mean_shift[j];
      auto const loss = [&](double n, double s) { return center[j] - std::log(s / n); };
      result.value[j] = loss(count, sum);
      result.error[j] = std::sqrt(detail::batch_variance(batches.size(), [&](std::size_t first, std::size_t last) {
        double n = count, s = sum;
        for (std::size_t i = first; i != last; ++i)
          n -= batches[i].count, s -= batches[i].count * batches[i].mean_shift[j];
        return loss(n, s);
      }));
    }
    return result;
  }

  batch_schedule schedule = {};     ///< of the chain
  std::size_t seen = 0;             ///< draws had
  std::vector<double> ratios = {};  ///< of the last draw
};

}  // namespace susc
