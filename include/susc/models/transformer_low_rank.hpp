#pragma once
/// What reads the residual stream right behind a few heads, at the cost of their rank. A norm and a linear map W after
/// it, be it the next layer's queries, keys and values or the unembedding, give
///   scale[t] (base[t,:] + z[t,:] M) + bias,   M = centred(O) diag(gain) W,   base = centred(rest) diag(gain) W
/// where z, O are the heads' values and output weights, `rest` is the stream without them, scale the norm's 1/deviation
/// and centred() subtracts a row's mean. base and bias do not depend on the heads: a frozen batch keeps them.
#include <algorithm>
#include <cstddef>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/kernels/gemm.hpp"
#include "susc/kernels/low_rank_cross_entropy.hpp"
#include "susc/models/transformer_plan.hpp"

namespace susc {

/// Whether what reads the start's heads next, behind the norm, stays still, and they are few enough to gain by it.
inline bool has_low_rank_reader(transformer_layout const& layout, transformer_plan const& plan,
                                transformer_start const& start) {
  transformer_config const& c = layout.config;
  if (start.at != transformer_start::stage::heads || c.mlp_width != 0) return false;
  if (2 * start.heads.size() * c.width_of_head() > c.width) return false;
  std::size_t const reader = start.layer + 1;
  if (reader == c.layers) return !plan.final_norm && !plan.unembedding && !plan.unembedding_bias;
  return !plan.layers[reader].attention_norm && !plan.layers[reader].any_head();
}

/// Columns of what reads the start's heads: the next layer's queries, keys and values, or the logits.
inline std::size_t columns_read(transformer_layout const& layout, transformer_start const& start) {
  transformer_config const& c = layout.config;
  return start.layer + 1 == c.layers ? c.vocabulary : 3 * c.heads * c.width_of_head();
}

/// What is frozen of it for a chunk of n tokens: base (n, columns), bias (columns,).
template <class T>
struct low_rank_frozen {
  std::vector<std::size_t> const* heads;  ///< those that move
  std::size_t layer;                      ///< theirs; the reader is the next layer, after the last one the unembedding
  T const* base;                          ///< (n, columns)
  T const* bias;                          ///< (columns,)
};

/// Working memory; rank = heads * head_width.
template <class T>
struct low_rank_space {
  aligned_vector<T> out, centred, mapped, d_mapped;  ///< (rank, width) twice, (rank, columns) twice: O, ..., M
  aligned_vector<T> z, dz, d_scale;                  ///< (n, rank) twice, (n)
  kernels::low_rank_scratch<T> scratch;              ///< of the losses
};

/// The map from the values of a few heads to what the reader makes of them; all results go into `space`.
template <class T>
struct low_rank_map {
  T const* gain;                     ///< of the norm, (width,), its bias behind it
  kernels::matrix<T const> weights;  ///< W (width, columns)
  std::size_t rank;                  ///< heads * head_width
  low_rank_space<T>& space;          ///< of the calling thread
  kernels::precision how;            ///< of the products

  using matrix = kernels::matrix<T>;          ///< to be written to
  using constant = kernels::matrix<T const>;  ///< to be read

  std::size_t width() const { return weights.rows; }                          ///< of the residual stream
  std::size_t columns() const { return weights.columns; }                     ///< of the reader
  constant mapped() const { return {space.mapped.data(), rank, columns()}; }  ///< M
  constant z(std::size_t n) const { return {space.z.data(), n, rank}; }       ///< (n, rank)

  /// base (n, columns) of the stream without the heads (n, width). `scaled` (n, width) is scratch.
  void freeze(T* base, T const* rest, T* scaled, std::size_t n) const {
    for (std::size_t t = 0; t != n; ++t) centre(scaled + t * width(), rest + t * width());
    kernels::multiply<T>(matrix{base, n, columns()}, constant{scaled, n, width()}, weights, kernels::output::overwrite,
                         how);
  }
  /// bias (columns,) from the map's own, which may be null.
  void freeze_bias(T* bias, T const* own) const {
    kernels::multiply<T>(matrix{bias, 1, columns()}, constant{gain + width(), 1, width()}, weights,
                         kernels::output::overwrite, how);
    for (std::size_t i = 0; own != nullptr && i != columns(); ++i) bias[i] += own[i];
  }

  /// M from the heads' output weights, `space.out`.
  void map_heads() const {
    grow(space.centred, rank * width());
    grow(space.mapped, rank * columns());
    for (std::size_t r = 0; r != rank; ++r) centre(space.centred.data() + r * width(), space.out.data() + r * width());
    kernels::multiply<T>(matrix{space.mapped.data(), rank, columns()}, constant{space.centred.data(), rank, width()},
                         weights, kernels::output::overwrite, how);
  }
  /// The gradient of `space.out`, (rank, width), from that of M.
  T const* map_back() const {
    // The product whose left factor is W as it lies, so that W is not packed.
    T* const slopes = space.centred.data();
    auto& transposed = space.scratch.u;
    grow(transposed, width() * rank);
    kernels::multiply_transposed<T>(matrix{transposed.data(), width(), rank}, weights,
                                    constant{space.d_mapped.data(), rank, columns()}, kernels::output::overwrite, how);
    for (std::size_t r = 0; r != rank; ++r) {
      T sum = 0;
      for (std::size_t d = 0; d != width(); ++d) sum += transposed[d * rank + r] * gain[d];
      T const mean = sum / static_cast<T>(width());
      for (std::size_t d = 0; d != width(); ++d) slopes[r * width() + d] = transposed[d * rank + r] * gain[d] - mean;
    }
    return slopes;
  }

  /// What goes through the scale: d_stream -= scale^3 d_scale (stream - mean) / width, all (n, width) or (n,).
  void add_slopes_of_scale(T* d_stream, T const* stream, T const* mean, T const* scale, std::size_t n) const {
    for (std::size_t t = 0; t != n; ++t) {
      T const factor = -scale[t] * scale[t] * scale[t] * space.d_scale[t] / static_cast<T>(width());
      for (std::size_t d = 0; d != width(); ++d)
        d_stream[t * width() + d] += factor * (stream[t * width() + d] - mean[t]);
    }
  }

 private:
  /// to = (from - mean) * gain, (width,).
  void centre(T* to, T const* from) const {
    T sum = 0;
    for (std::size_t d = 0; d != width(); ++d) sum += from[d];
    T const mean = sum / static_cast<T>(width());
    for (std::size_t d = 0; d != width(); ++d) to[d] = (from[d] - mean) * gain[d];
  }
};

}  // namespace susc
