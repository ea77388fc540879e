#pragma once
/// Visitors: what is accumulated while chains run. Each chain has a copy; those of chains that did not diverge are
/// merged.
#include <concepts>
#include <cstddef>
#include <tuple>
#include <utility>

#include "susc/core/concepts.hpp"
#include "susc/io/archive.hpp"
#include "susc/sampling/draw.hpp"

namespace susc {

/// How much a visitor will see, and where.
struct draw_counts {
  std::size_t draws = 0;   ///< a chain
  std::size_t chains = 0;  ///< a component
  std::size_t chain = 0;   ///< which of them
};

/// start(draw at w*, draw_counts) once, add(draw) at every draw, merge(other chain's). Merging is exact up to rounding
/// in any order. Optional: bytes(), what it holds.
// clang-format off
template <class V, class M>
concept Visitor = Model<M> &&
    (requires(V v, V const& other, draw<M> const& at, draw_counts counts) { v.start(at, counts); v.add(at); v.merge(other); } ||
     detail::because<"a Visitor needs `void start(susc::draw<M> const& center, susc::draw_counts)`, `void add(susc::draw<M> const&)` and `void merge(visitor const&)`">) &&
    (!requires(V v) { v.bytes(); } || requires(V const& v) { { v.bytes() } -> std::convertible_to<std::size_t>; } ||
     detail::because<"the bytes() of a Visitor must be `std::size_t bytes() const`">);
// clang-format on

/// Bytes that a visitor holds between start and the end of the run, as far as it tells by a member bytes().
template <class V>
std::size_t bytes_of(V const& visitor) {
  if constexpr (requires {
                  { visitor.bytes() } -> std::convertible_to<std::size_t>;
                })
    return visitor.bytes();
  else
    return sizeof(V);
}

/// A visitor whose chain may be given more draws than it was started with, `draws` in all.
template <class V>
concept ExtendableVisitor = requires(V& v, std::size_t draws) {
  v.extend(draws);
};

/// A visitor to which further probes can be given after the run: another follows the same chains with those alone,
/// `more.batch_like(had)`, and is then taken in, `had.join_probes(more, draw at w* of all probes)`.
template <class V, class M>
concept JoinsProbes = requires(V& had, V& more, draw<M> const& all) {
  more.batch_like(had);
  had.join_probes(more, all);
};

/// Several visitors of the same chains: one pass computes everything.
template <class... Visitors>
struct visitors {
  std::tuple<Visitors...> each;  ///< the visitors, in the order given

  explicit visitors(Visitors... v) : each(std::move(v)...) {}  ///< Takes them by value.

  /// Of each.
  template <Model M>
  void start(draw<M> const& center, draw_counts counts) {
    std::apply([&](auto&... v) { (v.start(center, counts), ...); }, each);
  }
  /// To each.
  template <Model M>
  void add(draw<M> const& at) {
    std::apply([&](auto&... v) { (v.add(at), ...); }, each);
  }
  /// Each with its like.
  void merge(visitors const& other) {
    both(other, [](auto& mine, auto const& theirs) { mine.merge(theirs); });
  }
  /// Each gets more draws, `draws` in all.
  void extend(std::size_t draws) requires(ExtendableVisitor<Visitors>&&...) {
    std::apply([&](auto&... v) { (v.extend(draws), ...); }, each);
  }
  /// Each as its like.
  void batch_like(visitors const& other) {
    both(other, [](auto& mine, auto const& theirs) { mine.batch_like(theirs); });
  }
  /// Each its like.
  template <Model M>
  void join_probes(visitors const& more, draw<M> const& all) requires(JoinsProbes<Visitors, M>&&...) {
    both(more, [&](auto& mine, auto const& theirs) { mine.join_probes(theirs, all); });
  }
  static void members(auto& self, auto&& each) requires(Archivable<Visitors>&&...) {
    std::apply([&](auto&... v) { each(v...); }, self.each);
  }
  /// Of all.
  std::size_t bytes() const {
    return std::apply([](auto const&... v) { return (std::size_t{0} + ... + bytes_of(v)); }, each);
  }

 private:
  template <class Act>
  void both(visitors const& other, Act act) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (act(std::get<I>(each), std::get<I>(other.each)), ...);
    }
    (std::index_sequence_for<Visitors...>{});
  }
};

}  // namespace susc
