#pragma once
/// Forward pass of a pretrained transformer over one chunk of sequences, with activations in a workspace.
#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

#include "susc/kernels/activation.hpp"
#include "susc/kernels/gemm.hpp"
#include "susc/kernels/layer_norm.hpp"
#include "susc/kernels/rms_norm.hpp"
#include "susc/kernels/swiglu.hpp"
#include "susc/models/pretrained_workspace.hpp"

namespace susc {

/// n = sequences * positions tokens; targets and the transposed unembedding are in the workspace.
template <class T>
struct pretrained_pass {
  pretrained_layout const& layout;  ///< of w
  std::span<T const> w;             ///< all weights
  pretrained_workspace<T>& space;   ///< of the calling thread
  std::size_t sequences;            ///< of the chunk
  std::size_t positions;            ///< inputs of a sequence
  bool keep;                        ///< keep every layer's activations, for a backward pass

  using matrix = kernels::matrix<T>;          ///< to be written to
  using constant = kernels::matrix<T const>;  ///< to be read

  pretrained_config const& c() const { return layout.config; }  ///< the shape
  std::size_t n() const { return sequences * positions; }       ///< tokens of the chunk
  /// The residual stream (n, width) before sublayer `stage`: 2 l the attention, 2 l + 1 the MLP of layer l.
  T* stream(std::size_t stage) const { return space.streams[keep ? stage : stage % 2].data(); }
  pretrained_activations<T>& activations(std::size_t l) const { return space.layers[keep ? l : 0]; }  ///< Of layer l.
  /// What the MLP of layer l reads, before its norm.
  T* mlp_input(std::size_t l) const { return stream(c().parallel ? 2 * l : 2 * l + 1); }
  /// All key/value heads.
  std::vector<std::size_t> every_group() const {
    std::vector<std::size_t> all(c().key_value_heads);
    std::iota(all.begin(), all.end(), std::size_t{0});
    return all;
  }

  /// The weights from inputs `in` to outputs `out`, of `data` laid out as w.
  template <class Number>
  static kernels::matrix<Number> block(Number* data, linear_place const& p, index_range in, index_range out) {
    if (p.output_rows)
      return {data + p.weight.begin + out.begin * p.inputs + in.begin, out.size(), in.size(), p.inputs};
    return {data + p.weight.begin + in.begin * p.outputs + out.begin, in.size(), out.size(), p.outputs};
  }
  /// to (n, out) (+)= x (n, in) times those weights.
  void apply(matrix to, constant x, linear_place const& p, index_range in, index_range out,
             kernels::output mode = kernels::output::overwrite) const {
    if (p.output_rows)
      kernels::multiply_transposed<T>(to, x, block(w.data(), p, in, out), mode);
    else
      kernels::multiply<T>(to, x, block(w.data(), p, in, out), mode);
  }
  /// rows += the bias of outputs `out`, if there is one.
  void add_bias(matrix rows, linear_place const& p, index_range out) const {
    if (p.bias.size() == 0) return;
    T const* const bias = w.data() + p.bias.begin + out.begin;
    for (std::size_t t = 0; t != rows.rows; ++t)
      for (std::size_t i = 0; i != rows.columns; ++i) rows.data[t * rows.stride + i] += bias[i];
  }
  /// to (n, outputs) = x (n, inputs) through the whole matrix and bias.
  void apply(aligned_vector<T>& to, aligned_vector<T> const& x, linear_place const& p) const {
    matrix const rows{to.data(), n(), p.outputs};
    apply(rows, constant{x.data(), n(), p.inputs}, p, {0, p.inputs}, {0, p.outputs});
    add_bias(rows, p, {0, p.outputs});
  }

  /// LayerNorm or RMSNorm of x (n, width); the latter leaves `mean` alone.
  void normalise(aligned_vector<T>& y, aligned_vector<T>& mean, aligned_vector<T>& scale, T const* x,
                 norm_place const& p) const {
    T const* const gain = w.data() + p.gain.begin;
    if (c().rms())
      kernels::rms_norm(y.data(), scale.data(), x, gain, n(), c().width, c().norm_epsilon);
    else
      kernels::layer_norm(y.data(), mean.data(), scale.data(), x, gain, w.data() + p.bias.begin, n(), c().width,
                          c().norm_epsilon);
  }

  /// Residual stream before the first layer. `tokens` (sequences, positions + 1).
  void embed(token const* tokens) const {
    std::size_t const width = c().width;
    T* row = stream(0);
    for (std::size_t s = 0; s != sequences; ++s)
      for (std::size_t t = 0; t != positions; ++t, row += width) {
        std::copy_n(
            w.data() + layout.embedding.begin + static_cast<std::size_t>(tokens[s * (positions + 1) + t]) * width,
            width, row);
        if (!c().learned_positions()) continue;
        T const* const position = w.data() + layout.positions.begin + t * width;
        for (std::size_t d = 0; d != width; ++d) row[d] += position[d];
      }
  }

  /// Calls f(columns) for the projected columns of these key/value heads and the queries that share them.
  template <class F>
  void for_each_column_range(std::span<std::size_t const> groups, F f) const {
    if (groups.size() == c().key_value_heads) return f(index_range{0, c().projected_width()});
    std::size_t const sharing = c().heads_of_group();
    for (std::size_t const g : groups) {
      f(index_range{layout.query(g * sharing).begin, layout.query((g + 1) * sharing - 1).end});
      f(layout.key(g));
      f(layout.value(g));
    }
  }
  /// Calls f(columns) for the columns of z of the heads that share these key/value heads.
  template <class F>
  void for_each_z_range(std::span<std::size_t const> groups, F f) const {
    if (groups.size() == c().key_value_heads) return f(index_range{0, c().query_width()});
    std::size_t const wide = c().heads_of_group() * c().head_width;
    for (std::size_t const g : groups) f(index_range{g * wide, (g + 1) * wide});
  }
  /// Calls f(rows) for every query and key of these groups, sequence by sequence: rows at `rows`, projected_width
  /// apart.
  template <class F>
  void for_each_turned(T* projected, std::span<std::size_t const> groups, F f) const {
    if (c().rotary_width == 0) return;
    std::size_t const sharing = c().heads_of_group();
    for (std::size_t s = 0; s != sequences; ++s) {
      T* const rows = projected + s * positions * c().projected_width();
      for (std::size_t const g : groups) {
        f(rows + layout.key(g).begin);
        for (std::size_t h = g * sharing; h != (g + 1) * sharing; ++h) f(rows + layout.query(h).begin);
      }
    }
  }

  /// The normalised input of layer l's attention.
  void normalise_attention(std::size_t l) const {
    auto& a = activations(l);
    normalise(a.normal, a.attention_mean, a.attention_scale, stream(2 * l), layout.layers[l].attention_norm);
  }
  /// z of the heads of these groups, from the normalised input (n, width).
  void attend(std::size_t l, T const* normal, std::span<std::size_t const> groups) const {
    auto& a = activations(l);
    std::size_t const all = c().projected_width(), k = c().head_width, sharing = c().heads_of_group();
    for_each_column_range(groups, [&](index_range columns) {
      layout.for_each_projection(layout.layers[l], columns,
                                 [&](linear_place const& p, index_range out, std::size_t first) {
                                   matrix const rows{a.projected.data() + first + out.begin, n(), out.size(), all};
                                   apply(rows, constant{normal, n(), c().width}, p, {0, p.inputs}, out);
                                   add_bias(rows, p, out);
                                 });
    });
    for_each_turned(a.projected.data(), groups, [&](T* rows) {
      kernels::rotate(rows, all, space.cosine.data(), space.sine.data(), positions, c().rotary_width / 2);
    });
    for (std::size_t const g : groups)
      for (std::size_t h = g * sharing; h != (g + 1) * sharing; ++h)
        for (std::size_t s = 0; s != sequences; ++s) {
          T const* const rows = a.projected.data() + s * positions * all;
          kernels::causal_attention(a.z.data() + s * positions * c().query_width() + h * k, c().query_width(),
                                    a.log_sum.data() + h * n() + s * positions, rows + layout.query(h).begin, all,
                                    rows + layout.key(g).begin, all, rows + layout.value(g).begin, all, positions, k,
                                    space.attention);
        }
  }
  /// to (n, width) += what the heads of these groups write.
  void add_heads(std::size_t l, std::span<std::size_t const> groups, T* to) const {
    for_each_z_range(groups, [&](index_range in) {
      apply(matrix{to, n(), c().width}, constant{activations(l).z.data() + in.begin, n(), in.size(), c().query_width()},
            layout.layers[l].output, in, {0, c().width}, kernels::output::add);
    });
  }

  /// The attention of layer l, from its stream to the next.
  void attention(std::size_t l) const {
    auto const all = every_group();
    normalise_attention(l);
    attend(l, activations(l).normal.data(), all);
    std::copy_n(stream(2 * l), n() * c().width, stream(2 * l + 1));
    add_bias(matrix{stream(2 * l + 1), n(), c().width}, layout.layers[l].output, {0, c().width});
    add_heads(l, all, stream(2 * l + 1));
  }

  /// Calls f with a value of the kernel type of the activation function.
  template <class F>
  void with_activation(F f) const {
    switch (c().activation) {
      case activation_function::gelu:
        return f(kernels::gelu{});
      case activation_function::gelu_new:
        return f(kernels::gelu_new{});
      case activation_function::relu:
        return f(kernels::relu{});
    }
  }

  /// to (n, width) += what the MLP of layer l writes.
  void add_mlp(std::size_t l, T const* input, T* to) const {
    auto& a = activations(l);
    auto const& place = layout.layers[l];
    normalise(a.mlp_normal, a.mlp_mean, a.mlp_scale, input, place.mlp_norm);
    apply(a.up, a.mlp_normal, place.up);
    if (c().gated()) {
      apply(a.gate, a.mlp_normal, place.gate);
      kernels::swiglu(a.hidden.data(), a.gate.data(), a.up.data(), n() * c().mlp_width);
    } else {
      with_activation([&]<class A>(A) { kernels::activate<A>(a.hidden.data(), a.up.data(), n() * c().mlp_width); });
    }
    matrix const rows{to, n(), c().width};
    add_bias(rows, place.down, {0, c().width});
    apply(rows, constant{a.hidden.data(), n(), c().mlp_width}, place.down, {0, c().mlp_width}, {0, c().width},
          kernels::output::add);
  }
  /// The MLP of layer l, from its stream to the next.
  void mlp(std::size_t l) const {
    auto& a = activations(l);
    // Of a parallel block the next stream may take the memory of the input, which is copied first.
    T const* const input = std::copy_n(mlp_input(l), n() * c().width, a.mlp_normal.data()) - n() * c().width;
    std::copy_n(stream(2 * l + 1), n() * c().width, stream(2 * l + 2));
    add_mlp(l, input, stream(2 * l + 2));
  }

  /// Layers [first, layers) on the stream before them.
  void layers_from(std::size_t first) const {
    for (std::size_t l = first; l != c().layers; ++l) {
      attention(l);
      mlp(l);
    }
  }

  /// The final norm, of the last stream.
  void normalise_final() const {
    normalise(space.final_normal, space.final_mean, space.final_scale, stream(2 * c().layers), layout.final_norm);
  }
  constant unembedding() const { return {space.unembedding.data(), c().width, c().vocabulary}; }  ///< transposed
  /// Per-token losses (n,) from the final stream.
  void losses(T* to) const {
    normalise_final();
    kernels::cross_entropy<T>(to, constant{space.final_normal.data(), n(), c().width}, unembedding(), nullptr,
                              space.targets.data(), space.cross_entropy);
  }
};

}  // namespace susc
