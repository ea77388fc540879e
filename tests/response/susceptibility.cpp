#include "susc/response/susceptibility.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <vector>

#include "susc/core/random.hpp"
#include "susc/kernels/langevin.hpp"

namespace {

using susc::centring;

struct draw {
  double observable;
  std::vector<double> shift;
};
using batches_of_draws = std::vector<std::vector<draw>>;

batches_of_draws random_batches(std::size_t count, std::size_t shifts, std::uint64_t seed) {
  susc::random::stream stream({seed});
  batches_of_draws batches(count);
  for (auto& batch : batches) {
    double const drift = .3 * stream.normal();  // so that batches differ
    for (std::size_t t = 0, length = 3 + stream.below(6); t != length; ++t) {
      double const x = stream.normal() + drift;
      draw d{2 + x, {}};
      for (std::size_t j = 0; j != shifts; ++j) d.shift.push_back(1 + x * static_cast<double>(j) + stream.normal());
      batch.push_back(d);
    }
  }
  return batches;
}

std::vector<susc::moments> moments_of(batches_of_draws const& batches) {
  std::vector<susc::moments> result;
  for (auto const& batch : batches) {
    result.emplace_back(batch.front().shift.size());
    for (draw const& d : batch) result.back().add(d.observable, d.shift);
  }
  return result;
}

/// The definition, from raw draws in long double.
double definition(batches_of_draws const& part, batches_of_draws const& free, centring how, std::size_t j) {
  long double n = 0, phi = 0, shift = 0, product = 0, free_n = 0, free_shift = 0;
  for (auto const& batch : part)
    for (draw const& d : batch) {
      n += 1;
      phi += d.observable;
      shift += d.shift[j];
      product += static_cast<long double>(d.observable) * d.shift[j];
    }
  for (auto const& batch : free)
    for (draw const& d : batch) free_n += 1, free_shift += d.shift[j];
  if (how == centring::full) return static_cast<double>(-(product / n - phi / n * (free_shift / free_n)));
  return static_cast<double>(-(product - phi * shift / n) / (n - 1));
}

batches_of_draws without(batches_of_draws batches, std::size_t first, std::size_t width) {
  auto const begin = batches.begin() + static_cast<std::ptrdiff_t>(first);
  batches.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(width, batches.size() - first)));
  return batches;
}

/// Leaves out groups of `width` batches, one after the other, and computes everything again.
double jackknife(batches_of_draws const& batches, std::size_t width,
                 std::function<double(batches_of_draws const&)> const& value) {
  std::vector<double> values;
  for (std::size_t i = 0; i < batches.size(); i += width) values.push_back(value(without(batches, i, width)));
  double const k = static_cast<double>(values.size());
  double mean = 0, square = 0;
  for (double const v : values) mean += v / k;
  for (double const v : values) square += (v - mean) * (v - mean);
  return (k - 1) / k * square;
}
/// 97.5 % quantile of Student's t over the normal's: the density by its definition, summed until it holds 47.5 %.
double student(double degrees) {
  double const norm =
      std::exp(std::lgamma((degrees + 1) / 2) - std::lgamma(degrees / 2)) / std::sqrt(degrees * 3.141592653589793);
  double const step = 1e-4;
  double x = 0;
  for (double mass = 0; mass < .475; x += step)
    mass += step * norm * std::pow(1 + (x + step / 2) * (x + step / 2) / degrees, -(degrees + 1) / 2);
  return x / 1.95996;
}

struct brute_force_error {
  double variance, degrees;
};
brute_force_error brute_force(batches_of_draws const& batches,
                              std::function<double(batches_of_draws const&)> const& value) {
  double const single = jackknife(batches, 1, value), pairs = jackknife(batches, 2, value);
  double const count = static_cast<double>(batches.size());
  if (count < 20) return {single, count - 1};
  return {std::max(pairs, 2 * pairs - single), std::max(4., count / 7)};
}

}  // namespace

TEST_CASE("susceptibility: values are the definition's, errors those of leaving batches out by brute force") {
  for (std::uint64_t seed = 1; seed != 6; ++seed)
    for (std::size_t const count : {12, 24, 56}) {
      CAPTURE(seed);
      CAPTURE(count);
      auto const part = random_batches(count, 3, seed), free = random_batches(24, 3, seed + 100);
      double const accuracy = 4e-3;  // of the library's t quantiles, from 4 degrees of freedom
      for (auto const how : {centring::full, centring::restricted}) {
        CAPTURE(static_cast<int>(how));
        auto const chi = susc::susceptibilities(moments_of(part), moments_of(free), how);
        for (std::size_t j = 0; j != 3; ++j) {
          CHECK(chi.value[j] == doctest::Approx(definition(part, free, how, j)).epsilon(1e-12));
          auto [variance, degrees] = brute_force(part, [&](auto const& p) { return definition(p, free, how, j); });
          if (how == centring::full) {
            auto const other = brute_force(free, [&](auto const& f) { return definition(part, f, how, j); });
            double const sum = variance + other.variance;  // Welch & Satterthwaite
            degrees = sum * sum / (variance * variance / degrees + other.variance * other.variance / other.degrees);
            variance = sum;
          }
          CHECK(chi.error[j] == doctest::Approx(std::sqrt(variance) * student(degrees)).epsilon(accuracy));
        }
      }
      auto const mean = susc::mean_observable(moments_of(part));
      auto const average = [](auto const& batches) {
        double sum = 0, n = 0;
        for (auto const& batch : batches)
          for (draw const& d : batch) sum += d.observable, n += 1;
        return sum / n;
      };
      CHECK(mean.value == doctest::Approx(average(part)).epsilon(1e-13));
      auto const [variance, degrees] = brute_force(part, average);
      CHECK(mean.error == doctest::Approx(std::sqrt(variance) * student(degrees)).epsilon(accuracy));
    }
}

TEST_CASE("susceptibility: an error of exactly 0 stays 0, alone or beside another") {
  auto part = random_batches(24, 1, 1), free = random_batches(24, 1, 2);
  for (auto* group : {&part, &free})
    for (auto& batch : *group)
      for (draw& d : batch) d.shift[0] = 0;
  for (auto const how : {centring::full, centring::restricted}) {
    auto const chi = susc::susceptibilities(moments_of(part), moments_of(free), how);
    CHECK(chi.value[0] == 0);
    CHECK(chi.error[0] == 0);
  }
}

TEST_CASE("susceptibility: linear in the observable and in the shifts, in both centrings") {
  for (std::uint64_t seed = 1; seed != 21; ++seed) {
    CAPTURE(seed);
    susc::random::stream stream({seed + 500});
    double const a = stream.normal(), b = stream.normal(), offset = 10 * stream.normal();
    auto part = random_batches(20, 3, seed), free = random_batches(20, 3, seed + 100);
    for (auto* group : {&part, &free})
      for (auto& batch : *group)
        for (draw& d : batch) d.shift[2] = a * d.shift[0] + b * d.shift[1] + offset;
    auto scaled = part, second = part;
    for (std::size_t i = 0; i != part.size(); ++i)
      for (std::size_t t = 0; t != part[i].size(); ++t) {
        second[i][t].observable = stream.normal();
        scaled[i][t].observable = a * part[i][t].observable + b * second[i][t].observable;
      }
    for (auto const how : {centring::full, centring::restricted}) {
      auto const of = [&](batches_of_draws const& p) {
        return susc::susceptibilities(moments_of(p), moments_of(free), how);
      };
      auto const chi = of(part), other = of(second), sum = of(scaled);
      CHECK(std::abs(chi.value[2] - a * chi.value[0] - b * chi.value[1]) < 1e-11);
      for (std::size_t j = 0; j != 3; ++j)
        CHECK(std::abs(sum.value[j] - a * chi.value[j] - b * other.value[j]) < 1e-11);
    }
  }
}

TEST_CASE("susceptibility: the order of batches changes nothing beyond rounding, chains are exchangeable") {
  auto const part = random_batches(24, 2, 1), free = random_batches(24, 2, 2);
  auto turned = part;
  std::rotate(turned.begin(), turned.begin() + 6, turned.end());  // the first chain of four goes last
  for (auto const how : {centring::full, centring::restricted}) {
    auto const a = susc::susceptibilities(moments_of(part), moments_of(free), how);
    auto const b = susc::susceptibilities(moments_of(turned), moments_of(free), how);
    for (std::size_t j : {0, 1}) {
      CHECK(a.value[j] == doctest::Approx(b.value[j]).epsilon(1e-12));
      CHECK(a.error[j] == doctest::Approx(b.error[j]).epsilon(1e-11));
    }
  }
}

TEST_CASE("susceptibility: what cannot be said is NaN") {
  auto const some = moments_of(random_batches(8, 2, 1)), one = moments_of(random_batches(1, 2, 2));
  std::vector<susc::moments> const none;
  CHECK(susc::susceptibilities(none, some, centring::full).value.empty());
  CHECK(std::isnan(susc::susceptibilities(some, none, centring::full).value[0]));
  CHECK(std::isfinite(susc::susceptibilities(some, none, centring::restricted).error[0]));
  CHECK(std::isfinite(susc::susceptibilities(one, some, centring::full).value[0]));
  CHECK(std::isnan(susc::susceptibilities(one, some, centring::full).error[0]));
  CHECK(std::isnan(susc::susceptibilities(some, one, centring::full).error[0]));
  CHECK(std::isnan(susc::mean_observable(none).value));
  CHECK(std::isnan(susc::mean_observable(one).error));
}

TEST_CASE("susceptibility: 95 % intervals cover 92 to 98 % of the time on Gaussian chains with the default lengths") {
  // 4 chains x 200 draws, as in the defaults, of independent AR(1) coordinates: φ = ½ Σ a x², Δ = ½ Σ b x² + c x.
  // The observables' own autocorrelation is ρ², ρ and their products': about 6 steps of memory at ρ = .85, which leave
  // 130 effective draws, whose covariance is skewed.
  constexpr std::size_t chains = 4, draws = 200, part = 16, whole = 24, replicates = 2000;
  std::size_t const batches = susc::batches_per_chain(draws, chains);
  CHECK(batches == 14);
  double a[whole], b[whole], c[whole];
  for (std::size_t i = 0; i != whole; ++i) {
    double const x = static_cast<double>(i);
    a[i] = 1 + .5 * std::cos(x);
    b[i] = .6 + std::sin(x + .7);
    c[i] = .6 * std::cos(3 * x);
  }
  for (double const rho : {0., .5, .75, .85}) {
    double covariance = 0, phi = 0, part_shift = 0, all_shift = 0;
    for (std::size_t i = 0; i != whole; ++i) {
      all_shift += b[i] / 2;
      if (i >= part) continue;
      covariance += a[i] * b[i] / 2;
      phi += a[i] / 2;
      part_shift += b[i] / 2;
    }
    double const exact[2]{-(covariance + phi * (part_shift - all_shift)), -covariance};
    std::size_t covered[2]{}, mean_covered = 0;
    double square[2]{}, claimed[2]{};
    for (std::uint64_t replicate = 0; replicate != replicates; ++replicate) {
      susc::random::key const key = susc::random::fold_in({1234}, replicate);
      std::vector<susc::moments> component(chains * batches, susc::moments(1)), free = component;
      for (std::size_t chain = 0; chain != chains; ++chain) {
        float x[part + whole]{}, noise[part + whole];  // the component's coordinates, then those of all weights
        for (std::size_t t = 0; t != draws; ++t) {
          susc::kernels::normals<float>(noise, susc::random::fold_in(key, chain), t);
          float const keep = static_cast<float>(t == 0 ? 0 : rho), add = std::sqrt(1 - keep * keep);  // stationary
          double value[2]{}, shift[2]{};
          for (std::size_t k = 0; k != part + whole; ++k) {
            x[k] = keep * x[k] + add * noise[k];
            std::size_t const group = k < part ? 0 : 1, i = k - group * part;
            value[group] += a[i] * x[k] * x[k] / 2;
            shift[group] += b[i] * x[k] * x[k] / 2 + c[i] * x[k];
          }
          std::size_t const batch = chain * batches + t * batches / draws;
          component[batch].add(value[0], {&shift[0], 1});
          free[batch].add(value[1], {&shift[1], 1});
        }
      }
      for (auto const how : {centring::full, centring::restricted}) {
        auto const k = static_cast<std::size_t>(how);
        auto const chi = susc::susceptibilities(component, free, how);
        double const gap = chi.value[0] - exact[k];
        covered[k] += std::abs(gap) < 1.96 * chi.error[0];
        square[k] += gap * gap / replicates;
        claimed[k] += chi.error[0] * chi.error[0] / replicates;
      }
      auto const mean = susc::mean_observable(component);
      mean_covered += std::abs(mean.value - phi) < 1.96 * mean.error;
    }
    auto const percent = [](std::size_t count) { return 100. * static_cast<double>(count) / replicates; };
    MESSAGE("rho " << rho << ": coverage full " << percent(covered[0]) << " %, restricted " << percent(covered[1])
                   << " %, mean " << percent(mean_covered) << " %; error / true deviation "
                   << std::sqrt(claimed[0] / square[0]) << ", " << std::sqrt(claimed[1] / square[1]));
    for (std::size_t const count : {covered[0], covered[1], mean_covered}) {
      CHECK(percent(count) >= 92);
      CHECK(percent(count) <= 98);
    }
    // 17 % above the standard deviation is Student's allowance for the error's own uncertainty.
    for (std::size_t k : {0, 1}) CHECK(std::abs(std::sqrt(claimed[k] / square[k]) - 1.17) < .15);
  }
}
