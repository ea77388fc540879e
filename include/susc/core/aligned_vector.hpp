#pragma once
/// A vector on a 64-byte boundary: one cache line, and the widest SIMD register.
#include <cstddef>
#include <new>
#include <vector>

#include "susc/core/requirements.hpp"

namespace susc {

template <class T>
struct aligned_allocator {
  using value_type = T;
  static constexpr std::align_val_t alignment{64};
  aligned_allocator() = default;
  template <class U>
  constexpr aligned_allocator(aligned_allocator<U> const&) {}
  T* allocate(std::size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), alignment)); }
  void deallocate(T* pointer, std::size_t) { ::operator delete(pointer, alignment); }
  friend constexpr bool operator==(aligned_allocator, aligned_allocator) { return true; }
};

template <class T>
using aligned_vector = std::vector<T, aligned_allocator<T>>;

/// Working memory that only grows.
template <class T>
void grow(aligned_vector<T>& buffer, std::size_t size) {
  if (buffer.size() < size) buffer.resize(size);
}

}  // namespace susc
