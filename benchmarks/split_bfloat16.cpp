// Products of floats split into bfloat16 beside float32 products, in speed and error, the rms as a fraction of the
// product's rms. Those in bfloat16 only on a CPU with AMX or AVX512_BF16.
#include <benchmark/benchmark.h>

#include <cmath>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "problem.hpp"
#include "susc/core/random.hpp"
#include "susc/kernels/gemm.hpp"

namespace {
namespace kernels = susc::kernels;

double rms_error(std::vector<float> const& c, std::vector<float> const& a, std::vector<float> const& b, std::size_t n,
                 std::size_t k) {
  double error = 0, size = 0;
  std::vector<double> exact(n);
  for (std::size_t i = 0; i * n != c.size(); ++i) {
    exact.assign(n, 0);
    for (std::size_t p = 0; p != k; ++p)
      for (std::size_t j = 0; j != n; ++j)
        exact[j] += static_cast<double>(a[i * k + p]) * static_cast<double>(b[p * n + j]);
    for (std::size_t j = 0; j != n; ++j) {
      error += std::pow(static_cast<double>(c[i * n + j]) - exact[j], 2);
      size += exact[j] * exact[j];
    }
  }
  return std::sqrt(error / size);
}

void product(benchmark::State& state, kernels::precision how, bool packed, std::size_t m, std::size_t n,
             std::size_t k) {
  susc::random::stream draw({1});
  std::vector<float> a(m * k), b(k * n), c(m * n);
  for (auto* values : {&a, &b})
    for (float& x : *values) x = static_cast<float>(draw.normal());
  kernels::matrix<float> const to{c.data(), m, n};
  kernels::matrix<float const> const left{a.data(), m, k}, right{b.data(), k, n};
  kernels::packed_matrix<float> before;
  if (packed) before.pack(right, how);
  auto const compute = [&] {
    packed ? kernels::multiply<float>(to, left, before)
           : kernels::multiply<float>(to, left, right, kernels::output::overwrite, how);
  };
  compute();
  double const error = rms_error(c, a, b, n, k);
  state.counters["rms_error"] = error;
  double const allowed = how == kernels::precision::single ? 1e-6 : how == kernels::precision::bfloat16 ? 5e-3 : 1e-5;
  if (error > allowed) return bench::skip(state, "rms error " + std::to_string(error));
  for (auto _ : state) {
    compute();
    benchmark::DoNotOptimize(c.data());
    benchmark::ClobberMemory();
  }
  double const work = 2. * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  state.counters["GFLOP/s"] = benchmark::Counter(work * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace

int main(int argc, char** argv) {
  struct shape {
    char const* name;
    std::size_t m, n, k;
  };
#if defined(__AVX512BF16__)
  bool const fast = true;
#else
  bool const fast = kernels::amx_permitted();
#endif
  if (!fast) std::cerr << "Neither AMX nor AVX512_BF16 here: only float32 is measured.\n";
  // Logits, queries with keys and values, the gradient by the logits' input: the demo's model, then the paper's.
  for (shape const& s : {shape{"logits", 512, 1024, 128},
                         {"qkv", 512, 384, 128},
                         {"paper_logits", 512, 5000, 256},
                         {"paper_qkv", 512, 768, 256},
                         {"paper_logits_dx", 512, 256, 5000},
                         {"paper_logits_dw", 256, 5000, 512}})
    for (bool const packed : {false, true})
      for (auto const& [name, how] : {std::pair{"single", kernels::precision::single},
                                      {"split_bfloat16", kernels::precision::split_bfloat16},
                                      {"bfloat16", kernels::precision::bfloat16}}) {
        if (how != kernels::precision::single && !fast) continue;
        benchmark::RegisterBenchmark((std::string(s.name) + (packed ? "/packed/" : "/") + name).c_str(), product, how,
                                     packed, s.m, s.n, s.k);
      }
  return bench::run(argc, argv);
}
