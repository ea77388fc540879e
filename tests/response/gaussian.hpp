#pragma once
// The Gaussian oracle: exact answers at finite step size for every sampler, from its own stationary covariance.
#include <Eigen/Dense>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "susc/core/random.hpp"
#include "susc/models/quadratic.hpp"
#include "susc/sampling/chains.hpp"
#include "susc/sampling/exponential_integrator.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"
#include "susc/sampling/mala.hpp"
#include "susc/sampling/rmsprop_sgld.hpp"
#include "susc/sampling/sghmc.hpp"
#include "susc/sampling/sgld.hpp"
#include "susc/sampling/sgnht.hpp"

using matrix = Eigen::MatrixXd;
using vector = Eigen::VectorXd;

/// L has curvature A; two probes have constants, slopes and curvatures of their own.
struct gaussian {
  static constexpr int dimension = 4;
  matrix a{{2, .3, .2, 0}, {.3, 1, 0, .4}, {.2, 0, .5, .1}, {0, .4, .1, 1.5}};
  matrix b[2]{matrix{{1, .5, 0, .1}, {.5, .2, .3, 0}, {0, .3, 2, .2}, {.1, 0, .2, -.5}},
              matrix{{-.5, 0, .1, .2}, {0, 1.5, 0, 0}, {.1, 0, .3, .6}, {.2, 0, .6, 1}}};
  vector slope[2]{vector{{.1, -.05, .02, 0}}, vector{{0, .03, .1, -.02}}};
  std::vector<double> center{.3, -.2, 1, 0};
  susc::component part{"part", {{1, 3}}};

  /// Example 0 is the data distribution; example 1 + p has the loss L + ΔL of probe p.
  susc::quadratic<double> model() const {
    auto row_major = [](matrix const& m) { return std::vector<double>(m.data(), m.data() + m.size()); };  // symmetric
    std::vector<susc::quadratic<double>::example> examples{{5, std::vector<double>(dimension), row_major(a)}};
    for (int p = 0; p != 2; ++p)
      examples.push_back({7.0 + p, {slope[p].data(), slope[p].data() + dimension}, row_major(a + b[p])});
    return susc::quadratic<double>(center, examples, {part});
  }

  static matrix block(matrix const& m, bool restricted) { return restricted ? matrix(m.block(1, 1, 2, 2)) : m; }
  static vector block(vector const& v, bool restricted) { return restricted ? vector(v.segment(1, 2)) : v; }

  /// Stationary covariance of SGLD with exact gradients at this step size (an AR(1) process).
  matrix covariance(susc::posterior_settings const& p, double step_size, bool restricted) const {
    matrix const curvature = block(a, restricted);
    matrix const one = matrix::Identity(curvature.rows(), curvature.cols());
    matrix const m = p.n_beta * curvature + p.localization * one;
    return m.inverse() * (one - step_size / 4 * m).inverse();
  }
};

inline auto const full_batch = [](std::size_t, susc::random::key) { return std::vector<std::size_t>{0}; };

/// A sampler and its exact stationary covariance for a precision M = nβ A + κ I.
template <class S>
struct exact_sampler {
  std::string name;
  S sampler;
  std::function<matrix(matrix const& precision, double pull)> covariance;
  std::size_t thinning = 2;
};

/// Calls `check(exact_sampler)` for each sampler, at steps that suit precisions up to 8 or so. SGNHT has a closed form
/// for small steps only.
template <class Check>
void for_every_sampler(Check&& check) {
  auto const one = [](matrix const& m) { return matrix(matrix::Identity(m.rows(), m.cols())); };
  auto const exact = [](matrix const& m, double) { return matrix(m.inverse()); };
  auto const inflated = [one](double step) {
    return [one, step](matrix const& m, double) { return matrix((m * (one(m) - step * m)).inverse()); };
  };
  check(exact_sampler<susc::sgld>{"SGLD", {.step_size = .2}, inflated(.2 / 4)});
  // G stays 1/δ where the squares are never updated: SGLD of step ε/δ.
  check(exact_sampler<susc::rmsprop_sgld>{
      "RMSprop-SGLD", {.step_size = .08, .decay = 1, .stability = .5}, inflated(.16 / 4)});
  check(exact_sampler<susc::sghmc>{"SGHMC", {.step_size = .3, .friction = .4}, inflated(.3 / (8 - 4 * .4))});
  check(exact_sampler<susc::leimkuhler_matthews>{"Leimkuhler-Matthews", {.step_size = .25}, exact});
  check(exact_sampler<susc::exponential_integrator>{
      "exponential integrator", {.step_size = .25}, [one](matrix const& m, double pull) {
        double const kept = std::exp(-pull * .25 / 2), drift = (1 - kept) / pull;
        matrix const f = one(m) - drift * m;
        return matrix((1 - kept * kept) / pull * (one(m) - f * f).inverse());
      }});
  check(exact_sampler<susc::mala>{"MALA", {.step_size = .2}, exact});
  // The law of SGHMC with friction A but for the fluctuations of the friction, whose size is √ε.
  check(exact_sampler<susc::sgnht>{"SGNHT", {.step_size = .01, .diffusion = .2}, inflated(.01 / (8 - 4 * .2)), 12});
}
