#include "susc/core/pool.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <barrier>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <set>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace {
thread_local std::size_t allocations = 0;
}

// For the whole test program: counts what a thread allocates. Inlined, g++ 12 takes malloc and delete for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
  ++allocations;
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace {
// Counts the values made.
struct workspace {
  static inline std::atomic<int> made = 0, alive = 0;
  std::vector<double> memory;
  std::atomic<int> users = 0;
  workspace() { ++made, ++alive; }
  ~workspace() { --alive; }
  workspace(workspace const&) = delete;
};

TEST_CASE("a value comes back and is lent again, with the memory it has grown") {
  workspace::made = 0;
  susc::pool<workspace> pool;
  workspace* first = nullptr;
  pool.borrow([&](workspace& w) {
    first = &w;
    w.memory.resize(100);
  });
  for (int i = 0; i != 100; ++i)
    pool.borrow([&](workspace& w) {
      CHECK(&w == first);
      CHECK(w.memory.size() == 100);
    });
  CHECK(workspace::made == 1);
}

TEST_CASE("giving back never allocates, nor does anything once as many values were made as are in use at once") {
  susc::pool<workspace> pool;
  std::size_t before = allocations, innermost = 0;
  auto const three_at_once = [&] {
    pool.borrow([&](workspace&) {
      pool.borrow([&](workspace&) { pool.borrow([&](workspace&) { innermost = allocations; }); });
    });
  };
  three_at_once();
  CHECK(innermost > before);  // the counter works
  CHECK(allocations == innermost);
  before = allocations;
  for (int i = 0; i != 10; ++i) three_at_once();
  CHECK(allocations == before);
}

TEST_CASE("what the function returns is passed on, references as references") {
  susc::pool<int> pool;
  int outside = 3;
  CHECK(pool.borrow([](int& value) { return value = 7; }) == 7);
  static_assert(std::is_same_v<decltype(pool.borrow([&](int&) -> int& { return outside; })), int&>);
  static_assert(std::is_void_v<decltype(pool.borrow([](int&) {}))>);
  CHECK(&pool.borrow([&](int&) -> int& { return outside; }) == &outside);
}

TEST_CASE("loans at the same time are of different values, and no more are made than that") {
  workspace::made = 0;
  susc::pool<workspace> pool;
  constexpr std::size_t threads = 4;
  std::array<workspace*, threads> lent{};
  std::barrier all_have_one(threads);
  std::atomic<int> shared = 0;
  {
    std::vector<std::jthread> workers;
    for (std::size_t t = 0; t != threads; ++t)
      workers.emplace_back([&, t] {
        pool.borrow([&](workspace& w) {
          lent[t] = &w;
          all_have_one.arrive_and_wait();
        });
        for (int i = 0; i != 5000; ++i)
          pool.borrow([&](workspace& w) {
            if (w.users++ != 0) ++shared;
            w.users--;
          });
      });
  }
  CHECK(std::set<workspace*>(lent.begin(), lent.end()).size() == threads);
  CHECK(shared == 0);
  CHECK(workspace::made == threads);
  // Nested loans of one thread are different values too.
  pool.borrow([&](workspace& outer) { pool.borrow([&](workspace& inner) { CHECK(&outer != &inner); }); });
  CHECK(workspace::made == threads);
}

TEST_CASE("an exception passes through and the value comes back") {
  workspace::made = 0;
  susc::pool<workspace> pool;
  for (int i = 0; i != 3; ++i)
    CHECK_THROWS_WITH_AS(pool.borrow([](workspace&) { throw std::runtime_error("from inside"); }), "from inside",
                         std::runtime_error);
  pool.borrow([](workspace&) {});
  CHECK(workspace::made == 1);
}

TEST_CASE("a value that cannot be made leaves the pool as it was") {
  struct fails_once {
    fails_once() {
      static bool failed = false;
      if (!std::exchange(failed, true)) throw std::bad_alloc();
    }
  };
  susc::pool<fails_once> pool;
  CHECK_THROWS_AS(pool.borrow([](fails_once&) {}), std::bad_alloc);
  pool.borrow([](fails_once&) {});
}

TEST_CASE("a copy of a pool starts empty; assignment keeps what is there; all values end with their pool") {
  workspace::made = 0;
  {
    susc::pool<workspace> pool;
    workspace const* const first = pool.borrow([](workspace& w) { return &w; });
    susc::pool<workspace> copy = pool;
    CHECK(copy.borrow([](workspace& w) { return &w; }) != first);
    CHECK(workspace::made == 2);
    pool = copy;
    CHECK(pool.borrow([](workspace& w) { return &w; }) == first);
    CHECK(workspace::alive == 2);
  }
  CHECK(workspace::alive == 0);
}
}  // namespace
