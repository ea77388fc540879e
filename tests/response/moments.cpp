#include "susc/response/moments.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "difference.hpp"
#include "susc/core/random.hpp"

namespace {

constexpr std::size_t shifts = 4;

struct draws {
  std::vector<double> observable;
  std::vector<std::vector<double>> shift;
};

draws random_draws(std::size_t count, std::uint64_t seed, double offset = 0) {
  susc::random::stream stream({seed});
  draws d;
  for (std::size_t t = 0; t != count; ++t) {
    double const common = stream.normal();
    d.observable.push_back(offset + common + .5 * stream.normal());
    d.shift.emplace_back();
    // Skewed, of different sizes and means, and one constant.
    d.shift.back() = {common * common, 100 - 3 * common + stream.normal(), 1e-3 * stream.normal(), 7};
  }
  return d;
}

susc::moments streamed(draws const& d, std::size_t begin, std::size_t end) {
  susc::moments m(shifts);
  for (std::size_t t = begin; t != end; ++t) m.add(d.observable[t], d.shift[t]);
  return m;
}

/// Means first, then products about them, in long double.
struct two_pass {
  long double observable = 0;
  std::vector<long double> shift = std::vector<long double>(shifts), comoment = std::vector<long double>(shifts);
  explicit two_pass(draws const& d) {
    auto const n = static_cast<long double>(d.observable.size());
    for (double const x : d.observable) observable += x / n;
    for (std::size_t j = 0; j != shifts; ++j) {
      for (auto const& s : d.shift) shift[j] += s[j] / n;
      for (std::size_t t = 0; t != d.shift.size(); ++t)
        comoment[j] += (d.observable[t] - observable) * (d.shift[t][j] - shift[j]);
    }
  }
};

/// The largest difference, relative to what Cauchy-Schwarz allows a comoment and to the means' own size.
double difference(susc::moments const& a, susc::moments const& b) {
  double const scale[shifts]{1, 3, 1e-3, 1};
  double worst = std::abs(a.mean_observable - b.mean_observable) / (1 + std::abs(b.mean_observable));
  for (std::size_t j = 0; j != shifts; ++j) {
    worst = nan_max(worst, std::abs(a.mean_shift[j] - b.mean_shift[j]) / (scale[j] + std::abs(b.mean_shift[j])));
    worst = nan_max(worst, std::abs(a.comoment[j] - b.comoment[j]) / (b.count * scale[j]));
  }
  return a.count == b.count ? worst : 1;
}

}  // namespace

TEST_CASE("moments: one pass agrees with two passes in long double") {
  for (std::size_t const count : {1, 2, 3, 10, 1000, 100'000}) {
    CAPTURE(count);
    auto const d = random_draws(count, count);
    auto const m = streamed(d, 0, count);
    two_pass const exact(d);
    susc::moments expected(shifts);
    expected.count = static_cast<double>(count);
    expected.mean_observable = static_cast<double>(exact.observable);
    for (std::size_t j = 0; j != shifts; ++j) {
      expected.mean_shift[j] = static_cast<double>(exact.shift[j]);
      expected.comoment[j] = static_cast<double>(exact.comoment[j]);
    }
    CHECK(difference(m, expected) < 1e-12);
    CHECK(m.comoment[3] == 0);  // a constant covaries with nothing, exactly
  }
}

TEST_CASE("moments: merging in any grouping and order is adding the draws, to 1e-12") {
  for (std::uint64_t seed = 1; seed != 21; ++seed) {
    CAPTURE(seed);
    susc::random::stream stream({1000 + seed});
    std::size_t const count = 1 + stream.below(3000);
    auto const d = random_draws(count, seed);
    auto const all = streamed(d, 0, count);
    // Cut at random places (empty parts too), shuffle, then merge randomly chosen pairs until one is left.
    std::vector<std::size_t> cuts{0, count};
    for (std::size_t i = 0; i != 1 + seed; ++i) cuts.push_back(stream.below(count + 1));
    std::sort(cuts.begin(), cuts.end());
    std::vector<susc::moments> parts;
    for (std::size_t i = 1; i != cuts.size(); ++i) parts.push_back(streamed(d, cuts[i - 1], cuts[i]));
    while (parts.size() > 1) {
      std::size_t const a = stream.below(parts.size());
      susc::moments const taken = parts[a];
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(a));
      parts[stream.below(parts.size())].merge(taken);
    }
    CHECK(difference(parts[0], all) < 1e-12);
  }
}

TEST_CASE("moments: adding 1e8 to the observable changes covariances by less than 1e-7 of their scale") {
  auto const plain = streamed(random_draws(5000, 3), 0, 5000);
  auto d = random_draws(5000, 3);
  for (double& x : d.observable) x += 1e8;
  auto const moved = streamed(d, 0, 5000);
  auto split = streamed(d, 0, 700);
  split.merge(streamed(d, 700, 5000));
  for (std::size_t j = 0; j != 3; ++j) {
    // Scale: √(Var φ Var Δ) n; the offset costs at most 1e8 · 2^-53 of each φ.
    double const scale = 5000 * std::vector<double>{1.5, 3.5, 1e-3}[j];
    CHECK(std::abs(moved.comoment[j] - plain.comoment[j]) < 1e-7 * scale);
    CHECK(std::abs(split.comoment[j] - plain.comoment[j]) < 1e-7 * scale);
  }
}

TEST_CASE("moments: grouped is what the means of the shifts would have given") {
  auto const d = random_draws(500, 4);
  std::vector<susc::index_range> const groups{{0, 1}, {1, 4}, {0, 4}};
  susc::moments direct(groups.size());
  for (std::size_t t = 0; t != 500; ++t) {
    auto const& s = d.shift[t];
    direct.add(d.observable[t], std::vector{s[0], (s[1] + s[2] + s[3]) / 3, (s[0] + s[1] + s[2] + s[3]) / 4});
  }
  auto const grouped = streamed(d, 0, 500).grouped(groups);
  CHECK(grouped.count == direct.count);
  CHECK(grouped.mean_observable == direct.mean_observable);
  for (std::size_t g = 0; g != groups.size(); ++g) {
    CHECK(grouped.mean_shift[g] == doctest::Approx(direct.mean_shift[g]).epsilon(1e-12));
    CHECK(grouped.comoment[g] == doctest::Approx(direct.comoment[g]).epsilon(1e-11));
  }
}

TEST_CASE("moments: weighted is what the weighted sum of the shifts would have given") {
  susc::random::stream stream({3});
  susc::moments all(3), sum(1);
  std::vector<double> const weights{.5, -2, 3};
  for (int t = 0; t != 40; ++t) {
    std::vector<double> const shifts{stream.normal(), stream.normal() + 1, stream.normal()};
    double const observable = stream.normal() + shifts[1];
    all.add(observable, shifts);
    sum.add(observable, std::vector{.5 * shifts[0] - 2 * shifts[1] + 3 * shifts[2]});
  }
  auto const weighted = all.weighted(weights);
  CHECK(weighted.count == 40);
  CHECK(weighted.mean_observable == sum.mean_observable);
  CHECK(weighted.mean_shift[0] == doctest::Approx(sum.mean_shift[0]).epsilon(1e-13));
  CHECK(weighted.comoment[0] == doctest::Approx(sum.comoment[0]).epsilon(1e-13));
  CHECK_THROWS_WITH_AS(all.weighted(std::vector<double>{1}), "moments of 3 shifts, 1 weights", susc::error);
}

TEST_CASE("moments: empty ones change nothing, and numbers of shifts must agree") {
  auto const m = streamed(random_draws(10, 5), 0, 10);
  auto merged = m;
  merged.merge(susc::moments(shifts));
  CHECK(difference(merged, m) == 0);
  susc::moments empty(shifts);
  empty.merge(m);
  CHECK(difference(empty, m) < 1e-15);
  susc::moments other(2);
  other.add(1, std::vector{1., 2.});
  CHECK_THROWS_WITH_AS(merged.merge(other), "moments of 4 shifts cannot take in moments of 2", susc::error);
}

TEST_CASE("moments: batches are about sqrt(draws) long, even in number, and at least 8 in all") {
  CHECK(susc::batches_per_chain(200, 4) == 14);
  CHECK(susc::batches_per_chain(60'000, 4) == 244);
  CHECK(susc::batches_per_chain(16, 1) == 8);
  CHECK(susc::batches_per_chain(3, 1) == 3);  // never more than draws
  CHECK(susc::batches_per_chain(1, 4) == 1);
}
