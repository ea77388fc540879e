#include "susc/response/influence.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "difference.hpp"
#include "oracle.hpp"
#include "response/gaussian.hpp"
#include "response/stored_draws.hpp"

namespace {

using settings = susc::influence::settings;

std::vector<double> some_center(std::size_t examples) {
  std::vector<double> center(examples);
  for (std::size_t e = 0; e != examples; ++e) center[e] = 2 + std::sin(static_cast<double>(e));
  return center;
}

/// Covariance of the means over units u and v of `per_unit` examples, in two passes in long double, divisor n - 1.
double two_passes(losses_of_draws const& draws, std::size_t u, std::size_t v, std::size_t per_unit = 1) {
  auto const unit = [&](std::vector<double> const& losses, std::size_t k) {
    long double sum = 0;
    for (std::size_t e = k * per_unit; e != (k + 1) * per_unit; ++e) sum += losses[e];
    return sum / static_cast<long double>(per_unit);
  };
  long double first = 0, second = 0, product = 0, n = static_cast<long double>(draws.size());
  for (auto const& losses : draws) first += unit(losses, u) / n, second += unit(losses, v) / n;
  for (auto const& losses : draws) product += (unit(losses, u) - first) * (unit(losses, v) - second);
  return static_cast<double>(product / (n - 1));
}
double two_pass_correlation(losses_of_draws const& draws, std::size_t u, std::size_t v) {
  return two_passes(draws, u, v) / std::sqrt(two_passes(draws, u, u) * two_passes(draws, v, v));
}

susc::influence influence_of(settings const& s, std::vector<losses_of_draws> const& chains,
                             std::vector<double> const& center, std::vector<std::size_t> const& probe_sizes) {
  return merged(visited(susc::influence(s), chains, center, probe_sizes));
}

}  // namespace

TEST_CASE("influence: covariances of a Gaussian are exact in every sampler, and so are correlations [oracle]") {
  // Cov[l_i, l_j] = b_i·Σ b_j + ½ tr(B_i Σ B_j Σ): slopes large enough that both terms count.
  gaussian g;
  for (vector& slope : g.slope) slope *= 10;
  auto const model = g.model();
  susc::data_distribution const data{std::vector<std::size_t>{0}, full_batch};
  std::vector<susc::probe<std::vector<std::size_t>>> const probes{{"first", {1}}, {"second", {2}}};
  susc::posterior_settings const target{.n_beta = 3, .localization = 1};
  for_every_sampler([&](auto const& of) {
    CAPTURE(of.name);
    susc::sampling_options<std::remove_cvref_t<decltype(of.sampler)>> options{.components = {"part"},
                                                                              .posterior = target,
                                                                              .sampler = of.sampler,
                                                                              .chains = 8,
                                                                              .draws = 40'000,
                                                                              .burn_in = 500,
                                                                              .thinning = of.thinning,
                                                                              .batch_size = 1,
                                                                              .seed = 51};
    auto const chains = susc::run_chains(model, g.center, data, probes, susc::plan_sampling(model, options).components,
                                         options, susc::influence(), susc::threads{2});
    auto const found = chains[0].merged();
    REQUIRE(found.has_value());
    auto const covariance = found->covariance(), correlation = found->correlation();
    matrix const a = gaussian::block(g.a, true), one = matrix::Identity(a.rows(), a.cols());
    matrix const s = of.covariance(target.n_beta * a + target.localization * one, target.localization);
    auto const exact = [&](int i, int j) {
      vector const slope = gaussian::block(g.slope[i], true), other = gaussian::block(g.slope[j], true);
      matrix const b = gaussian::block(matrix(g.a + g.b[i]), true), c = gaussian::block(matrix(g.a + g.b[j]), true);
      double const linear = slope.dot(s * other), square = (b * s * c * s).trace() / 2;
      if (i == j) CHECK(linear > .05 * square);
      return linear + square;
    };
    for (auto const& [i, j] : {std::pair{0, 0}, std::pair{0, 1}, std::pair{1, 1}}) {
      std::string const row =
          "losses " + std::to_string(i + 1) + " and " + std::to_string(j + 1) + ", Gaussian, " + of.name;
      oracle::check("covariance of " + row, covariance.value(i, j), covariance.error(i, j), exact(i, j));
      if (i == j) continue;
      oracle::check("correlation of " + row, correlation.value(i, j), correlation.error(i, j),
                    exact(i, j) / std::sqrt(exact(i, i) * exact(j, j)));
    }
  });
}

TEST_CASE(
    "influence: covariances and correlations are those of two passes over the draws, errors those of leaving "
    "batches out") {
  // Batches of less than one block of 64 draws and of more; quantiles of Student's t with 15, 31 and 4 degrees.
  struct example {
    std::size_t chains, draws, per_chain;
    double quantile;
  };
  for (example const& e : {example{4, 75, 4, 2.13145}, example{1, 700, 16, 2.13145}, example{2, 800, 8, 2.13145},
                           example{16, 33, 2, 2.03951}, example{1, 5, 5, 2.77645}}) {
    CAPTURE(e.chains);
    CAPTURE(e.draws);
    auto const center = some_center(6);
    auto const chains = random_chains(e.chains, e.draws, center, .5, e.draws);
    auto const all = joined(chains);
    auto const found = influence_of({}, chains, center, {2, 4});
    auto const covariance = found.covariance(), correlation = found.correlation();
    REQUIRE(covariance.value.shape(0) == 6);
    REQUIRE(covariance.value.shape(1) == 6);
    for (std::size_t i = 0; i != 6; ++i)
      for (std::size_t j = 0; j != 6; ++j) {
        double const scale = std::sqrt(two_passes(all, i, i) * two_passes(all, j, j));
        CHECK(std::abs(covariance.value(i, j) - two_passes(all, i, j)) < 1e-10 * scale);
        CHECK(std::abs(correlation.value(i, j) - two_pass_correlation(all, i, j)) < 1e-10);
        double const student = e.quantile / 1.95996;
        double const of_covariance =
            std::sqrt(jackknife_variance(chains, e.per_chain, 1, [&](auto const& d) { return two_passes(d, i, j); }));
        CHECK(covariance.error(i, j) == doctest::Approx(student * of_covariance).epsilon(4e-3));
        if (i == j) continue;
        double const of_correlation = std::sqrt(
            jackknife_variance(chains, e.per_chain, 1, [&](auto const& d) { return two_pass_correlation(d, i, j); }));
        CHECK(correlation.error(i, j) == doctest::Approx(student * of_correlation).epsilon(4e-3));
      }
  }
}

TEST_CASE("influence: a unit's correlation with itself is 1, without error, and covariances are symmetric") {
  auto const center = some_center(5);
  auto const found = influence_of({}, random_chains(4, 100, center, .5, 3), center, {5});
  auto const covariance = found.covariance(), correlation = found.correlation();
  for (std::size_t i = 0; i != 5; ++i) {
    CHECK(correlation.value(i, i) == doctest::Approx(1).epsilon(1e-13));
    CHECK(correlation.error(i, i) < 1e-12);
    for (std::size_t j = 0; j != 5; ++j) {
      CHECK(covariance.value(i, j) == doctest::Approx(covariance.value(j, i)).epsilon(1e-12));
      CHECK(covariance.error(i, j) == doctest::Approx(covariance.error(j, i)).epsilon(1e-9));
      CHECK(std::abs(correlation.value(i, j)) < 1 + 1e-12);
    }
  }
}

TEST_CASE("influence: sequences as units have the means of their tokens' covariances") {
  for (std::uint64_t seed = 1; seed != 6; ++seed) {
    CAPTURE(seed);
    std::size_t const per_unit = 3, units = 4;
    auto const center = some_center(per_unit * units);
    auto const chains = random_chains(3, 90, center, .3, seed);
    auto const tokens = influence_of({}, chains, center, {6, 6}).covariance();
    auto const sequences = influence_of({.examples_per_unit = per_unit}, chains, center, {6, 6}).covariance();
    REQUIRE(sequences.value.shape(0) == units);
    for (std::size_t u = 0; u != units; ++u)
      for (std::size_t v = 0; v != units; ++v) {
        double mean = 0, largest = 0;
        for (std::size_t i = u * per_unit; i != (u + 1) * per_unit; ++i)
          for (std::size_t j = v * per_unit; j != (v + 1) * per_unit; ++j) {
            mean += tokens.value(i, j) / static_cast<double>(per_unit * per_unit);
            largest = nan_max(largest, std::abs(tokens.value(i, j)));
          }
        CHECK(std::abs(sequences.value(u, v) - mean) < 1e-13 * largest);
        CHECK(std::abs(sequences.value(u, v) - two_passes(joined(chains), u, v, per_unit)) < 1e-12 * largest);
      }
  }
}

TEST_CASE("influence: blocks of rows or columns taken in turn have the bits of all at once") {
  // Sizes around those at which a matrix product changes its path.
  for (std::size_t const examples : {3, 8, 29, 70}) {
    CAPTURE(examples);
    auto const center = some_center(examples);
    auto const chains = random_chains(2, 150, center, .5, examples);
    auto const whole = influence_of({}, chains, center, {examples});
    for (std::size_t const width : {std::size_t{1}, std::size_t{2}, std::size_t{13}})
      for (std::size_t begin = 0; begin < examples; begin += width) {
        susc::index_range const part{begin, std::min(begin + width, examples)};
        auto const rows = influence_of({.rows = part}, chains, center, {examples});
        auto const columns = influence_of({.columns = part}, chains, center, {examples});
        bool same = true;
        auto const compare = [&](susc::response_estimates const& all, susc::response_estimates const& by_rows,
                                 susc::response_estimates const& by_columns) {
          for (std::size_t i = part.begin; i != part.end; ++i)
            for (std::size_t j = 0; j != examples; ++j)
              same = same && all.value(i, j) == by_rows.value(i - part.begin, j) &&
                     all.error(i, j) == by_rows.error(i - part.begin, j) &&
                     all.value(j, i) == by_columns.value(j, i - part.begin) &&
                     all.error(j, i) == by_columns.error(j, i - part.begin);
        };
        compare(whole.covariance(), rows.covariance(), columns.covariance());
        compare(whole.correlation(), rows.correlation(), columns.correlation());
        CAPTURE(part.begin);
        CAPTURE(part.end);
        CHECK(same);
      }
  }
}

TEST_CASE("influence: the order of merging changes nothing beyond rounding") {
  auto const center = some_center(4);
  auto const chains = visited(susc::influence(), random_chains(5, 80, center, .5, 8), center, {4});
  auto const forward = merged(chains);
  auto turned = chains;
  std::reverse(turned.begin(), turned.end());
  std::swap(turned[0], turned[2]);
  susc::influence left = turned[0], right = turned[2];
  left.merge(turned[1]);
  right.merge(turned[3]);
  right.merge(turned[4]);
  left.merge(right);
  for (auto const& [a, b] :
       {std::pair{forward.covariance(), left.covariance()}, std::pair{forward.correlation(), left.correlation()}})
    for (std::size_t i = 0; i != 4; ++i)
      for (std::size_t j = 0; j != 4; ++j) {
        CHECK(std::abs(a.value(i, j) - b.value(i, j)) < 1e-12);
        CHECK(std::abs(a.error(i, j) - b.error(i, j)) < 1e-12);
      }
}

TEST_CASE("influence: what all losses of an example have in common costs no precision") {
  // Losses that are 2^26 more, in steps of 2^-20 so that the sum is exact: taken out at w*, they change no bit.
  auto center = some_center(4);
  auto chains = random_chains(2, 100, center, .5, 9);
  double const step = std::ldexp(1, -20);
  for (auto& chain : chains)
    for (auto& losses : chain)
      for (double& loss : losses) loss = step * std::round(loss / step);
  for (double& loss : center) loss = step * std::round(loss / step);
  auto const plain = influence_of({}, chains, center, {4}).covariance();
  for (auto& chain : chains)
    for (auto& losses : chain)
      for (double& loss : losses) loss += std::ldexp(1, 26);
  for (double& loss : center) loss += std::ldexp(1, 26);
  auto const moved = influence_of({}, chains, center, {4}).covariance();
  CHECK(plain.value == moved.value);
  CHECK(plain.error == moved.error);
}

TEST_CASE("influence: unusable settings are refused by name") {
  auto const center = some_center(6);
  auto const chains = random_chains(2, 10, center, .5, 1);
  auto const refused = [&](settings const& s, std::vector<std::size_t> const& probe_sizes, char const* message) {
    CHECK_THROWS_WITH_AS(influence_of(s, chains, center, probe_sizes), message, susc::error);
  };
  refused({.examples_per_unit = 0}, {6}, "examples_per_unit is 0, must be at least 1");
  // Six examples are two units of three, but units do not straddle probes.
  CHECK_NOTHROW(influence_of({.examples_per_unit = 3}, chains, center, {3, 3}));
  refused({.examples_per_unit = 3}, {2, 4}, "influence: a probe of 2 examples is not of whole units of 3");
  refused({}, {}, "influence needs probes, none was given");
  refused({.rows = {2, 7}}, {6}, "influence: range [2, 7) is not within the 6 units of the probes");
  refused({.columns = {4, 4}}, {6}, "influence: range [4, 4) is not within the 6 units of the probes");
  refused({.examples_per_unit = 2, .columns = {1, 4}}, {6},
          "influence: range [1, 4) is not within the 3 units of the probes");
  // 8 bytes x 6 x 5 units x 8 batches x 2 chains.
  CHECK_NOTHROW(influence_of({.columns = {0, 5}, .memory_limit = 3840}, chains, center, {6}));
  refused({.columns = {0, 5}, .memory_limit = 3839}, {6},
          "influence of 6 x 5 units takes 3.84e-06 GB, more than the limit of 3.839e-06: take fewer rows at a time, or "
          "whole sequences as units");
}

TEST_CASE("influence: 95 % intervals of covariances cover 92 to 98 % of the time at autocorrelation .5") {
  // Two unit normals of correlation .6, AR(1) each, in chains of the default length.
  constexpr std::size_t replicates = 2000, chains = 4, draws = 200;
  double const rho = .5, mixed = .6, own = std::sqrt(1 - mixed * mixed);
  std::vector<double> const center{0, 0};
  std::size_t covered[2]{};
  for (std::uint64_t replicate = 0; replicate != replicates; ++replicate) {
    susc::random::key const key = susc::random::fold_in({4321}, replicate);
    std::vector<losses_of_draws> data(chains, losses_of_draws(draws, std::vector<double>(2)));
    for (std::size_t chain = 0; chain != chains; ++chain) {
      double x[2]{};
      for (std::size_t t = 0; t != draws; ++t) {
        for (std::size_t i : {0, 1}) {
          double const xi = susc::random::normal<float>(susc::random::fold_in(key, chain), t, i);
          x[i] = t == 0 ? xi : rho * x[i] + std::sqrt(1 - rho * rho) * xi;  // stationary from the start
        }
        data[chain][t] = {x[0], mixed * x[0] + own * x[1]};
      }
    }
    auto const found = influence_of({}, data, center, {2});
    auto const covariance = found.covariance(), correlation = found.correlation();
    covered[0] += std::abs(covariance.value(0, 1) - mixed) < 1.96 * covariance.error(0, 1);
    covered[1] += std::abs(correlation.value(0, 1) - mixed) < 1.96 * correlation.error(0, 1);
  }
  auto const percent = [](std::size_t count) { return 100. * static_cast<double>(count) / replicates; };
  MESSAGE("coverage of covariances " << percent(covered[0]) << " %, of correlations " << percent(covered[1]) << " %");
  for (std::size_t const count : covered) {
    CHECK(percent(count) >= 92);
    CHECK(percent(count) <= 98);
  }
}
