#pragma once
/// What a component of a pretrained transformer selects, tensor by tensor, to be read before a long run.
#include <algorithm>
#include <cstddef>
#include <string>
#include <tuple>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/models/pretrained_layout.hpp"

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

/// Of a tensor of one or two dimensions.
inline std::string slice_text(std::vector<index_range> const& ranges, std::vector<std::size_t> const& shape) {
  constexpr std::size_t most = 8;
  auto const blocks = matrix_blocks(ranges, shape.back());
  std::string text;
  for (std::size_t i = 0; i != std::min(blocks.size(), most); ++i) {
    text += i == 0 ? "[" : " + [";
    if (shape.size() == 2) text += slice_text(blocks[i].rows, shape[0]) + ", ";
    text += slice_text(blocks[i].columns, shape.back()) + "]";
  }
  return blocks.size() <= most ? text : text + " + " + std::to_string(blocks.size() - most) + " more";
}
}  // namespace detail

/// Of the tensors in the order of the layout, those that the component has coordinates in.
inline std::vector<selected_parameter> selected_parameters(pretrained_layout const& layout, component const& c) {
  std::vector<selected_parameter> all;
  for (named_parameter const& p : layout.parameters) {
    std::vector<index_range> inside;
    std::size_t count = 0;
    auto r = std::partition_point(c.ranges().begin(), c.ranges().end(),
                                  [&](index_range range) { return range.end <= p.range.begin; });
    for (; r != c.ranges().end() && r->begin < p.range.end; ++r) {
      inside.push_back(
          {std::max(r->begin, p.range.begin) - p.range.begin, std::min(r->end, p.range.end) - p.range.begin});
      count += inside.back().size();
    }
    if (count != 0) all.push_back({p.name, p.shape, detail::slice_text(inside, p.shape), count});
  }
  return all;
}

/// The same as a text: a line with the component's name and size, and one for each tensor with its name, shape, slice
/// and number of weights.
inline std::string preview(pretrained_layout const& layout, component const& c) {
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
