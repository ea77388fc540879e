#pragma once
/// Readout of a few heads of the last layer at the cost of their rank. With nothing but the final norm and the
/// unembedding behind them, the logits are
///   scale[t] (base[t,:] + z[t,:] M) + bias,   M = centred(O) diag(gain) W_U,   base = centred(rest) diag(gain) W_U
/// where z, O are the heads' values and output weights, `rest` is the residual stream without them and centred()
/// subtracts a row's mean. base and bias do not depend on the heads: a frozen batch keeps them.
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "susc/kernels/gemm.hpp"
#include "susc/kernels/low_rank_cross_entropy.hpp"
#include "susc/models/transformer_pass.hpp"
#include "susc/models/transformer_plan.hpp"

namespace susc {

/// Whether the start's heads are read out by the final norm and the unembedding alone, none of which moves, and are few
/// enough to gain by it.
inline bool has_low_rank_readout(transformer_layout const& layout, transformer_plan const& plan,
                                 transformer_start const& start) {
  transformer_config const& c = layout.config;
  return start.at == transformer_start::stage::heads && start.layer + 1 == c.layers && c.mlp_width == 0 &&
         !plan.final_norm && !plan.unembedding && !plan.unembedding_bias &&
         2 * start.heads.size() * c.width_of_head() <= c.width;
}

template <class T>
struct transformer_readout {
  transformer_pass<T> const& pass;
  std::vector<std::size_t> const& heads;

  using matrix = kernels::matrix<T>;
  using constant = kernels::matrix<T const>;

  std::size_t width() const { return pass.c().width; }
  std::size_t vocabulary() const { return pass.c().vocabulary; }
  std::size_t k() const { return pass.k(); }
  std::size_t rank() const { return heads.size() * k(); }
  std::size_t layer() const { return pass.c().layers - 1; }
  T const* gain() const { return pass.w.data() + pass.layout.final_norm().begin; }
  low_rank_readout<T>& space() const { return pass.space.readout; }

  /// base (n, vocabulary) of the stream without the heads, (n, width).
  void freeze(T const* rest, T* base) const {
    T* const scaled = pass.space.final_normal.data();
    for (std::size_t t = 0; t != pass.n(); ++t) centre(scaled + t * width(), rest + t * width(), gain());
    kernels::multiply<T>(matrix{base, pass.n(), vocabulary()}, constant{scaled, pass.n(), width()}, pass.unembedding());
  }
  /// bias (vocabulary,).
  void freeze_bias(T* bias) const {
    kernels::multiply<T>(matrix{bias, 1, vocabulary()}, constant{gain() + width(), 1, width()}, pass.unembedding());
    if (T const* const own = pass.bias_after(pass.layout.unembedding_bias().begin))
      for (std::size_t v = 0; v != vocabulary(); ++v) bias[v] += own[v];
  }

  /// M, once for all chunks.
  void map_heads() const {
    auto& s = space();
    for (auto* rows : {&s.out, &s.centred}) kernels::detail::grow(*rows, rank() * width());
    kernels::detail::grow(s.mapped, rank() * vocabulary());
    for (std::size_t i = 0; i != heads.size(); ++i)
      std::copy_n(pass.space.weights[layer()].out.data() + heads[i] * k() * width(), k() * width(),
                  s.out.data() + i * k() * width());
    for (std::size_t r = 0; r != rank(); ++r)
      centre(s.centred.data() + r * width(), s.out.data() + r * width(), gain());
    kernels::multiply<T>(matrix{s.mapped.data(), rank(), vocabulary()}, constant{s.centred.data(), rank(), width()},
                         pass.unembedding());
  }
  void clear() const { space().d_mapped.assign(rank() * vocabulary(), T(0)); }

  /// Per-token losses (n,) from the heads' normalised input, the stream without them and its frozen logits. A `weight`
  /// that is not 0 adds `weight` times the gradient of their sum to space.gradients of the heads' queries, keys and
  /// values, and to what `finish` maps back.
  void losses(T const* normal, T const* rest, T const* base, T const* bias, T* losses, T weight = 0) const {
    auto& s = space();
    std::size_t const n = pass.n(), l = layer(), all = pass.c().heads * k();
    T* const stream = pass.stream(pass.final_stage());
    std::copy_n(rest, n * width(), stream);
    kernels::detail::grow(s.z, n * rank());
    for (std::size_t i = 0; i != heads.size(); ++i) {
      pass.attend(l, normal, heads[i], 1);
      copy_columns(s.z.data() + i * k(), rank(), pass.activations(l).z.data() + heads[i] * k(), all, k());
    }
    constant const z{s.z.data(), n, rank()}, out{s.out.data(), rank(), width()};
    kernels::multiply<T>(matrix{stream, n, width()}, z, out, kernels::output::add);
    pass.normalise_final();
    T const* const scale = pass.space.final_rstd.data();
    bool const backward = weight != T(0);
    if (backward)
      for (auto* rows : {&s.dz, &s.d_scale}) kernels::detail::grow(*rows, n * rank());
    kernels::low_rank_gradient<T> const gradient{s.dz.data(), s.d_mapped.data(), s.d_scale.data(), weight};
    kernels::low_rank_cross_entropy<T>(losses, constant{base, n, vocabulary()}, z,
                                       constant{s.mapped.data(), rank(), vocabulary()}, scale, bias,
                                       pass.space.targets.data(), backward ? &gradient : nullptr, s.scratch);
    if (!backward) return;
    // What goes through the scale: d stream = -scale^3 d_scale (stream - mean) / width.
    T* const d_stream = pass.space.d_stream.data();
    for (std::size_t t = 0; t != n; ++t) {
      T const factor = -scale[t] * scale[t] * scale[t] * s.d_scale[t] / static_cast<T>(width());
      T const mean = pass.space.final_mean[t];
      for (std::size_t d = 0; d != width(); ++d) d_stream[t * width() + d] = factor * (stream[t * width() + d] - mean);
    }
    constant const slopes{d_stream, n, width()};
    kernels::multiply_transposed<T>(matrix{s.dz.data(), n, rank()}, slopes, out, kernels::output::add);
    for (std::size_t i = 0; i != heads.size(); ++i) {
      T* const d_out = pass.space.gradients[l].out.data() + heads[i] * k() * width();
      kernels::transposed_multiply<T>(matrix{d_out, k(), width()}, constant{s.z.data() + i * k(), n, k(), rank()},
                                      slopes, kernels::output::add);
      T* const d_z = pass.space.d_z.data() + heads[i] * k();
      copy_columns(d_z, all, s.dz.data() + i * k(), rank(), k());
      pass.head_input_backward(l, normal, heads[i], 1, true);
    }
  }

  /// After the last chunk: from the gradient of M to that of the output weights.
  void finish() const {
    auto& s = space();
    // (W_U dMᵀ)ᵀ: the product that reads W_U as it lies.
    T* const mapped_back = s.centred.data();
    kernels::multiply_transposed<T>(matrix{mapped_back, width(), rank()}, pass.unembedding(),
                                    constant{s.d_mapped.data(), rank(), vocabulary()});
    for (std::size_t i = 0; i != heads.size(); ++i)
      for (std::size_t r = 0; r != k(); ++r) {
        T* const to = pass.space.gradients[layer()].out.data() + (heads[i] * k() + r) * width();
        T const* const from = mapped_back + i * k() + r;
        T mean = 0;
        for (std::size_t d = 0; d != width(); ++d) mean += from[d * rank()] * gain()[d];
        mean /= static_cast<T>(width());
        for (std::size_t d = 0; d != width(); ++d) to[d] += from[d * rank()] * gain()[d] - mean;
      }
  }

 private:
  /// to = (from - mean) * gain, (width,).
  void centre(T* to, T const* from, T const* gain) const {
    T sum = 0;
    for (std::size_t d = 0; d != width(); ++d) sum += from[d];
    T const mean = sum / static_cast<T>(width());
    for (std::size_t d = 0; d != width(); ++d) to[d] = (from[d] - mean) * gain[d];
  }
  void copy_columns(T* to, std::size_t to_stride, T const* from, std::size_t from_stride, std::size_t count) const {
    for (std::size_t t = 0; t != pass.n(); ++t) std::copy_n(from + t * from_stride, count, to + t * to_stride);
  }
};

}  // namespace susc
