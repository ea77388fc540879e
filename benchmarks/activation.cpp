// The nonlinearities of the MLP and their derivatives, as a fraction of the bandwidth of a copy from and to memory:
// above 1 where the caches hold the activations.
#include "susc/kernels/activation.hpp"

#include <unsupported/Eigen/SpecialFunctions>

#include "problem.hpp"

namespace {

using bench::method;
using bench::row_major;
enum class direction { forward, backward };

// The formulas, of a number or of an Eigen array V of scalars T.
template <class T, class V>
auto normal_distribution(V const& x) {
  using std::erf;
  return T(.5) * (T(1) + erf(x * T(1 / std::numbers::sqrt2)));
}
template <class T, class V>
auto hyperbolic(V const& x) {
  using std::tanh;
  return tanh(T(std::numbers::sqrt2 * std::numbers::inv_sqrtpi) * (x + T(.044715) * x * x * x));
}
struct relu {
  using ours = susc::kernels::relu;
  template <class T>
  static auto value(auto const& x) {
    using std::abs;
    return T(.5) * (x + abs(x));
  }
  template <class T>
  static auto slope(auto const& x) {
    if constexpr (std::is_same_v<std::decay_t<decltype(x)>, T>)
      return static_cast<T>(x > 0);
    else
      return (x > T(0)).template cast<T>();
  }
};
struct gelu {
  using ours = susc::kernels::gelu;
  template <class T>
  static auto value(auto const& x) {
    return x * normal_distribution<T>(x);
  }
  template <class T>
  static auto slope(auto const& x) {
    using std::exp;
    T const density = T(std::numbers::inv_sqrtpi / std::numbers::sqrt2);
    return normal_distribution<T>(x) + density * x * exp(T(-.5) * x * x);
  }
};
struct gelu_new {
  using ours = susc::kernels::gelu_new;
  template <class T>
  static auto value(auto const& x) {
    return T(.5) * x * (T(1) + hyperbolic<T>(x));
  }
  template <class T>
  static auto slope(auto const& x) {
    auto const t = hyperbolic<T>(x);
    T const factor = T(std::numbers::sqrt2 * std::numbers::inv_sqrtpi);
    return T(.5) * (T(1) + t) + T(.5) * factor * x * (T(1) - t * t) * (T(1) + T(3 * .044715) * x * x);
  }
};

template <class F>
class elements {
 public:
  elements(std::size_t count, direction which)
      : which_(which),
        x_(bench::random_matrix(1, static_cast<bench::Index>(count), 1, 2)),
        dy_(bench::random_matrix(1, x_.size(), 2)),
        y_(dy_) {
    exact_.resizeLike(dy_);
    for (bench::Index i = 0; i != x_.size(); ++i) {
      double const x = x_(i);
      exact_(i) = which == direction::forward ? F::template value<double>(x) : dy_(i) * F::template slope<double>(x);
    }
  }
  void start() { y_ = dy_; }
  /// The backward pass changes y_ = dy in place, so that many runs multiply it by many slopes.
  void run(method how) {
    std::size_t const count = static_cast<std::size_t>(x_.size());
    bool const forward = which_ == direction::forward;
    if (how == method::ours)
      forward ? susc::kernels::activate<typename F::ours>(y_.data(), x_.data(), count)
              : susc::kernels::activate_backward<typename F::ours>(y_.data(), x_.data(), count);
    if (how == method::eigen && forward) y_.array() = F::template value<float>(x_.array());
    if (how == method::eigen && !forward) y_.array() *= F::template slope<float>(x_.array());
    if (how == method::loops)
      for (bench::Index i = 0; i != x_.size(); ++i)
        y_(i) = forward ? F::template value<float>(x_(i)) : y_(i) * F::template slope<float>(x_(i));
  }
  std::string wrong(method) const { return bench::differs(which_ == direction::forward ? "y" : "dx", y_, exact_); }
  bench::work done() const {
    double const passes = which_ == direction::forward ? 2 : 3;
    return bench::bytes(passes * sizeof(float) * static_cast<double>(x_.size()));
  }

 private:
  direction which_;
  row_major<float> x_, dy_, y_;
  row_major<double> exact_;
};

template <class F>
void add(std::string const& name) {
  for (std::size_t const count : {512 * 512, 2048 * 1024}) {
    std::string const which = "activation/" + name + "_" + std::to_string(count);
    bench::add<elements<F>>(which + "_forward", bench::all_methods, count, direction::forward);
    bench::add<elements<F>>(which + "_backward", bench::all_methods, count, direction::backward);
  }
}

}  // namespace

int main(int argc, char** argv) {
  add<relu>("relu");
  add<gelu>("gelu");
  add<gelu_new>("gelu_new");
  return bench::run(argc, argv);
}
