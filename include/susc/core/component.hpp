#pragma once
/// A component: a named subset of the coordinates of the flat weight vector ("l0h3", "l1", "embed", "full").
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "susc/core/error.hpp"

namespace susc {

/// Coordinates [begin, end) of the flat weight vector.
struct index_range {
  std::size_t begin = 0;                                      ///< the first coordinate
  std::size_t end = 0;                                        ///< the one after the last
  constexpr std::size_t size() const { return end - begin; }  ///< number of coordinates
  friend constexpr bool operator==(index_range, index_range) = default;
  static void members(auto& self, auto&& each) { each(self.begin, self.end); }
};

/// A named subset of coordinates; ranges are sorted, disjoint, non-empty and not adjacent.
class component {
 public:
  component() = default;  ///< Without name and coordinates; only to be assigned to.
  /// Sorts and joins the ranges. Throws if the name is empty, a range is reversed, or nothing is selected.
  component(std::string name, std::vector<index_range> ranges) : name_(std::move(name)) {
    require(!name_.empty(), "a component needs a name");
    std::sort(ranges.begin(), ranges.end(), [](auto a, auto b) { return a.begin < b.begin; });
    for (index_range const r : ranges) {
      require(r.begin <= r.end, "component '", name_, "': range [", r.begin, ", ", r.end, ") ends before it begins");
      if (r.size() == 0) continue;
      if (!ranges_.empty() && r.begin <= ranges_.back().end)
        ranges_.back().end = std::max(ranges_.back().end, r.end);
      else
        ranges_.push_back(r);
    }
    require(!ranges_.empty(), "component '", name_, "' selects no weights");
    for (index_range const r : ranges_) size_ += r.size();
  }

  std::string const& name() const { return name_; }                ///< as asked for, for a union "l0h1+l1h4"
  std::span<index_range const> ranges() const { return ranges_; }  ///< sorted by their begin
  /// Number of coordinates selected.
  std::size_t size() const { return size_; }

  /// Copies the selected coordinates of `from` (parameter_count,) to `to` (size(),).
  template <class T>
  void gather(std::span<T const> from, std::span<T> to) const {
    std::size_t position = 0;
    for (index_range const r : ranges_) {
      std::copy_n(from.begin() + r.begin, r.size(), to.begin() + position);
      position += r.size();
    }
  }
  /// Copies `from` (size(),) to the selected coordinates of `to` (parameter_count,).
  template <class T>
  void scatter(std::span<T const> from, std::span<T> to) const {
    std::size_t position = 0;
    for (index_range const r : ranges_) {
      std::copy_n(from.begin() + position, r.size(), to.begin() + r.begin);
      position += r.size();
    }
  }

  friend bool operator==(component const&, component const&) = default;

 private:
  std::string name_;
  std::vector<index_range> ranges_;
  std::size_t size_ = 0;
};

/// All of a model's weights, under the name "full".
inline component full_component(std::size_t parameter_count) {
  return {"full", {{0, parameter_count}}};
}

namespace detail {
/// Levenshtein distance, to suggest the nearest valid name.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t const substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}
}  // namespace detail

/// The component called `name`, or the union of several joined by '+' ("l0h1+l1h4").
/// Throws with the nearest valid names if one is unknown.
inline component find_component(std::span<component const> components, std::string_view name) {
  std::vector<index_range> ranges;
  for (std::string_view rest = name;;) {
    std::string_view const part = rest.substr(0, rest.find('+'));
    auto const found =
        std::find_if(components.begin(), components.end(), [&](component const& c) { return c.name() == part; });
    if (found == components.end()) {
      std::vector<std::string> names;
      for (component const& c : components) names.push_back(c.name());
      std::stable_sort(names.begin(), names.end(), [&](auto const& a, auto const& b) {
        return detail::edit_distance(a, part) < detail::edit_distance(b, part);
      });
      std::string nearest;
      for (std::size_t i = 0; i != std::min<std::size_t>(names.size(), 8); ++i)
        nearest += (i == 0 ? "" : ", ") + names[i];
      fail("unknown component '", part, "'; nearest valid names: ", nearest);
    }
    ranges.insert(ranges.end(), found->ranges().begin(), found->ranges().end());
    if (part.size() == rest.size()) break;
    rest.remove_prefix(part.size() + 1);
  }
  return {std::string(name), std::move(ranges)};
}

}  // namespace susc
