#pragma once
/// A vector on a 64-byte boundary: one cache line, and the widest SIMD register.
#include <cstddef>
#include <new>
#include <vector>

#include "susc/core/requirements.hpp"

namespace susc {

/// Satisfies std::allocator's requirements.
template <class T>
struct aligned_allocator {
  using value_type = T;                             ///< what is allocated
  static constexpr std::align_val_t alignment{64};  ///< bytes
  aligned_allocator() = default;                    ///< has no state
  /// Any two are the same.
  template <class U>
  constexpr aligned_allocator(aligned_allocator<U> const&) {}
  /// Room for `count` values, uninitialised. Throws std::bad_alloc.
  T* allocate(std::size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), alignment)); }
  /// Gives back what allocate returned.
  void deallocate(T* pointer, std::size_t) { ::operator delete(pointer, alignment); }
  /// Always: either can free what the other allocated.
  friend constexpr bool operator==(aligned_allocator, aligned_allocator) { return true; }
};

/// std::vector on 64-byte boundaries: what weights, gradients and states of samplers are held in.
template <class T>
using aligned_vector = std::vector<T, aligned_allocator<T>>;

/// Working memory that only grows.
template <class T>
void grow(aligned_vector<T>& buffer, std::size_t size) {
  if (buffer.size() < size) buffer.resize(size);
}

}  // namespace susc
