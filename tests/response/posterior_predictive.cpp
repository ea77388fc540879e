#include "susc/response/posterior_predictive.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "oracle.hpp"
#include "response/gaussian.hpp"
#include "response/stored_draws.hpp"

namespace {

/// -log of the mean of exp(-loss), in long double, about the smallest loss.
double definition(losses_of_draws const& draws, std::size_t example) {
  double least = std::numeric_limits<double>::infinity();
  for (auto const& losses : draws) least = std::min(least, losses[example]);
  long double sum = 0;
  for (auto const& losses : draws) sum += std::exp(static_cast<long double>(least - losses[example]));
  return static_cast<double>(least - std::log(sum / static_cast<long double>(draws.size())));
}

susc::estimates losses_of(std::vector<losses_of_draws> const& chains, std::vector<double> const& center) {
  return merged(visited(susc::posterior_predictive(), chains, center, {center.size()})).losses();
}

}  // namespace

TEST_CASE("posterior predictive of a Gaussian is exact in every sampler [oracle]") {
  // E[exp(-l)] = exp(-c) |I + Σ B|^{-½} exp(½ b·(Σ⁻¹ + B)⁻¹ b), its logarithm taken relative to l(w*) = c.
  gaussian g;
  for (vector& slope : g.slope) slope *= 6;
  auto const model = g.model();
  susc::data_distribution const data{std::vector<std::size_t>{0}, full_batch};
  std::vector<susc::probe<std::vector<std::size_t>>> const probes{{"first", {1}}, {"second", {2}}};
  susc::posterior_settings const target{.n_beta = 3, .localization = 1};
  for_every_sampler([&](auto const& of) {
    CAPTURE(of.name);
    susc::sampling_options<std::remove_cvref_t<decltype(of.sampler)>> options{.components = {"part", "full"},
                                                                              .posterior = target,
                                                                              .sampler = of.sampler,
                                                                              .chains = 4,
                                                                              .draws = 15'000,
                                                                              .burn_in = 500,
                                                                              .thinning = of.thinning,
                                                                              .batch_size = 1,
                                                                              .seed = 61};
    options.all_weights = {target, of.sampler};
    auto const chains = susc::run_chains(model, g.center, data, probes, susc::plan_sampling(model, options).components,
                                         options, susc::posterior_predictive(), susc::threads{2});
    for (bool const restricted : {true, false}) {
      auto const found = chains[restricted ? 0 : 1].merged();
      REQUIRE(found.has_value());
      auto const losses = found->losses();
      matrix const a = gaussian::block(g.a, restricted), one = matrix::Identity(a.rows(), a.cols());
      matrix const s = of.covariance(target.n_beta * a + target.localization * one, target.localization);
      for (int i : {0, 1}) {
        auto const e = static_cast<std::size_t>(i);
        CHECK(found->center[e] == 7 + i);
        vector const slope = gaussian::block(g.slope[i], restricted);
        matrix const b = gaussian::block(matrix(g.a + g.b[i]), restricted);
        double const exact =
            std::log((one + s * b).determinant()) / 2 - slope.dot((s.inverse() + b).inverse() * slope) / 2;
        oracle::check("posterior predictive loss less that at w*, " +
                          std::string(restricted ? "component" : "all weights") + ", probe " + std::to_string(i + 1) +
                          ", " + of.name,
                      losses.value[e] - (7 + i), losses.error[e], exact);
      }
    }
  });
}

TEST_CASE("posterior predictive: values are the definition's, errors those of leaving batches out") {
  for (std::uint64_t seed = 1; seed != 4; ++seed) {
    CAPTURE(seed);
    std::vector<double> const center{1, .5, 3, 2, 7};
    // 2 x 6 batches; Student's t with 11 degrees of freedom.
    auto const few = random_chains(2, 30, center, .5, seed);
    auto const found = losses_of(few, center);
    REQUIRE(found.value.size() == 5);
    for (std::size_t e = 0; e != 5; ++e) {
      CHECK(found.value[e] == doctest::Approx(definition(joined(few), e)).epsilon(1e-13));
      double const variance = jackknife_variance(few, 6, 1, [&](losses_of_draws const& d) { return definition(d, e); });
      CHECK(found.error[e] == doctest::Approx(2.20099 / 1.95996 * std::sqrt(variance)).epsilon(2e-3));
    }
    // 4 x 14 batches: twice the variance of pairs less that of single ones; t with 56/7 degrees of freedom.
    auto const many = random_chains(4, 200, center, .5, seed + 10);
    auto const more = losses_of(many, center);
    for (std::size_t e = 0; e != 5; ++e) {
      CHECK(more.value[e] == doctest::Approx(definition(joined(many), e)).epsilon(1e-13));
      auto const of_width = [&](std::size_t width) {
        return jackknife_variance(many, 14, width, [&](losses_of_draws const& d) { return definition(d, e); });
      };
      double const single = of_width(1), pairs = of_width(2);
      CHECK(more.error[e] ==
            doctest::Approx(2.30600 / 1.95996 * std::sqrt(std::max(pairs, 2 * pairs - single))).epsilon(2e-3));
    }
  }
}

TEST_CASE("posterior predictive: never above the mean loss, and unmoved by examples that are improbable throughout") {
  std::vector<double> center{1, .5, 3};
  auto chains = random_chains(3, 60, center, .5, 5);
  auto const plain = losses_of(chains, center);
  auto const all = joined(chains);
  for (std::size_t e = 0; e != 3; ++e) {
    double mean = 0;
    for (auto const& losses : all) mean += losses[e] / static_cast<double>(all.size());
    CHECK(plain.value[e] < mean);  // Jensen
  }
  // exp(-5000) is 0 in double: relative to w* nothing is lost.
  for (auto& chain : chains)
    for (auto& losses : chain)
      for (double& loss : losses) loss += 5000;
  for (double& loss : center) loss += 5000;
  auto const moved = losses_of(chains, center);
  for (std::size_t e = 0; e != 3; ++e) {
    CHECK(moved.value[e] - 5000 == doctest::Approx(plain.value[e]).epsilon(1e-11));
    CHECK(moved.error[e] == doctest::Approx(plain.error[e]).epsilon(1e-9));
  }
}

TEST_CASE("posterior predictive: where the weights do not matter it is the loss itself, without error") {
  std::vector<double> const center{1, 800};
  std::vector<losses_of_draws> const chains(2, losses_of_draws(20, center));
  auto const found = losses_of(chains, center);
  CHECK(found.value == center);
  CHECK(found.error == std::vector<double>{0, 0});
}

TEST_CASE("posterior predictive: the order of merging changes nothing beyond rounding") {
  std::vector<double> const center{1, .5, 3};
  auto chains = visited(susc::posterior_predictive(), random_chains(4, 50, center, .5, 6), center, {1, 2});
  auto const forward = merged(chains).losses();
  std::rotate(chains.begin(), chains.begin() + 1, chains.end());
  auto const turned = merged(chains).losses();
  std::swap(chains[1], chains[2]);
  auto const swapped = merged(chains).losses();
  for (std::size_t e = 0; e != 3; ++e)
    for (auto const* other : {&turned, &swapped}) {
      CHECK(std::abs(forward.value[e] - other->value[e]) < 1e-12);
      CHECK(std::abs(forward.error[e] - other->error[e]) < 1e-12);
    }
}
