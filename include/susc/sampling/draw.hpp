#pragma once
/// A draw: one weight vector of a chain, with the losses that observables and perturbations ask for, each computed at
/// most once however many ask.
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/concepts.hpp"

namespace susc {

/// A named batch whose susceptibility is asked for.
template <class Batch>
struct probe {
  std::string name;  ///< in results and messages
  Batch batch;       ///< the data towards which the distribution is shifted
};

namespace detail {
/// One fixed batch, with what is upstream of a component computed once where the model can.
template <Model M>
class fixed_batch {
 public:
  using scalar = typename M::scalar;
  fixed_batch(M const& model, std::span<scalar const> center, component const& c, typename M::batch const& batch)
      : model_(&model), batch_(&batch) {
    if constexpr (FreezableModel<M>) frozen_.emplace(model.freeze(center, c, batch));
  }
  std::size_t size() const { return model_->example_count(*batch_); }
  void losses(std::span<scalar const> w, std::span<scalar> losses) const {
    if constexpr (FreezableModel<M>)
      model_->losses(w, *frozen_, losses);
    else
      model_->losses(w, *batch_, losses);
  }

 private:
  struct nothing {};
  template <class Model_>
  struct frozen_of {
    using type = nothing;
  };
  template <FreezableModel Model_>
  struct frozen_of<Model_> {
    using type = std::optional<typename Model_::frozen>;
  };
  M const* model_;
  typename M::batch const* batch_;
  [[no_unique_address]] typename frozen_of<M>::type frozen_;
};

template <class T>
double mean(std::span<T const> values) {
  double sum = 0;
  for (T const v : values) sum += static_cast<double>(v);
  return sum / static_cast<double>(values.size());
}
}  // namespace detail

/// Evaluates the evaluation set and the probes at the draws of one chain. The component and the batches must outlive
/// it.
template <Model M>
class draw {
 public:
  using scalar = typename M::scalar;  ///< of weights and losses

  /// Stands at `center`. Examples of all probes are counted through, in the order of `probes`.
  draw(M const& model, std::span<scalar const> center, component const& c, typename M::batch const& evaluation,
       std::span<probe<typename M::batch> const> probes)
      : model_(&model),
        component_(&c),
        batch_(&evaluation),
        given_(probes),
        center_(center),
        w_(center),
        evaluation_(model, center, c, evaluation) {
    std::size_t count = 0;
    for (auto const& p : probes) {
      probes_.emplace_back(model, center, c, p.batch);
      groups_.push_back({count, count + probes_.back().size()});
      count = groups_.back().end;
    }
    evaluation_losses_.resize(evaluation_.size());
    probe_losses_.resize(count);
    center_loss_ = evaluation_loss();
  }

  /// Looks at other weights, which must outlive the next call; what was computed is forgotten.
  void move_to(std::span<scalar const> w) {
    w_ = w;
    have_evaluation_ = have_probes_ = false;
  }

  M const& model() const { return *model_; }              ///< as given
  std::span<scalar const> weights() const { return w_; }  ///< all of w
  /// w*.
  std::span<scalar const> center() const { return center_; }
  /// Whose weights move: the others are those of the center.
  component const& moving() const { return *component_; }
  typename M::batch const& evaluation_batch() const { return *batch_; }  ///< the evaluation set
  /// All probes, in order.
  std::span<probe<typename M::batch> const> probes() const { return given_; }

  /// L(w), the mean loss on the evaluation set, in nats.
  double evaluation_loss() const {
    if (!have_evaluation_) {
      evaluation_.losses(w_, evaluation_losses_);
      evaluation_mean_ = detail::mean<scalar>(evaluation_losses_);
      have_evaluation_ = true;
    }
    return evaluation_mean_;
  }
  /// Losses of every example of the evaluation set, in nats.
  std::span<scalar const> evaluation_losses() const {
    evaluation_loss();
    return evaluation_losses_;
  }
  /// L(w*).
  double center_loss() const { return center_loss_; }

  /// Whether L(w) and, where they were asked for, all losses of the probes are finite.
  bool finite() const {
    return std::isfinite(evaluation_loss()) &&
           (!have_probes_ || probe_losses_.empty() || std::isfinite(detail::mean<scalar>(probe_losses_)));
  }

  /// Losses of every example of every probe, (probe_example_count,).
  std::span<scalar const> probe_losses() const {
    if (!have_probes_) {
      for (std::size_t p = 0; p != probes_.size(); ++p)
        probes_[p].losses(w_, std::span(probe_losses_).subspan(groups_[p].begin, groups_[p].size()));
      have_probes_ = true;
    }
    return probe_losses_;
  }
  std::size_t probe_example_count() const { return probe_losses_.size(); }  ///< of all probes
  /// Which examples belong to each probe.
  std::vector<index_range> const& probe_ranges() const { return groups_; }

 private:
  M const* model_;
  component const* component_;
  typename M::batch const* batch_;
  std::span<probe<typename M::batch> const> given_;
  std::span<scalar const> center_, w_;
  detail::fixed_batch<M> evaluation_;
  std::vector<detail::fixed_batch<M>> probes_;
  std::vector<index_range> groups_;
  mutable aligned_vector<scalar> evaluation_losses_, probe_losses_;
  mutable double evaluation_mean_ = 0;
  mutable bool have_evaluation_ = false, have_probes_ = false;
  double center_loss_ = 0;
};

}  // namespace susc
