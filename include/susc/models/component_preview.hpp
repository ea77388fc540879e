#pragma once
/// What a component of a transformer selects, tensor by tensor of its file, to be read before a long run.
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/models/pretrained_layout.hpp"
#include "susc/models/transformer_file.hpp"
#include "susc/models/transformer_layout.hpp"

namespace susc {

/// The part of one tensor that a component selects.
struct selected_parameter {
  std::string name;                ///< of the tensor
  std::vector<std::size_t> shape;  ///< of the whole tensor
  std::string slice;               ///< as Python would index it: "[4:8, :]"; several joined by " + "
  std::size_t count = 0;           ///< of coordinates selected
};

namespace detail {
/// A rectangle of a row-major matrix.
struct matrix_block {
  index_range rows, columns;
};

/// Coordinates of a matrix of `width` columns as rectangles; ranges sorted and disjoint.
inline std::vector<matrix_block> matrix_blocks(std::vector<index_range> const& ranges, std::size_t width) {
  std::vector<matrix_block> pieces;
  for (index_range r : ranges)
    while (r.size() != 0) {
      std::size_t const row = r.begin / width, column = r.begin % width;
      std::size_t const rows = column == 0 ? std::max<std::size_t>(1, r.size() / width) : 1;
      std::size_t const columns = std::min(width - column, r.size());
      pieces.push_back({{row, row + rows}, {column, column + columns}});
      r.begin += rows == 1 ? columns : rows * width;
    }
  std::sort(pieces.begin(), pieces.end(), [](matrix_block const& a, matrix_block const& b) {
    return std::tuple(a.columns.begin, a.columns.end, a.rows.begin) <
           std::tuple(b.columns.begin, b.columns.end, b.rows.begin);
  });
  std::vector<matrix_block> blocks;
  for (matrix_block const& piece : pieces)
    if (!blocks.empty() && blocks.back().columns == piece.columns && blocks.back().rows.end == piece.rows.begin)
      blocks.back().rows.end = piece.rows.end;
    else
      blocks.push_back(piece);
  return blocks;
}

inline std::string slice_text(index_range r, std::size_t extent) {
  return r.size() == extent ? ":" : std::to_string(r.begin) + ":" + std::to_string(r.end);
}

/// Coordinates of a tensor as boxes, one text each, after the text of the dimensions before.
inline void add_slices(std::vector<std::string>& texts, std::vector<index_range> const& ranges,
                       std::span<std::size_t const> shape, std::string const& before) {
  if (shape.size() == 1) {
    for (index_range const& r : ranges) texts.push_back(before + slice_text(r, shape[0]));
    return;
  }
  std::size_t inner = 1;
  for (std::size_t const extent : shape.subspan(1)) inner *= extent;
  for (matrix_block const& block : matrix_blocks(ranges, inner))
    add_slices(texts, {block.columns}, shape.subspan(1), before + slice_text(block.rows, shape[0]) + ", ");
}

inline std::string slice_text(std::vector<index_range> const& ranges, std::vector<std::size_t> const& shape) {
  constexpr std::size_t most = 8;
  std::vector<std::string> texts;
  add_slices(texts, ranges, shape, "");
  std::string text;
  for (std::size_t i = 0; i != std::min(texts.size(), most); ++i) text += (i == 0 ? "[" : " + [") + texts[i] + "]";
  return texts.size() <= most ? text : text + " + " + std::to_string(texts.size() - most) + " more";
}

/// Adds what the component selects of a tensor, if anything.
inline void add_selected(std::vector<selected_parameter>& all, component const& c, tensor_place const& tensor) {
  std::vector<index_range> inside;
  std::size_t count = 0;
  for (std::size_t p = 0; p != tensor.pieces; ++p) {
    std::size_t const begin = tensor.begin + p * tensor.stride, end = begin + tensor.count;
    auto r = std::partition_point(c.ranges().begin(), c.ranges().end(),
                                  [&](index_range range) { return range.end <= begin; });
    for (; r != c.ranges().end() && r->begin < end; ++r) {
      std::size_t const from = std::max(r->begin, begin) - begin + p * tensor.count;
      inside.push_back({from, from + std::min(r->end, end) - std::max(r->begin, begin)});
      count += inside.back().size();
    }
  }
  if (count != 0) all.push_back({tensor.name, tensor.shape, slice_text(inside, tensor.shape), count});
}
}  // namespace detail

/// Of the tensors in the order of the layout, those that the component has coordinates in.
inline std::vector<selected_parameter> selected_parameters(pretrained_layout const& layout, component const& c) {
  std::vector<selected_parameter> all;
  for (named_parameter const& p : layout.parameters)
    detail::add_selected(all, c, {p.name, p.shape, p.range.begin, 1, p.range.size(), 0});
  return all;
}

/// The same, of the tensors that `save_transformer` writes.
inline std::vector<selected_parameter> selected_parameters(transformer_layout const& layout, component const& c) {
  std::vector<selected_parameter> all;
  detail::for_each_tensor(layout, [&](detail::tensor_place const& tensor) { detail::add_selected(all, c, tensor); });
  return all;
}

/// The same as a text: a line with the component's name and size, and one for each tensor with its name, shape, slice
/// and number of weights.
template <class Layout>
std::string preview(Layout const& layout, component const& c) {
  auto const parameters = selected_parameters(layout, c);
  std::string text = c.name() + ": " + std::to_string(c.size()) + " of " + std::to_string(layout.size()) +
                     " weights, in " + std::to_string(parameters.size()) + " tensors\n";
  for (selected_parameter const& p : parameters) {
    text += "  " + p.name + " (";
    for (std::size_t i = 0; i != p.shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(p.shape[i]);
    text += ") " + p.slice + " " + std::to_string(p.count) + "\n";
  }
  return text;
}

}  // namespace susc
