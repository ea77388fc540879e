#pragma once
/// Streaming first and second moments of an observable φ with many loss shifts Δ_j: centred (Welford), mergeable
/// (Chan), of size O(number of shifts), whatever the number of draws.
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/core/error.hpp"

namespace susc {

/// Of φ and Δ_j over some draws.
struct moments {
  double count = 0;                ///< draws
  double mean_observable = 0;      ///< E[φ]
  std::vector<double> mean_shift;  ///< E[Δ_j]
  std::vector<double> comoment;    ///< Σ (φ - E φ)(Δ_j - E Δ_j)

  static void members(auto& self, auto&& each) {
    each(self.count, self.mean_observable, self.mean_shift, self.comoment);
  }

  /// Of no draws, for so many Δ_j.
  explicit moments(std::size_t shifts = 0) : mean_shift(shifts), comoment(shifts) {}

  /// Held.
  std::size_t bytes() const { return sizeof(moments) + sizeof(double) * (mean_shift.capacity() + comoment.capacity()); }

  /// One draw: φ, and Δ (shifts,).
  void add(double observable, std::span<double const> shifts) {
    count += 1;
    double const from_old_mean = observable - mean_observable;
    mean_observable += from_old_mean / count;
    for (std::size_t j = 0; j != shifts.size(); ++j) {
      mean_shift[j] += (shifts[j] - mean_shift[j]) / count;
      comoment[j] += from_old_mean * (shifts[j] - mean_shift[j]);
    }
  }

  /// As if the other's draws had been added: exact up to rounding, in any order.
  void merge(moments const& other) {
    if (other.count == 0) return;
    require(mean_shift.size() == other.mean_shift.size(), "moments of ", mean_shift.size(),
            " shifts cannot take in moments of ", other.mean_shift.size());
    double const total = count + other.count, weight = other.count / total;
    double const observable_gap = other.mean_observable - mean_observable;
    for (std::size_t j = 0; j != mean_shift.size(); ++j) {
      double const gap = other.mean_shift[j] - mean_shift[j];
      comoment[j] += other.comoment[j] + observable_gap * gap * count * weight;
      mean_shift[j] += gap * weight;
    }
    mean_observable += observable_gap * weight;
    count = total;
  }

  /// Takes in further shifts at the same draws.
  void append(moments const& other) {
    mean_shift.insert(mean_shift.end(), other.mean_shift.begin(), other.mean_shift.end());
    comoment.insert(comoment.end(), other.comoment.begin(), other.comoment.end());
  }

  /// Moments of the mean of the shifts of each group: exact, since all is linear in the shifts.
  moments grouped(std::span<index_range const> groups) const {
    moments result(groups.size());
    result.count = count;
    result.mean_observable = mean_observable;
    for (std::size_t g = 0; g != groups.size(); ++g) {
      for (std::size_t j = groups[g].begin; j != groups[g].end; ++j) {
        result.mean_shift[g] += mean_shift[j];
        result.comoment[g] += comoment[j];
      }
      result.mean_shift[g] /= static_cast<double>(groups[g].size());
      result.comoment[g] /= static_cast<double>(groups[g].size());
    }
    return result;
  }
  /// Moments of Σ_j weights_j Δ_j: exact likewise. weights (shifts,).
  moments weighted(std::span<double const> weights) const {
    require(weights.size() == mean_shift.size(), "moments of ", mean_shift.size(), " shifts, ", weights.size(),
            " weights");
    moments result(1);
    result.count = count;
    result.mean_observable = mean_observable;
    for (std::size_t j = 0; j != weights.size(); ++j) {
      result.mean_shift[0] += weights[j] * mean_shift[j];
      result.comoment[0] += weights[j] * comoment[j];
    }
    return result;
  }
};

/// Splits a chain's draws into batches of consecutive draws, about √draws each and at least `least` in all chains
/// together, for batch means and the jackknife; an even number where that many are not needed, so that pairs
/// of batches stay within a chain. Throws susc::error for no chains.
inline std::size_t batches_per_chain(std::size_t draws, std::size_t chains, std::size_t least = 8) {
  require(chains > 0, "batches of 0 chains, must be at least 1");
  std::size_t length = 1;
  while ((length + 1) * (length + 1) <= draws) ++length;
  std::size_t const wanted = (least + chains - 1) / chains;
  return std::min(draws, std::max(draws / length / 2 * 2, wanted));
}

/// Which batch each draw of a chain goes into.
class batch_schedule {
 public:
  batch_schedule() = default;  ///< Of no draws.
  /// Batches about equally long.
  batch_schedule(std::size_t draws, std::size_t batches) { append(draws, batches); }

  std::size_t draws() const { return ends_.empty() ? 0 : ends_.back(); }  ///< in all
  std::size_t batches() const { return ends_.size(); }                    ///< in all
  /// The batch of a draw, both counted from 0.
  std::size_t batch_of(std::size_t draw) const {
    return static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), draw) - ends_.begin());
  }
  /// Makes it `all` draws, more than before, in further batches about as long.
  void extend(std::size_t all) {
    std::size_t const more = all - draws();
    append(more, std::max<std::size_t>(1, (more * batches() + draws() / 2) / draws()));
  }
  /// Held.
  std::size_t bytes() const { return sizeof(std::size_t) * ends_.capacity(); }
  friend bool operator==(batch_schedule const&, batch_schedule const&) = default;
  static void members(auto& self, auto&& each) { each(self.ends_); }

 private:
  void append(std::size_t draws, std::size_t batches) {
    std::size_t const before = this->draws();
    for (std::size_t b = 1; b <= batches; ++b) ends_.push_back(before + (b * draws + batches - 1) / batches);
  }
  std::vector<std::size_t> ends_;  ///< of each batch, in draws
};

}  // namespace susc
