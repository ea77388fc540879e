#include "susc/response/learning_coefficient.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "models/reduced_rank_oracle.hpp"
#include "oracle.hpp"
#include "response/gaussian.hpp"
#include "skewed.hpp"
#include "susc/models/monomial.hpp"
#include "susc/models/reduced_rank.hpp"

namespace {

/// What a model without data is run on.
template <class M>
auto no_data() {
  using batch = typename M::batch;
  return susc::data_distribution{batch{}, [](std::size_t, susc::random::key) { return batch{}; }};
}

double percent(double value, double of) {
  return 100 * (value / of - 1);
}

}  // namespace

TEST_CASE("learning coefficient of a Gaussian: exact in every sampler, whole and of a component [oracle]") {
  gaussian const g;
  auto const model = g.model();
  susc::data_distribution const data{std::vector<std::size_t>{0}, full_batch};
  susc::posterior_settings const target{.n_beta = 3, .localization = 1};
  for_every_sampler([&](auto const& of) {
    CAPTURE(of.name);
    susc::sampling_options<std::remove_cvref_t<decltype(of.sampler)>> options{.components = {"part", "full"},
                                                                              .posterior = target,
                                                                              .sampler = of.sampler,
                                                                              .chains = 4,
                                                                              .draws = 20'000,
                                                                              .burn_in = 500,
                                                                              .thinning = of.thinning,
                                                                              .batch_size = 1,
                                                                              .seed = 21};
    options.all_weights = {target, of.sampler};
    auto const found = susc::estimate_learning_coefficients(model, g.center, data, options, susc::threads{2});
    REQUIRE(found.size() == 2);
    for (bool const restricted : {true, false}) {
      auto const& measured = found[restricted ? 0 : 1];
      matrix const a = gaussian::block(g.a, restricted), one = matrix::Identity(a.rows(), a.cols());
      matrix const s = of.covariance(target.n_beta * a + target.localization * one, target.localization);
      CHECK(measured.name == (restricted ? "part" : "full"));
      std::string const what =
          restricted ? "learning coefficient of a component, Gaussian, " : "learning coefficient, Gaussian, ";
      oracle::check(what + of.name, measured.learning_coefficient.value, measured.learning_coefficient.error,
                    target.n_beta * (a * s).trace() / 2);
      CHECK(measured.observable.value * 3 == doctest::Approx(measured.learning_coefficient.value).epsilon(1e-12));
      CHECK(measured.warnings.empty());
    }
  });
}

TEST_CASE("learning coefficient of monomials: the sum of 1/p, by MALA at once and by SGLD as its step falls [oracle]") {
  // No localization: the prior is flat, and the answer is Σ 1/p at every nβ.
  susc::posterior_settings const target{.n_beta = 2, .localization = 0};
  for (std::vector<unsigned> const& powers : std::vector<std::vector<unsigned>>{{2}, {2, 2}, {4}, {2, 4}, {6}}) {
    std::string name = "w^";
    for (unsigned const p : powers) name += (name == "w^" ? "" : " + w^") + std::to_string(p);
    susc::monomial<double> const model(powers);
    std::vector<double> const center(powers.size());
    double const exact = model.learning_coefficient();
    auto const estimate = [&](auto const& sampler, std::size_t draws, std::size_t thinning) {
      susc::sampling_options<std::remove_cvref_t<decltype(sampler)>> const options{.components = {"full"},
                                                                                   .posterior = target,
                                                                                   .sampler = sampler,
                                                                                   .chains = 4,
                                                                                   .draws = draws,
                                                                                   .burn_in = 1000,
                                                                                   .thinning = thinning,
                                                                                   .batch_size = 1,
                                                                                   .seed = 31};
      return susc::estimate_learning_coefficients(model, center, no_data<susc::monomial<double>>(), options,
                                                  susc::threads{2})[0]
          .learning_coefficient;
    };
    // Shorter steps where the tails are steep: MALA would reject there for long.
    bool const regular = powers.back() == 2;
    auto const found = estimate(susc::mala{regular              ? .5
                                           : powers.back() == 4 ? .3
                                                                : .2},
                                regular ? 40'000 : 120'000, regular ? 3 : 4);
    oracle::check("learning coefficient, " + name + ", MALA", found.value, found.error, exact, .006);
    CHECK(std::abs(found.value - exact) < .03 * exact);

    // SGLD at this step has a law of its own, whose coefficient the transition kernel gives.
    double const step_size = .05;
    double at_step = 0;
    for (unsigned const p : powers) {
      auto const law = skewed::stationary_of_sgld([&](double x) { return target.n_beta * p / 2 * std::pow(x, p - 1); },
                                                  step_size, p == 2 ? -5. : -2.5, p == 2 ? 5. : 2.5, 301);
      at_step += law.mean([&](double x) { return target.n_beta * std::pow(x, p) / 2; });
    }
    MESSAGE(name << ": the bias of SGLD at step size " << step_size << " is " << percent(at_step, exact) << " %");
    CHECK(at_step > exact);
    auto const small = estimate(susc::sgld{step_size}, 40'000, 8);
    oracle::check("learning coefficient at step size .05, " + name + ", SGLD", small.value, small.error, at_step, .015);
  }
}

namespace {

/// nβ E[K] for two inputs, at least two hidden units, any outputs, under a Gaussian prior of all weights, the true map
/// having one element, `c`, in its first row and column: rank 1, or 0 for c = 0. B is integrated out: with G = AᵀA each
/// row of B leaves a factor det(γ + nβ G)^{-½}, the first one also exp(-½ c² Q⁻¹_11), Q = I/nβ + G/γ. A enters by its
/// triangular factor t, G = tᵀt, alone: t11^{H-1} t22^{H-2} exp(-γ/2 |t|²), even in t12. In the logarithms of all three
/// the integrand is smooth and vanishes exponentially at both ends.
double two_inputs(std::size_t hidden, std::size_t outputs, double c, double n_beta, double decay) {
  double const h = static_cast<double>(hidden), n = static_cast<double>(outputs);
  double const step = .25, least = std::log(1e-6 / std::sqrt(n_beta)), most = std::log(20 / std::sqrt(decay));
  double sum = 0, weighted = 0, largest = -std::numeric_limits<double>::infinity();
  for (bool const searching : {true, false})
    for (double u = least; u < most; u += step)
      for (double v = least; v < most; v += step)
        for (double y = least; y < most; y += step) {
          double const t11 = std::exp(u), t22 = std::exp(v), t12 = std::exp(y);
          double const g11 = t11 * t11, g12 = t11 * t12, g22 = t12 * t12 + t22 * t22;
          double const q11 = 1 / n_beta + g11 / decay, q12 = g12 / decay, q22 = 1 / n_beta + g22 / decay;
          double const det = 1 / (n_beta * n_beta) + (g11 + g22) / (n_beta * decay) + g11 * t22 * t22 / (decay * decay);
          double const logarithm =
              h * u + (h - 1) * v + y - decay / 2 * (g11 + g22) - n / 2 * std::log(det) - c * c / 2 * q22 / det;
          if (searching) {
            largest = std::max(largest, logarithm);
            continue;
          }
          // tr[(γ + nβ G)⁻¹ nβ G] = tr[Q⁻¹ G/γ], and the derivative of the exponent, Q⁻²_11 / nβ.
          double const trace = (q22 * g11 + q11 * g22 - 2 * q12 * g12) / (det * decay);
          double const square = (q22 * q22 + q12 * q12) / (det * det);
          double const density = std::exp(logarithm - largest);
          sum += density;
          weighted += density * (n / 2 * trace + c * c / 2 * square / n_beta);
        }
  return weighted / sum;
}

/// nβ E[K] for one input, one output and four hidden units: a·b, both of four normals, has the density
/// (1 + γ|t|) exp(-γ|t|), from its characteristic function (1 + s²/γ²)^{-2}.
double four_hidden_units(double n_beta, double decay) {
  auto const law = skewed::boltzmann([&](double t) { return n_beta * t * t / 2 + decay * t - std::log1p(decay * t); },
                                     0, 12 / std::sqrt(n_beta), 20'001);
  return n_beta / 2 * law.moment(2);
}

struct regression {
  std::string name;
  std::size_t inputs, hidden, outputs, rank;
  double n_beta, decay, step_size;
  double exact;
};

void check(regression const& e, std::size_t draws, std::size_t thinning) {
  CAPTURE(e.name);
  // The truth padded with zeros: the most degenerate of the true parameters.
  std::vector<double> map(e.outputs * e.inputs), center(e.hidden * (e.inputs + e.outputs));
  if (e.rank == 1) map[0] = center[0] = center[e.hidden * e.inputs] = 1;
  susc::reduced_rank<double> const model(e.inputs, e.hidden, e.outputs, map);
  susc::sampling_options<susc::mala> const options{
      .components = {"full"},
      .posterior = {.n_beta = e.n_beta, .localization = 0, .weight_decay = e.decay},
      .sampler = {e.step_size},
      .chains = 4,
      .draws = draws,
      .burn_in = draws * thinning / 50,
      .thinning = thinning,
      .batch_size = 1,
      .seed = 41};
  auto const found = susc::estimate_learning_coefficients(model, center, no_data<susc::reduced_rank<double>>(), options,
                                                          susc::threads{2})[0]
                         .learning_coefficient;
  double const limit = susc::aoyagi_watanabe(e.inputs, e.hidden, e.outputs, e.rank).learning_coefficient;
  std::string const row = e.name + ", " + std::to_string(e.inputs) + "-" + std::to_string(e.hidden) + "-" +
                          std::to_string(e.outputs) + ", rank " + std::to_string(e.rank);
  MESSAGE(row << ": " << found.value << " +- " << found.error << ", exact at this n_beta " << e.exact
              << ", closed form " << limit);
  oracle::check("learning coefficient, reduced-rank regression, " + row + ", MALA", found.value, found.error, e.exact,
                .006);
  CHECK(std::abs(e.exact - limit) < .02 * limit);
  CHECK(std::abs(found.value - limit) < .03 * limit);
}

}  // namespace

TEST_CASE("reduced-rank quadrature: two hidden units agree with one where that is known, and with the regular limit") {
  // More hidden units than can matter make the map's elements independent normals, flat where nβ is large: MN/2.
  CHECK(two_inputs(40, 2, 0, 1e6, 1) == doctest::Approx(2).epsilon(.001));
  CHECK(two_inputs(40, 3, 1, 1e6, 1) == doctest::Approx(3).epsilon(.001));
  // One output: K = ½ |Aᵀb|², and the roles of A and B may change. Then the single row of the new A has the length
  // s = |b|², of four hidden units: Z ∝ ∫ s exp(-γ s/2) (γ + nβ s)^{-1} ds, two inputs leaving two factors of ½.
  double const n_beta = 50, decay = 1;
  auto const s = skewed::boltzmann(
      [&](double u) { return -2 * u + decay / 2 * std::exp(u) + std::log(decay + n_beta * std::exp(u)); }, -30, 6,
      4001);
  double const exact = s.mean([&](double u) { return n_beta * std::exp(u) / (decay + n_beta * std::exp(u)); });
  CHECK(two_inputs(4, 1, 0, n_beta, decay) == doctest::Approx(exact).epsilon(1e-5));
}

TEST_CASE(
    "learning coefficient of reduced-rank regression, one hidden unit: its value at nβ, and the closed form "
    "[oracle]" *
    doctest::test_suite("slow")) {
  auto const exact = [](std::size_t inputs, std::size_t outputs, double n_beta, double decay) {
    return reduced_rank_learning_coefficient(inputs, outputs, n_beta, decay);
  };
  check({"case 1", 2, 1, 1, 0, 3200, 1, 8e-5, exact(2, 1, 3200, 1)}, 80'000, 16);
  check({"case 2", 1, 1, 4, 0, 300, 1, 3e-3, exact(1, 4, 300, 1)}, 60'000, 8);
  check({"case 3", 4, 1, 1, 0, 300, 1, 3e-3, exact(4, 1, 300, 1)}, 60'000, 8);
}

TEST_CASE("learning coefficient of reduced-rank regression, several hidden units: all four cases [oracle]" *
          doctest::test_suite("slow")) {
  check({"case 1", 2, 2, 3, 1, 1000, 1, 2.5e-4, two_inputs(2, 3, 1, 1000, 1)}, 20'000, 30);
  check({"case 2", 2, 2, 6, 1, 300, 1, 5e-4, two_inputs(2, 6, 1, 300, 1)}, 20'000, 20);
  // The transposed map: A and B change places.
  check({"case 3", 6, 2, 2, 1, 300, 1, 5e-4, two_inputs(2, 6, 1, 300, 1)}, 20'000, 20);
  check({"case 4", 2, 6, 2, 1, 300, 1, 5e-4, two_inputs(6, 2, 1, 300, 1)}, 20'000, 20);
  check({"case 4", 1, 4, 1, 0, 300, 1, 1e-3, four_hidden_units(300, 1)}, 60'000, 10);
}

TEST_CASE("wbic_n_beta: n / log n by hand, and fewer than two examples are refused") {
  CHECK(susc::wbic_n_beta(2) == doctest::Approx(2.8853900817779268).epsilon(1e-15));
  CHECK(susc::wbic_n_beta(1000) == doctest::Approx(144.76482730108395).epsilon(1e-15));
  CHECK(susc::wbic_n_beta(std::exp(10.)) == doctest::Approx(std::exp(10.) / 10).epsilon(1e-15));
  CHECK_THROWS_WITH_AS(susc::wbic_n_beta(1), "the WBIC temperature of 1 examples: there must be at least 2",
                       susc::error);
  CHECK_THROWS_AS(susc::wbic_n_beta(std::nan("")), susc::error);
}

TEST_CASE("WBIC of a regular model: n E[L] is n L(w*) + d/2 log n at n / log n [oracle]") {
  // d = 4 and a flat prior: the free energy's leading terms, exactly what BIC takes.
  gaussian const g;
  auto const model = g.model();
  susc::data_distribution const data{std::vector<std::size_t>{0}, full_batch};
  double const examples = 5000, n_beta = susc::wbic_n_beta(examples);
  susc::sampling_options<susc::leimkuhler_matthews> const options{.components = {"full"},
                                                                  .posterior = {.n_beta = n_beta, .localization = 0},
                                                                  .sampler = {.step_size = 1 / n_beta},
                                                                  .chains = 4,
                                                                  .draws = 20'000,
                                                                  .burn_in = 200,
                                                                  .thinning = 3,
                                                                  .batch_size = 1};
  auto const found = susc::estimate_learning_coefficients(model, g.center, data, options, susc::threads{2})[0];
  oracle::check("WBIC less n L(w*), Gaussian, Leimkuhler-Matthews", examples * found.observable.value,
                examples * found.observable.error, 2 * std::log(examples));
  oracle::check("learning coefficient at the WBIC temperature, Gaussian, Leimkuhler-Matthews",
                found.learning_coefficient.value, found.learning_coefficient.error, 2);
}

TEST_CASE("loss_trace: one trace a chain, relative to the center; the observable of the response is the loss") {
  gaussian const g;
  auto const model = g.model();
  susc::data_distribution const data{std::vector<std::size_t>{0}, full_batch};
  susc::sampling_options<> const options{.components = {"part"},
                                         .posterior = {.n_beta = 3, .localization = 1},
                                         .sampler = {.step_size = .1},
                                         .chains = 3,
                                         .draws = 10,
                                         .thinning = 2,
                                         .batch_size = 1};
  auto const chains = susc::run_chains(model, g.center, data, {}, susc::plan_sampling(model, options).components,
                                       options, susc::loss_trace{});
  auto const response = susc::response_of(chains[0], options.thinning);
  REQUIRE(response.loss_traces.size() == 3);
  CHECK(response.observable_traces == response.loss_traces);
  CHECK(response.thinning == 2);
  CHECK(chains[0].merged()->traces == response.loss_traces);
  for (auto const& trace : response.loss_traces) {
    CHECK(trace.size() == 10);
    // The loss at the center is 5, and the center is the minimum.
    for (double const gap : trace) {
      CHECK(gap > 0);
      CHECK(gap < 5);
    }
  }
}
