#pragma once
/// Forward and backward pass of a transformer over one chunk of sequences, with activations in a workspace.
#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>

#include "susc/kernels/activation.hpp"
#include "susc/kernels/gemm.hpp"
#include "susc/kernels/layer_norm.hpp"
#include "susc/models/transformer_low_rank.hpp"
#include "susc/models/transformer_plan.hpp"
#include "susc/models/transformer_workspace.hpp"

namespace susc {

/// n = sequences * positions tokens; targets are in the workspace.
template <class T>
struct transformer_pass {
  transformer_layout layout;                        ///< of w
  std::span<T const> w;                             ///< all weights
  transformer_workspace<T>& space;                  ///< of the calling thread
  std::size_t sequences;                            ///< of the chunk
  std::size_t positions;                            ///< inputs of a sequence
  bool keep;                                        ///< keep every layer's activations, for `backward`
  kernels::precision how;                           ///< of every matrix product
  std::optional<low_rank_frozen<T>> low_rank = {};  ///< heads that the next layer reads at their rank

  using matrix = kernels::matrix<T>;          ///< to be written to
  using constant = kernels::matrix<T const>;  ///< to be read

  transformer_config const& c() const { return layout.config; }  ///< the shape
  std::size_t n() const { return sequences * positions; }        ///< tokens of the chunk
  std::size_t k() const { return c().width_of_head(); }          ///< width of a head
  /// Sublayers: attention, and the MLP where there is one.
  std::size_t stages_per_layer() const { return c().mlp_width == 0 ? 1 : 2; }
  std::size_t final_stage() const { return c().layers * stages_per_layer(); }  ///< sublayers in all
  /// The residual stream (n, width) before sublayer `stage`.
  T* stream(std::size_t stage) const { return space.streams[keep ? stage : stage % 2].data(); }
  layer_activations<T>& activations(std::size_t l) const { return space.layers[keep ? l : 0]; }  ///< Of layer l.
  /// The bias at `offset` of w, null without biases.
  T const* bias_after(std::size_t offset) const { return c().biases ? w.data() + offset : nullptr; }

  /// kernels::multiply at the pass's precision.
  void multiply(matrix to, constant a, constant b, kernels::output mode = kernels::output::overwrite) const {
    kernels::multiply<T>(to, a, b, mode, how);
  }
  /// kernels::multiply_transposed at the pass's precision.
  void multiply_transposed(matrix to, constant a, constant b, kernels::output mode = kernels::output::overwrite) const {
    kernels::multiply_transposed<T>(to, a, b, mode, how);
  }
  /// kernels::transposed_multiply at the pass's precision.
  void transposed_multiply(matrix to, constant a, constant b, kernels::output mode = kernels::output::overwrite) const {
    kernels::transposed_multiply<T>(to, a, b, mode, how);
  }

  /// Residual stream before the first layer. `tokens` (sequences, positions + 1).
  void embed(token const* tokens) const {
    T* row = stream(0);
    T const* const position = w.data() + layout.positions().begin;
    for (std::size_t s = 0; s != sequences; ++s)
      for (std::size_t t = 0; t != positions; ++t, row += c().width) {
        T const* const embedding = w.data() + static_cast<std::size_t>(tokens[s * (positions + 1) + t]) * c().width;
        for (std::size_t d = 0; d != c().width; ++d) row[d] = embedding[d] + position[t * c().width + d];
      }
  }

  /// The layer's normalised input, (n, width).
  void normalise_attention(std::size_t l) const {
    auto& a = activations(l);
    T const* const gain = w.data() + layout.attention_norm(l).begin;
    kernels::layer_norm(a.normal.data(), a.attention_mean.data(), a.attention_rstd.data(),
                        stream(l * stages_per_layer()), gain, gain + c().width, n(), c().width);
  }

  /// Queries, keys and values of heads [first, first + count) from `normal`.
  void project(std::size_t l, T const* normal, std::size_t first, std::size_t count) const {
    auto& a = activations(l);
    auto& packed = space.weights[l];
    std::size_t const columns = 3 * c().heads * k();
    multiply(matrix{a.qkv.data() + 3 * first * k(), n(), 3 * count * k(), columns}, constant{normal, n(), c().width},
             constant{packed.qkv.data() + 3 * first * k(), c().width, 3 * count * k(), columns});
    if (c().biases)
      for (std::size_t t = 0; t != n(); ++t)
        for (std::size_t i = 3 * first * k(); i != 3 * (first + count) * k(); ++i)
          a.qkv[t * columns + i] += packed.qkv_bias[i];
  }
  /// Those of all heads, from what was frozen and the few heads before (see transformer_low_rank.hpp).
  void project_low_rank(std::size_t l) const {
    auto& a = activations(l);
    std::size_t const columns = 3 * c().heads * k();
    low_rank_map<T> const map = reader();
    kernels::multiply_onto<T>(matrix{a.qkv.data(), n(), columns}, constant{low_rank->base, n(), columns}, map.z(n()),
                              map.mapped(), how);
    for (std::size_t t = 0; t != n(); ++t) {
      T const scale = a.attention_rstd[t];
      for (std::size_t i = 0; i != columns; ++i)
        a.qkv[t * columns + i] = a.qkv[t * columns + i] * scale + low_rank->bias[i];
    }
  }

  /// Attention of heads [first, first + count) into z.
  void attend(std::size_t l, std::size_t first, std::size_t count) const {
    auto& a = activations(l);
    std::size_t const columns = 3 * c().heads * k();
    for (std::size_t h = first; h != first + count; ++h)
      for (std::size_t s = 0; s != sequences; ++s) {
        T const* const q = a.qkv.data() + s * positions * columns + 3 * h * k();
        kernels::causal_attention(a.z.data() + s * positions * c().heads * k() + h * k(), c().heads * k(),
                                  a.log_sum.data() + h * n() + s * positions, q, columns, q + k(), columns, q + 2 * k(),
                                  columns, positions, k(), space.attention);
      }
  }

  /// to = from plus what heads [first, first + count) write to the residual stream; the two may be the same.
  void add_heads(std::size_t l, std::size_t first, std::size_t count, T const* from, T* to) const {
    kernels::multiply_onto<T>(matrix{to, n(), c().width}, constant{from, n(), c().width},
                              constant{activations(l).z.data() + first * k(), n(), count * k(), c().heads * k()},
                              constant{space.weights[l].out.data() + first * k() * c().width, count * k(), c().width},
                              how);
  }

  /// to (n, width) += row (width,), for every token.
  void add_row(T* to, T const* row) const {
    for (std::size_t t = 0; t != n(); ++t)
      for (std::size_t d = 0; d != c().width; ++d) to[t * c().width + d] += row[d];
  }

  /// Whether the norm before the attention of layer l, or before the unembedding where l is the number of layers, is
  /// what reads the low-rank heads.
  bool reads_low_rank(std::size_t l) const { return low_rank && low_rank->layer + 1 == l; }
  /// What reads so many heads of a layer next.
  low_rank_map<T> reader_of(std::size_t layer, std::size_t heads) const {
    std::size_t const l = layer + 1, rank = heads * k();
    if (l == c().layers) return {w.data() + layout.final_norm().begin, unembedding(), rank, space.low_rank, how};
    constant const qkv{space.weights[l].qkv.data(), c().width, 3 * c().heads * k()};
    return {w.data() + layout.attention_norm(l).begin, qkv, rank, space.low_rank, how};
  }
  /// Of the low-rank heads.
  low_rank_map<T> reader() const { return reader_of(low_rank->layer, low_rank->heads->size()); }
  /// Maps the low-rank heads' output weights, once for all chunks.
  void map_low_rank() const {
    std::size_t const size = k() * c().width;
    grow(space.low_rank.out, low_rank->heads->size() * size);
    T* to = space.low_rank.out.data();
    for (std::size_t const h : *low_rank->heads)
      to = std::copy_n(space.weights[low_rank->layer].out.data() + h * size, size, to);
    reader().map_heads();
  }
  /// Gathers the low-rank heads' values.
  void gather_low_rank() const {
    std::size_t const rank = low_rank->heads->size() * k();
    grow(space.low_rank.z, n() * rank);
    T const* const z = activations(low_rank->layer).z.data();
    for (std::size_t i = 0; i != low_rank->heads->size(); ++i)
      for (std::size_t t = 0; t != n(); ++t)
        std::copy_n(z + t * c().heads * k() + (*low_rank->heads)[i] * k(), k(),
                    space.low_rank.z.data() + t * rank + i * k());
  }

  /// The attention of layer l, from its stream to the next.
  void attention(std::size_t l) const {
    normalise_attention(l);
    if (reads_low_rank(l))
      project_low_rank(l);
    else
      project(l, activations(l).normal.data(), 0, c().heads);
    attend(l, 0, c().heads);
    std::size_t const stage = l * stages_per_layer();
    if (!c().biases) return add_heads(l, 0, c().heads, stream(stage), stream(stage + 1));
    std::copy_n(stream(stage), n() * c().width, stream(stage + 1));
    add_row(stream(stage + 1), w.data() + layout.output_bias(l).begin);
    add_heads(l, 0, c().heads, stream(stage + 1), stream(stage + 1));
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

  /// The MLP of layer l, from its stream to the next; nothing where there is none.
  void mlp(std::size_t l) const {
    if (c().mlp_width == 0) return;
    auto& a = activations(l);
    std::size_t const stage = 2 * l + 1, width = c().width, wide = c().mlp_width;
    T const* const gain = w.data() + layout.mlp_norm(l).begin;
    kernels::layer_norm(a.mlp_normal.data(), a.mlp_mean.data(), a.mlp_rstd.data(), stream(stage), gain, gain + width,
                        n(), width);
    T const* const in = w.data() + layout.mlp_in(l).begin;
    T const* const out = w.data() + layout.mlp_out(l).begin;
    multiply(matrix{a.hidden_input.data(), n(), wide}, constant{a.mlp_normal.data(), n(), width},
             constant{in, width, wide});
    if (c().biases)
      for (std::size_t t = 0; t != n(); ++t)
        for (std::size_t i = 0; i != wide; ++i) a.hidden_input[t * wide + i] += in[width * wide + i];
    with_activation([&]<class A>(A) { kernels::activate<A>(a.hidden.data(), a.hidden_input.data(), n() * wide); });
    std::copy_n(stream(stage), n() * width, stream(stage + 1));
    if (c().biases) add_row(stream(stage + 1), out + wide * width);
    multiply(matrix{stream(stage + 1), n(), width}, constant{a.hidden.data(), n(), wide}, constant{out, wide, width},
             kernels::output::add);
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
    T const* const gain = w.data() + layout.final_norm().begin;
    kernels::layer_norm(space.final_normal.data(), space.final_mean.data(), space.final_rstd.data(),
                        stream(final_stage()), gain, gain + c().width, n(), c().width);
  }
  /// W_U (width, vocabulary), of a tied model the transposed embedding.
  constant unembedding() const {
    return {c().tied ? space.unembedding.data() : w.data() + layout.unembedding().begin, c().width, c().vocabulary};
  }

  /// Per-token losses (n,) from the final stream.
  void losses(T* to) const {
    normalise_final();
    if (reads_low_rank(c().layers)) return low_rank_losses(to, nullptr);
    kernels::cross_entropy<T>(to, constant{space.final_normal.data(), n(), c().width}, unembedding(),
                              bias_after(layout.unembedding_bias().begin), space.targets.data(), space.cross_entropy,
                              how);
  }

  /// Per-token losses (n,), and `weight` times the gradient of their sum added to `gradient` and to space.gradients for
  /// what `plan` needs, no further back than its lowest part. Needs the activations of a forward pass with `keep`.
  void backward(transformer_plan const& plan, T weight, std::span<T> gradient, T* losses) const {
    T* const g = gradient.data();
    normalise_final();
    if (reads_low_rank(c().layers))
      unembed_low_rank(weight, losses);
    else if (!unembed_backward(plan, weight, g, losses))
      return;
    for (std::size_t l = c().layers; l-- != 0;) {
      if (!plan.before_mlp(l) && !plan.layers[l].mlp()) return;
      if (c().mlp_width != 0) mlp_backward(plan, l, g);
      if (!plan.before_mlp(l)) return;
      attention_backward(plan, l, g);
    }
  }

  /// After the last chunk: the gradient of the low-rank heads' output weights that came through their reader.
  void finish_low_rank() const {
    std::size_t const size = k() * c().width;
    T const* from = reader().map_back();
    for (std::size_t const h : *low_rank->heads)
      for (std::size_t i = 0; i != size; ++i) space.gradients[low_rank->layer].out[h * size + i] += *from++;
  }

  /// The gradients of embedding and positions, after `backward`. `tokens` (sequences, positions + 1).
  void embed_backward(transformer_plan const& plan, token const* tokens, std::span<T> gradient) const {
    T const* row = space.d_stream.data();
    T* const position = gradient.data() + layout.positions().begin;
    for (std::size_t s = 0; s != sequences; ++s)
      for (std::size_t t = 0; t != positions; ++t, row += c().width) {
        T* const embedding = gradient.data() + static_cast<std::size_t>(tokens[s * (positions + 1) + t]) * c().width;
        for (std::size_t d = 0; plan.embedding && d != c().width; ++d) embedding[d] += row[d];
        for (std::size_t d = 0; plan.positions && d != c().width; ++d) position[t * c().width + d] += row[d];
      }
  }

  /// d_stream before the final norm, and the gradients of what lies behind; false where nothing lies before.
  bool unembed_backward(transformer_plan const& plan, T weight, T* g, T* losses) const {
    std::size_t const width = c().width;
    T* dw = nullptr;
    if (plan.unembedding) dw = c().tied ? space.unembedding_gradient.data() : g + layout.unembedding().begin;
    kernels::cross_entropy_gradient<T>(
        losses, space.d_normal.data(), dw, plan.unembedding_bias ? g + layout.unembedding_bias().begin : nullptr,
        weight, constant{space.final_normal.data(), n(), width}, unembedding(),
        bias_after(layout.unembedding_bias().begin), space.targets.data(), space.cross_entropy, how);
    if (!plan.final_norm && !plan.before(c().layers)) return false;
    std::fill_n(space.d_stream.begin(), n() * width, T(0));
    std::size_t const norm = layout.final_norm().begin;
    kernels::layer_norm_backward(space.d_stream.data(), plan.final_norm ? g + norm : nullptr, g + norm + width,
                                 space.d_normal.data(), stream(final_stage()), space.final_mean.data(),
                                 space.final_rstd.data(), w.data() + norm, n(), width);
    return true;
  }

  /// Per-token losses (n,) by way of the low-rank heads, and, where `gradient` is not null, their gradient.
  void low_rank_losses(T* losses, kernels::low_rank_gradient<T> const* gradient) const {
    low_rank_map<T> const map = reader();
    kernels::low_rank_cross_entropy<T>(losses, constant{low_rank->base, n(), c().vocabulary}, map.z(n()), map.mapped(),
                                       space.final_rstd.data(), low_rank->bias, space.targets.data(), gradient,
                                       space.low_rank.scratch, how);
  }
  /// The same through low-rank heads of the last layer: their part of d_z, and d_stream by the final norm's scale.
  void unembed_low_rank(T weight, T* losses) const {
    auto& s = space.low_rank;
    low_rank_map<T> const map = reader();
    for (auto* rows : {&s.dz, &s.d_scale}) grow(*rows, n() * map.rank);
    kernels::low_rank_gradient<T> const gradient{s.dz.data(), s.d_mapped.data(), s.d_scale.data(), weight};
    low_rank_losses(losses, &gradient);
    std::fill_n(space.d_stream.begin(), n() * c().width, T(0));
    map.add_slopes_of_scale(space.d_stream.data(), stream(final_stage()), space.final_mean.data(),
                            space.final_rstd.data(), n());
  }
  /// From d_qkv of layer l to the same.
  void project_low_rank_backward(std::size_t l) const {
    auto& s = space.low_rank;
    auto& a = activations(l);
    low_rank_map<T> const map = reader();
    std::size_t const columns = 3 * c().heads * k();
    for (auto* rows : {&s.dz, &s.d_scale}) grow(*rows, n() * map.rank);
    for (std::size_t t = 0; t != n(); ++t) {
      T const scale = a.attention_rstd[t];
      T sum = 0;
      for (std::size_t i = t * columns; i != (t + 1) * columns; ++i) {
        sum += space.d_qkv[i] * (a.qkv[i] - low_rank->bias[i - t * columns]);
        space.d_qkv[i] *= scale;
      }
      s.d_scale[t] = sum / scale;
    }
    constant const slopes{space.d_qkv.data(), n(), columns};
    multiply_transposed(matrix{s.dz.data(), n(), map.rank}, slopes, map.mapped());
    transposed_multiply(matrix{s.d_mapped.data(), map.rank, columns}, map.z(n()), slopes, kernels::output::add);
    map.add_slopes_of_scale(space.d_stream.data(), stream(l * stages_per_layer()), a.attention_mean.data(),
                            a.attention_rstd.data(), n());
  }

 private:
  /// to[i] += Σ_t rows[t,i].
  static void add_column_sums(T* to, T const* rows, std::size_t count, std::size_t columns) {
    for (std::size_t t = 0; t != count; ++t)
      for (std::size_t i = 0; i != columns; ++i) to[i] += rows[t * columns + i];
  }

  void mlp_backward(transformer_plan const& plan, std::size_t l, T* g) const {
    auto const& part = plan.layers[l];
    bool const further = plan.before_mlp(l) || part.mlp_norm;
    if (!further && !part.mlp()) return;
    auto& a = activations(l);
    std::size_t const width = c().width, wide = c().mlp_width;
    std::size_t const in = layout.mlp_in(l).begin, out = layout.mlp_out(l).begin;
    if (part.mlp_out) {
      transposed_multiply(matrix{g + out, wide, width}, constant{a.hidden.data(), n(), wide},
                          constant{space.d_stream.data(), n(), width}, kernels::output::add);
      if (c().biases) add_column_sums(g + out + wide * width, space.d_stream.data(), n(), width);
    }
    if (!further && !part.mlp_in) return;
    multiply_transposed(matrix{space.d_hidden.data(), n(), wide}, constant{space.d_stream.data(), n(), width},
                        constant{w.data() + out, wide, width});
    with_activation(
        [&]<class A>(A) { kernels::activate_backward<A>(space.d_hidden.data(), a.hidden_input.data(), n() * wide); });
    if (part.mlp_in) {
      transposed_multiply(matrix{g + in, width, wide}, constant{a.mlp_normal.data(), n(), width},
                          constant{space.d_hidden.data(), n(), wide}, kernels::output::add);
      if (c().biases) add_column_sums(g + in + width * wide, space.d_hidden.data(), n(), wide);
    }
    if (!further) return;
    multiply_transposed(matrix{space.d_normal.data(), n(), width}, constant{space.d_hidden.data(), n(), wide},
                        constant{w.data() + in, width, wide});
    std::size_t const norm = layout.mlp_norm(l).begin;
    kernels::layer_norm_backward(space.d_stream.data(), part.mlp_norm ? g + norm : nullptr, g + norm + width,
                                 space.d_normal.data(), stream(2 * l + 1), a.mlp_mean.data(), a.mlp_rstd.data(),
                                 w.data() + norm, n(), width);
  }

  void attention_backward(transformer_plan const& plan, std::size_t l, T* g) const {
    auto const& part = plan.layers[l];
    auto& a = activations(l);
    std::size_t const width = c().width, all = c().heads * k();
    bool const further = plan.before(l) || part.attention_norm;
    if (part.output_bias && c().biases)
      add_column_sums(g + layout.output_bias(l).begin, space.d_stream.data(), n(), width);
    if (further || part.every_head()) {
      heads_backward(l, 0, c().heads, part.any_head());
    } else {
      for (std::size_t h = 0; h != c().heads; ++h)
        if (part.heads[h]) heads_backward(l, h, 1, true);
    }
    if (!further) return;
    if (reads_low_rank(l)) return project_low_rank_backward(l);
    multiply_transposed(matrix{space.d_normal.data(), n(), width}, constant{space.d_qkv.data(), n(), 3 * all},
                        constant{space.weights[l].qkv.data(), width, 3 * all});
    std::size_t const norm = layout.attention_norm(l).begin;
    kernels::layer_norm_backward(space.d_stream.data(), part.attention_norm ? g + norm : nullptr, g + norm + width,
                                 space.d_normal.data(), stream(l * stages_per_layer()), a.attention_mean.data(),
                                 a.attention_rstd.data(), w.data() + norm, n(), width);
  }

  /// From d_stream to d_qkv of heads [first, first + count); their weight gradients into space.gradients if asked.
  void heads_backward(std::size_t l, std::size_t first, std::size_t count, bool weights) const {
    auto& a = activations(l);
    std::size_t const width = c().width, all = c().heads * k(), from = first * k(), size = count * k();
    constant const d_stream{space.d_stream.data(), n(), width};
    bool const more = low_rank && low_rank->layer == l;
    if (more) scatter_low_rank(first);
    multiply_transposed(matrix{space.d_z.data() + from, n(), size, all}, d_stream,
                        constant{space.weights[l].out.data() + from * width, size, width},
                        more ? kernels::output::add : kernels::output::overwrite);
    for (std::size_t h = first; h != first + count; ++h)
      for (std::size_t s = 0; s != sequences; ++s) {
        std::size_t const row = s * positions;
        T const* const q = a.qkv.data() + row * 3 * all + 3 * h * k();
        T* const dq = space.d_qkv.data() + row * 3 * all + 3 * h * k();
        kernels::causal_attention_backward(
            dq, 3 * all, dq + k(), 3 * all, dq + 2 * k(), 3 * all, space.d_z.data() + row * all + h * k(), all,
            a.z.data() + row * all + h * k(), all, a.log_sum.data() + h * n() + row, q, 3 * all, q + k(), 3 * all,
            q + 2 * k(), 3 * all, positions, k(), space.attention);
      }
    if (!weights) return;
    auto& gradients = space.gradients[l];
    transposed_multiply(matrix{gradients.out.data() + from * width, size, width},
                        constant{a.z.data() + from, n(), size, all}, d_stream, kernels::output::add);
    transposed_multiply(matrix{gradients.qkv.data() + 3 * from, width, 3 * size, 3 * all},
                        constant{a.normal.data(), n(), width},
                        constant{space.d_qkv.data() + 3 * from, n(), 3 * size, 3 * all}, kernels::output::add);
    if (c().biases)
      for (std::size_t t = 0; t != n(); ++t)
        for (std::size_t i = 3 * from; i != 3 * (from + size); ++i)
          gradients.qkv_bias[i] += space.d_qkv[t * 3 * all + i];
  }

  /// Puts what came through the reader into d_z of head h.
  void scatter_low_rank(std::size_t h) const {
    auto const& heads = *low_rank->heads;
    std::size_t const rank = heads.size() * k();
    auto const i = static_cast<std::size_t>(std::find(heads.begin(), heads.end(), h) - heads.begin());
    for (std::size_t t = 0; t != n(); ++t)
      std::copy_n(space.low_rank.dz.data() + t * rank + i * k(), k(), space.d_z.data() + t * c().heads * k() + h * k());
  }
};

}  // namespace susc
