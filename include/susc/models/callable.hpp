#pragma once
/// A Model from two functions of one example: its loss, and the gradient of its loss.
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/core/error.hpp"

namespace susc {

/// Satisfies Model and HasComponents; made by `from_callables`. A batch is a vector of examples.
template <class Example, class Loss, class Gradient>
class callable_model {
 public:
  using scalar = double;               ///< of weights and losses
  using batch = std::vector<Example>;  ///< examples
  static_assert(std::is_invocable_r_v<double, Loss const&, std::span<double const>, Example const&>,
                "from_callables needs a loss: a const `double loss(std::span<double const> w, Example const&)`");
  static_assert(
      requires(Gradient const& gradient, std::span<double const> w, Example const& e, std::span<double> sum) {
        { gradient(w, e, sum) } -> std::same_as<void>;
      },
      "from_callables needs a gradient: a const `void gradient(std::span<double const> w, Example const&, "
      "std::span<double> sum)` that adds to sum");

  /// Of `parameters` weights; components besides "full" may be named.
  callable_model(std::size_t parameters, Loss loss, Gradient gradient, std::vector<component> components)
      : parameters_(parameters),
        loss_(std::move(loss)),
        gradient_(std::move(gradient)),
        components_(std::move(components)) {
    require(parameters_ != 0, "from_callables: 0 parameters, must have at least 1");
    for (component const& c : components_)
      require(c.size() != 0 && c.ranges().back().end <= parameters_, "from_callables: component '", c.name(),
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
    require_size("weights", w.size(), parameters_);
    require_size("gradient entries", gradient.size(), parameters_);
    require(!b.empty(), "from_callables: a gradient over 0 examples, must have at least 1");
    std::fill(gradient.begin(), gradient.end(), 0.);
    double sum = 0;
    for (Example const& example : b) {
      sum += loss_(w, example);
      gradient_(w, example, gradient);
    }
    double const count = static_cast<double>(b.size());
    for (double& g : gradient) g /= count;
    return sum / count;
  }

 private:
  static void require_size(char const* what, std::size_t given, std::size_t needed) {
    require(given == needed, "from_callables: ", given, " ", what, ", must be ", needed);
  }

  std::size_t parameters_;
  Loss loss_;
  Gradient gradient_;
  std::vector<component> components_;
};

/// The model of `parameters` weights whose loss of one example is `double loss(w, example)`, in nats; `void gradient(w,
/// example, sum)` adds the gradient of that loss to sum (parameters,). w is a std::span<double const>, sum a
/// std::span<double>; the model makes the means. Both are copied, and called from several threads at once: they must
/// not write to anything but sum. `components` names parts of the weights; "full" is added.
/// Throws susc::error if there are no parameters or a component is not within them.
template <class Example, class Loss, class Gradient>
callable_model<Example, Loss, Gradient> from_callables(std::size_t parameters, Loss loss, Gradient gradient,
                                                       std::vector<component> components = {}) {
  return {parameters, std::move(loss), std::move(gradient), std::move(components)};
}

}  // namespace susc
