#pragma once
// Exact covariances: a posterior as points with weights, at which observables and perturbations are evaluated.
#include <Eigen/Dense>
#include <cmath>
#include <cstddef>
#include <vector>

#include "skewed.hpp"
#include "susc/core/component.hpp"
#include "susc/response/perturbation.hpp"

/// Weights of a model, (points) x (parameters), and their probabilities.
struct weighted_points {
  std::vector<std::vector<double>> w;
  std::vector<double> weight;
};

/// N(center, covariance) of the coordinates of c, the others at the center. Three Gauss-Hermite points a direction:
/// exact for polynomials of degree 5, so for the covariance of two quadratics.
inline weighted_points gaussian_points(std::vector<double> const& center, susc::component const& c,
                                       Eigen::MatrixXd const& covariance) {
  Eigen::MatrixXd const root = covariance.llt().matrixL();
  weighted_points points;
  std::size_t total = 1;
  for (std::size_t i = 0; i != c.size(); ++i) total *= 3;
  for (std::size_t n = 0; n != total; ++n) {
    Eigen::VectorXd x(static_cast<Eigen::Index>(c.size()));
    double weight = 1;
    std::size_t rest = n;
    for (double& each : x) {
      each = (static_cast<double>(rest % 3) - 1) * std::sqrt(3.);
      weight *= rest % 3 == 1 ? 2. / 3 : 1. / 6;
      rest /= 3;
    }
    std::vector<double> v(c.size()), w = center;
    c.gather<double>(center, v);
    Eigen::Map<Eigen::VectorXd>(v.data(), x.size()) += root * x;
    c.scatter<double>(v, w);
    points.w.push_back(w);
    points.weight.push_back(weight);
  }
  return points;
}

/// A law of one coordinate, the others at the center.
inline weighted_points line_points(std::vector<double> const& center, std::size_t coordinate, skewed::law const& law) {
  weighted_points points;
  for (std::size_t i = 0; i != law.x.size(); ++i) {
    points.w.push_back(center);
    points.w.back()[coordinate] = law.x[i];
    points.weight.push_back(law.weight[i]);
  }
  return points;
}

/// -Cov[φ, ΔL_j] over the points, for every row of the response matrix.
template <class Draw, class O, class P>
std::vector<double> exact_susceptibilities(Draw& at, weighted_points const& points, O const& observable,
                                           P const& perturbation) {
  auto const groups = susc::groups_of(perturbation, at);
  std::vector<double> values, chi(groups.size()), means(groups.size());
  std::vector<std::vector<double>> rows;
  double mean = 0;
  for (std::size_t n = 0; n != points.w.size(); ++n) {
    at.move_to(points.w[n]);
    values.push_back(observable.value(at));
    std::vector<double> shifts(perturbation.count(at)), row;
    perturbation.loss_shifts(at, std::span(shifts));
    for (susc::index_range const g : groups) {
      double sum = 0;
      for (std::size_t j = g.begin; j != g.end; ++j) sum += shifts[j];
      row.push_back(sum / static_cast<double>(g.size()));
    }
    mean += points.weight[n] * values.back();
    for (std::size_t r = 0; r != row.size(); ++r) means[r] += points.weight[n] * row[r];
    rows.push_back(row);
  }
  for (std::size_t n = 0; n != points.w.size(); ++n)
    for (std::size_t r = 0; r != chi.size(); ++r)
      chi[r] -= points.weight[n] * (values[n] - mean) * (rows[n][r] - means[r]);
  return chi;
}
