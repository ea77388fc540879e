#pragma once
/// The perturbation that gives examples more weight the larger a function of them is.
#include <cmath>
#include <concepts>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/core/error.hpp"
#include "susc/sampling/draw.hpp"

namespace susc {

/// Perturbation. One row for each function f of the evaluation examples: q_h ∝ q (1 + h (f - E_q f)), so
///   ΔL = E_q[f l] - E_q[f] E_q[l],
/// E_q being means over the evaluation set. A constant added to f changes nothing; f times c is ΔL times c. Of the
/// indicator of a subset S it is P(S) (L_S - L). A draw costs functions x evaluation examples multiplications.
class function_reweighting {
 public:
  /// One row.
  struct function {
    std::string name;            ///< for messages and tables
    std::vector<double> values;  ///< f of each evaluation example
  };

  /// Throws susc::error if there is no function, or a value is not finite.
  explicit function_reweighting(std::vector<function> functions) : functions_(std::move(functions)) {
    require(!functions_.empty(), "function_reweighting: no functions, must have at least 1");
    for (function& f : functions_) {
      for (std::size_t i = 0; i != f.values.size(); ++i)
        require(std::isfinite(f.values[i]), "function_reweighting: '", f.name, "' of example ", i, " is ", f.values[i],
                ", must be finite");
      double const count = static_cast<double>(f.values.size());
      double const mean = std::accumulate(f.values.begin(), f.values.end(), 0.) / count;
      for (double& v : f.values) v = (v - mean) / count;
    }
  }

  /// Names of the rows.
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (function const& f : functions_) all.push_back(f.name);
    return all;
  }

  /// Throws susc::error unless every function has a value for each evaluation example.
  template <Model M>
  std::size_t count(draw<M> const& at) const {
    std::size_t const examples = at.model().example_count(at.evaluation_batch());
    for (function const& f : functions_)
      require(f.values.size() == examples, "function_reweighting: '", f.name, "' has ", f.values.size(),
              " values, must have one for each of the ", examples, " evaluation examples");
    return functions_.size();
  }
  /// ΔL of each function, shifts (count,), nats.
  template <Model M>
  void loss_shifts(draw<M> const& at, std::span<double> shifts) const {
    auto const losses = at.evaluation_losses();
    for (std::size_t j = 0; j != functions_.size(); ++j) {
      shifts[j] = 0;
      for (std::size_t i = 0; i != losses.size(); ++i)
        shifts[j] += functions_[j].values[i] * static_cast<double>(losses[i]);
    }
  }

 private:
  std::vector<function> functions_;  // values: (f - E f) / examples
};

/// f(batch, i) of every example i of a batch.
template <Model M, std::invocable<typename M::batch const&, std::size_t> F>
function_reweighting::function function_of_examples(std::string name, M const& model, typename M::batch const& batch,
                                                    F&& f) {
  function_reweighting::function result{std::move(name), std::vector<double>(model.example_count(batch))};
  for (std::size_t i = 0; i != result.values.size(); ++i) result.values[i] = static_cast<double>(f(batch, i));
  return result;
}

}  // namespace susc
