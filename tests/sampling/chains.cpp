#include "susc/sampling/chains.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "gaussian_law.hpp"
#include "susc/models/quadratic.hpp"
#include "susc/sampling/exponential_integrator.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"
#include "susc/sampling/rmsprop_sgld.hpp"
#include "susc/sampling/sghmc.hpp"
#include "susc/sampling/sgld.hpp"
#include "susc/sampling/sgnht.hpp"

namespace {

using gaussian_law::matrix;
using gaussian_law::recursion;

// A component of 4 of 7 coordinates, in two ranges, whose block of the curvature has known modes; and 6 examples whose
// slopes ±u add up to nothing. The other coordinates' curvature and slopes are large: they must not matter.
struct problem {
  static constexpr std::size_t size = 7, moving = 4;
  susc::component part{"part", {{1, 3}, {4, 6}}};
  std::vector<std::size_t> coordinates{1, 2, 4, 5};
  std::vector<double> center{.5, -1, 2, 1, -.5, .3, 4}, curvatures{.1, .3, 1, 1.5};
  matrix modes = gaussian_law::rotation(moving, 31);  // a row for each mode
  matrix slopes{3, size};
  susc::posterior_settings target{.n_beta = 3, .localization = 1};
  std::size_t batch_size = 2;

  problem() {
    susc::random::stream stream({32});
    for (double& x : slopes.values) x = 2 * stream.normal();
  }
  template <class T>
  susc::quadratic<T> model() const {
    matrix whole(size, size);
    for (std::size_t i = 0; i != size; ++i)
      for (std::size_t j = 0; j != size; ++j) whole(i, j) = i == j ? 9 : 2;
    for (std::size_t i = 0; i != moving; ++i)
      for (std::size_t j = 0; j != moving; ++j) {
        double& entry = whole(coordinates[i], coordinates[j]) = 0;
        for (std::size_t k = 0; k != moving; ++k) entry += modes(k, i) * curvatures[k] * modes(k, j);
      }
    std::vector<typename susc::quadratic<T>::example> examples;
    for (double const sign : {1., -1.})
      for (std::size_t e = 0; e != slopes.rows; ++e) {
        examples.push_back({0, {}, {whole.values.begin(), whole.values.end()}});
        for (std::size_t i = 0; i != size; ++i) examples.back().linear.push_back(static_cast<T>(sign * slopes(e, i)));
      }
    return susc::quadratic<T>({center.begin(), center.end()}, std::move(examples), {part});
  }
  // With replacement from the examples, a minibatch's slope has covariance Σ u uᵀ / (3 m) along the modes.
  matrix noise(std::size_t accumulation) const {
    matrix n(moving, slopes.rows);
    for (std::size_t k = 0; k != moving; ++k)
      for (std::size_t e = 0; e != slopes.rows; ++e) {
        for (std::size_t i = 0; i != moving; ++i) n(k, e) += modes(k, i) * slopes(e, coordinates[i]);
        n(k, e) /= std::sqrt(static_cast<double>(slopes.rows * batch_size * accumulation));
      }
    return n;
  }
};

// Sums of products of the coordinates along the modes, and of the central difference of two steps.
struct products {
  problem const* p;
  matrix square{problem::moving, problem::moving};
  std::vector<double> last = {}, before_last = {};
  double halfway = 0, draws = 0, halfways = 0;
  bool frozen = true;

  template <class M>
  void start(susc::draw<M> const&, susc::draw_counts) {}
  template <class M>
  void add(susc::draw<M> const& at) {
    std::size_t const d = problem::moving;
    std::vector<double> x(d), y(d);
    for (std::size_t i = 0; i != d; ++i) {
      std::size_t const c = p->coordinates[i];
      x[i] = static_cast<double>(at.weights()[c]) - static_cast<double>(at.center()[c]);
    }
    for (std::size_t const c : {0, 3, 6}) frozen = frozen && at.weights()[c] == at.center()[c];
    gaussian_law::multiply(p->modes, x, y);
    for (std::size_t i = 0; i != d; ++i)
      for (std::size_t j = 0; j != d; ++j) square(i, j) += y[i] * y[j];
    ++draws;
    if (!before_last.empty()) {
      for (std::size_t i = 0; i != d; ++i) halfway += std::pow((y[i] - before_last[i]) / 2, 2);
      ++halfways;
    }
    before_last = std::exchange(last, y);
  }
  void merge(products const& other) {
    for (std::size_t i = 0; i != square.values.size(); ++i) square.values[i] += other.square.values[i];
    halfway += other.halfway;
    draws += other.draws;
    halfways += other.halfways;
    frozen = frozen && other.frozen;
  }
};

template <class T, class S>
products run(problem const& p, S const& sampler, std::size_t accumulation, std::size_t draws) {
  auto const model = p.model<T>();
  std::vector<T> const center(p.center.begin(), p.center.end());
  auto const minibatch = [](std::size_t size, susc::random::key key) {
    std::vector<std::size_t> b(size);
    susc::random::stream stream(key);
    for (auto& e : b) e = stream.below(6);
    return b;
  };
  susc::data_distribution const data{std::vector<std::size_t>{0}, minibatch};
  susc::sampling_options<S> const options{.components = {"part"},
                                          .posterior = p.target,
                                          .sampler = sampler,
                                          .chains = 4,
                                          .draws = draws / 4,
                                          .burn_in = 500,
                                          .thinning = 1,
                                          .batch_size = p.batch_size,
                                          .gradient_accumulation = accumulation,
                                          .common_minibatches = false,
                                          .seed = 5};
  auto const plan = susc::plan_sampling(model, options);
  auto const result =
      susc::run_chains(model, center, data, {}, plan.components, options, products{&p}, susc::sequential{});
  REQUIRE(result.size() == 1);
  CHECK(result[0].dropped_chains() == 0);
  auto const seen = result[0].merged().value();
  CHECK(seen.frozen);
  return seen;
}

// `mode` gives the recursion along a mode of precision m.
template <class T, class S, class Mode>
void check_law(S const& sampler, std::size_t accumulation, std::size_t draws, Mode const& mode) {
  problem const p;
  CAPTURE(accumulation);
  std::vector<recursion> modes;
  for (double const c : p.curvatures) modes.push_back(mode(p.target.n_beta * c + p.target.localization));
  gaussian_law::law const exact(modes, p.noise(accumulation), p.target.n_beta);
  auto const seen = run<T>(p, sampler, accumulation, draws);
  double const n = seen.draws, root = std::sqrt(n);
  double worst = 0, trace = 0, exact_trace = 0, error = 0;
  // Isserlis' theorem holds for Gaussian noise; that of three pairs ±u has lighter tails, which only lowers the errors.
  for (std::size_t i = 0; i != problem::moving; ++i) {
    trace += seen.square(i, i) / n;
    exact_trace += exact.covariance(i, i);
    for (std::size_t j = 0; j != problem::moving; ++j) {
      worst = std::max(worst,
                       std::abs(seen.square(i, j) / n - exact.covariance(i, j)) * root / exact.covariance_error(i, j));
      error += exact.squares(i, j) / n;
    }
  }
  error = std::sqrt(error);
  double const trace_off = (trace - exact_trace) / error;
  MESSAGE("standard errors off: entries " << worst << ", trace " << trace_off << "; relative error of the last "
                                          << error / exact_trace);
  CHECK(std::abs(trace_off) < 5);
  CHECK(error < .02 * exact_trace);
  CHECK(worst < 5);
  for (std::size_t const k : {std::size_t{0}, problem::moving - 1}) {  // flat and stiff
    double const of_k = exact.covariance_error(k, k) / root;
    CHECK(std::abs(seen.square(k, k) / n - exact.covariance(k, k)) < 5 * of_k);
    CHECK(of_k < .03 * exact.covariance(k, k));
  }
  // What a wrong block of the curvature, a wrong batch size or a wrong number of minibatches would do is far larger.
  gaussian_law::law const other(modes, p.noise(accumulation + 1), p.target.n_beta);
  double other_trace = 0;
  for (std::size_t i = 0; i != problem::moving; ++i) other_trace += other.covariance(i, i);
  CHECK(exact_trace - other_trace > 5 * error);
}

template <class S, class Mode>
void check_both(S const& sampler, Mode const& mode) {
  check_law<double>(sampler, 1, 60'000, mode);
  check_law<float>(sampler, 3, 60'000, mode);
}

}  // namespace

TEST_CASE("chains: SGLD restricted to a component has its block's law, with the noise of its minibatches") {
  double const eps = .3;
  check_both(susc::sgld{.step_size = eps}, [&](double m) {
    return recursion{{{{1 - eps * m / 2}}}, {std::sqrt(eps)}, {-eps / 2}};
  });
}

TEST_CASE("chains: RMSprop-SGLD restricted to a component has its block's law, with the noise of its minibatches") {
  double const eps = .3;  // of ε/δ; V stays 0
  check_both(susc::rmsprop_sgld{.step_size = eps * .1, .decay = 1, .stability = .1}, [&](double m) {
    return recursion{{{{1 - eps * m / 2}}}, {std::sqrt(eps)}, {-eps / 2}};
  });
}

TEST_CASE("chains: SGHMC restricted to a component has its block's law, with the noise of its minibatches") {
  double const eps = .3, alpha = .4, kept = 1 - alpha, noise = std::sqrt(alpha * eps);
  check_both(susc::sghmc{.step_size = eps, .friction = alpha}, [&](double m) {
    return recursion{{{{1 - eps * m / 2, kept}, {-eps * m / 2, kept}}}, {noise, noise}, {-eps / 2, -eps / 2}};
  });
}

TEST_CASE("chains: Leimkuhler-Matthews restricted to a component has its block's law, with its minibatches' noise") {
  double const eps = .3, half = std::sqrt(eps) / 2;
  check_both(susc::leimkuhler_matthews{eps}, [&](double m) {
    return recursion{{{{1 - eps * m / 2, half}, {0, 0}}}, {half, 1}, {-eps / 2, 0}};
  });
}

TEST_CASE(
    "chains: the exponential integrator restricted to a component has its block's law, with its minibatches' noise") {
  double const eps = .3, a = std::exp(-eps / 2);  // κ = 1
  check_both(susc::exponential_integrator{eps}, [&](double m) {
    return recursion{{{{a - (1 - a) * (m - 1)}}}, {std::sqrt(1 - a * a)}, {-(1 - a)}};
  });
}

TEST_CASE("chains: SGNHT restricted to a component has the thermal momentum halfway through the kick") {
  // E|(v + v')/2|² = ε/2 a coordinate at any step size and gradient noise, and v + v' is the move of two steps.
  for (std::size_t const accumulation : {1, 3}) {
    problem const p;
    double const eps = .02;
    auto const seen = run<double>(p, susc::sgnht{.step_size = eps, .diffusion = .3}, accumulation, 60'000);
    double const expected = static_cast<double>(problem::moving) * eps / 2;
    double const measured = seen.halfway / seen.halfways;
    // The sum telescopes to the change of ζ over each of 4 chains, whose ends have variance ε/(2 dimension) each.
    double const of_change = std::sqrt(eps / static_cast<double>(problem::moving));
    double const error = static_cast<double>(problem::moving) * of_change * std::sqrt(4.) / seen.halfways;
    MESSAGE("off by " << (measured - expected) / error << " standard errors of " << error / expected);
    CHECK(std::abs(measured - expected) < 5 * error);
    CHECK(error < .01 * expected);
  }
}
