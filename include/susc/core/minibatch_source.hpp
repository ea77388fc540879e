#pragma once
/// Where minibatches come from: a function of size and key, so that any chain, in any thread, can ask for any step's.
#include <concepts>
#include <cstddef>
#include <type_traits>

#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"

namespace susc {

namespace detail {
/// The very type: of what is only convertible to it, chains would keep a reference to a temporary.
template <class F, class Batch>
concept gives_minibatches = requires(F const& minibatch, std::size_t size, random::key key) {
  requires std::same_as<std::remove_cvref_t<decltype(minibatch(size, key))>, Batch>;
};
template <class F, class Batch>
concept refills_minibatches = std::invocable<F const&, std::size_t, random::key, Batch&>;
}  // namespace detail

// clang-format off
/// Gives minibatches: batch(batch_size, random::key).
template <class F, class Batch>
concept GivesMinibatches =
    (detail::gives_minibatches<F, Batch> ||
     detail::because<"minibatches must come from `batch operator()(std::size_t batch_size, susc::random::key) const`, of the model's own type `batch`">);

/// Refills one: void(batch_size, random::key, batch&).
template <class F, class Batch>
concept RefillsMinibatches =
    (detail::refills_minibatches<F, Batch> ||
     detail::because<"minibatches that are refilled must come from `void operator()(std::size_t batch_size, susc::random::key, batch&) const`, of the model's own type `batch`">);

/// Either.
template <class F, class Batch>
concept MinibatchSource =
    (detail::gives_minibatches<F, Batch> || detail::refills_minibatches<F, Batch> ||
     detail::because<"a MinibatchSource needs `batch operator()(std::size_t batch_size, susc::random::key) const` or `void operator()(std::size_t batch_size, susc::random::key, batch&) const`, of the model's own type `batch`">);
// clang-format on

}  // namespace susc
