#pragma once
/// A small fully connected classifier (multilayer perceptron): tanh, ReLU or GELU layers, softmax cross-entropy.
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/core/error.hpp"
#include "susc/core/random.hpp"
#include "susc/kernels/activation.hpp"
#include "susc/kernels/cross_entropy.hpp"
#include "susc/kernels/gemm.hpp"

namespace susc {

/// What a layer of `mlp` does to its inputs; gelu is the exact one (erf).
enum class mlp_activation { tanh, relu, gelu };

/// Satisfies Model, HasComponents, HasLogits and HasInputGradient. With widths {n_0, ..., n_L}, n_0 inputs and n_L
/// classes,
///   h_l = f(h_{l-1} W_l + b_l) for l < L,    logits = h_{L-1} W_L + b_L,    loss = -log softmax(logits)[label],
///   nats
/// and w is W_1 (n_0, n_1) row-major, b_1 (n_1,), W_2 (n_1, n_2), b_2 (n_2,), ...; W_l and b_l are component
/// "layer<l>", all of w is "full". f is tanh unless another is asked for. No hidden width makes it softmax regression.
template <std::floating_point T = double>
class mlp {
 public:
  using scalar = T;  ///< of weights and losses
  /// Labelled examples.
  struct batch {
    std::vector<T> inputs;            ///< (count, n_0) row-major
    std::vector<std::size_t> labels;  ///< (count,), each below n_L
  };

  /// Throws susc::error if there are fewer than two widths or one is 0.
  explicit mlp(std::vector<std::size_t> widths, mlp_activation activation = mlp_activation::tanh)
      : activation_(activation), widths_(std::move(widths)) {
    require(widths_.size() >= 2, "mlp: ", widths_.size(), " widths, must have at least 2, inputs and classes");
    for (std::size_t i = 0; i != widths_.size(); ++i)
      require(widths_[i] != 0, "mlp: width ", i, " is 0, must be at least 1");
    for (std::size_t l = 0; l != layers(); ++l) begins_.push_back(begins_[l] + (widths_[l] + 1) * widths_[l + 1]);
  }

  std::size_t parameter_count() const { return begins_.back(); }               ///< number of weights
  std::size_t example_count(batch const& b) const { return b.labels.size(); }  ///< count
  /// "full", "layer1", "layer2", ...
  std::vector<component> components() const {
    std::vector<component> all{full_component(parameter_count())};
    for (std::size_t l = 0; l != layers(); ++l)
      all.push_back({"layer" + std::to_string(l + 1), {{begins_[l], begins_[l + 1]}}});
    return all;
  }

  /// w (parameter_count,), losses (count,) in nats.
  void losses(std::span<T const> w, batch const& b, std::span<T> losses) const {
    activations const h = forward(w, b);
    std::size_t const last = layers() - 1;
    kernels::cross_entropy_scratch<T> scratch;
    kernels::cross_entropy(losses.data(), entering(last, b, h), matrix_of(last, w), bias_of(last, w), targets(b).data(),
                           scratch);
  }

  /// w, gradient (parameter_count,). Throws susc::error on an empty batch, which has no mean.
  T loss_and_gradient(std::span<T const> w, batch const& b, std::span<T> gradient) const {
    require(!b.labels.empty(), "mlp: a gradient over 0 examples, must have at least 1");
    activations inputs;
    activations const h = forward(w, b, activation_ == mlp_activation::gelu ? &inputs : nullptr);
    std::size_t const count = b.labels.size(), last = layers() - 1;
    std::fill(gradient.begin(), gradient.end(), T(0));
    std::vector<T> losses(count), d(count * widths_[last]);
    kernels::cross_entropy_scratch<T> scratch;
    kernels::cross_entropy_gradient(losses.data(), d.data(), gradient.data() + begins_[last],
                                    gradient.data() + begins_[last + 1] - widths_.back(), 1 / static_cast<T>(count),
                                    entering(last, b, h), matrix_of(last, w), bias_of(last, w), targets(b).data(),
                                    scratch);
    for (std::size_t l = last; l-- != 0;) {
      std::size_t const width = widths_[l + 1];
      T* const d_bias = gradient.data() + begins_[l + 1] - width;
      multiply_by_slope(d, h, inputs, l);
      for (std::size_t i = 0; i != d.size(); ++i) d_bias[i % width] += d[i];
      kernels::matrix<T const> const output{d.data(), count, width};
      kernels::transposed_multiply<T>({gradient.data() + begins_[l], widths_[l], width}, entering(l, b, h), output);
      if (l == 0) break;
      std::vector<T> input(count * widths_[l]);
      kernels::multiply_transposed<T>({input.data(), count, widths_[l]}, output, matrix_of(l, w));
      d = std::move(input);
    }
    return std::accumulate(losses.begin(), losses.end(), T(0)) / static_cast<T>(count);
  }

  std::size_t class_count() const { return widths_.back(); }  ///< n_L
  /// logits (class_count(),) of one example of the batch. Throws susc::error if the batch has no such example.
  void logits(std::span<T const> w, batch const& b, std::size_t example, std::span<T> logits) const {
    check(w, b);
    require(example < b.labels.size(), "mlp: logits of example ", example, " of a batch of ", b.labels.size());
    auto const first = b.inputs.begin() + static_cast<std::ptrdiff_t>(example * widths_[0]);
    batch const one{{first, first + static_cast<std::ptrdiff_t>(widths_[0])}, {b.labels[example]}};
    activations const h = forward(w, one);
    std::size_t const last = layers() - 1, classes = widths_.back();
    std::copy_n(bias_of(last, w), classes, logits.begin());
    kernels::multiply<T>({logits.data(), 1, classes}, entering(last, one, h), matrix_of(last, w), kernels::output::add);
  }

  /// Inputs of all examples, count * n_0.
  std::size_t input_count(batch const& b) const { return b.inputs.size(); }
  /// gradient (count, n_0): of the mean loss by the inputs. Returns the mean loss. Throws as loss_and_gradient.
  T input_gradient(std::span<T const> w, batch const& b, std::span<T> gradient) const {
    require(!b.labels.empty(), "mlp: a gradient over 0 examples, must have at least 1");
    activations inputs;
    activations const h = forward(w, b, activation_ == mlp_activation::gelu ? &inputs : nullptr);
    std::size_t const count = b.labels.size(), last = layers() - 1;
    std::vector<T> losses(count), d(count * widths_[last]);
    kernels::cross_entropy_scratch<T> scratch;
    kernels::cross_entropy_gradient<T>(losses.data(), d.data(), nullptr, nullptr, 1 / static_cast<T>(count),
                                       entering(last, b, h), matrix_of(last, w), bias_of(last, w), targets(b).data(),
                                       scratch);
    for (std::size_t l = last; l-- != 0;) {
      multiply_by_slope(d, h, inputs, l);
      std::vector<T> input(count * widths_[l]);
      kernels::multiply_transposed<T>({input.data(), count, widths_[l]}, {d.data(), count, widths_[l + 1]},
                                      matrix_of(l, w));
      d = std::move(input);
    }
    std::copy(d.begin(), d.end(), gradient.begin());
    return std::accumulate(losses.begin(), losses.end(), T(0)) / static_cast<T>(count);
  }

  /// (parameter_count,): W_l ~ N(0, 1/n_{l-1}), which keeps the scale of what passes through; biases 0.
  std::vector<T> initial_weights(random::key key) const {
    std::vector<T> w(parameter_count());
    random::stream stream(random::fold_in(key, "initial weights"));
    for (std::size_t l = 0; l != layers(); ++l)
      for (std::size_t i = 0; i != widths_[l] * widths_[l + 1]; ++i)
        w[begins_[l] + i] = static_cast<T>(stream.normal() / std::sqrt(static_cast<double>(widths_[l])));
    return w;
  }

 private:
  /// h[l] (count, n_{l+1}): what hidden layer l, counted from 0 here, hands on.
  using activations = std::vector<std::vector<T>>;

  std::size_t layers() const { return widths_.size() - 1; }
  kernels::matrix<T const> matrix_of(std::size_t l, std::span<T const> w) const {
    return {w.data() + begins_[l], widths_[l], widths_[l + 1]};
  }
  T const* bias_of(std::size_t l, std::span<T const> w) const { return w.data() + begins_[l + 1] - widths_[l + 1]; }
  kernels::matrix<T const> entering(std::size_t l, batch const& b, activations const& h) const {
    return {l == 0 ? b.inputs.data() : h[l - 1].data(), b.labels.size(), widths_[l]};
  }
  static std::vector<std::int32_t> targets(batch const& b) { return {b.labels.begin(), b.labels.end()}; }

  /// `inputs`, if asked for: of the activation, of each hidden layer; multiply_by_slope needs those of gelu.
  activations forward(std::span<T const> w, batch const& b, activations* inputs = nullptr) const {
    check(w, b);
    activations h(layers() - 1);
    for (std::size_t l = 0; l != h.size(); ++l) {
      std::size_t const width = widths_[l + 1];
      h[l].resize(b.labels.size() * width);
      kernels::multiply<T>({h[l].data(), b.labels.size(), width}, entering(l, b, h), matrix_of(l, w));
      for (std::size_t i = 0; i != h[l].size(); ++i) h[l][i] += bias_of(l, w)[i % width];
      if (inputs != nullptr) inputs->push_back(h[l]);
      switch (activation_) {
        case mlp_activation::tanh:
          for (T& x : h[l]) x = std::tanh(x);
          break;
        case mlp_activation::relu:
          kernels::activate<kernels::relu>(h[l].data(), h[l].data(), h[l].size());
          break;
        case mlp_activation::gelu:
          kernels::activate<kernels::gelu>(h[l].data(), h[l].data(), h[l].size());
          break;
      }
    }
    return h;
  }

  /// d times the activation's slope in hidden layer l.
  void multiply_by_slope(std::vector<T>& d, activations const& h, activations const& inputs, std::size_t l) const {
    switch (activation_) {
      case mlp_activation::tanh:
        for (std::size_t i = 0; i != d.size(); ++i) d[i] *= 1 - h[l][i] * h[l][i];
        break;
      case mlp_activation::relu:  // the output is positive where the input was
        kernels::activate_backward<kernels::relu>(d.data(), h[l].data(), d.size());
        break;
      case mlp_activation::gelu:
        kernels::activate_backward<kernels::gelu>(d.data(), inputs[l].data(), d.size());
        break;
    }
  }

  void check(std::span<T const> w, batch const& b) const {
    require(w.size() == parameter_count(), "mlp: ", w.size(), " weights, must have ", parameter_count());
    require(b.inputs.size() == b.labels.size() * widths_[0], "mlp: a batch of ", b.labels.size(), " labels and ",
            b.inputs.size(), " input values, must have ", b.labels.size(), " x ", widths_[0], " = ",
            b.labels.size() * widths_[0]);
    for (std::size_t i = 0; i != b.labels.size(); ++i)
      require(b.labels[i] < widths_.back(), "mlp: label ", b.labels[i], " of example ", i, ", must be below the ",
              widths_.back(), " classes");
  }

  mlp_activation activation_;
  std::vector<std::size_t> widths_;
  std::vector<std::size_t> begins_{0};  ///< of each layer in w, then parameter_count
};

}  // namespace susc
