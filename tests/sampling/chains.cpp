#include "susc/sampling/chains.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "difference.hpp"
#include "gaussian_law.hpp"
#include "susc/models/quadratic.hpp"
#include "susc/models/transformer.hpp"
#include "susc/models/transformer_init.hpp"
#include "susc/response/estimate.hpp"
#include "susc/sampling/exponential_integrator.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"
#include "susc/sampling/rmsprop_sgld.hpp"
#include "susc/sampling/sghmc.hpp"
#include "susc/sampling/sgld.hpp"
#include "susc/sampling/sgnht.hpp"

namespace {
thread_local std::size_t allocations = 0;  // of this thread

void* counted(std::size_t size, std::size_t alignment) {
  ++allocations;
  void* const memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
}  // namespace

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // g++ 12 takes the pair for unrelated where it inlines one
#endif
void* operator new(std::size_t size) {
  return counted(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
  ++allocations;
  return std::malloc(size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

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
      worst = nan_max(worst,
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

TEST_CASE("chains: once begun, a chain of a transformer allocates nothing, whatever moves") {
  constexpr susc::transformer_config config{
      .vocabulary = 13, .context = 8, .width = 16, .layers = 2, .heads = 2, .mlp_width = 12};
  susc::transformer<config> const model;
  auto const w = susc::initial_weights<float>(model.layout(), {2});
  auto const refill = [](std::size_t size, susc::random::key key, susc::token_batch& batch) {
    susc::random::stream stream(key);
    batch.sequences = size;
    batch.length = 9;
    batch.tokens.clear();
    for (std::size_t i = 0; i != size * batch.length; ++i)
      batch.tokens.push_back(static_cast<susc::token>(stream.below(config.vocabulary)));
  };
  auto const sequences = [&](std::size_t size) {
    susc::token_batch batch;
    refill(size, {size}, batch);
    return batch;
  };
  susc::data_distribution const data{sequences(3), refill};
  std::vector<susc::probe<susc::token_batch>> const probes{{"first", sequences(2)}, {"second", sequences(1)}};
  for (char const* name : {"l0h1", "l1h0", "l0h0+l1h1", "l1mlp", "embed", "full"})
    for (bool const common : {true, false}) {
      CAPTURE(name);
      std::vector<std::size_t> after_step;
      after_step.reserve(1000);
      susc::sampling_options<susc::leimkuhler_matthews> const options{
          .components = {name},
          .chains = 2,
          .draws = 30,
          .burn_in = 5,
          .batch_size = 4,
          .common_minibatches = common,
          .progress = [&](std::size_t) { after_step.push_back(allocations); }};
      susc::run_chains(model, w, data, probes, susc::plan_sampling(model, options).components, options,
                       susc::susceptibility_moments<>{}, susc::sequential{});
      REQUIRE(after_step.size() == 70);
      // Two steps of each chain to make room: two chains go in step, or one after the other.
      std::size_t const first = after_step[common ? 15 : 7], last = after_step[common ? 69 : 34];
      CHECK(first > 0);
      CHECK(last == first);
    }
}

namespace {
// The losses of every chain of each component, by its name.
std::map<std::string, std::vector<std::vector<double>>> loss_traces(std::vector<std::string> components,
                                                                    auto const& run) {
  constexpr susc::transformer_config config{.vocabulary = 13, .context = 8, .width = 16, .layers = 2, .heads = 2};
  susc::transformer<config> const model;
  auto const w = susc::initial_weights<float>(model.layout(), {2});
  auto const random_sequences = [](std::size_t size, susc::random::key key) {
    susc::random::stream stream(key);
    susc::token_batch batch{{}, size, 9};
    for (std::size_t i = 0; i != size * batch.length; ++i)
      batch.tokens.push_back(static_cast<susc::token>(stream.below(config.vocabulary)));
    return batch;
  };
  susc::data_distribution const data{random_sequences(3, {1}), random_sequences};
  susc::sampling_options<> const options{.components = components, .chains = 5, .draws = 8, .batch_size = 4};
  auto const plan = susc::plan_sampling(model, options).components;
  std::map<std::string, std::vector<std::vector<double>>> traces;
  for (auto const& of : susc::run_chains(model, w, data, {}, plan, options, susc::susceptibility_moments<>{}, run))
    for (auto const& chain : of.chains) traces[of.plan.moving.name()].push_back(chain.loss_traces[0]);
  return traces;
}
}  // namespace

TEST_CASE("chains: those that go in step are those that go alone, to the last bit") {
  auto const all_in_step = loss_traces({"l0h1", "l1h0"}, susc::sequential{});
  CHECK(all_in_step.size() == 2);
  CHECK(all_in_step.at("l0h1").size() == 5);
  CHECK(all_in_step.at("l0h1")[0] != all_in_step.at("l0h1")[1]);
  for (std::size_t const workers : {1, 2, 40})
    CHECK(loss_traces({"l0h1", "l1h0"}, susc::threads{workers}) == all_in_step);
}

TEST_CASE("chains: a component has the same bits alone, beside others and in any order") {
  std::vector<std::string> const names{"l0h1", "l1h0", "embed", "l0h1+l1h1"};
  auto const together = loss_traces(names, susc::sequential{});
  CHECK(together.size() == 4);
  CHECK(loss_traces({names.rbegin(), names.rend()}, susc::threads{2}) == together);
  for (std::string const& name : names) CHECK(loss_traces({name}, susc::threads{3}).at(name) == together.at(name));
}
