#pragma once
/// Samplers held against their exact stationary law on a Gaussian target, at finite step size.
///
/// A linear sampler splits along the eigenvectors of the precision: mode i has a state s_i = (position) or (position,
/// something remembered) and s_i' = F_i s_i + own ξ_i + gradient nβ u_i, where ξ is the sampler's noise and u that of
/// the minibatch's gradient, which couples the modes. The stationary covariance X solves X = F X Fᵀ + Q.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "oracle.hpp"
#include "susc/core/random.hpp"
#include "susc/sampling/posterior.hpp"

namespace gaussian_law {

using pair = std::array<double, 2>;
using block = std::array<pair, 2>;

/// One mode of a sampler; where nothing is remembered all second entries are 0.
struct recursion {
  block f{};
  pair own{}, gradient{};
};

inline block product(block const& a, block const& b) {
  block c{};
  for (int i = 0; i != 2; ++i)
    for (int j = 0; j != 2; ++j) c[i][j] = a[i][0] * b[0][j] + a[i][1] * b[1][j];
  return c;
}
inline block transposed(block const& a) {
  return {{{a[0][0], a[1][0]}, {a[0][1], a[1][1]}}};
}

/// X = F X Gᵀ + Q, by doubling: X is the sum of Fᵏ Q Gᵏᵀ over all k.
inline block lyapunov(block f, block const& q, block g) {
  block x = q;
  for (int doubling = 0; doubling != 40; ++doubling) {
    block const more = product(product(f, x), transposed(g));
    for (int i = 0; i != 2; ++i)
      for (int j = 0; j != 2; ++j) x[i][j] += more[i][j];
    f = product(f, f);
    g = product(g, g);
  }
  return x;
}

/// The stationary covariance of one mode without gradient noise; `noise` is the variance of u.
inline block stationary(recursion const& r, double n_beta = 1, double noise = 0) {
  block q{};
  for (int i = 0; i != 2; ++i)
    for (int j = 0; j != 2; ++j)
      q[i][j] = r.own[i] * r.own[j] + n_beta * n_beta * noise * r.gradient[i] * r.gradient[j];
  return lyapunov(r.f, q, r.f);
}

/// Whether the mode's deviations die out: its spectral radius is below 1.
inline bool stable(recursion const& r) {
  block power = r.f;
  for (int doubling = 0; doubling != 24; ++doubling) power = product(power, power);
  bool small = true;
  for (pair const& row : power)
    for (double const x : row) small = small && std::abs(x) < 1;  // where it overflowed to NaN, too
  return small;
}

struct matrix {
  std::size_t rows = 0, columns = 0;
  std::vector<double> values;
  matrix(std::size_t r, std::size_t c) : rows(r), columns(c), values(r * c) {}
  double& operator()(std::size_t i, std::size_t j) { return values[i * columns + j]; }
  double operator()(std::size_t i, std::size_t j) const { return values[i * columns + j]; }
};
inline void multiply(matrix const& a, std::vector<double> const& x, std::vector<double>& y) {
  for (std::size_t i = 0; i != a.rows; ++i) {
    double const* const row = a.values.data() + i * a.columns;
    double sum = 0;
    for (std::size_t j = 0; j != a.columns; ++j) sum += row[j] * x[j];
    y[i] = sum;
  }
}
inline void multiply_transposed(matrix const& a, std::vector<double> const& x, std::vector<double>& y) {
  std::fill(y.begin(), y.end(), 0.);
  for (std::size_t i = 0; i != a.rows; ++i) {
    double const* const row = a.values.data() + i * a.columns;
    for (std::size_t j = 0; j != a.columns; ++j) y[j] += row[j] * x[i];
  }
}

/// A random orthogonal matrix: Gram-Schmidt on normals, twice over against rounding.
inline matrix rotation(std::size_t d, std::uint64_t seed) {
  susc::random::stream stream({seed});
  matrix q(d, d);
  for (double& x : q.values) x = stream.normal();
  for (std::size_t i = 0; i != d; ++i) {
    for (std::size_t j = 0; j != 2 * i; ++j) {
      double dot = 0;
      for (std::size_t k = 0; k != d; ++k) dot += q(i, k) * q(j % i, k);
      for (std::size_t k = 0; k != d; ++k) q(i, k) -= dot * q(j % i, k);
    }
    double norm = 0;
    for (std::size_t k = 0; k != d; ++k) norm += q(i, k) * q(i, k);
    for (std::size_t k = 0; k != d; ++k) q(i, k) /= std::sqrt(norm);
  }
  return q;
}

/// Lower triangular L with L Lᵀ = x.
inline matrix cholesky(matrix x) {
  for (std::size_t j = 0; j != x.rows; ++j)
    for (std::size_t i = 0; i != x.rows; ++i) {
      if (i < j) {
        x(i, j) = 0;
        continue;
      }
      for (std::size_t k = 0; k != j; ++k) x(i, j) -= x(i, k) * x(j, k);
      // A state that is a function of the others has no variance of its own.
      x(i, j) = i == j ? std::sqrt(std::max(x(i, j), 0.)) : x(j, j) == 0 ? 0 : x(i, j) / x(j, j);
    }
  return x;
}

/// A Gaussian target. The precisions of its modes are nβ c + γ + λ, c evenly spaced in the logarithm from
/// largest/condition to largest.
struct problem {
  std::size_t dimension;
  double condition, largest;
  susc::posterior_settings target;
  double minibatch_noise = 0;  ///< scale of the gradient noise
  std::size_t steps = 100'000;
};

/// The coordinates y of the modes, w = μ + T y, in which the sampler's noise is white and the precision TᵀMT diagonal.
/// T is a rotation with row i multiplied by scale[i], the root of the preconditioner.
struct geometry {
  std::vector<double> precision;  ///< of the modes, ascending
  matrix to_modes, from_modes;    ///< T⁻¹ and T
  matrix curvature;               ///< A, of the loss
  matrix noise;                   ///< N: ĝ = g + N u, u standard normal; its covariance N Nᵀ is not diagonal
  matrix noise_of_modes;          ///< Tᵀ N
  std::vector<double> shift;      ///< μ - w*, where weight decay holds the mean

  geometry(problem const& p, std::span<double const> center, std::vector<double> const& scale, std::uint64_t seed)
      : to_modes(p.dimension, p.dimension),
        from_modes(p.dimension, p.dimension),
        curvature(p.dimension, p.dimension),
        noise(p.dimension, std::min<std::size_t>(p.dimension, 4)),
        noise_of_modes(noise.rows, noise.columns) {
    std::size_t const d = p.dimension;
    double const pull = p.target.localization + p.target.weight_decay;
    for (std::size_t i = 0; i != d; ++i)
      precision.push_back(
          pull + p.target.n_beta * p.largest *
                     std::pow(p.condition, d == 1 ? 0 : static_cast<double>(i) / static_cast<double>(d - 1) - 1));
    matrix const basis = rotation(d, seed);
    for (std::size_t i = 0; i != d; ++i)
      for (std::size_t j = 0; j != d; ++j) {
        from_modes(i, j) = basis(i, j) * scale[i];
        to_modes(j, i) = basis(i, j) / scale[i];
      }
    // nβ A = M - (γ + λ) I, and M = T⁻ᵀ diag(precision) T⁻¹.
    for (std::size_t i = 0; i != d; ++i)
      for (std::size_t j = 0; j != d; ++j) {
        for (std::size_t k = 0; k != d; ++k) curvature(i, j) += to_modes(k, i) * precision[k] * to_modes(k, j);
        curvature(i, j) = (curvature(i, j) - (i == j ? pull : 0)) / p.target.n_beta;
      }
    susc::random::stream stream({seed + 1});
    for (double& x : noise.values) x = p.minibatch_noise * stream.normal();
    for (std::size_t i = 0; i != d; ++i)
      for (std::size_t r = 0; r != noise.columns; ++r)
        for (std::size_t k = 0; k != d; ++k) noise_of_modes(i, r) += from_modes(k, i) * noise(k, r);
    // nβ A (μ - w*) + γ (μ - w*) + λ μ = 0, hence M (μ - w*) = -λ w*.
    std::vector<double> const star(center.begin(), center.end());
    std::vector<double> in_modes(d);
    multiply_transposed(from_modes, star, in_modes);
    for (std::size_t i = 0; i != d; ++i) in_modes[i] *= -p.target.weight_decay / precision[i];
    shift.resize(d);
    multiply(from_modes, in_modes, shift);
  }
};

/// What the sampler's stationary law is, and how far time averages over n steps are from it: `error` members are for
/// n = 1, all shrink as 1/√n. With C_ij(k) = E[y_i(t+k) y_j(t)], by Isserlis' theorem the average of y_i y_j has the
/// variance (1/n) Σ_k [C_ii(k) C_jj(k) + C_ij(k) C_ji(k)], k over all integers.
struct law {
  std::vector<block> states;  ///< covariance of the states of modes i and j, (dimension, dimension)
  matrix covariance, covariance_error;
  matrix squares;                  ///< covariance of the averages of y_i² and of y_j²
  std::vector<double> mean_error;  ///< (dimension,) as all below
  std::vector<double> autocorrelation, autocorrelation_error;

  law(std::vector<recursion> const& modes, matrix const& noise, double n_beta)
      : states(modes.size() * modes.size()),
        covariance(modes.size(), modes.size()),
        covariance_error(covariance),
        squares(covariance) {
    std::size_t const d = modes.size();
    for (std::size_t i = 0; i != d; ++i)
      for (std::size_t j = 0; j != d; ++j) {
        double shared = 0;
        for (std::size_t r = 0; r != noise.columns; ++r) shared += noise(i, r) * noise(j, r);
        block q{};
        for (int a = 0; a != 2; ++a)
          for (int b = 0; b != 2; ++b)
            q[a][b] = (i == j ? modes[i].own[a] * modes[i].own[b] : 0) +
                      n_beta * n_beta * shared * modes[i].gradient[a] * modes[j].gradient[b];
        states[i * d + j] = lyapunov(modes[i].f, q, modes[j].f);
        covariance(i, j) = states[i * d + j][0][0];
      }
    // The first row of F_iᵏ, until it has died out.
    std::vector<std::vector<pair>> rows(d);
    for (std::size_t i = 0; i != d; ++i) {
      block const& x = states[i * d + i];
      pair row{1, 0};
      while (std::abs(row[0]) * std::sqrt(x[0][0]) + std::abs(row[1]) * std::sqrt(x[1][1]) >
             1e-6 * std::sqrt(x[0][0])) {
        rows[i].push_back(row);
        block const& f = modes[i].f;
        row = {row[0] * f[0][0] + row[1] * f[1][0], row[0] * f[0][1] + row[1] * f[1][1]};
      }
    }
    auto const lagged = [&](std::size_t i, std::size_t j, std::size_t k) {  // C_ij(k)
      if (k >= rows[i].size()) return 0.;
      block const& x = states[i * d + j];
      return rows[i][k][0] * x[0][0] + rows[i][k][1] * x[1][0];
    };
    for (std::size_t i = 0; i != d; ++i)
      for (std::size_t j = 0; j <= i; ++j) {
        double variance = 0, square = 0;
        for (std::size_t k = 0; k != std::max(rows[i].size(), rows[j].size()); ++k) {
          double const ij = lagged(i, j, k), ji = lagged(j, i, k), both_signs = k == 0 ? 1 : 2;
          variance += both_signs * (lagged(i, i, k) * lagged(j, j, k) + ij * ji);
          square += both_signs * (ij * ij + ji * ji);
        }
        covariance_error(i, j) = covariance_error(j, i) = std::sqrt(variance);
        squares(i, j) = squares(j, i) = square;
      }
    for (std::size_t i = 0; i != d; ++i) {
      double const at_0 = lagged(i, i, 0), rho = lagged(i, i, 1) / at_0;
      double sum = -at_0, slope = 0;
      for (std::size_t k = 0; k <= rows[i].size(); ++k) {
        double const c = lagged(i, i, k), after = lagged(i, i, k + 1), before = lagged(i, i, k == 0 ? 1 : k - 1);
        double const both_signs = k == 0 ? 1 : 2;
        sum += 2 * c;
        // Bartlett's formula: the variance of the average of y_t (y_{t+1} - ρ y_t).
        slope += both_signs * (c * c * (1 + 2 * rho * rho) + after * before - 2 * rho * c * (after + before));
      }
      mean_error.push_back(std::sqrt(sum));
      autocorrelation.push_back(rho);
      autocorrelation_error.push_back(std::sqrt(slope) / at_0);
    }
  }
};

/// A sampler and its recursion: derive, add `sampler` and `recursion mode(double precision, posterior_settings)`.
struct subject {
  /// The root of the preconditioner, which makes the sampler's noise white.
  std::vector<double> scale(std::size_t dimension) const { return std::vector<double>(dimension, 1); }
  /// Puts into the state what it remembers besides the position.
  template <class State>
  void place(State&, std::vector<double> const&) const {}
};

/// Time averages of a run, in the coordinates of the modes, with the mean taken off.
struct averages {
  std::vector<double> mean, autocorrelation;
  matrix covariance;
};

/// Runs the sampler from its stationary law, so that there is no burn-in to choose.
template <class T, class Subject>
averages simulate(Subject const& subject, problem const& p, geometry const& g, law const& exact, T center_value,
                  std::uint64_t seed) {
  std::size_t const d = p.dimension;
  std::vector<T> const center(d, center_value);
  susc::posterior<T> const target{p.target, center};
  susc::random::stream stream({seed});

  matrix states(2 * d, 2 * d);
  for (std::size_t i = 0; i != 2 * d; ++i)
    for (std::size_t j = 0; j != 2 * d; ++j) states(i, j) = exact.states[i % d * d + j % d][i / d][j / d];
  std::vector<double> normals(2 * d), start(2 * d), y(d), move(d), remembered(d);
  for (double& x : normals) x = stream.normal();
  multiply(cholesky(states), normals, start);
  std::copy_n(start.begin(), d, y.begin());
  multiply(g.from_modes, y, move);
  auto state = subject.sampler.init(std::span<T const>(center));
  for (std::size_t i = 0; i != d; ++i)
    state.w[i] = static_cast<T>(static_cast<double>(center[i]) + g.shift[i] + move[i]);
  std::copy_n(start.begin() + static_cast<std::ptrdiff_t>(d), d, y.begin());
  multiply(g.from_modes, y, remembered);
  subject.place(state, remembered);

  std::vector<double> slope(d), before(d), lagged(d), from_mean(d);
  averages seen{std::vector<double>(d), std::vector<double>(d), matrix(d, d)};
  std::vector<T> gradient(d);
  for (std::size_t t = 0; t <= p.steps; ++t) {
    for (std::size_t i = 0; i != d; ++i) {
      move[i] = static_cast<double>(state.w[i]) - static_cast<double>(center[i]);
      from_mean[i] = move[i] - g.shift[i];
    }
    std::swap(before, y);
    multiply(g.to_modes, from_mean, y);
    if (t != 0)
      for (std::size_t i = 0; i != d; ++i) {
        double* const row = seen.covariance.values.data() + i * d;
        double const y_i = y[i];
        for (std::size_t j = 0; j <= i; ++j) row[j] += y_i * y[j];
        seen.mean[i] += y_i;
        lagged[i] += y_i * before[i];
      }
    multiply(g.curvature, move, slope);
    if (p.minibatch_noise != 0)
      for (std::size_t r = 0; r != g.noise.columns; ++r) {
        double const u = stream.normal();
        for (std::size_t i = 0; i != d; ++i) slope[i] += g.noise(i, r) * u;
      }
    for (std::size_t i = 0; i != d; ++i) gradient[i] = static_cast<T>(slope[i]);
    state = subject.sampler.step(std::move(state), std::span<T const>(gradient), target, {seed + 1});
  }
  for (std::size_t i = 0; i != d; ++i) {
    seen.autocorrelation[i] = lagged[i] / seen.covariance(i, i);
    seen.mean[i] /= static_cast<double>(p.steps);
    for (std::size_t j = 0; j <= i; ++j) seen.covariance(i, j) /= static_cast<double>(p.steps);
  }
  return seen;
}

/// Σ_i weight_i y_i² / Σ weight_i over a run, its exact value and its standard error.
struct estimate {
  double measured = 0, exact = 0, error = 0;
};
inline estimate weighted_variance(averages const& seen, law const& exact, std::vector<double> const& weights,
                                  std::size_t steps) {
  estimate e;
  double total = 0;
  for (std::size_t i = 0; i != weights.size(); ++i) {
    total += weights[i];
    e.measured += weights[i] * seen.covariance(i, i);
    e.exact += weights[i] * exact.covariance(i, i);
    for (std::size_t j = 0; j != weights.size(); ++j) e.error += weights[i] * weights[j] * exact.squares(i, j);
  }
  return {e.measured / total, e.exact / total, std::sqrt(e.error / static_cast<double>(steps)) / total};
}

/// The worst deviations, in standard errors, of one run.
inline void check(averages const& seen, law const& exact, std::size_t steps) {
  std::size_t const d = seen.mean.size();
  double mean = 0, covariance = 0, autocorrelation = 0;
  double const root = std::sqrt(static_cast<double>(steps));
  std::vector<double> weights;
  for (std::size_t i = 0; i != d; ++i) {
    mean = std::max(mean, std::abs(seen.mean[i]) * root / exact.mean_error[i]);
    autocorrelation = std::max(autocorrelation, std::abs(seen.autocorrelation[i] - exact.autocorrelation[i]) * root /
                                                    exact.autocorrelation_error[i]);
    for (std::size_t j = 0; j <= i; ++j)
      covariance = std::max(
          covariance, std::abs(seen.covariance(i, j) - exact.covariance(i, j)) * root / exact.covariance_error(i, j));
    weights.push_back(exact.covariance(i, i) / exact.squares(i, i));  // y_i²/X_ii weighted by its precision
  }
  estimate const pooled = weighted_variance(seen, exact, weights, steps);
  double const deviation = std::abs(pooled.measured - pooled.exact) / pooled.error;
  CAPTURE(d);
  MESSAGE("standard errors off: mean " << mean << ", covariance " << covariance << ", lag-1 autocorrelation "
                                       << autocorrelation << ", pooled variance " << deviation << "; relative error of "
                                       << "the last " << pooled.error / pooled.exact);
  CHECK(mean < 6.5);        // one normal is beyond 6.5 with probability 8e-11, one of 1275 entries with 1e-7
  CHECK(covariance < 6.5);  // as is the average of a product over enough draws
  CHECK(autocorrelation < 6.5);
  CHECK(deviation < 5);
  CHECK(pooled.error < .01 * pooled.exact);  // noise scaled by 1.05 is 10 % of all variances: 10 errors
}

/// Holds the sampler to its law in double and float. With a name, also records rows of the oracle table.
template <class Subject>
void check(Subject const& subject, problem const& p, std::uint64_t seed, std::string const& name = {}) {
  subject.sampler.check(p.target);
  double const center_value = .5;
  std::vector<double> const center(p.dimension, center_value);
  geometry const g(p, center, subject.scale(p.dimension), seed);
  std::vector<recursion> modes;
  for (double const m : g.precision) modes.push_back(subject.mode(m, p.target));
  for (recursion const& r : modes) REQUIRE(stable(r));
  law const exact(modes, g.noise_of_modes, p.target.n_beta);
  auto const seen = simulate<double>(subject, p, g, exact, center_value, seed + 2);
  check(seen, exact, p.steps);
  check(simulate<float>(subject, p, g, exact, static_cast<float>(center_value), seed + 50), exact, p.steps);
  if (name.empty()) return;

  std::string const where = ", " + name + ", " + std::to_string(p.dimension) + " dimensions, condition 1000";
  std::size_t const last = p.dimension - 1;
  double const scale = static_cast<double>(p.dimension);
  // Precision times variance is 1 in the posterior, so these are the biases of the step size.
  auto const all = weighted_variance(seen, exact, g.precision, p.steps);
  double total = 0;
  for (double const m : g.precision) total += m;
  oracle::check("mean of variance times precision" + where, all.measured * total / scale, all.error * total / scale,
                all.exact * total / scale);
  double const stiff = g.precision[last], root = std::sqrt(static_cast<double>(p.steps));
  oracle::check("variance times precision in the stiffest direction" + where, stiff * seen.covariance(last, last),
                stiff * exact.covariance_error(last, last) / root, stiff * exact.covariance(last, last));
  oracle::check("lag-1 autocorrelation in the flattest direction" + where, seen.autocorrelation[0],
                exact.autocorrelation_error[0] / root, exact.autocorrelation[0]);
}

/// A chain resumed from a copy of its state has the same bits; one that `forget(state)` robbed of memory has not.
template <class Sampler, class Forget>
void check_resumed(Sampler const& sampler, Forget forget) {
  std::vector<float> const center(100, .5f);
  susc::posterior<float> const target{{.n_beta = 3, .localization = 1}, center};
  auto const start = sampler.init(std::span<float const>(center));
  auto const advance = [&](auto s, int steps) {
    while (steps-- > 0) {
      auto const gradient = s.w;
      s = sampler.step(std::move(s), std::span<float const>(gradient), target, {9});
    }
    return s;
  };
  auto const middle = advance(start, 10);
  CHECK(advance(start, 25) == advance(middle, 15));
  auto forgetful = middle;
  forget(forgetful);
  CHECK(!(advance(forgetful, 15) == advance(middle, 15)));
}

}  // namespace gaussian_law
