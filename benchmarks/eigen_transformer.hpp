#pragma once
// The forward pass of an attention-only transformer in plain Eigen, sequence by sequence, from the flat weights.
#include <span>

#include "layers.hpp"
#include "susc/models/transformer_layout.hpp"

namespace bench {

template <class T>
class eigen_transformer {
 public:
  eigen_transformer(susc::transformer_layout const& layout, std::span<float const> w)
      : layout_(layout), w_(Eigen::Map<column<float> const>(w.data(), static_cast<Index>(w.size())).cast<T>()) {}

  void losses(susc::token_batch const& batch, std::span<T> losses) {
    Index const length = static_cast<Index>(batch.length) - 1;
    for (std::size_t s = 0; s != batch.sequences; ++s) {
      auto const tokens = batch.sequence(s);
      auto const embedding = matrix(layout_.embedding().begin, vocabulary(), width());
      x_ = matrix(layout_.positions().begin, length, width());
      for (Index t = 0; t != length; ++t) x_.row(t) += embedding.row(tokens[static_cast<std::size_t>(t)]);
      for (std::size_t l = 0; l != layout_.config.layers; ++l) layer(l);
      normalise_by(layout_.final_norm());
      logits_.noalias() = normal_ * matrix(layout_.unembedding().begin, width(), vocabulary());
      logits_.rowwise() += vector(layout_.unembedding_bias().begin, vocabulary());
      Eigen::Map<column<T>>(losses.data() + static_cast<Index>(s) * length, length) =
          losses_of_logits<T>(logits_, tokens.subspan(1));
    }
  }

 private:
  Index width() const { return static_cast<Index>(layout_.config.width); }
  Index vocabulary() const { return static_cast<Index>(layout_.config.vocabulary); }
  auto matrix(std::size_t at, Index rows, Index columns) const {
    return Eigen::Map<row_major<T> const>(w_.data() + at, rows, columns);
  }
  auto vector(std::size_t at, Index size) const { return Eigen::Map<row<T> const>(w_.data() + at, size); }

  void normalise_by(susc::index_range norm) {
    layer_norm<T>(normal_, x_, vector(norm.begin, width()), vector(norm.begin + norm.size() / 2, width()));
  }
  void layer(std::size_t l) {
    Index const k = static_cast<Index>(layout_.config.width_of_head());
    normalise_by(layout_.attention_norm(l));
    x_.rowwise() += vector(layout_.output_bias(l).begin, width());
    for (std::size_t h = 0; h != layout_.config.heads; ++h) {
      std::size_t const at = layout_.head(l, h).begin, size = layout_.head_matrix();
      for (std::size_t i = 0; i != 3; ++i) {
        qkv_[i].noalias() = normal_ * matrix(at + i * size, width(), k);
        qkv_[i].rowwise() += vector(at + 4 * size + i * static_cast<std::size_t>(k), k);
      }
      z_.noalias() = attention_pattern<T>(qkv_[0], qkv_[1]) * qkv_[2];
      x_.noalias() += z_ * matrix(at + 3 * size, k, width());
    }
  }

  susc::transformer_layout layout_;
  column<T> w_;
  row_major<T> x_, normal_, qkv_[3], z_, logits_;
};

}  // namespace bench
