#pragma once
/// Bayesian influence: covariances of losses over the posterior, Cov[l_i, l_j], and their correlations. Raising the
/// weight of example i in the data by dβ_i changes E[l_j] by -Cov[l_i, l_j] dβ_i (Kreer et al. 2025, arXiv 2509.26544).
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "susc/core/component.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/error.hpp"
#include "susc/core/requirements.hpp"
#include "susc/kernels/gemm.hpp"
#include "susc/response/result.hpp"
#include "susc/response/susceptibility.hpp"
#include "susc/sampling/visitor.hpp"

SUSC_REQUIRE_VERSION("Eigen", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, 3, 4);
SUSC_REQUIRE_VERSION("xtensor", XTENSOR_VERSION_MAJOR, XTENSOR_VERSION_MINOR, 0, 24);

namespace susc {

/// Visitor: covariances of the losses of some examples of the probes (rows) with those of others (columns), examples
/// being counted through all probes. The losses of at most 64 draws are held at a time.
class influence {
 public:
  /// Which losses, and how much memory.
  struct settings {
    /// Examples whose mean loss is one row or column: 1 for tokens, the tokens of a sequence for sequences.
    std::size_t examples_per_unit = 1;
    index_range rows = {}, columns = {};  ///< in units; empty: all
    double memory_limit = 4e9;            ///< bytes for all chains of a component
  };

  /// Checked at the start of a run.
  explicit influence(settings s) : settings_(s) {}
  influence() = default;  ///< All examples of all probes.

  /// Throws susc::error if probes do not consist of whole units, a range is beyond them, or more memory would be
  /// needed than allowed: rows may then be taken in turn, with the bits of all at once, as the chains are the same in
  /// every run.
  template <Model M>
  void start(draw<M> const& center, draw_counts counts) {
    std::size_t const per_unit = settings_.examples_per_unit;
    require(per_unit > 0, "examples_per_unit is 0, must be at least 1");
    for (index_range const& p : center.probe_ranges())
      require(p.size() % per_unit == 0, "influence: a probe of ", p.size(), " examples is not of whole units of ",
              per_unit);
    std::size_t const units = center.probe_example_count() / per_unit;
    require(units > 0, "influence needs probes, none was given");
    for (index_range* range : {&settings_.rows, &settings_.columns}) {
      if (*range == index_range{}) *range = {0, units};
      require(range->begin < range->end && range->end <= units, "influence: range [", range->begin, ", ", range->end,
              ") is not within the ", units, " units of the probes");
    }
    auto const losses = center.probe_losses();
    center_.assign(losses.begin(), losses.end());
    // Few long batches: each holds a matrix.
    std::size_t const count =
        std::min(counts.draws, std::max<std::size_t>(2, (16 + counts.chains - 1) / counts.chains));
    std::size_t const rows = settings_.rows.size(), columns = settings_.columns.size();
    double const bytes =
        8. * static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(count * counts.chains);
    require(bytes <= settings_.memory_limit, "influence of ", rows, " x ", columns, " units takes ", bytes / 1e9,
            " GB, more than the limit of ", settings_.memory_limit / 1e9,
            ": take fewer rows at a time, or whole sequences as units");
    batches_.assign(count, batch(rows, columns));
    block_ = row_major::Zero(static_cast<Eigen::Index>(std::min(block_draws, counts.draws)),
                             static_cast<Eigen::Index>(rows + columns));
    schedule_ = {counts.draws, count};
    seen_ = 0;
    held_ = 0;
  }

  /// Takes in the losses of one draw.
  template <Model M>
  void add(draw<M> const& at) {
    auto const losses = at.probe_losses();
    std::size_t const per_unit = settings_.examples_per_unit;
    Eigen::Index column = 0;
    for (index_range const& range : {settings_.rows, settings_.columns})
      for (std::size_t unit = range.begin; unit != range.end; ++unit) {
        double sum = 0;
        for (std::size_t e = unit * per_unit; e != (unit + 1) * per_unit; ++e)
          sum += static_cast<double>(losses[e]) - center_[e];
        block_(held_, column++) = sum / static_cast<double>(per_unit);
      }
    ++held_;
    std::size_t const current = schedule_.batch_of(seen_);
    ++seen_;
    bool const last = seen_ == schedule_.draws() || schedule_.batch_of(seen_) != current;
    if (last || held_ == block_.rows()) {
      batches_[current].take(block_, held_, static_cast<Eigen::Index>(settings_.rows.size()));
      held_ = 0;
    }
  }

  /// Held between start and the end of the run.
  std::size_t bytes() const {
    auto const numbers = [](auto const& array) { return static_cast<std::size_t>(array.size()); };
    std::size_t sum = numbers(block_) + center_.capacity();
    for (batch const& b : batches_) sum += numbers(b.mean) + numbers(b.square) + numbers(b.comoment);
    return sizeof(double) * sum;
  }

  /// The chain gets more draws, `draws` in all.
  void extend(std::size_t draws) {
    schedule_.extend(draws);
    batches_.resize(schedule_.batches(), batch(settings_.rows.size(), settings_.columns.size()));
  }
  static void members(auto& self, auto&& each) {
    each(self.settings_.examples_per_unit, self.settings_.rows, self.settings_.columns, self.center_, self.batches_,
         self.block_, self.held_, self.schedule_, self.seen_);
  }
  /// Appends the other chain's batches.
  void merge(influence const& other) { batches_.insert(batches_.end(), other.batches_.begin(), other.batches_.end()); }

  /// Cov[l_i, l_j], nats squared, (rows, columns), divisor n - 1.
  response_estimates covariance() const {
    return matrix([](double ij, double, double, double count) { return ij / (count - 1); });
  }
  /// Cov[l_i, l_j] / √(Var[l_i] Var[l_j]), (rows, columns).
  response_estimates correlation() const {
    return matrix([](double ij, double ii, double jj, double) { return ij / std::sqrt(ii * jj); });
  }

 private:
  static constexpr std::size_t block_draws = 64;
  using row_major = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  /// Moments of consecutive draws: means and sums of squares of rows, then columns, and comoments of rows with columns.
  struct batch {
    explicit batch(std::size_t rows = 0, std::size_t columns = 0)
        : mean(Eigen::ArrayXd::Zero(static_cast<Eigen::Index>(rows + columns))),
          square(mean),
          comoment(row_major::Zero(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(columns))) {}

    /// Takes in the first `draws` lines of `block` and leaves there what remains of them less their mean. Every number
    /// is the same chain of sums whatever rows and columns are beside it.
    void take(row_major& block, Eigen::Index draws, Eigen::Index rows) {
      Eigen::Index const units = block.cols(), columns = units - rows;
      double const more = static_cast<double>(draws), total = count + more, weight = count * more / total;
      Eigen::ArrayXd center = Eigen::ArrayXd::Zero(units), sum = center;
      for (Eigen::Index t = 0; t != draws; ++t)
        for (Eigen::Index u = 0; u != units; ++u) center[u] += block(t, u);
      for (Eigen::Index u = 0; u != units; ++u) center[u] /= more;
      for (Eigen::Index t = 0; t != draws; ++t)
        for (Eigen::Index u = 0; u != units; ++u) {
          block(t, u) -= center[u];
          sum[u] += block(t, u) * block(t, u);
        }
      auto const part = [&](Eigen::Index first, Eigen::Index size) {
        auto const extent = [](Eigen::Index n) { return static_cast<std::size_t>(n); };
        return kernels::matrix<double const>(block.data() + first, extent(draws), extent(size), extent(units));
      };
      kernels::transposed_multiply<double>(
          {comoment.data(), static_cast<std::size_t>(rows), static_cast<std::size_t>(columns)}, part(0, rows),
          part(rows, columns), kernels::output::add);
      for (Eigen::Index u = 0; u != units; ++u) {
        double const gap = center[u] - mean[u];
        square[u] += sum[u] + weight * gap * gap;
        center[u] = gap;
      }
      for (Eigen::Index i = 0; i != rows; ++i)
        for (Eigen::Index k = 0; k != columns; ++k) comoment(i, k) += weight * center[i] * center[rows + k];
      for (Eigen::Index u = 0; u != units; ++u) mean[u] += more / total * center[u];
      count = total;
    }

    static void members(auto& self, auto&& each) { each(self.count, self.mean, self.square, self.comoment); }

    double count = 0;
    Eigen::ArrayXd mean, square;
    row_major comoment;
  };

  template <class Formula>
  response_estimates matrix(Formula formula) const {
    std::size_t const rows = settings_.rows.size(), columns = settings_.columns.size(), count = batches_.size();
    response_estimates result{xt::xtensor<double, 2>::from_shape({rows, columns}), {}};
    result.error = xt::xtensor<double, 2>::from_shape({rows, columns});
    // Entry u, v of the batches' moments; u and v count rows, then columns.
    auto const joint = [&](std::size_t b, std::size_t u, std::size_t v, double comoment) {
      auto const& m = batches_[b].mean;
      return detail::joint_moments{batches_[b].count, m[static_cast<Eigen::Index>(u)], m[static_cast<Eigen::Index>(v)],
                                   comoment};
    };
    // Sums of squares of every unit over all batches, then without each pair and each single one.
    auto const without = [&](auto const& entry, std::size_t first, std::size_t last) {
      detail::joint_moments all;
      for (std::size_t b = 0; b != count; ++b)
        if (b < first || b >= last) all.merge(entry(b));
      return all;
    };
    auto const square = [&](std::size_t u, std::size_t first, std::size_t last) {
      return without([&](std::size_t b) { return joint(b, u, u, batches_[b].square[static_cast<Eigen::Index>(u)]); },
                     first, last)
          .comoment;
    };
    std::vector<double> squares((rows + columns) * (count + 1));
    for (std::size_t u = 0; u != rows + columns; ++u) {
      squares[u * (count + 1)] = square(u, 0, 0);
      for (std::size_t b = 0; b != count; ++b) squares[u * (count + 1) + b + 1] = square(u, b, b + 1);
    }
    for (std::size_t i = 0; i != rows; ++i)
      for (std::size_t j = 0; j != columns; ++j) {
        auto const entry = [&](std::size_t b) {
          return joint(b, i, rows + j,
                       batches_[b].comoment(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)));
        };
        auto const value = [&](std::size_t omitted, detail::joint_moments const& m) {
          return formula(m.comoment, squares[i * (count + 1) + omitted], squares[(rows + j) * (count + 1) + omitted],
                         m.count);
        };
        detail::joint_moments const all = without(entry, 0, 0);
        result.value(i, j) = value(0, all);
        detail::jackknife over;
        for (std::size_t b = 0; b != count; ++b) over.add(value(b + 1, all.without(entry(b))));
        double const degrees = static_cast<double>(count) - 1;
        result.error(i, j) = std::sqrt(over.variance()) * detail::t_ratio(degrees);
      }
    return result;
  }

  settings settings_ = {};
  std::vector<double> center_;
  std::vector<batch> batches_;
  row_major block_;  ///< losses of draws not yet in a batch: (draws, rows then columns)
  Eigen::Index held_ = 0;
  batch_schedule schedule_ = {};
  std::size_t seen_ = 0;
};

}  // namespace susc
