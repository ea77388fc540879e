#pragma once
/// Chains on the processes of an MPI program, on one machine or many: mpirun -n 8 PROGRAM. Needs MPI 3 (<mpi.h>), and
/// what `pkg-config --cflags --libs ompi` says, or the compiler mpicxx.
#include <mpi.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/io/archive.hpp"
#include "susc/io/run_directory.hpp"
#include "susc/sampling/executor.hpp"

namespace susc {

namespace detail {
/// Two numbers that every rank can read and change while the others compute.
class mpi_window {
 public:
  enum slot : MPI_Aint { next_task, halted };

  /// To be called by all ranks, as the destructor is.
  explicit mpi_window(MPI_Comm communicator, int rank) {
    // The numbers lie with rank 0.
    MPI_Win_allocate(rank == 0 ? 2 * sizeof(std::int64_t) : 0, sizeof(std::int64_t), MPI_INFO_NULL, communicator,
                     &numbers_, &window_);
    MPI_Win_lock_all(0, window_);
    if (rank == 0) numbers_[next_task] = numbers_[halted] = 0;
    MPI_Win_sync(window_);
    MPI_Barrier(communicator);
  }
  mpi_window(mpi_window const&) = delete;
  ~mpi_window() {
    MPI_Win_unlock_all(window_);
    MPI_Win_free(&window_);
  }

  /// Adds to a number; what it was before.
  std::int64_t add(slot which, std::int64_t value) {
    std::int64_t before = 0;
    MPI_Fetch_and_op(&value, &before, MPI_INT64_T, 0, which, MPI_SUM, window_);
    MPI_Win_flush(0, window_);
    return before;
  }

 private:
  std::int64_t* numbers_ = nullptr;
  MPI_Win window_ = MPI_WIN_NULL;
};
}  // namespace detail

/// Tasks on the ranks of a communicator, one at a time on each, each rank taking the next one when it is free. All
/// ranks make the same calls, with the same arguments, and all return the same results. `progress` tells of the rank's
/// own steps, `resumed` of all that were done before. What a task throws makes every rank throw, the
/// others susc::error with that rank's message; one rank that is told to stop stops all. The calling thread alone calls
/// MPI, while the task is in another: MPI_Init_thread(..., MPI_THREAD_FUNNELED, ...) will do.
struct mpi {
  MPI_Comm communicator = MPI_COMM_WORLD;  ///< whose ranks take part

  /// This process among the `workers()`, from 0. Throws susc::error where MPI cannot be used, as in a task, which is in
  /// another thread than that of MPI: ask before.
  std::size_t rank() const { return static_cast<std::size_t>(own_rank()); }

  /// Ranks. Throws susc::error where MPI cannot be used.
  std::size_t workers() const {
    check();
    int ranks = 0;
    MPI_Comm_size(communicator, &ranks);
    return static_cast<std::size_t>(ranks);
  }

  /// Calls every task in every rank: what tasks leave in memory has no way to the others. So does training.
  template <class F>
  void operator()(std::size_t tasks, F&& task) const {
    sequential{}(tasks, task);
  }

  /// Calls first() on rank 0, then others(what it returned) on the others; see DistributedExecutor.
  template <class First, class Others>
  void prepare(First&& first, Others&& others) const {
    bool const here = own_rank() == 0;
    std::string bytes;
    throw_together(failure_of([&] {
      if (here) bytes = first();
    }));
    broadcast(bytes, 0);
    throw_together(failure_of([&] {
      if (!here) others(static_cast<std::string const&>(bytes));
    }));
  }

  /// Calls task(i, stop), each on one rank, and brings the results to all; see DistributedExecutor.
  template <class Task, class Results>
  void distribute(std::size_t tasks, Task&& task, Results&& results, std::atomic<bool> const* stop) const {
    require_same_everywhere(tasks);
    std::vector<int> ran_on(tasks, -1);
    throw_together(run_here(tasks, task, stop, ran_on));
    MPI_Allreduce(MPI_IN_PLACE, ran_on.data(), static_cast<int>(tasks), MPI_INT, MPI_MAX, communicator);
    std::exception_ptr failure;  // kept till the end: the other ranks go on
    auto const try_to = [&](auto&& act) {
      if (!failure) failure = failure_of(act);
    };
    int const here = own_rank();
    for (std::size_t i = 0; i != tasks; ++i) {
      std::string bytes;
      if (ran_on[i] == here) try_to([&] { bytes = packed(results, i); });
      broadcast(bytes, ran_on[i]);
      if (ran_on[i] != here) try_to([&] { unpack(results, i, bytes); });
    }
    throw_together(failure);
  }

 private:
  /// Between two looks at what other ranks say. One that waits for another does no computing.
  static constexpr std::chrono::milliseconds interval{5};

  void check() const {
    int begun = 0, ended = 0, provided = MPI_THREAD_SINGLE, main_thread = 0;
    MPI_Initialized(&begun);
    if (begun) MPI_Finalized(&ended);
    require(begun && !ended,
            "MPI is not initialised: call MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, "
            "&provided) first, and MPI_Finalize() at the end");
    MPI_Query_thread(&provided);
    MPI_Is_thread_main(&main_thread);
    require(provided >= MPI_THREAD_SERIALIZED || (provided == MPI_THREAD_FUNNELED && main_thread),
            provided == MPI_THREAD_SINGLE ? "MPI was initialised for a single thread: call MPI_Init_thread(&argc, "
                                            "&argv, MPI_THREAD_FUNNELED, &provided) instead of MPI_Init"
                                          : "MPI was initialised for calls of the main thread (MPI_THREAD_FUNNELED), "
                                            "but this is another: MPI_THREAD_SERIALIZED allows them");
  }

  int own_rank() const {
    check();
    int rank = 0;
    MPI_Comm_rank(communicator, &rank);
    return rank;
  }

  template <class F>
  static std::exception_ptr failure_of(F&& f) {
    try {
      f();
      return nullptr;
    } catch (...) {
      return std::current_exception();
    }
  }

  template <class Results>
  static std::string packed(Results& results, std::size_t i) {
    archive_writer to;
    results(i, to);
    return to.bytes();
  }
  template <class Results>
  static void unpack(Results& results, std::size_t i, std::string const& bytes) {
    archive_reader from(bytes, "results of task " + std::to_string(i) + ": ");
    results(i, from);
    from.finish();
  }

  /// Takes tasks until there are none, and notes itself for each. Returns when all ranks have.
  template <class Task>
  std::exception_ptr run_here(std::size_t tasks, Task& task, std::atomic<bool> const* stop,
                              std::vector<int>& ran_on) const {
    int const here = own_rank();
    detail::mpi_window shared(communicator, here);
    std::exception_ptr failure;
    std::atomic<bool> halt = false;
    auto const look = [&] {  // the calls of MPI by which rank 0 serves the others, too
      bool const now = failure || (stop != nullptr && *stop);
      if (shared.add(detail::mpi_window::halted, now) + now > 0) halt = true;
    };
    while (!failure) {
      auto const i = static_cast<std::size_t>(shared.add(detail::mpi_window::next_task, 1));
      if (i >= tasks) break;
      look();
      failure = failure_of([&] {
        ran_on[i] = here;
        auto running = std::async(std::launch::async, [&] { task(i, &halt); });
        while (running.wait_for(interval) != std::future_status::ready) look();
        running.get();
      });
    }
    MPI_Request all_done = MPI_REQUEST_NULL;
    look();
    MPI_Ibarrier(communicator, &all_done);
    for (int yes = 0;;) {
      MPI_Test(&all_done, &yes, MPI_STATUS_IGNORE);
      if (yes) return failure;
      std::this_thread::sleep_for(interval);
      look();
    }
  }

  /// Throws on every rank if any has a failure: there its own, elsewhere the worst one's message, of the lowest rank.
  void throw_together(std::exception_ptr failure) const {
    enum severity { none, stopped, failed };
    struct {
      int severity = none, rank = 0;
    } own, worst;
    own.rank = own_rank();
    std::string message;
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (interrupted const& e) {
      own.severity = stopped;
      message = e.what();
    } catch (std::exception const& e) {
      own.severity = failed;
      message = e.what();
    } catch (...) {
      own.severity = failed;
      message = "an exception of another type than std::exception";
    }
    MPI_Allreduce(&own, &worst, 1, MPI_2INT, MPI_MAXLOC, communicator);  // of equals, that of the lowest rank
    if (worst.severity == none) return;
    broadcast(message, worst.rank);
    if (own.severity == worst.severity) std::rethrow_exception(failure);
    if (worst.severity == stopped) throw interrupted(message);
    fail("rank ", worst.rank, ": ", message);
  }

  void require_same_everywhere(std::size_t tasks) const {
    std::uint64_t const own[2]{tasks, ~std::uint64_t{tasks}};
    std::uint64_t largest[2];
    check();
    MPI_Allreduce(own, largest, 2, MPI_UINT64_T, MPI_MAX, communicator);
    require(largest[0] == ~largest[1], "ranks have from ", ~largest[1], " to ", largest[0],
            " tasks, and must have the same: all ranks of a run must make the same calls");
  }

  /// `bytes` of one rank to all.
  void broadcast(std::string& bytes, int from) const {
    std::uint64_t size = bytes.size();
    MPI_Bcast(&size, 1, MPI_UINT64_T, from, communicator);
    bytes.resize(size);
    constexpr std::uint64_t largest = std::uint64_t{1} << 30;  // MPI counts in int
    for (std::uint64_t begin = 0; begin < size; begin += largest)
      MPI_Bcast(bytes.data() + begin, static_cast<int>(std::min(largest, size - begin)), MPI_BYTE, from, communicator);
  }
};

}  // namespace susc
