#include "susc/models/reduced_rank.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <vector>

#include "lawful.hpp"
#include "reduced_rank_oracle.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"

namespace {

using model_type = susc::reduced_rank<double>;
static_assert(susc::Model<model_type> && susc::HasComponents<model_type>);
static_assert(susc::Model<susc::reduced_rank<float>> && !susc::RestrictedModel<model_type>);

std::vector<double> random_vector(std::size_t count, std::uint64_t seed) {
  susc::random::stream stream({seed});
  std::vector<double> v(count);
  for (double& x : v) x = stream.normal();
  return v;
}

double loss(model_type const& model, std::vector<double> const& w) {
  std::vector<double> losses(1);
  model.losses(w, {}, losses);
  return losses[0];
}

/// λ and multiplicity of true rank 0, by another way than the paper's blow-ups. Where `rank` singular values of A are
/// of order 1 and the others of order nβ^{-½}, A fills a part nβ^{-(M - rank)(H - rank)/2} of its space (the
/// codimension of the matrices of that rank), and B, integrated out, leaves nβ^{-N rank/2}. In the logarithms of the
/// singular values the exponent is linear on a simplex of which these are the corners: λ is the least corner, and the
/// minima tied for it span the face whose dimension is the power of log nβ.
susc::singularity by_strata(std::size_t inputs, std::size_t hidden, std::size_t outputs) {
  std::size_t least = SIZE_MAX;
  unsigned count = 0;
  for (std::size_t rank = 0; rank <= std::min(inputs, hidden); ++rank) {
    std::size_t const twice = outputs * rank + (inputs - rank) * (hidden - rank);
    if (twice < least) count = 0;
    least = std::min(least, twice);
    count += twice == least;
  }
  return {static_cast<double>(least) / 2, count};
}

}  // namespace

TEST_CASE("reduced_rank: losses and gradient by hand") {
  // A = (1 2), B = (3, 4)ᵀ: B A - C = (3 6; 4 8) - (1 6; 4 6) = (2 0; 0 2).
  model_type const model(2, 1, 2, std::vector<double>{1, 6, 4, 6});
  CHECK(model.parameter_count() == 4);
  CHECK(model.example_count({}) == 1);
  std::vector<double> const w{1, 2, 3, 4};
  std::vector<double> gradient(4, 1e300);
  CHECK(model.loss_and_gradient(w, {}, gradient) == 4);
  CHECK(loss(model, w) == 4);
  CHECK(gradient == std::vector<double>{6, 8, 2, 4});
}

TEST_CASE("reduced_rank: the loss is that of every element, the gradient that of the loss") {
  std::size_t const inputs = 4, hidden = 2, outputs = 3;
  auto const truth = random_vector(outputs * inputs, 1);
  model_type const model(inputs, hidden, outputs, truth);
  auto w = random_vector(model.parameter_count(), 2);
  double expected = 0;
  for (std::size_t n = 0; n != outputs; ++n)
    for (std::size_t m = 0; m != inputs; ++m) {
      double element = -truth[n * inputs + m];
      for (std::size_t h = 0; h != hidden; ++h) element += w[hidden * inputs + n * hidden + h] * w[h * inputs + m];
      expected += element * element / 2;
    }
  std::vector<double> gradient(w.size(), 1e300);
  CHECK(model.loss_and_gradient(w, {}, gradient) == doctest::Approx(expected).epsilon(1e-14));
  CHECK(loss(model, w) == doctest::Approx(expected).epsilon(1e-14));
  for (std::size_t i = 0; i != w.size(); ++i) {
    CAPTURE(i);
    double const h = 1e-4, kept = w[i];
    w[i] = kept + h;
    double const above = loss(model, w);
    w[i] = kept - h;
    double const below = loss(model, w);
    w[i] = kept;
    CHECK(gradient[i] == doctest::Approx((above - below) / (2 * h)).epsilon(1e-7));
  }
}

TEST_CASE("reduced_rank: A, then B, are the components") {
  auto const components = model_type(3, 2, 4, std::vector<double>(12)).components();
  CHECK(components == std::vector<susc::component>{{"full", {{0, 14}}}, {"A", {{0, 6}}}, {"B", {{6, 14}}}});
}

TEST_CASE("reduced_rank: what is refused") {
  CHECK_THROWS_WITH_AS(model_type(3, 2, 4, std::vector<double>(11)),
                       "reduced_rank: the true map has 11 elements, must have 4 x 3 = 12", susc::error);
  CHECK_THROWS_WITH_AS(model_type(3, 0, 4, std::vector<double>(12)),
                       "reduced_rank: 3 inputs, 0 hidden, 4 outputs, must have at least 1 of each", susc::error);
  CHECK_THROWS_WITH_AS(loss(model_type(1, 1, 1, std::vector<double>(1)), {1}), "reduced_rank: 1 weights, must have 2",
                       susc::error);
  CHECK_THROWS_WITH_AS(susc::aoyagi_watanabe(3, 2, 4, 3),
                       "aoyagi_watanabe: rank 3 with 3 inputs, 2 hidden, 4 outputs, must be at most the least of them",
                       susc::error);
}

TEST_CASE("reduced_rank: float agrees with double to its own rounding") {
  std::vector<float> const truth{1, -.5f, .25f, 2}, w{.5f, -1.5f, .7f, .2f};
  std::vector<float> narrow(4);
  std::vector<double> wide(4);
  double const k = model_type(2, 1, 2, std::vector<double>(truth.begin(), truth.end()))
                       .loss_and_gradient(std::vector<double>(w.begin(), w.end()), {}, wide);
  CHECK(susc::reduced_rank<float>(2, 1, 2, truth).loss_and_gradient(w, {}, narrow) == doctest::Approx(k).epsilon(1e-6));
  for (std::size_t i = 0; i != 4; ++i) CHECK(narrow[i] == doctest::Approx(wide[i]).epsilon(1e-5));
}

TEST_CASE("aoyagi_watanabe: true rank 0 is the least exponent of the strata, for all widths to 8") {
  for (std::size_t M = 1; M <= 8; ++M)
    for (std::size_t H = 1; H <= 8; ++H)
      for (std::size_t N = 1; N <= 8; ++N) {
        CAPTURE(M);
        CAPTURE(H);
        CAPTURE(N);
        susc::singularity const closed = susc::aoyagi_watanabe(M, H, N, 0), strata = by_strata(M, H, N);
        CHECK(closed.learning_coefficient == strata.learning_coefficient);
        CHECK(closed.multiplicity == strata.multiplicity);
      }
}

TEST_CASE("aoyagi_watanabe: a true rank adds its regular directions and takes that much off each width") {
  for (std::size_t M = 1; M <= 7; ++M)
    for (std::size_t H = 1; H <= 7; ++H)
      for (std::size_t N = 1; N <= 7; ++N)
        for (std::size_t r = 0; r <= std::min({M, H, N}); ++r) {
          CAPTURE(M);
          CAPTURE(H);
          CAPTURE(N);
          CAPTURE(r);
          susc::singularity const whole = susc::aoyagi_watanabe(M, H, N, r);
          // by_strata, unlike the closed form, may be asked for widths of 0: there is nothing singular left.
          susc::singularity const rest = by_strata(M - r, H - r, N - r);
          double const regular = static_cast<double>(r * (M + N - r)) / 2;
          CHECK(whole.learning_coefficient == regular + rest.learning_coefficient);
          CHECK(whole.multiplicity == rest.multiplicity);
          CHECK(whole.learning_coefficient == susc::aoyagi_watanabe(N, H, M, r).learning_coefficient);
          CHECK(whole.learning_coefficient <= static_cast<double>(M * N) / 2);
          CHECK(whole.learning_coefficient <= static_cast<double>(H * (M + N)) / 2);
          // Regular: the maps of rank <= H are a manifold of dimension H (M + N - H) about a map of that rank.
          if (r == H) CHECK(whole.learning_coefficient == static_cast<double>(H * (M + N - H)) / 2);
          if (r == std::min(M, N)) CHECK(whole.learning_coefficient == static_cast<double>(M * N) / 2);
        }
}

TEST_CASE("aoyagi_watanabe: one of each case by hand") {
  auto const check = [](susc::singularity s, double learning_coefficient, unsigned multiplicity) {
    CHECK(s.learning_coefficient == learning_coefficient);
    CHECK(s.multiplicity == multiplicity);
  };
  check(susc::aoyagi_watanabe(1, 1, 1, 0), .5, 2);  // K = ½ (a b)²
  check(susc::aoyagi_watanabe(3, 3, 2, 0), 2.5, 1);
  check(susc::aoyagi_watanabe(5, 3, 5, 1), 8, 1);
  check(susc::aoyagi_watanabe(4, 3, 5, 1), 7, 2);
  check(susc::aoyagi_watanabe(2, 2, 6, 1), 4, 1);
  check(susc::aoyagi_watanabe(6, 2, 2, 1), 4, 1);
  check(susc::aoyagi_watanabe(2, 6, 2, 1), 2, 1);
}

TEST_CASE("reduced_rank oracle: equals its closed form, its symmetries and a sum over the model's own losses") {
  for (double const n_beta : {.1, 10., 1e4}) {
    CAPTURE(n_beta);
    for (double const weight_decay : {.25, 1.}) {
      CAPTURE(weight_decay);
      // Two inputs, one output: Z ∝ nβ^{-½} e^z erfc(√z) with z = γ²/(2 nβ).
      double const z = weight_decay * weight_decay / (2 * n_beta);
      double const closed = .5 + z - std::sqrt(z / std::numbers::pi) * std::exp(-z) / std::erfc(std::sqrt(z));
      CHECK(reduced_rank_learning_coefficient(2, 1, n_beta, weight_decay) == doctest::Approx(closed).epsilon(1e-12));
    }
    // A and B enter alike; scaling all weights trades weight_decay² for n_beta.
    CHECK(reduced_rank_learning_coefficient(5, 2, n_beta, 1) ==
          doctest::Approx(reduced_rank_learning_coefficient(2, 5, n_beta, 1)).epsilon(1e-12));
    CHECK(reduced_rank_learning_coefficient(5, 2, n_beta, 3) ==
          doctest::Approx(reduced_rank_learning_coefficient(5, 2, n_beta / 9, 1)).epsilon(1e-12));
  }
  double const n_beta = 3, weight_decay = .5, step = .1;
  double sum = 0, weighted = 0;
  model_type const model(1, 1, 1, std::vector<double>{0});
  for (int i = -140; i <= 140; ++i)
    for (int j = -140; j <= 140; ++j) {
      double const a = step * i, b = step * j, k = loss(model, {a, b});
      double const density = std::exp(-n_beta * k - weight_decay / 2 * (a * a + b * b));
      sum += density;
      weighted += density * n_beta * k;
    }
  CHECK(weighted / sum ==
        doctest::Approx(reduced_rank_learning_coefficient(1, 1, n_beta, weight_decay)).epsilon(1e-10));
}

TEST_CASE("reduced_rank oracle: tends to the closed form, at the rate that the multiplicity says") {
  // With m = min(M, N), z = γ²/(2 nβ) and U Tricomi's function, Z ∝ nβ^{-m/2} U(m/2, 1 - |M - N|/2, z), whose expansion
  // about z = 0 gives λ - nβ E[K], to leading order:
  //   |M - N| > 2: z m/(|M - N| - 2)      |M - N| = 1: √z Γ((m + 1)/2)/Γ(m/2)      M = N: 1/(log nβ + constant)
  double const weight_decay = 2, far = 1e8;
  struct example {
    std::string name;
    std::size_t inputs, outputs;
  };
  // One hidden unit cannot be case 4, which needs M + N < 1.
  for (example const& e : {example{"case 1", 2, 1},
                           {"case 1", 3, 4},
                           {"case 2", 1, 4},
                           {"case 2", 2, 6},
                           {"case 3", 4, 1},
                           {"case 3", 7, 3},
                           {"case 1, multiplicity 2", 3, 3}}) {
    auto const at = [&](double n_beta) {
      return reduced_rank_learning_coefficient(e.inputs, e.outputs, n_beta, weight_decay);
    };
    susc::singularity const limit = susc::aoyagi_watanabe(e.inputs, 1, e.outputs, 0);
    double const lambda = limit.learning_coefficient;
    MESSAGE(e.name, ": ", e.inputs, " inputs, ", e.outputs, " outputs: at n_beta 1e2, 1e4, 1e6, 1e8: ", at(1e2), " ",
            at(1e4), " ", at(1e6), " ", at(far), ", closed form ", lambda);
    if (limit.multiplicity == 2) {
      CHECK(1 / (lambda - at(far)) - 1 / (lambda - at(far / 100)) == doctest::Approx(std::log(100.)).epsilon(1e-4));
      continue;
    }
    double const m = static_cast<double>(std::min(e.inputs, e.outputs)),
                 difference = static_cast<double>(std::max(e.inputs, e.outputs)) - m,
                 z = weight_decay * weight_decay / (2 * far);
    double const gap =
        difference > 2 ? z * m / (difference - 2) : std::sqrt(z) * std::tgamma((m + 1) / 2) / std::tgamma(m / 2);
    CHECK(lambda - at(far) == doctest::Approx(gap).epsilon(.001));
  }
}

TEST_CASE("reduced_rank: keeps the laws of a model") {
  auto const truth = random_vector(12, 1);
  for (std::uint64_t seed = 0; seed != 20; ++seed) {
    CAPTURE(seed);
    auto const w = random_vector(14, seed);
    check_lawful(model_type(4, 2, 3, truth), w, {});
    check_lawful(susc::reduced_rank<float>(4, 2, 3, std::vector<float>(truth.begin(), truth.end())),
                 {w.begin(), w.end()}, {});
  }
}
