#pragma once
/// Working memory that const member functions may use from several threads: borrowed for one call, then returned.
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "susc/core/requirements.hpp"

namespace susc {

/// Holds as many values as were ever in use at once; a copy of a pool starts empty.
template <class T>
class pool {
 public:
  pool() = default;                               ///< Empty: the first borrower makes a value.
  pool(pool const&) {}                            ///< Empty: values are working memory, not content.
  pool& operator=(pool const&) { return *this; }  ///< Keeps its own values.

  /// Runs `use(T&)` on a value that no other thread has.
  template <class F>
  decltype(auto) borrow(F&& use) {
    struct loan {
      pool& home;
      std::unique_ptr<T> value;
      ~loan() {
        std::lock_guard const lock(home.mutex_);
        home.idle_.push_back(std::move(value));
      }
    } borrowed{*this, take()};
    return std::forward<F>(use)(*borrowed.value);
  }

 private:
  std::unique_ptr<T> take() {
    std::lock_guard const lock(mutex_);
    if (idle_.empty()) {
      idle_.reserve(++in_total_);  // so that giving a value back never allocates
      return std::make_unique<T>();
    }
    auto value = std::move(idle_.back());
    idle_.pop_back();
    return value;
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> idle_;
  std::size_t in_total_ = 0;
};

}  // namespace susc
