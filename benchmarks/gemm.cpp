// The three matrix products of a linear layer: y = x W, dx = dy Wᵀ, dW = xᵀ dy. As fractions of the multiply-add peak.
#include "problem.hpp"

namespace {

using bench::Index;
using bench::method;
using bench::row_major;
enum class product { forward, dx, dw };

template <class T>
void by_eigen(row_major<T>& c, row_major<T> const& a, row_major<T> const& b, product which) {
  if (which == product::forward) c.noalias() = a * b;
  if (which == product::dx) c.noalias() = a * b.transpose();
  if (which == product::dw) c.noalias() = a.transpose() * b;
}

void by_loops(row_major<float>& c, row_major<float> const& a, row_major<float> const& b, product which) {
  c.setZero();
  if (which == product::forward)
    for (Index i = 0; i != c.rows(); ++i)
      for (Index p = 0; p != a.cols(); ++p)
        for (Index j = 0; j != c.cols(); ++j) c(i, j) += a(i, p) * b(p, j);
  if (which == product::dx)
    for (Index i = 0; i != c.rows(); ++i)
      for (Index j = 0; j != c.cols(); ++j) {
        float sum = 0;
        for (Index p = 0; p != a.cols(); ++p) sum += a(i, p) * b(j, p);
        c(i, j) = sum;
      }
  if (which == product::dw)
    for (Index p = 0; p != a.rows(); ++p)
      for (Index i = 0; i != c.rows(); ++i)
        for (Index j = 0; j != c.cols(); ++j) c(i, j) += a(p, i) * b(p, j);
}

void by_us(row_major<float>& c, row_major<float> const& a, row_major<float> const& b, product which) {
  namespace kernels = susc::kernels;
  if (which == product::forward) kernels::multiply<float>(bench::view(c), bench::view(a), bench::view(b));
  if (which == product::dx) kernels::multiply_transposed<float>(bench::view(c), bench::view(a), bench::view(b));
  if (which == product::dw) kernels::transposed_multiply<float>(bench::view(c), bench::view(a), bench::view(b));
}

class linear_layer {
 public:
  static constexpr std::size_t most_for_loops = 256;

  linear_layer(std::size_t tokens, product which, Index inputs, Index outputs) : which_(which) {
    Index const n = static_cast<Index>(tokens);
    auto const x = bench::random_matrix(n, inputs, 1), w = bench::random_matrix(inputs, outputs, 2),
               dy = bench::random_matrix(n, outputs, 3);
    a_ = which == product::dx ? dy : x;
    b_ = which == product::dw ? dy : w;
    by_eigen<double>(exact_, a_.cast<double>(), b_.cast<double>(), which);
    c_.resizeLike(exact_);
    multiply_adds_ = static_cast<double>(n * inputs * outputs);
  }
  void start() { c_.setConstant(std::numeric_limits<float>::quiet_NaN()); }
  void run(method how) {
    if (how == method::ours) by_us(c_, a_, b_, which_);
    if (how == method::eigen) by_eigen(c_, a_, b_, which_);
    if (how == method::loops) by_loops(c_, a_, b_, which_);
  }
  std::string wrong(method) const { return bench::differs("the product", c_, exact_); }
  bench::work done() const { return bench::flop(2 * multiply_adds_); }

 private:
  product which_;
  row_major<float> a_, b_, c_;
  row_major<double> exact_;
  double multiply_adds_;
};

}  // namespace

int main(int argc, char** argv) {
  struct {
    std::string name;
    std::size_t tokens;
    Index inputs, outputs;
  } const layers[]{{"demo_logits", 512, 128, 1024}, {"demo_qkv", 512, 128, 384},       {"demo_out", 512, 128, 128},
                   {"demo_head", 512, 128, 48},     {"paper_logits", 2048, 256, 5000}, {"paper_qkv", 2048, 256, 768},
                   {"paper_out", 2048, 256, 256},   {"paper_head", 2048, 256, 96}};
  for (auto const& l : layers)
    for (auto const& [suffix, which] : {std::pair{"", product::forward}, {"_dx", product::dx}, {"_dw", product::dw}})
      bench::add<linear_layer>("gemm/" + l.name + suffix, bench::all_methods, l.tokens, which, l.inputs, l.outputs);
  return bench::run(argc, argv);
}
