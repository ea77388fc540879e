#include "susc/sampling/sgld.hpp"

#include <doctest/doctest.h>

#include <Eigen/Dense>
#include <cmath>
#include <limits>
#include <vector>

#include "susc/models/quadratic.hpp"
#include "susc/sampling/chain.hpp"

namespace {

using matrix = Eigen::MatrixXd;
using vector = Eigen::VectorXd;

vector normal_vector(int count, std::uint64_t seed) {
  susc::random::stream stream({seed});
  return vector::NullaryExpr(count, [&] { return stream.normal(); });
}
matrix rotation(int dimension, std::uint64_t seed) {
  vector const entries = normal_vector(dimension * dimension, seed);
  return matrix(Eigen::Map<matrix const>(entries.data(), dimension, dimension)).householderQr().householderQ();
}

/// Curvature with eigenvalues evenly spaced in the logarithm, 1/condition .. 1 times `largest`, in a random basis.
struct problem {
  int dimension;
  double condition, largest;
  susc::posterior_settings target;
  susc::sgld sampler;
  double minibatch_noise = 0;  ///< scale of the gradient noise's covariance
  int steps = 100'000;
};

/// The worst deviations seen, in standard errors.
struct deviations {
  double mean = 0, covariance = 0, autocorrelation = 0;
  double pooled = 0, pooled_error = 0;  ///< all variances together, weighted by their precision; its relative error
};

/// Runs the sampler with exact gradients plus noise of known covariance. In the eigenbasis of M it is a vector
/// autoregression y' = R y + η with R = I - ε M/2 diagonal, so the moments and the errors of their time averages have
/// closed forms: Σ_ij = Q_ij / (1 - ρ_i ρ_j), and a time average of y_i y_j over n steps has the variance
/// (Σ_ii Σ_jj + Σ_ij²) (1 + ρ_i ρ_j) / (1 - ρ_i ρ_j) / n.
template <class T>
deviations run(problem const& p, std::uint64_t seed) {
  int const d = p.dimension;
  matrix const basis = rotation(d, seed);
  vector curvature(d);
  for (int i = 0; i != d; ++i)
    curvature[i] = p.largest * std::pow(p.condition, d == 1 ? 0 : static_cast<double>(i) / (d - 1) - 1);
  matrix const a = basis * curvature.asDiagonal() * basis.transpose();
  double const pull = p.target.localization + p.target.weight_decay, eps = p.sampler.step_size;
  vector const m = p.target.n_beta * curvature + vector::Constant(d, pull);
  vector const rho = vector::Ones(d) - eps / 2 * m;
  REQUIRE(rho.array().abs().maxCoeff() < 1);
  // Noise of a minibatch's gradient: ĝ = g + N u with u standard normal, covariance N Nᵀ.
  matrix const noise = p.minibatch_noise * rotation(d, seed + 1) * normal_vector(d, seed + 2).asDiagonal();
  matrix const in_basis = basis.transpose() * noise;
  matrix innovation = std::pow(eps * p.target.n_beta / 2, 2) * in_basis * in_basis.transpose();
  innovation.diagonal().array() += eps * p.sampler.noise * p.sampler.noise;
  matrix const sigma =
      (innovation.array() / (matrix::Ones(d, d) - rho * rho.transpose()).array()).matrix();  // Lyapunov
  if (p.minibatch_noise == 0) {
    // The formula of the mathematics, independently.
    matrix const full = p.target.n_beta * a + pull * matrix::Identity(d, d);
    matrix const known =
        std::pow(p.sampler.noise, 2) * full.inverse() * (matrix::Identity(d, d) - eps / 4 * full).inverse();
    REQUIRE((basis.transpose() * known * basis - sigma).norm() < 1e-9 * sigma.norm());
  }
  std::vector<T> center(static_cast<std::size_t>(d));
  for (T& x : center) x = static_cast<T>(.5);
  vector const star = vector::Constant(d, .5);
  // Weight decay moves the mean: nβ A (μ - w*) + γ (μ - w*) + λ μ = 0.
  vector const mean_in_basis = -p.target.weight_decay * (basis.transpose() * star).cwiseQuotient(m);

  susc::posterior<T> const target{p.target, center};
  auto state = p.sampler.init(std::span<T const>(center));
  // Start in equilibrium: there is no burn-in to choose.
  vector const start = star + basis * (mean_in_basis + sigma.llt().matrixL() * normal_vector(d, seed + 3));
  for (int i = 0; i != d; ++i) state.w[static_cast<std::size_t>(i)] = static_cast<T>(start[i]);
  susc::random::stream stream({seed + 4});
  std::vector<T> gradient(center.size());
  vector sum = vector::Zero(d), lagged = vector::Zero(d), before;
  matrix square = matrix::Zero(d, d);
  for (int t = 0; t <= p.steps; ++t) {
    Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1> const> const w(state.w.data(), d);
    vector const move = w.template cast<double>() - star, y = basis.transpose() * move - mean_in_basis;
    if (t != 0) {
      sum += y;
      square.noalias() += y * y.transpose();
      lagged += y.cwiseProduct(before);
    }
    before = y;
    vector g = a * move;
    if (p.minibatch_noise != 0) g += noise * vector::NullaryExpr(d, [&] { return stream.normal(); });
    for (int i = 0; i != d; ++i) gradient[static_cast<std::size_t>(i)] = static_cast<T>(g[i]);
    state = p.sampler.step(std::move(state), std::span<T const>(gradient), target, {seed + 5});
  }
  double const n = p.steps;
  deviations worst;
  double weights = 0;
  for (int i = 0; i != d; ++i) {
    double const mean_error = std::sqrt(sigma(i, i) * (1 + rho[i]) / (1 - rho[i]) / n);
    worst.mean = std::max(worst.mean, std::abs(sum[i] / n) / mean_error);
    for (int j = 0; j <= i; ++j) {
      double const r = rho[i] * rho[j];
      double const error = std::sqrt((sigma(i, i) * sigma(j, j) + sigma(i, j) * sigma(i, j)) * (1 + r) / (1 - r) / n);
      worst.covariance = std::max(worst.covariance, std::abs(square(i, j) / n - sigma(i, j)) / error);
      if (i != j) continue;
      double const weight = std::pow(sigma(i, i) / error, 2);
      worst.pooled += weight * (square(i, i) / n / sigma(i, i) - 1);
      weights += weight;
    }
    // The least-squares slope of y' on y has the error √((1 - ρ²)/n); its bias, O(1/n), is far below.
    double const slope_error = std::sqrt((1 - rho[i] * rho[i]) / n);
    worst.autocorrelation = std::max(worst.autocorrelation, std::abs(lagged[i] / square(i, i) - rho[i]) / slope_error);
  }
  worst.pooled_error = 1 / std::sqrt(weights);
  worst.pooled = std::abs(worst.pooled / weights / worst.pooled_error);
  MESSAGE("dimension " << d << ", condition " << p.condition << ": deviations in standard errors: mean " << worst.mean
                       << ", covariance " << worst.covariance << ", lag-1 " << worst.autocorrelation << ", pooled "
                       << worst.pooled << " of " << worst.pooled_error);
  return worst;
}

void check(deviations const& z) {
  CHECK(z.mean < 5);
  CHECK(z.covariance < 5);
  CHECK(z.autocorrelation < 5);
  CHECK(z.pooled < 5);
  CHECK(z.pooled_error < .01);  // noise scaled by 1.05 is 10 % of all variances: more than 10 errors
}

}  // namespace

TEST_CASE("sgld: stationary covariance, mean and autocorrelation at finite step size") {
  // ε m_max = 1.8 to 3.2, where discretisation makes variances 1.8 to 5 times those of the posterior.
  std::uint64_t seed = 1;
  for (problem const& p : std::initializer_list<problem>{
           {1, 1, 2, {.n_beta = 3, .localization = 1}, {.step_size = .3}},
           {3, 10, 2, {.n_beta = 3, .localization = 1}, {.step_size = .4}},
           {3, 1000, 5, {.n_beta = 2, .localization = 0}, {.step_size = .25}, 0, 300'000},
           {10, 1000, 1, {.n_beta = 30, .localization = 2}, {.step_size = .1}},
           {50, 1000, 1, {.n_beta = 30, .localization = .5}, {.step_size = .06}, 0, 40'000}}) {
    CAPTURE(p.dimension);
    check(run<double>(p, 100 * seed));
    check(run<float>(p, 100 * seed + 50));
    ++seed;
  }
}

TEST_CASE("sgld: weight decay pulls towards zero and shifts the mean exactly") {
  check(run<double>({3, 10, 1, {.n_beta = 3, .localization = 1, .weight_decay = 2}, {.step_size = .3}}, 1000));
  check(run<float>({10, 100, 1, {.n_beta = 3, .localization = 1, .weight_decay = .5}, {.step_size = .4}}, 1100));
}

TEST_CASE("sgld: noise other than 1 scales the covariance by its square") {
  check(run<double>({3, 10, 1, {.n_beta = 3, .localization = 1}, {.step_size = .3, .noise = .25}}, 1200));
  check(run<double>({3, 10, 1, {.n_beta = 3, .localization = 1}, {.step_size = .3, .noise = 3}}, 1300));
}

TEST_CASE("sgld: minibatch noise of known covariance adds what the Lyapunov equation says") {
  check(run<double>({3, 10, 1, {.n_beta = 3, .localization = 1}, {.step_size = .3}, 1}, 1400));
  check(run<float>({10, 100, 1, {.n_beta = 3, .localization = 1}, {.step_size = .4}, .7}, 1500));
}

namespace {
/// Four coordinates, of which 1 and 3 move; Gaussian minibatch noise from examples that differ in slope.
template <class T>
void check_restricted() {
  matrix const a{{2, .3, .2, 0}, {.3, 1, 0, .4}, {.2, 0, .5, .1}, {0, .4, .1, 1.5}};
  susc::component const part("part", {{1, 2}, {3, 4}});
  std::vector<T> const center{T(.5), T(-1), T(2), T(1)};
  auto const flat = [&] {
    std::vector<T> v;
    for (int i = 0; i != 16; ++i) v.push_back(static_cast<T>(a.data()[i]));
    return v;
  }();
  // Slopes ±u: mean 0, covariance u uᵀ for one example.
  std::vector<T> const up{T(3), T(.6), T(-1), T(-.3)}, down{T(-3), T(-.6), T(1), T(.3)};
  susc::quadratic<T> const model(center, {{0, up, flat}, {0, down, flat}}, {part});
  std::vector<std::size_t> const both{0, 1};
  susc::posterior_settings const target{.n_beta = 3, .localization = 1};
  susc::sgld const sampler{.step_size = .3};
  susc::draw<susc::quadratic<T>> at(model, center, part, both, {});
  auto const minibatch = [](std::size_t size, susc::random::key key) {
    std::vector<std::size_t> b(size);
    susc::random::stream stream(key);
    for (auto& e : b) e = stream.below(2);
    return b;
  };
  std::size_t const n = 150'000;
  matrix square = matrix::Zero(2, 2);
  auto const outcome = susc::run_chain(
      model, std::span<T const>(center), part, target, sampler, minibatch, {n, 50, 1, 4}, {{7}, {8}}, at,
      [&](auto const& here) {
        auto const w = here.weights();
        CHECK((w[0] == center[0] && w[2] == center[2]));  // what is frozen stays
        Eigen::Vector2d const v(static_cast<double>(w[1] - center[1]), static_cast<double>(w[3] - center[3]));
        square += v * v.transpose() / static_cast<double>(n);
      },
      [](std::size_t) {});
  CHECK(!outcome.diverged);
  matrix const a_part{{1, .4}, {.4, 1.5}}, one = matrix::Identity(2, 2);
  matrix const step = one - .15 * (3 * a_part + one);
  Eigen::Vector2d const u(.6, -.3);
  matrix const innovation = .3 * one + .15 * .15 * 9 * (u * u.transpose()) / 4;  // (ε nβ/2)² S/m with m = 4
  Eigen::SelfAdjointEigenSolver<matrix> const solver(step);
  vector const rho = solver.eigenvalues();
  matrix const q = solver.eigenvectors().transpose() * innovation * solver.eigenvectors();
  matrix const sigma = (q.array() / (matrix::Ones(2, 2) - rho * rho.transpose()).array()).matrix();
  matrix const seen = solver.eigenvectors().transpose() * square * solver.eigenvectors();
  for (int i = 0; i != 2; ++i)
    for (int j = 0; j <= i; ++j) {
      double const r = rho[i] * rho[j];
      double const error = std::sqrt((sigma(i, i) * sigma(j, j) + sigma(i, j) * sigma(i, j)) * (1 + r) / (1 - r) /
                                     static_cast<double>(n));
      CHECK(std::abs(seen(i, j) - sigma(i, j)) < 5 * error);
      CHECK(error < .01 * std::sqrt(sigma(i, i) * sigma(j, j)));
    }
}
}  // namespace

TEST_CASE("sgld: restricted to a component, only its block of the curvature and of the noise counts") {
  check_restricted<double>();
  check_restricted<float>();
}

TEST_CASE("sgld: averaged over keys, a step is a gradient step") {
  susc::posterior_settings const settings{.n_beta = 3, .localization = 1, .weight_decay = .5};
  std::vector<double> const center{.5, -1}, start{1, 2}, gradient{.7, -.2};
  susc::posterior<double> const target{settings, center};
  susc::sgld const sampler{.step_size = .01, .noise = 2};
  std::size_t const keys = 200'000;
  double mean[2]{}, square[2]{};
  for (std::uint64_t k = 0; k != keys; ++k) {
    auto const s = sampler.step(sampler.init(std::span<double const>(start)), std::span<double const>(gradient), target,
                                susc::random::fold_in({3}, k));
    for (std::size_t i : {0, 1}) {
      double const move = s.w[i] - start[i];
      mean[i] += move / static_cast<double>(keys);
      square[i] += move * move / static_cast<double>(keys);
    }
  }
  double const variance = .01 * 4;
  for (std::size_t i : {0, 1}) {
    double const expected = -.005 * (3 * gradient[i] + (start[i] - center[i]) + .5 * start[i]);
    CHECK(std::abs(mean[i] - expected) < 5 * std::sqrt(variance / static_cast<double>(keys)));
    CHECK(std::abs(square[i] - expected * expected - variance) <
          5 * variance * std::sqrt(2 / static_cast<double>(keys)) + 1e-4 * variance);
    CHECK(5 * std::sqrt(variance / static_cast<double>(keys)) < .15 * std::abs(expected));
  }
  // Without noise the step is the gradient step itself.
  auto const still = susc::sgld{.step_size = .01, .noise = 0}.step(sampler.init(std::span<double const>(start)),
                                                                   std::span<double const>(gradient), target, {1});
  for (std::size_t i : {0, 1})
    CHECK(still.w[i] ==
          doctest::Approx(start[i] - .005 * (3 * gradient[i] + (start[i] - center[i]) + .5 * start[i])).epsilon(1e-14));
}

TEST_CASE("sgld: a chain resumed from a copy of its state has the same bits") {
  std::vector<float> const center(100, .5f);
  susc::posterior<float> const target{{.n_beta = 3, .localization = 1}, center};
  susc::sgld const sampler{.step_size = .1};
  auto const advance = [&](susc::sgld::state<float> s, int steps) {
    while (steps-- > 0) {
      auto const gradient = s.w;
      s = sampler.step(std::move(s), std::span<float const>(gradient), target, {9});
    }
    return s;
  };
  auto const start = sampler.init(std::span<float const>(center));
  auto const middle = advance(start, 10);
  auto const checkpoint = middle;
  CHECK(advance(start, 25) == advance(checkpoint, 15));
  CHECK(advance(middle, 15) == advance(checkpoint, 15));
  CHECK(advance(start, 25).steps == 25);
  CHECK(!(advance(start, 25) == advance(start, 24)));
}

TEST_CASE("sgld: unusable settings and unstable step sizes are refused") {
  double const nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  auto const refused = [](susc::sgld const& s, susc::posterior_settings const& p, char const* message) {
    CHECK_THROWS_WITH_AS(s.check(p), doctest::Contains(message), susc::error);
  };
  CHECK_NOTHROW(susc::sgld{}.check({}));
  CHECK_NOTHROW(susc::sgld{.noise = 0}.check({}));
  CHECK_NOTHROW(susc::sgld{.step_size = .0399}.check({.localization = 100}));
  refused({.step_size = 0}, {}, "step_size is 0, must be positive");
  refused({.step_size = nan}, {}, "step_size is nan");
  refused({.step_size = infinity}, {}, "step_size is inf");
  refused({.noise = -1}, {}, "noise is -1, must not be negative");
  refused({.step_size = .04}, {.localization = 100}, "step_size 0.04 is unstable with localization 100");
  refused({.step_size = .04}, {.localization = 60, .weight_decay = 40}, "unstable");
}
