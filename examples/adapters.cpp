// What you have already, as a Model: a logistic classifier as two functions of one example, then by Eigen's matrices.
// Either way its susceptibilities are the same. Adds to 02: from_callables, eigen_model.
#include <Eigen/Core>
#include <cmath>
#include <cstdio>
#include <span>
#include <vector>

#include "susc/models/callable.hpp"
#include "susc/models/eigen_model.hpp"
#include "susc/response/estimate.hpp"
#include "susc/training/adamw.hpp"

struct point {
  double x, y, label;  // label: +1 or -1
};

// The loss of one example, -log p(label | x, y) in nats, and its gradient, added to what `sum` holds.
double logit(std::span<double const> w, point const& p) {
  return w[0] * p.x + w[1] * p.y + w[2];
}
double loss(std::span<double const> w, point const& p) {
  return std::log1p(std::exp(-p.label * logit(w, p)));
}
void gradient(std::span<double const> w, point const& p, std::span<double> sum) {
  double const slope = -p.label / (1 + std::exp(p.label * logit(w, p)));
  sum[0] += slope * p.x;
  sum[1] += slope * p.y;
  sum[2] += slope;
}

// The same for a matrix of examples.
struct classifier {
  struct batch {
    Eigen::MatrixXd inputs;  // (examples, 3): x, y, 1
    Eigen::VectorXd labels;  // (examples,)
  };
  using weights = Eigen::Ref<Eigen::VectorXd const>;
  Eigen::Index parameter_count() const { return 3; }
  Eigen::Index example_count(batch const& b) const { return b.labels.size(); }
  Eigen::VectorXd losses(weights const& w, batch const& b) const { return (-margins(w, b)).exp().log1p(); }
  double loss_and_gradient(weights const& w, batch const& b, Eigen::Ref<Eigen::VectorXd> gradient) const {
    Eigen::ArrayXd const margin = margins(w, b);
    gradient = b.inputs.transpose() * (-b.labels.array() / (1 + margin.exp())).matrix() / margin.size();
    return (-margin).exp().log1p().mean();
  }
  std::vector<susc::component> components() const { return {{"slopes", {{0, 2}}}, {"offset", {{2, 3}}}}; }

 private:
  static Eigen::ArrayXd margins(weights const& w, batch const& b) { return b.labels.array() * (b.inputs * w).array(); }
};

classifier::batch as_matrices(std::vector<point> const& points) {
  auto const count = static_cast<Eigen::Index>(points.size());
  classifier::batch b{Eigen::MatrixXd(count, 3), Eigen::VectorXd(count)};
  for (Eigen::Index i = 0; i != count; ++i) {
    auto const& [x, y, label] = points[static_cast<std::size_t>(i)];
    b.inputs.row(i) << x, y, 1;
    b.labels[i] = label;
  }
  return b;
}

// Two squares side by side, labelled by y > 0 left and by x > 1 right; a tenth is mislabelled.
std::vector<point> square(int which, std::size_t count) {
  susc::random::stream random(susc::random::fold_in({1}, which));
  std::vector<point> points(count);
  for (point& p : points) {
    double const x = 2 * random.uniform() - 1 + which, y = 2 * random.uniform() - 1;
    bool const positive = which == 0 ? y > 0 : x > 1, wrong = random.uniform() < .1;
    p = {x, y, positive != wrong ? 1. : -1.};
  }
  return points;
}

std::vector<point> const left = square(0, 100), right = square(1, 100);
std::vector<point> const all = [] {
  std::vector<point> both = left;
  both.insert(both.end(), right.begin(), right.end());
  return both;
}();
std::vector<point> minibatch(std::size_t size, susc::random::key key) {
  susc::random::stream random(key);
  std::vector<point> batch(size);
  for (point& p : batch) p = all[random.below(all.size())];
  return batch;
}

// `as_batch` makes the model's batch of points.
template <class M, class F>
void print_susceptibilities(char const* written, M const& model, std::vector<double> const& w, F as_batch) {
  susc::data_distribution const data{
      as_batch(all), [as_batch](std::size_t size, susc::random::key key) { return as_batch(minibatch(size, key)); }};
  auto const result =
      susc::estimate_susceptibilities(model, w, data, {{"left", as_batch(left)}, {"right", as_batch(right)}},
                                      {.components = {"slopes", "offset", "full"},
                                       .posterior = {.n_beta = 30, .localization = 1},
                                       .sampler = {.step_size = .05},
                                       .draws = 4000});
  auto const chi = result.response_matrix();
  for (std::size_t c = 0; c != result.components.size(); ++c)
    std::printf("%-10s %-6s %6.1f (%4.1f) %6.1f (%4.1f)\n", written, result.components[c].name.c_str(),
                1e4 * chi.value(0, c), 1e4 * chi.error(0, c), 1e4 * chi.value(1, c), 1e4 * chi.error(1, c));
}

int main() {
  auto const by_example = susc::from_callables<point>(3, loss, gradient, {{"slopes", {{0, 2}}}, {"offset", {{2, 3}}}});
  susc::eigen_model const by_matrix(classifier{});

  std::vector<double> w(3);
  susc::train_adamw(by_example, w, minibatch, {}, {.learning_rate = .02}, susc::threads{});
  std::printf("Susceptibility x 1e4 (standard error)\nwritten by weights        left         right\n");
  print_susceptibilities("example", by_example, w, [](std::vector<point> const& points) { return points; });
  print_susceptibilities("matrix", by_matrix, w, as_matrices);
}
