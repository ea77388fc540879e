#include "susc/response/localization.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include "response/gaussian.hpp"
#include "susc/core/error.hpp"

namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

struct search_result {
  susc::detail::localization_search search;
  std::size_t rounds = 0;
};
/// What is found where E[φ] at γ is known.
search_result search(std::function<double(double)> const& phi, susc::localization_pilot const& pilot = {},
                     double first = 300) {
  search_result result{susc::detail::localization_search(first, pilot)};
  while (!result.search.done() && result.rounds != pilot.rounds) {
    double const here = phi(result.search.next());
    result.search.add({here, 0});
    ++result.rounds;
  }
  return result;
}

/// E[φ] of the chains' exact stationary law.
template <class S>
double exact(gaussian const& g, susc::chain_settings<S> const& at, bool restricted) {
  matrix const a = gaussian::block(g.a, restricted), one = matrix::Identity(a.rows(), a.cols());
  matrix const m = at.posterior.n_beta * a + at.posterior.localization * one;
  matrix covariance = m.inverse();
  if constexpr (std::is_same_v<S, susc::sgld>) covariance *= (one - at.sampler.step_size / 4 * m).inverse();
  return (a * covariance).trace() / 2;
}

template <class S>
susc::sampling_options<S> options_of(S sampler) {
  return {.components = {"part"},
          .posterior = {.n_beta = 3, .localization = 40},
          .sampler = sampler,
          .burn_in = 100,
          .batch_size = 1,
          .seed = 3};
}

auto const data = susc::data_distribution{std::vector<std::size_t>{0}, full_batch};

/// Losses sign · ‖w‖².
struct odd_model {
  using scalar = double;
  using batch = std::vector<std::size_t>;
  double sign = 0;
  std::size_t parameter_count() const { return 2; }
  std::size_t example_count(batch const& b) const { return b.size(); }
  void losses(std::span<double const> w, batch const&, std::span<double> to) const {
    to[0] = sign * (w[0] * w[0] + w[1] * w[1]);
  }
  double loss_and_gradient(std::span<double const> w, batch const&, std::span<double> g) const {
    g[0] = 2 * sign * w[0];
    g[1] = 2 * sign * w[1];
    return sign * (w[0] * w[0] + w[1] * w[1]);
  }
};

}  // namespace

TEST_CASE("the search meets the target on every law that E[phi] may have") {
  auto const reaches = [](std::function<double(double)> const& phi, std::size_t most, double first = 300) {
    auto const found = search(phi, {}, first);
    CAPTURE(found.search.best());
    CAPTURE(found.rounds);
    CHECK(found.search.reached());
    CHECK(found.rounds <= most);
    CHECK(std::abs(std::log(phi(found.search.best()) / .1)) < std::log(1.25));
    CHECK(found.search.observable().value == phi(found.search.best()));
  };
  for (double const first : {1., 300., 1e5}) {
    CAPTURE(first);
    for (double const scale : {.03, 1., 30.}) {
      CAPTURE(scale);
      reaches([=](double gamma) { return .1 * scale * first / gamma; }, 3, first);
      // Where the loss's own curvature adds to γ, E[φ] falls more slowly, and has a limit at γ = 0.
      if (scale >= 1) reaches([=](double gamma) { return .1 * scale * 11 * first / (gamma + 10 * first); }, 6, first);
    }
  }
  // Below some γ the chains diverge.
  reaches([](double gamma) { return gamma < 2000 ? unknown : 300 / gamma; }, 5);
  // A step between two plateaus of which neither will do, and a ramp between them.
  reaches([](double gamma) { return gamma < 900    ? 5
                                    : gamma > 1000 ? 1e-4
                                                   : 5 * std::pow(2e-5, (gamma - 900) / 100); },
          10);
}

TEST_CASE("a search without an answer ends, at the nearest that it has seen") {
  // Too flat: E[φ] never gets to the target.
  auto const flat = search([](double gamma) { return .02 * 300 / (300 + gamma); });
  CHECK_FALSE(flat.search.reached());
  CHECK(flat.search.done());
  CHECK(flat.search.best() == doctest::Approx(3));  // the smallest there is
  // The chains find smaller losses than at w*: the stronger the localization the nearer to the target.
  auto const falling = search([](double gamma) { return -30 / gamma; });
  CHECK_FALSE(falling.search.reached());
  CHECK(falling.search.best() == 300);
  auto const diverging = search([](double) { return unknown; }, {.rounds = 4});
  CHECK_FALSE(diverging.search.reached());
  CHECK(diverging.rounds == 4);
  CHECK(std::isnan(diverging.search.observable().value));
  CHECK(diverging.search.best() > 300);
  // Of those that miss, the nearest is kept.
  auto const jumps = search([](double gamma) { return gamma < 1000 ? 1 : .05; }, {.rounds = 6});
  CHECK_FALSE(jumps.search.reached());
  CHECK(jumps.search.observable().value == .05);
}

TEST_CASE("the localization chosen for a Gaussian puts E[phi] at the target") {
  gaussian const g;
  auto const model = g.model();
  auto const holds = [&](auto sampler) {
    auto const options = options_of(sampler);
    double const first = options.posterior.localization * options.sampler.step_size;
    susc::localization_pilot const pilot{.target = .06, .tolerance = .03, .chains = 4, .draws = 20'000};
    auto const chosen = susc::choose_localization(model, g.center, data, options, pilot, susc::threads{2});
    REQUIRE(chosen.size() == 2);
    CHECK(chosen[0].component == "full");
    CHECK(chosen[1].component == "part");
    for (auto const& c : chosen) {
      CAPTURE(c.component);
      bool const restricted = c.component == "part";
      CHECK(c.reached);
      CHECK(c.warning.empty());
      CHECK(c.rounds >= 2);
      CHECK(c.settings.posterior.n_beta == 3);
      CHECK(c.settings.sampler.step_size * c.settings.posterior.localization == doctest::Approx(first).epsilon(1e-12));
      double const at = exact(g, c.settings, restricted);
      CAPTURE(at);
      CAPTURE(c.observable.value);
      CAPTURE(c.observable.error);
      CHECK(c.observable.error < .01 * at);
      CHECK(std::abs(c.observable.value - at) < 5.5 * c.observable.error);
      CHECK(std::abs(std::log(c.observable.value / pilot.target)) < std::log(1.03));
    }
    // What is sampled with them, by other noise, is there too.
    auto sampled = susc::with_localization(options, chosen);
    sampled.components = {"part", "full"};
    sampled.draws = 20'000;
    auto const found = susc::estimate_learning_coefficients(model, g.center, data, sampled, susc::threads{2});
    for (std::size_t i = 0; i != 2; ++i) {
      CAPTURE(found[i].name);
      auto const& settings = chosen[1 - i].settings;
      CHECK(std::abs(found[i].observable.value - exact(g, settings, i == 0)) < 5.5 * found[i].observable.error);
      CHECK(found[i].observable.value != chosen[1 - i].observable.value);
    }
  };
  holds(susc::sgld{.step_size = 1. / 40});
  holds(susc::leimkuhler_matthews{.step_size = .8 / 40});
}

TEST_CASE("what is chosen does not depend on threads, other components or the seed of the run") {
  gaussian const g;
  auto const model = g.model();
  auto options = options_of(susc::leimkuhler_matthews{.step_size = 1. / 40});
  auto const one = susc::choose_localization(model, g.center, data, options, {.target = .06}, susc::sequential{});
  auto const two = susc::choose_localization(model, g.center, data, options, {.target = .06}, susc::threads{2});
  options.components = {"full"};
  auto const other = susc::choose_localization(model, g.center, data, options, {.target = .06});
  REQUIRE(other.size() == 1);
  CHECK(one[0].settings.posterior == two[0].settings.posterior);
  CHECK(one[1].settings.posterior == two[1].settings.posterior);
  CHECK(one[0].settings.posterior == other[0].settings.posterior);
  CHECK(one[0].observable.value == other[0].observable.value);
  options.components = {"full", "part"};
  auto const turned = susc::choose_localization(model, g.center, data, options, {.target = .06});
  auto const part = [](auto const& all) {
    return *std::find_if(all.begin(), all.end(), [](auto const& c) { return c.component == "part"; });
  };
  CHECK(part(one).settings.posterior == part(turned).settings.posterior);
  CHECK(part(one).observable.value == part(turned).observable.value);
  CHECK_THROWS_WITH_AS(susc::with_localization(options, {part(one)}),
                       "the first of the localizations chosen is that of part, must be that of all weights, 'full'",
                       susc::error);
  // Nothing of the pilot is kept, or counted as a step of the run.
  options.run_directory = "kept-by-a-pilot";
  options.progress = [](std::size_t) { FAIL_CHECK("a step of the pilot was counted"); };
  options.seed = 4;
  auto const seeded = susc::choose_localization(model, g.center, data, options, {.target = .06});
  CHECK(one[0].settings.posterior == seeded[0].settings.posterior);
  CHECK(one[0].observable.value == seeded[0].observable.value);
  std::atomic<bool> const stop = true;
  options.stop = &stop;
  CHECK_THROWS_WITH_AS(susc::choose_localization(model, g.center, data, options, {.target = .06}),
                       "interrupted in the pilot run, of which nothing is kept; chains that are kept are as they were",
                       susc::interrupted);
  CHECK_FALSE(std::filesystem::exists(options.run_directory));
}

TEST_CASE("where no localization is found a warning says why") {
  susc::data_distribution const empty{std::vector<std::size_t>{0}, full_batch};
  std::vector<double> const w{0, 0};
  susc::sampling_options<susc::sgld> options{.posterior = {.n_beta = 30, .localization = 100}, .sampler = {.01}};
  auto const flat = susc::choose_localization(odd_model{0}, w, empty, options);
  REQUIRE(flat.size() == 1);
  CHECK_FALSE(flat[0].reached);
  CHECK(flat[0].settings.posterior == options.posterior);
  CHECK(flat[0].settings.sampler.step_size == options.sampler.step_size);
  CHECK(flat[0].rounds == 3);
  CHECK(flat[0].warning == "full: no localization puts E[phi] at 0.1 within 3 rounds; at 100, which is used, it is 0");
  // Curvature of -6e8 against a localization of 100: every chain leaves.
  auto const gone = susc::choose_localization(odd_model{-1e7}, w, empty, options, {.draws = 100, .rounds = 2});
  CHECK_FALSE(gone[0].reached);
  CHECK(gone[0].rounds == 2);
  CHECK(gone[0].warning.starts_with("full: no localization puts E[phi] at 0.1 within 2 rounds; at "));
  CHECK(gone[0].warning.ends_with(", which is used, every chain diverged"));
}

TEST_CASE("a pilot that cannot be run is refused") {
  gaussian const g;
  auto const model = g.model();
  auto const options = options_of(susc::sgld{.step_size = .01});
  auto const refused = [&](susc::localization_pilot const& pilot, auto const& with, char const* why) {
    CHECK_THROWS_WITH_AS(susc::choose_localization(model, g.center, data, with, pilot), why, susc::error);
  };
  refused({.target = 0}, options, "the pilot's target is 0, must be positive and finite");
  refused({.target = unknown}, options, "the pilot's target is nan, must be positive and finite");
  refused({.tolerance = 0}, options, "the pilot's tolerance is 0, must be positive and finite");
  refused({.chains = 0}, options, "chains is 0, must be at least 1");
  refused({.draws = 0}, options, "draws is 0, must be at least 1");
  refused({.rounds = 0}, options, "the pilot's rounds is 0, must be at least 1");
  refused({.smallest = 2}, options,
          "the pilot's smallest localization is 2 of the first, must be above 0 and at most 1");
  auto free = options;
  free.posterior.localization = 0;
  refused({}, free, "full: the localization is 0, a search for another must begin at a positive one");
  free.all_weights = {options.posterior, options.sampler};
  refused({}, free, "part: the localization is 0, a search for another must begin at a positive one");
  CHECK_THROWS_WITH_AS(susc::with_localization(options, {}),
                       "the first of the localizations chosen is that of none, must be that of all weights, 'full'",
                       susc::error);
}
