// Matrix products against Eigen's and plain loops, as fractions of the multiply-add peak measured in this process.
#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <cmath>
#include <string>
#include <vector>

#include "peak.hpp"
#include "susc/core/random.hpp"
#include "susc/kernels/gemm.hpp"

namespace {

using row_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
enum class method { ours, eigen, loops };
enum class product { plain, right_transposed, left_transposed };

void loops(row_major& c, row_major const& a, row_major const& b, product which) {
  c.setZero();
  Eigen::Index const depth = which == product::left_transposed ? a.rows() : a.cols();
  for (Eigen::Index i = 0; i != c.rows(); ++i)
    for (Eigen::Index p = 0; p != depth; ++p)
      for (Eigen::Index j = 0; j != c.cols(); ++j)
        c(i, j) += (which == product::left_transposed ? a(p, i) : a(i, p)) *
                   (which == product::right_transposed ? b(j, p) : b(p, j));
}

void compute(row_major& c, row_major const& a, row_major const& b, product which, method how) {
  namespace kernels = susc::kernels;
  auto const view = [](row_major const& m) {
    return kernels::matrix<float const>{m.data(), static_cast<std::size_t>(m.rows()),
                                        static_cast<std::size_t>(m.cols())};
  };
  kernels::matrix<float> const to{c.data(), static_cast<std::size_t>(c.rows()), static_cast<std::size_t>(c.cols())};
  switch (which) {
    case product::plain:
      if (how == method::ours) kernels::multiply<float>(to, view(a), view(b));
      if (how == method::eigen) c.noalias() = a * b;
      break;
    case product::right_transposed:
      if (how == method::ours) kernels::multiply_transposed<float>(to, view(a), view(b));
      if (how == method::eigen) c.noalias() = a * b.transpose();
      break;
    case product::left_transposed:
      if (how == method::ours) kernels::transposed_multiply<float>(to, view(a), view(b));
      if (how == method::eigen) c.noalias() = a.transpose() * b;
      break;
  }
  if (how == method::loops) loops(c, a, b, which);
}

void gemm(benchmark::State& state, method how, product which, Eigen::Index m, Eigen::Index n, Eigen::Index k) {
  susc::random::stream draw({1});
  row_major a(which == product::left_transposed ? k : m, which == product::left_transposed ? m : k),
      b(which == product::right_transposed ? n : k, which == product::right_transposed ? k : n), c(m, n), exact(m, n);
  for (auto* matrix : {&a, &b})
    for (Eigen::Index i = 0; i != matrix->size(); ++i) matrix->data()[i] = static_cast<float>(draw.normal());
  compute(c, a, b, which, how);
  loops(exact, a, b, which);
  // Verified before it is timed: rounding of a sum of k products of standard normals.
  if ((c - exact).cwiseAbs().maxCoeff() > 1e-5f * static_cast<float>(k)) return state.SkipWithError("wrong result");
  for (auto _ : state) {
    compute(c, a, b, which, how);
    benchmark::DoNotOptimize(c.data());
    benchmark::ClobberMemory();
  }
  static double const peak = multiply_add_peak();
  double const work = 2. * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  state.counters["GFLOP/s"] = benchmark::Counter(work * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["of_peak"] = benchmark::Counter(work / peak, benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace

int main(int argc, char** argv) {
  struct shape {
    char const* name;
    product which;
    Eigen::Index m, n, k;
  };
  // Tokens x vocabulary x width and their gradients: the demo's model, then the paper's.
  shape const shapes[]{{"logits", product::plain, 128, 1024, 128},
                       {"logits_dx", product::right_transposed, 128, 128, 1024},
                       {"logits_dw", product::left_transposed, 128, 1024, 128},
                       {"qkv", product::plain, 512, 384, 128},
                       {"head", product::plain, 512, 48, 128},
                       {"paper_logits", product::plain, 128, 5000, 256},
                       {"paper_logits_dx", product::right_transposed, 128, 256, 5000},
                       {"paper_logits_dw", product::left_transposed, 256, 5000, 128},
                       {"paper_qkv", product::plain, 1024, 768, 256}};
  for (shape const& s : shapes)
    for (auto const& [name, how] :
         {std::pair{"ours", method::ours}, {"Eigen", method::eigen}, {"loops", method::loops}})
      benchmark::RegisterBenchmark((std::string(s.name) + "/" + name).c_str(), gemm, how, s.which, s.m, s.n, s.k);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
