#pragma once
// A problem and several methods that solve it: each is verified, then timed, and reported as a fraction of a peak that
// is measured right before and right after.
#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>

#include "peak.hpp"
#include "susc/core/random.hpp"
#include "susc/kernels/flush_denormals.hpp"
#include "susc/kernels/gemm.hpp"

namespace bench {

template <class T>
using row_major = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Eigen::Index;

inline row_major<float> random_matrix(Index rows, Index columns, std::uint64_t seed, double deviation = 1) {
  susc::random::stream draw({seed});
  return row_major<float>::NullaryExpr(rows, columns, [&] { return static_cast<float>(deviation * draw.normal()); });
}
inline susc::kernels::matrix<float const> view(row_major<float> const& m) {
  return {m.data(), static_cast<std::size_t>(m.rows()), static_cast<std::size_t>(m.cols())};
}
inline susc::kernels::matrix<float> view(row_major<float>& m) {
  return {m.data(), static_cast<std::size_t>(m.rows()), static_cast<std::size_t>(m.cols())};
}

/// Empty if no element of `result` is off by more than `tolerance` of the largest: rounding in float32 stays fivefold
/// below the default, a term left out does not.
template <class Result, class Exact>
std::string differs(std::string const& name, Result const& result, Exact const& exact, double tolerance = 2e-5) {
  double const error = (result.template cast<double>() - exact).cwiseAbs().template maxCoeff<Eigen::PropagateNaN>() /
                       exact.cwiseAbs().maxCoeff();
  return error <= tolerance ? "" : name + ": off by " + std::to_string(error) + " of its largest element; ";
}

enum class method { ours, eigen, loops };

/// What a run amounts to.
struct work {
  double amount;     ///< FLOP, or bytes read and written
  double (*peak)();  ///< of such a second
  double items;      ///< counted by `rate`
  char const* rate;
};
inline work flop(double amount) {
  return {amount, multiply_add_peak, amount, "FLOP/s"};
}
inline work flop_of_tokens(double amount, std::size_t tokens) {
  return {amount, multiply_add_peak, static_cast<double>(tokens), "tokens/s"};
}
inline work bytes(double amount) {
  return {amount, copy_bandwidth, amount, "B/s"};
}

inline bool any_wrong = false;
inline void skip(benchmark::State& state, std::string const& wrong) {
  any_wrong = true;
  state.SkipWithError(("wrong result: " + wrong).c_str());
}

/// A problem P has
///   P(count, ...)         its inputs, and the exact results
///   start()               results as they are before a run: not a number, or zero where they are added to
///   run(method)           what is timed
///   wrong(method)         what is wrong with the results of one run after `start`; empty if nothing
///   done()                the work of a run
///   most_for_loops        (optional) the largest count that plain loops are given, where they take long
template <class P>
void measure(benchmark::State& state, P& problem, method how) {
  susc::kernels::flush_denormals const guard;
  problem.start();
  problem.run(how);
  if (std::string const wrong = problem.wrong(how); !wrong.empty()) return skip(state, wrong);
  work const done = problem.done();
  double const before = done.peak();
  double const start = processor_seconds();
  for (auto _ : state) {
    problem.run(how);
    benchmark::ClobberMemory();
  }
  double const seconds = processor_seconds() - start;
  double const peak = std::max(before, done.peak());
  state.counters[done.rate] = benchmark::Counter(done.items, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["of_peak"] = done.amount * static_cast<double>(state.iterations()) / seconds / peak;
}

inline constexpr std::initializer_list<method> all_methods{method::ours, method::eigen, method::loops};

/// Registers `name`/ours, /Eigen, /loops of the problem P(count, arguments...). One problem of a kind is in memory at a
/// time: a benchmark is entered anew for every repetition.
template <class P, class... Arguments>
void add(std::string const& name, std::initializer_list<method> methods, std::size_t count, Arguments... arguments) {
  for (method const how : methods) {
    std::size_t size = count;
    if constexpr (requires { P::most_for_loops; })
      if (how == method::loops) size = std::min(size, P::most_for_loops);
    char const* const label = how == method::ours ? "/ours" : how == method::eigen ? "/Eigen" : "/loops";
    auto const enter = [=](benchmark::State& state) {
      static std::string held;
      static std::unique_ptr<P> problem;
      if (std::string const wanted = name + '/' + std::to_string(size); held != wanted) {
        problem.reset();
        problem = std::make_unique<P>(size, arguments...);
        held = wanted;
      }
      measure(state, *problem, how);
    };
    benchmark::RegisterBenchmark((name + label).c_str(), enter)->Unit(benchmark::kMicrosecond);
  }
}

/// The rest of main: 1 where a result was wrong.
inline int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::AddCustomContext("float_lanes", std::to_string(susc::kernels::lane_count<float>));
  benchmark::RunSpecifiedBenchmarks();
  return any_wrong ? 1 : 0;
}

}  // namespace bench
