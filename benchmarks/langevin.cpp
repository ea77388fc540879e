// Standard normals in bulk, and a whole SGLD step on a given gradient, as a fraction of the bandwidth of a copy from
// and to memory: above 1 where the caches hold the weights. Eigen has no normals: in its place std::mt19937 and
// std::normal_distribution make them. The plain loops ask the counter-based generator for one number after the other.
#include "susc/kernels/langevin.hpp"

#include <random>

#include "problem.hpp"
#include "susc/sampling/sgld.hpp"

namespace {

using bench::Index;
using bench::method;
using array = Eigen::Array<float, Eigen::Dynamic, 1>;
enum class part { normals, step };

class weights {
  /// Of -log p at w.
  template <class T>
  auto slopes(auto const& w, array const& g) const {
    auto const& p = target_.settings;
    return static_cast<T>(p.n_beta) * g.cast<T>() +
           static_cast<T>(p.localization) * (w.template cast<T>() - center_.cast<T>());
  }

 public:
  static constexpr std::size_t most_for_loops = 300'000;

  weights(std::size_t count, part which)
      : which_(which),
        start_(bench::random_matrix(static_cast<Index>(count), 1, 1)),
        center_(bench::random_matrix(start_.size(), 1, 2)),
        gradient_(bench::random_matrix(start_.size(), 1, 3)),
        xi_(start_.size()),
        target_{{.n_beta = 30, .localization = 300}, span(center_)} {
    // exact = drift + amplitude xi
    drift_ = Eigen::ArrayXd::Zero(start_.size());
    if (which == part::step)
      drift_ = start_.cast<double>() - sampler_.step_size / 2 * slopes<double>(start_, gradient_);
    exact_ = drift_;
    for (Index i = 0; i != start_.size(); ++i)
      exact_[i] +=
          amplitude() * static_cast<double>(susc::random::normal<float>(key_, 0, static_cast<std::uint64_t>(i)));
  }
  void start() {
    xi_.setConstant(std::numeric_limits<float>::quiet_NaN());
    state_ = sampler_.init(span(start_));
  }
  void run(method how) {
    if (how == method::ours) by_us();
    if (how == method::eigen) by_eigen();
    if (how == method::loops) by_loops();
  }
  std::string wrong(method how) const {
    Eigen::ArrayXd const found = (which_ == part::step ? moving() : xi_).cast<double>();
    if (how != method::eigen)
      return bench::differs("the numbers", found.matrix() - drift_.matrix(), (exact_ - drift_).matrix());
    // Other random numbers: only their mean and variance are known, to five standard errors.
    Eigen::ArrayXd const xi = (found - drift_) / amplitude();
    double const n = static_cast<double>(xi.size()), mean = xi.mean(), square = xi.square().mean();
    bool const right = std::abs(mean) < 5 / std::sqrt(n) && std::abs(square - 1) < 5 * std::sqrt(2 / n);
    return right ? "" : "mean " + std::to_string(mean) + ", variance " + std::to_string(square);
  }
  /// Normals are written; a step reads weights, centre and gradient and writes the weights.
  bench::work done() const {
    double const count = static_cast<double>(start_.size()), passes = which_ == part::normals ? 1 : 4;
    return {passes * sizeof(float) * count, bench::copy_bandwidth, count, "normals/s"};
  }

 private:
  static std::span<float const> span(array const& a) { return {a.data(), static_cast<std::size_t>(a.size())}; }
  Eigen::Map<array const> moving() const { return {state_.w.data(), start_.size()}; }
  double amplitude() const { return which_ == part::step ? std::sqrt(sampler_.step_size) : 1; }

  void by_us() {
    if (which_ == part::normals)
      susc::kernels::normals<float>({xi_.data(), static_cast<std::size_t>(xi_.size())}, key_, 0);
    else
      state_ = sampler_.step(std::move(state_), span(gradient_), target_, key_);
  }
  void by_eigen() {
    auto const xi = array::NullaryExpr(xi_.size(), [&] { return normal_(generator_); });
    Eigen::Map<array> w(state_.w.data(), start_.size());
    if (which_ == part::normals)
      xi_ = xi;
    else
      w += static_cast<float>(amplitude()) * xi -
           static_cast<float>(sampler_.step_size / 2) * slopes<float>(w, gradient_);
  }
  void by_loops() {
    for (Index i = 0; i != xi_.size(); ++i) {
      std::size_t const at = static_cast<std::size_t>(i);
      float const xi = susc::random::normal<float>(key_, state_.steps, at);
      if (which_ == part::normals)
        xi_[i] = xi;
      else
        state_.w[at] += static_cast<float>(amplitude()) * xi -
                        static_cast<float>(sampler_.step_size / 2) * target_.slope(at, state_.w[at], gradient_[i]);
    }
  }

  part which_;
  susc::sgld sampler_{.step_size = 1e-3};
  susc::random::key key_{7};
  array start_, center_, gradient_, xi_;
  susc::posterior<float> target_;
  susc::sgld::state<float> state_;
  Eigen::ArrayXd drift_, exact_;
  std::mt19937 generator_;
  std::normal_distribution<float> normal_;
};

}  // namespace

int main(int argc, char** argv) {
  for (auto const& [name, which] : {std::pair{"normals_", part::normals}, {"step_", part::step}})
    for (std::size_t const count : {6'000, 300'000, 3'350'000})
      bench::add<weights>("langevin/" + (name + std::to_string(count)), bench::all_methods, count, which);
  return bench::run(argc, argv);
}
