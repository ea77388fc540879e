#pragma once
/// Backward pass of a pretrained transformer over one chunk, no further back than a component needs.
#include <algorithm>
#include <cstddef>
#include <span>

#include "susc/models/pretrained_pass.hpp"

namespace susc {

/// After a forward pass with `keep`. Gradients are added to what the plan touches; of the heads of the layer where it
/// starts, to those it touches.
template <class T>
struct pretrained_backward {
  pretrained_pass<T> const& pass;  ///< whose activations are in the workspace
  pretrained_plan const& plan;     ///< of the component
  T* gradient;                     ///< (parameter_count,), laid out as the weights

  using matrix = kernels::matrix<T>;          ///< to be written to
  using constant = kernels::matrix<T const>;  ///< to be read

  /// Per-token losses (n,), and `weight` times the gradient of their sum. That by the unembedding goes to
  /// space.unembedding_gradient, transposed; d_stream is the gradient by the first stream where the plan touches
  /// embedding or positions.
  void run(T weight, T* losses) const {
    auto& space = pass.space;
    auto const& layout = pass.layout;
    pass.normalise_final();
    T* const d_unembedding = plan.touches(layout.unembedding) ? space.unembedding_gradient.data() : nullptr;
    kernels::cross_entropy_gradient<T>(losses, space.d_normal.data(), d_unembedding, nullptr, weight,
                                       constant{space.final_normal.data(), n(), width()}, pass.unembedding(), nullptr,
                                       space.targets.data(), space.cross_entropy);
    if (!plan.before(layout.layers.back().all.end) && !plan.touches(layout.final_norm)) return;
    std::fill_n(space.d_stream.begin(), n() * width(), T(0));
    norm_backward(layout.final_norm, pass.stream(2 * pass.c().layers), space.final_mean, space.final_scale);
    for (std::size_t l = pass.c().layers; l-- != 0 && plan.before(layout.layers[l].all.end);) {
      T const* from = space.d_stream.data();
      if (pass.c().parallel) {
        std::copy_n(space.d_stream.begin(), n() * width(), space.d_branch.begin());
        from = space.d_branch.data();
      }
      mlp(l, from);
      attention(l, from);
    }
  }

  /// The gradients of embedding and positions, after `run`. `tokens` (sequences, positions + 1).
  void embed(token const* tokens) const {
    auto const& layout = pass.layout;
    bool const by_token = plan.touches(layout.embedding), by_position = plan.touches(layout.positions);
    T const* row = pass.space.d_stream.data();
    for (std::size_t s = 0; s != pass.sequences; ++s)
      for (std::size_t t = 0; t != pass.positions; ++t, row += width()) {
        auto const id = static_cast<std::size_t>(tokens[s * (pass.positions + 1) + t]);
        T* const embedding = gradient + layout.embedding.begin + id * width();
        T* const position = gradient + layout.positions.begin + t * width();
        for (std::size_t d = 0; by_token && d != width(); ++d) embedding[d] += row[d];
        for (std::size_t d = 0; by_position && d != width(); ++d) position[d] += row[d];
      }
  }

 private:
  std::size_t n() const { return pass.n(); }
  std::size_t width() const { return pass.c().width; }

  /// From d_normal; adds to d_stream.
  void norm_backward(norm_place const& p, T const* x, aligned_vector<T> const& mean,
                     aligned_vector<T> const& scale) const {
    auto& space = pass.space;
    T* const d_gain = plan.touches(p) ? gradient + p.gain.begin : nullptr;
    T const* const gain = pass.w.data() + p.gain.begin;
    if (pass.c().rms())
      kernels::rms_norm_backward(space.d_stream.data(), d_gain, space.d_normal.data(), x, scale.data(), gain, n(),
                                 width());
    else
      kernels::layer_norm_backward(space.d_stream.data(), d_gain, gradient + p.bias.begin, space.d_normal.data(), x,
                                   mean.data(), scale.data(), gain, n(), width());
  }
  /// to (n, in) (+)= the gradient by what outputs `out` of a matrix read.
  void back(matrix to, constant from, linear_place const& p, index_range in, index_range out,
            kernels::output mode = kernels::output::overwrite) const {
    constant const weights = pass.block(pass.w.data(), p, in, out);
    if (p.output_rows)
      kernels::multiply<T>(to, from, weights, mode);
    else
      kernels::multiply_transposed<T>(to, from, weights, mode);
  }
  /// The gradient of a matrix's block and of the bias of its outputs, from x (n, in) and d_y (n, out).
  void of_weights(linear_place const& p, constant x, constant d_y, index_range in, index_range out) const {
    if (plan.touches(p.weight)) {
      matrix const to = pass.block(gradient, p, in, out);
      if (p.output_rows)
        kernels::transposed_multiply<T>(to, d_y, x, kernels::output::add);
      else
        kernels::transposed_multiply<T>(to, x, d_y, kernels::output::add);
    }
  }
  void of_bias(linear_place const& p, constant d_y, index_range out) const {
    if (!plan.touches(p.bias)) return;
    T* const to = gradient + p.bias.begin + out.begin;
    for (std::size_t t = 0; t != d_y.rows; ++t)
      for (std::size_t i = 0; i != d_y.columns; ++i) to[i] += d_y.data[t * d_y.stride + i];
  }
  /// Both, of a whole matrix.
  void of_linear(linear_place const& p, T const* x, T const* d_y) const {
    constant const slopes{d_y, n(), p.outputs};
    of_weights(p, constant{x, n(), p.inputs}, slopes, {0, p.inputs}, {0, p.outputs});
    of_bias(p, slopes, {0, p.outputs});
  }

  /// From the gradient `from` by the stream after the MLP of layer l: adds to d_stream what comes through it.
  void mlp(std::size_t l, T const* from) const {
    auto& space = pass.space;
    auto const& a = pass.activations(l);
    auto const& place = pass.layout.layers[l];
    std::size_t const wide = pass.c().mlp_width, count = n() * wide;
    bool const further =
        plan.before(pass.c().parallel ? place.all.begin : place.mlp_norm.gain.begin) || plan.touches(place.mlp_norm);
    if (!further && !plan.touches_mlp(place)) return;
    of_linear(place.down, a.hidden.data(), from);
    if (!further && !plan.touches(place.gate) && !plan.touches(place.up)) return;
    back(matrix{space.d_hidden.data(), n(), wide}, constant{from, n(), width()}, place.down, {0, wide}, {0, width()});
    T* d_up = space.d_hidden.data();
    if (pass.c().gated()) {
      d_up = space.d_up.data();
      kernels::swiglu_backward(space.d_gate.data(), d_up, space.d_hidden.data(), a.gate.data(), a.up.data(), count);
      of_linear(place.gate, a.mlp_normal.data(), space.d_gate.data());
    } else {
      pass.with_activation([&]<class A>(A) { kernels::activate_backward<A>(d_up, a.up.data(), count); });
    }
    of_linear(place.up, a.mlp_normal.data(), d_up);
    if (!further) return;
    matrix const d_normal{space.d_normal.data(), n(), width()};
    back(d_normal, constant{d_up, n(), wide}, place.up, {0, width()}, {0, wide});
    if (pass.c().gated())
      back(d_normal, constant{space.d_gate.data(), n(), wide}, place.gate, {0, width()}, {0, wide},
           kernels::output::add);
    norm_backward(place.mlp_norm, pass.mlp_input(l), a.mlp_mean, a.mlp_scale);
  }

  /// The same of the attention.
  void attention(std::size_t l, T const* from) const {
    auto& space = pass.space;
    auto const& a = pass.activations(l);
    auto const& place = pass.layout.layers[l];
    std::size_t const all = pass.c().projected_width(), given = pass.c().query_width();
    bool const further = plan.before(place.all.begin) || plan.touches(place.attention_norm);
    if (!further && !plan.touches_attention(place)) return;
    constant const d_output{from, n(), width()};
    of_bias(place.output, d_output, {0, width()});
    auto const groups = further ? pass.every_group() : plan.groups;
    pass.for_each_z_range(groups, [&](index_range in) {
      back(matrix{space.d_z.data() + in.begin, n(), in.size(), given}, d_output, place.output, in, {0, width()});
      of_weights(place.output, constant{a.z.data() + in.begin, n(), in.size(), given}, d_output, in, {0, width()});
    });
    for (std::size_t const g : groups)
      for (std::size_t s = 0; s != pass.sequences; ++s) group_backward(l, g, s);
    pass.for_each_turned(space.d_projected.data(), groups, [&](T* rows) {
      kernels::rotate_backward(rows, all, space.cosine.data(), space.sine.data(), pass.positions,
                               pass.c().rotary_width / 2);
    });
    constant const normal{a.normal.data(), n(), width()};
    auto mode = kernels::output::overwrite;
    pass.for_each_column_range(groups, [&](index_range columns) {
      pass.layout.for_each_projection(place, columns, [&](linear_place const& p, index_range out, std::size_t first) {
        constant const slopes{space.d_projected.data() + first + out.begin, n(), out.size(), all};
        of_weights(p, normal, slopes, {0, p.inputs}, out);
        of_bias(p, slopes, out);
        if (!further) return;
        back(matrix{space.d_normal.data(), n(), width()}, slopes, p, {0, p.inputs}, out, mode);
        mode = kernels::output::add;
      });
    });
    if (further) norm_backward(place.attention_norm, pass.stream(2 * l), a.attention_mean, a.attention_scale);
  }

  /// From d_z to d_projected of one key/value head and the heads that share it, over sequence s.
  void group_backward(std::size_t l, std::size_t g, std::size_t s) const {
    auto& space = pass.space;
    auto const& a = pass.activations(l);
    auto const& layout = pass.layout;
    std::size_t const all = pass.c().projected_width(), given = pass.c().query_width(), k = pass.c().head_width;
    std::size_t const sharing = pass.c().heads_of_group(), t = pass.positions, row = s * t;
    T const* const rows = a.projected.data() + row * all;
    T* const slopes = space.d_projected.data() + row * all;
    T *const d_key = slopes + layout.key(g).begin, *const d_value = slopes + layout.value(g).begin;
    for (std::size_t h = g * sharing; h != (g + 1) * sharing; ++h) {
      bool const another = h != g * sharing;  // whose part of key and value is added
      T *const dk = another ? space.d_shared.data() : d_key, *const dv = another ? dk + t * k : d_value;
      std::size_t const stride = another ? k : all;
      kernels::causal_attention_backward(
          slopes + layout.query(h).begin, all, dk, stride, dv, stride, space.d_z.data() + row * given + h * k, given,
          a.z.data() + row * given + h * k, given, a.log_sum.data() + h * n() + row, rows + layout.query(h).begin, all,
          rows + layout.key(g).begin, all, rows + layout.value(g).begin, all, t, k, space.attention);
      for (std::size_t i = 0; another && i != t; ++i)
        for (std::size_t d = 0; d != k; ++d) {
          d_key[i * all + d] += dk[i * k + d];
          d_value[i * all + d] += dv[i * k + d];
        }
    }
  }
};

}  // namespace susc
