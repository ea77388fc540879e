#pragma once
/// The observable of one logit: what a model says before the softmax compares it with the rest.
#include <cstddef>
#include <span>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/error.hpp"
#include "susc/core/readouts.hpp"
#include "susc/response/example_probability.hpp"
#include "susc/sampling/draw.hpp"

namespace susc {

/// Observable. The logit of class `label`, for a language model a token, of one example of the probes; of a model that
/// satisfies HasLogits. One forward pass of that example a draw. Throws susc::error where there is no such example or
/// class.
struct example_logit {
  probe_example of = {};  ///< whose logit
  std::size_t label = 0;  ///< the class, or the token

  /// φ(w).
  template <Model M>
  double value(draw<M> const& at) const {
    static_assert(HasLogits<M>,
                  "example_logit needs a model that tells its logits: see HasLogits in core/readouts.hpp");
    of.index(at, "example_logit");
    std::size_t const classes = at.model().class_count();
    require(label < classes, "example_logit: class ", label, ", must be below the model's ", classes);
    aligned_vector<typename M::scalar> logits(classes);
    at.model().logits(at.weights(), at.probes()[of.probe].batch, of.example, std::span(logits));
    return static_cast<double>(logits[label]);
  }
};

}  // namespace susc
