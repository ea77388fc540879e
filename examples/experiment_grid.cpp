// A grid of experiments, configured at compile time: every model by every sampler, observable and perturbation of the
// lists below, each susceptibility beside its exact value. To make it yours, put your own types into the lists.
#include <array>
#include <cmath>
#include <cstdio>
#include <vector>

#include "susc/models/quadratic.hpp"
#include "susc/response/estimate.hpp"
#include "susc/sampling/exponential_integrator.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"

// Models, with their weights and data: losses ½ Σ aᵢ wᵢ² on the data and ½ Σ bᵢ wᵢ² on the probe, so that the posterior
// is Gaussian and all is known. Trained weights are 0.
template <class Problem>
struct quadratic_problem {
  static auto model() {
    auto const [a0, a1] = Problem::a;
    auto const [b0, b1] = Problem::b;
    return susc::quadratic<typename Problem::scalar>({0, 0},
                                                     {{0, {0, 0}, {a0, 0, 0, a1}}, {0, {0, 0}, {b0, 0, 0, b1}}});
  }
  using batch = std::vector<std::size_t>;
  static auto data() {
    return susc::data_distribution{batch{0}, [](std::size_t, susc::random::key) { return batch{0}; }};
  }
  static std::vector<susc::probe<batch>> probes() { return {{"probe", {1}}}; }
};
struct regular : quadratic_problem<regular> {
  static constexpr auto name = "regular, double";
  using scalar = double;
  static constexpr std::array<scalar, 2> a{1, 2}, b{3, 1};
};
struct degenerate : quadratic_problem<degenerate> {  // only the localization holds w₁
  static constexpr auto name = "degenerate, float";
  using scalar = float;
  static constexpr std::array<scalar, 2> a{2, 0}, b{1, 1};
};

// Samplers: what each is called, and the variance of its chains along a coordinate of curvature c, at step size e.
template <class Sampler>
struct law;
template <>
struct law<susc::sgld> {
  static constexpr auto name = "sgld";
  static double variance(susc::posterior_settings const& p, double c, double e) {
    double const m = p.n_beta * c + p.localization;
    return 1 / (m * (1 - e * m / 4));
  }
};
template <>
struct law<susc::leimkuhler_matthews> {
  static constexpr auto name = "leimkuhler_matthews";
  static double variance(susc::posterior_settings const& p, double c, double) {
    return 1 / (p.n_beta * c + p.localization);
  }
};
template <>
struct law<susc::exponential_integrator> {
  static constexpr auto name = "exponential_integrator";
  static double variance(susc::posterior_settings const& p, double c, double e) {
    double const a = std::exp(-p.localization * e / 2), r = p.n_beta * c / p.localization;
    return (1 + a) / (1 + a - (1 - a) * r) / (p.n_beta * c + p.localization);
  }
};

// Observables and perturbations, and their curvature along each coordinate. One of our own serves as both.
struct half_square {  // ½ ‖w - w*‖²
  double value(auto const& draw) const {
    double sum = 0;
    for (double const w : draw.weights()) sum += w * w / 2;
    return sum;
  }
  std::size_t count(auto const&) const { return 1; }
  void loss_shifts(auto const& draw, std::span<double> shifts) const { shifts[0] = value(draw); }
};
template <class Problem>
double curvature(susc::component_loss, std::size_t i) {
  return Problem::a[i];
}
template <class Problem>
double curvature(susc::example_reweighting, std::size_t i) {
  return Problem::b[i] - Problem::a[i];
}
template <class Problem>
double curvature(half_square, std::size_t) {
  return 1;
}
constexpr char const* name_of(susc::component_loss) {
  return "loss";
}
constexpr char const* name_of(susc::example_reweighting) {
  return "probe";
}
constexpr char const* name_of(half_square) {
  return "w^2/2";
}

// One experiment: types and constants.
template <class Problem, class Sampler, class Observable, class Perturbation>
struct configuration {
  static constexpr susc::posterior_settings target{.n_beta = 30, .localization = 10};
  static constexpr double step_size = .02;
  static constexpr std::size_t draws = 20'000;  // a chain, of four

  static susc::estimate measured() {
    std::vector<typename Problem::scalar> const trained(2);
    auto const result = susc::estimate_susceptibilities(
        Problem::model(), trained, Problem::data(), Problem::probes(),
        susc::sampling_options<Sampler>{.posterior = target, .sampler = {.step_size = step_size}, .draws = draws},
        susc::threads{}, Observable{}, Perturbation{});
    auto const chi = result.response_matrix();
    return {chi.value(0, 0), chi.error(0, 0)};
  }
  static double exact() {  // -Cov(½ Σ pᵢ wᵢ², ½ Σ qᵢ wᵢ²)
    double chi = 0;
    for (std::size_t i = 0; i != 2; ++i) {
      double const variance = law<Sampler>::variance(target, Problem::a[i], step_size);
      chi -= curvature<Problem>(Observable{}, i) * curvature<Problem>(Perturbation{}, i) * variance * variance / 2;
    }
    return chi;
  }
};

// The grid: a product of lists, by one fold expression a list.
template <class... Types>
struct list {
  static void for_each(auto act) { (act.template operator()<Types>(), ...); }
};
using problems = list<regular, degenerate>;
using samplers = list<susc::sgld, susc::leimkuhler_matthews, susc::exponential_integrator>;
using observables = list<susc::component_loss, half_square>;
using perturbations = list<susc::example_reweighting, half_square>;

int main() {
  std::printf("model              sampler                observable perturbation  chi x 1e4 (error)     exact     z\n");
  double square = 0, count = 0;
  problems::for_each([&]<class Problem>() {
    samplers::for_each([&]<class Sampler>() {
      observables::for_each([&]<class Observable>() {
        perturbations::for_each([&]<class Perturbation>() {
          using experiment = configuration<Problem, Sampler, Observable, Perturbation>;
          auto const [chi, error] = experiment::measured();
          double const exact = experiment::exact(), z = (chi - exact) / error;
          std::printf("%-18s %-22s %-10s %-12s", Problem::name, law<Sampler>::name, name_of(Observable{}),
                      name_of(Perturbation{}));
          std::printf(" %9.3f (%.3f) %10.3f %+5.2f\n", 1e4 * chi, 1e4 * error, 1e4 * exact, z);
          square += z * z;
          ++count;
        });
      });
    });
  });
  std::printf("%.0f configurations, root mean square of z %.2f\n", count, std::sqrt(square / count));
}
