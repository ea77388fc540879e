// Your own sampler: underdamped Langevin dynamics by the splitting BAOAB (Leimkuhler & Matthews 2013, arXiv 1203.5428),
// held against its exact law on Gaussians, then put to work. Adds to 01: a Sampler, and how to test one.
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <utility>
#include <vector>

#include "susc/kernels/langevin.hpp"
#include "susc/models/quadratic.hpp"
#include "susc/response/estimate.hpp"
#include "susc/sampling/chain.hpp"

// U = -log p. A kick by the whole gradient (the second half of one step's and the first of the next), half a drift, the
// momentum's friction and noise, half a drift:
//   p ← p - √ε ∇U(w),   w ← w + √ε/2 p,   p ← c p + √(1 - c²) ξ,   w ← w + √ε/2 p,   c = 1 - friction
struct baoab {
  double step_size = 1e-3;  // ε, with the meaning it has for SGLD; friction 1 is leimkuhler_matthews
  double friction = .5;     // the share of the momentum lost in a step

  // All that the next step needs, and nothing that does not change: a checkpoint is a copy of it.
  template <std::floating_point T>
  struct state {
    susc::aligned_vector<T> w;         // where the next gradient is taken
    susc::aligned_vector<T> momentum;  // p
    std::uint64_t steps = 0;           // the counter of the noise
    friend bool operator==(state const&, state const&) = default;
  };

  // Refuses what can be known to be useless: the localization and weight decay alone must be stable.
  void check(susc::posterior_settings const& p) const {
    susc::require(std::isfinite(step_size) && step_size > 0, "step_size is ", step_size, ", must be positive");
    susc::require(friction > 0 && friction <= 1, "friction is ", friction, ", must be above 0 and at most 1");
    susc::require(step_size * (p.localization + p.weight_decay) < 4, "step_size ", step_size,
                  " is unstable with localization ", p.localization, ": their product must be below 4");
  }

  template <std::floating_point T>
  state<T> init(std::span<T const> w0) const {
    return {{w0.begin(), w0.end()}, susc::aligned_vector<T>(w0.size()), 0};
  }

  // g: the gradient of the mean loss at s.w. target.slope adds nβ, localization and weight decay: it is ∇U.
  template <std::floating_point T>
  state<T> step(state<T> s, std::span<T const> g, susc::posterior<T> const& target, susc::random::key key) const {
    T const root = static_cast<T>(std::sqrt(step_size)), half = root / 2, kept = static_cast<T>(1 - friction),
            noise = std::sqrt(1 - kept * kept);
    susc::kernels::for_each_normal<T>(s.w.size(), key, s.steps, [&](std::size_t i, T xi) {
      s.momentum[i] -= root * target.slope(i, s.w[i], g[i]);
      s.w[i] += half * s.momentum[i];
      s.momentum[i] = kept * s.momentum[i] + noise * xi;
      s.w[i] += half * s.momentum[i];
    });
    target.reflect(s.w, s.momentum);  // the bounding box, where there is one
    ++s.steps;
    return s;
  }
};
static_assert(susc::Sampler<baoab, double>);  // if not, the compiler's message says what is missing

// Where the posterior has precision m, ∇U = m w and a step is linear: (w, p) ← F (w, p) + q ξ.
struct law {
  double f[2][2], q[2];

  law(baoab const& sampler, double m) {
    double const root = std::sqrt(sampler.step_size), c = 1 - sampler.friction, noise = std::sqrt(1 - c * c);
    f[0][0] = 1 - root * root * m * (1 + c) / 2, f[0][1] = root * (1 + c) / 2;
    f[1][0] = -c * root * m, f[1][1] = c;
    q[0] = root / 2 * noise, q[1] = noise;
  }

  // C(0), C(1), ...: stationary autocovariances of w, from X = Σ Fᵏ q qᵀ Fᵏᵀ and C(k) = (Fᵏ X)₀₀.
  std::vector<double> autocovariances() const {
    double v[2] = {q[0], q[1]}, x[2] = {0, 0};  // Fᵏ q, and the first column of X
    for (int k = 0; k != 10'000; ++k) {
      x[0] += v[0] * v[0], x[1] += v[0] * v[1];
      move(v);
    }
    std::vector<double> c;
    for (int k = 0; k != 1000; ++k, move(x)) c.push_back(x[0]);
    return c;
  }

 private:
  void move(double (&v)[2]) const {
    double const first = f[0][0] * v[0] + f[0][1] * v[1];
    v[1] = f[1][0] * v[0] + f[1][1] * v[1];
    v[0] = first;
  }
};

int main() {
  // 1. On a Gaussian of three precisions, at a step size where the stiffest is close to unstable.
  susc::posterior_settings const settings{.n_beta = 10, .localization = 5};
  double const curvature[] = {0, 4, 10};
  baoab const sampler{.step_size = .03, .friction = .5};
  sampler.check(settings);
  std::vector<double> const center(3);
  susc::posterior<double> const target{settings, center};
  auto s = sampler.init(std::span<double const>(center));
  int const burn_in = 1000, steps = 2'000'000;
  double square[3]{}, lagged[3]{}, worst = 0;
  for (int t = -burn_in; t != steps; ++t) {
    double const g[] = {curvature[0] * s.w[0], curvature[1] * s.w[1], curvature[2] * s.w[2]};
    auto const before = s.w;
    s = sampler.step(std::move(s), std::span<double const>(g), target, {.bits = 1});
    if (t < 0) continue;
    for (int i = 0; i != 3; ++i) square[i] += s.w[i] * s.w[i] / steps, lagged[i] += s.w[i] * before[i] / steps;
  }
  std::printf(
      "            variance x precision           covariance of neighbours x precision\n"
      "step x m    exact  measured     z   SGLD    exact  measured     z\n");
  for (int i = 0; i != 3; ++i) {
    double const m = settings.n_beta * curvature[i] + settings.localization, step_m = sampler.step_size * m;
    auto const c = law(sampler, m).autocovariances();
    // Isserlis: the average of w(t) w(t + lag) has variance Σ [C(k)² + C(k + lag) C(k - lag)] / steps, k all integers.
    auto const z = [&](double measured, int lag) {
      double sum = 0;
      for (int k = -900; k != 900; ++k)
        sum += c[std::abs(k)] * c[std::abs(k)] + c[std::abs(k + lag)] * c[std::abs(k - lag)];
      double const deviation = (measured - c[lag]) / std::sqrt(sum / steps);
      worst = std::max(worst, std::abs(deviation));
      return deviation;
    };
    std::printf("%8.2f   %6.3f  %8.3f  %+4.1f  %5.2f   %6.3f  %8.3f  %+4.1f\n", step_m, m * c[0], m * square[i],
                z(square[i], 0), 1 / (1 - step_m / 4), m * c[1], m * lagged[i], z(lagged[i], 1));
  }

  // 2. At work: the susceptibility of examples/01_quadratic.cpp, of which the step size now leaves no bias.
  susc::quadratic<> const model({0, 0}, {{0, {0, 0}, {1, 0, 0, 2}}, {0, {0, 0}, {3, 0, 0, 2}}});
  using batch = susc::quadratic<>::batch;
  susc::data_distribution const data{batch{0}, [](std::size_t, susc::random::key) { return batch{0}; }};
  auto const result = susc::estimate_susceptibilities(
      model, std::vector{0., 0.}, data, {{"steeper", {1}}},
      susc::sampling_options<baoab>{
          .posterior = {.n_beta = 30, .localization = 10}, .sampler = {.step_size = .02}, .draws = 10'000});
  auto const chi = result.response_matrix();
  double const exact = -1. / (40 * 40), z = (chi.value(0, 0) - exact) / chi.error(0, 0);  // -a (b - a) / (2 m²)
  std::printf("steeper: chi = (%+.2f +- %.2f)e-4, exact %+.2fe-4, z = %+.2f\n", 1e4 * chi.value(0, 0),
              1e4 * chi.error(0, 0), 1e4 * exact, z);
  return worst < 5 && std::abs(z) < 5 ? 0 : 1;
}
