#pragma once
/// A Model from a loss alone, differentiated by the dual numbers of Ceres Solver: an optional dependency, hence a
/// header of its own. Only its header is used; nothing is linked.
#include <ceres/jet.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/core/error.hpp"

namespace susc {

/// Satisfies Model, HasComponents and RestrictedModel; made by `from_loss`. A batch is a vector of examples.
template <class Example, class Loss>
class autodiff_model {
 public:
  using scalar = double;               ///< of weights and losses
  using batch = std::vector<Example>;  ///< examples
  /// A number with its derivatives along `width` weights.
  static constexpr std::size_t width = 8;
  using jet = ceres::Jet<double, static_cast<int>(width)>;  ///< the number with derivatives
  static_assert(
      requires(Loss const& loss, std::span<double const> w, Example const& e) {
        { loss(w, e) } -> std::same_as<double>;
      } &&
          requires(Loss const& loss, std::span<jet const> w, Example const& e) {
            { loss(w, e) } -> std::same_as<jet>;
          },
      "from_loss needs a loss: a const `T loss(std::span<T const> w, Example const&)` for T = double and T = "
      "ceres::Jet<double, 8>");

  /// Of `parameters` weights; components besides "full" may be named.
  autodiff_model(std::size_t parameters, Loss loss, std::vector<component> components)
      : parameters_(parameters), loss_(std::move(loss)), components_(std::move(components)) {
    require(parameters_ != 0, "from_loss: 0 parameters, must have at least 1");
    for (component const& c : components_)
      require(c.size() != 0 && c.ranges().back().end <= parameters_, "from_loss: component '", c.name(),
              "' is not within the ", parameters_, " parameters");
    components_.insert(components_.begin(), full_component(parameters_));
  }

  std::size_t parameter_count() const { return parameters_; }           ///< number of weights
  std::size_t example_count(batch const& b) const { return b.size(); }  ///< size of the batch
  /// "full", then those given.
  std::vector<component> components() const { return components_; }

  /// w (parameter_count,), losses (examples,) in nats. Throws susc::error if there are other numbers of them.
  void losses(std::span<double const> w, batch const& b, std::span<double> losses) const {
    require_size("weights", w.size(), parameters_);
    require_size("losses", losses.size(), b.size());
    for (std::size_t i = 0; i != b.size(); ++i) losses[i] = loss_(w, b[i]);
  }

  /// w, gradient (parameter_count,). Throws susc::error on an empty batch, which has no mean.
  double loss_and_gradient(std::span<double const> w, batch const& b, std::span<double> gradient) const {
    return loss_and_gradient(w, b, components_.front(), gradient);
  }

  /// w (parameter_count,), gradient (c.size(),): one pass over the examples for each `width` weights of the component.
  double loss_and_gradient(std::span<double const> w, batch const& b, component const& c,
                           std::span<double> gradient) const {
    require_size("weights", w.size(), parameters_);
    require_size("gradient entries", gradient.size(), c.size());
    require(!b.empty(), "from_loss: a gradient over 0 examples, must have at least 1");
    double const count = static_cast<double>(b.size());
    std::vector<jet> variables(w.begin(), w.end());
    std::vector<jet*> moving;
    for (index_range const r : c.ranges())
      for (std::size_t i = r.begin; i != r.end; ++i) moving.push_back(&variables[i]);
    double mean = 0;
    for (std::size_t begin = 0; begin < moving.size(); begin += width) {
      auto const chunk = std::span(moving).subspan(begin, std::min(width, moving.size() - begin));
      for (std::size_t k = 0; k != chunk.size(); ++k) chunk[k]->v[static_cast<int>(k)] = 1;
      jet sum;
      for (Example const& e : b) sum += loss_(std::span<jet const>(variables), e);
      for (std::size_t k = 0; k != chunk.size(); ++k) {
        gradient[begin + k] = sum.v[static_cast<int>(k)] / count;
        chunk[k]->v[static_cast<int>(k)] = 0;
      }
      mean = sum.a / count;
    }
    return mean;
  }

 private:
  static void require_size(char const* what, std::size_t given, std::size_t needed) {
    require(given == needed, "from_loss: ", given, " ", what, ", must be ", needed);
  }

  std::size_t parameters_;
  Loss loss_;
  std::vector<component> components_;
};

/// The model of `parameters` weights whose loss of one example is `T loss(std::span<T const> w, example)`, in nats, for
/// T = double and for a number with derivatives, ceres::Jet<double, 8>: a lambda `[]<class T>(std::span<T const> w,
/// point const& p) { ... }` of arithmetic and the functions of `<cmath>` without std:: (a `using std::exp;` serves
/// double).
///
/// Forward mode: a gradient of a component of P weights costs P/8 passes, each somewhat dearer than the losses. It is
/// meant for small models, and for checking gradients written by hand.
///
/// `loss` is copied, and called from several threads at once: it must not write to anything shared. `components` names
/// parts of the weights; "full" is added. Throws susc::error if there are no parameters or a component is not within
/// them.
template <class Example, class Loss>
autodiff_model<Example, Loss> from_loss(std::size_t parameters, Loss loss, std::vector<component> components = {}) {
  return {parameters, std::move(loss), std::move(components)};
}

}  // namespace susc
