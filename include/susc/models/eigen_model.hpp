#pragma once
/// A Model from functions of Eigen vectors.
#include <Eigen/Core>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/core/error.hpp"
#include "susc/core/requirements.hpp"

SUSC_REQUIRE_VERSION("Eigen", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, 3, 4);

namespace susc {

namespace detail {
using eigen_weights = Eigen::Map<Eigen::VectorXd const>;
using eigen_gradient = Eigen::Map<Eigen::VectorXd>;

template <class F>
concept eigen_counts = requires(F const& f, typename F::batch const& b) {
  static_cast<std::size_t>(f.parameter_count());
  static_cast<std::size_t>(f.example_count(b));
};
template <class F>
concept eigen_losses = requires(F const& f, eigen_weights w, typename F::batch const& b) {
  requires std::is_convertible_v<decltype(f.losses(w, b)), Eigen::VectorXd>;
};
template <class F>
concept eigen_mean_gradient = requires(F const& f, eigen_weights w, typename F::batch const& b, eigen_gradient g) {
  requires std::is_convertible_v<decltype(f.loss_and_gradient(w, b, g)), double>;
};
}  // namespace detail

/// Satisfies Model, and HasComponents where F has components(). F is a Model's type with Eigen vectors for spans:
///   using batch = ...;                                                  // examples in any form, such as matrices
///   parameter_count() const, example_count(batch const&) const          // Eigen::Index or std::size_t
///   Eigen::VectorXd losses(w, batch const&) const                       // (examples,), nats
///   double loss_and_gradient(w, batch const&, gradient) const           // means; gradient is overwritten
/// The library's memory is mapped: take w as Eigen::Ref<Eigen::VectorXd const> const& and gradient as
/// Eigen::Ref<Eigen::VectorXd>, and nothing is copied. Both are (parameter_count,). F is held by value; its const
/// members are called from several threads at once.
template <class F>
class eigen_model {
 public:
  static_assert(
      requires { typename F::batch; }, "eigen_model needs a functor with a type `batch`");
  static_assert(detail::eigen_counts<F>,
                "eigen_model needs a functor with `parameter_count() const` and `example_count(batch const&) const`");
  static_assert(detail::eigen_losses<F>,
                "eigen_model needs a functor with `Eigen::VectorXd losses(Eigen::Ref<Eigen::VectorXd const> const& w, "
                "batch const&) const`");
  static_assert(
      detail::eigen_mean_gradient<F>,
      "eigen_model needs a functor with `double loss_and_gradient(Eigen::Ref<Eigen::VectorXd const> const& w, "
      "batch const&, Eigen::Ref<Eigen::VectorXd> gradient) const`");

  using scalar = double;            ///< of weights and losses
  using batch = typename F::batch;  ///< examples

  /// Takes the functor by value.
  explicit eigen_model(F functor) : functor_(std::move(functor)) {}

  /// Number of weights.
  std::size_t parameter_count() const { return static_cast<std::size_t>(functor_.parameter_count()); }
  /// The functor's.
  std::size_t example_count(batch const& b) const { return static_cast<std::size_t>(functor_.example_count(b)); }
  /// The functor's, where it has them.
  std::vector<component> components() const requires requires(F const& f) {
    { f.components() } -> std::convertible_to<std::vector<component>>;
  }
  { return functor_.components(); }

  /// w (parameter_count,), losses (example_count,) in nats. Throws susc::error if the functor returns another number.
  void losses(std::span<double const> w, batch const& b, std::span<double> losses) const {
    auto&& returned = functor_.losses(map(w), b);
    require(static_cast<std::size_t>(returned.size()) == losses.size(), "eigen_model: losses() returned ",
            returned.size(), " losses, must be ", losses.size(), ", one an example");
    Eigen::Map<Eigen::VectorXd>(losses.data(), extent(losses.size())) = returned;
  }

  /// w, gradient (parameter_count,). Throws susc::error on an empty batch, which has no mean.
  double loss_and_gradient(std::span<double const> w, batch const& b, std::span<double> gradient) const {
    require(example_count(b) != 0, "eigen_model: a gradient over 0 examples, must have at least 1");
    require(gradient.size() == w.size(), "eigen_model: ", gradient.size(), " gradient entries, must be ", w.size());
    detail::eigen_gradient out(gradient.data(), extent(gradient.size()));
    return functor_.loss_and_gradient(map(w), b, out);
  }

 private:
  static Eigen::Index extent(std::size_t size) { return static_cast<Eigen::Index>(size); }
  detail::eigen_weights map(std::span<double const> w) const {
    require(w.size() == parameter_count(), "eigen_model: ", w.size(), " weights, must be ", parameter_count());
    return {w.data(), extent(w.size())};
  }

  F functor_;
};

}  // namespace susc
