// Unembedding and cross-entropy: the losses; with the gradient dx; with dx, dW and dbias.
#include "susc/kernels/cross_entropy.hpp"

#include "layers.hpp"

namespace {

using bench::Index;
using bench::method;
using bench::row_major;
enum class wanted { losses, dx, all };

template <class T>
struct results {
  bench::column<T> loss;
  row_major<T> dx, dw;
  bench::row<T> dbias;
};
template <class T>
struct inputs {
  row_major<T> x, w;  // (tokens, width), (width, vocabulary)
  bench::row<T> bias;
  T weight() const { return 1 / static_cast<T>(x.rows()); }
};

template <class T>
void by_eigen(results<T>& to, inputs<T> const& in, std::vector<susc::token> const& target, wanted which) {
  static row_major<T> p;  // its memory is used again, as by our kernel
  p.noalias() = in.x * in.w;
  p.rowwise() += in.bias;
  to.loss = bench::losses_of_logits<T>(p, target);
  if (which == wanted::losses) return;
  for (Index t = 0; t != p.rows(); ++t) p(t, target[static_cast<std::size_t>(t)]) -= 1;
  p *= in.weight();
  to.dx.noalias() = p * in.w.transpose();
  if (which == wanted::dx) return;
  to.dw.noalias() += in.x.transpose() * p;
  to.dbias += p.colwise().sum();
}

void by_loops(results<float>& to, inputs<float> const& in, std::vector<susc::token> const& target, wanted which) {
  Index const width = in.w.rows(), vocabulary = in.w.cols();
  std::vector<float> p(static_cast<std::size_t>(vocabulary));
  for (Index t = 0; t != in.x.rows(); ++t) {
    std::size_t const correct = static_cast<std::size_t>(target[static_cast<std::size_t>(t)]);
    for (Index v = 0; v != vocabulary; ++v) p[static_cast<std::size_t>(v)] = in.bias[v];
    for (Index d = 0; d != width; ++d)
      for (Index v = 0; v != vocabulary; ++v) p[static_cast<std::size_t>(v)] += in.x(t, d) * in.w(d, v);
    float const largest = *std::max_element(p.begin(), p.end()), logit = p[correct];
    float sum = 0;
    for (float& value : p) sum += value = std::exp(value - largest);
    to.loss[t] = std::log(sum) + largest - logit;
    if (which == wanted::losses) continue;
    for (float& value : p) value *= in.weight() / sum;
    p[correct] -= in.weight();
    for (Index d = 0; d != width; ++d) {
      float dx = 0;
      for (Index v = 0; v != vocabulary; ++v) dx += p[static_cast<std::size_t>(v)] * in.w(d, v);
      to.dx(t, d) = dx;
    }
    if (which == wanted::dx) continue;
    for (Index d = 0; d != width; ++d)
      for (Index v = 0; v != vocabulary; ++v) to.dw(d, v) += in.x(t, d) * p[static_cast<std::size_t>(v)];
    for (Index v = 0; v != vocabulary; ++v) to.dbias[v] += p[static_cast<std::size_t>(v)];
  }
}

class unembedding {
 public:
  static constexpr std::size_t most_for_loops = 128;

  unembedding(std::size_t tokens, wanted which, Index vocabulary, Index width) : which_(which), target_(tokens) {
    Index const n = static_cast<Index>(tokens);
    in_ = {bench::random_matrix(n, width, 1), bench::random_matrix(width, vocabulary, 2, .1),
           bench::random_matrix(1, vocabulary, 3)};
    susc::random::stream draw({4});
    for (auto& t : target_) t = static_cast<susc::token>(draw.below(static_cast<std::uint64_t>(vocabulary)));
    exact_ = {{}, {}, row_major<double>::Zero(width, vocabulary), bench::row<double>::Zero(vocabulary)};
    by_eigen<double>(exact_, {in_.x.cast<double>(), in_.w.cast<double>(), in_.bias.cast<double>()}, target_, which);
    out_ = {bench::column<float>(n), row_major<float>(n, width), row_major<float>(width, vocabulary),
            bench::row<float>(vocabulary)};
  }
  void start() {
    out_.loss.setConstant(std::numeric_limits<float>::quiet_NaN());
    out_.dx.setConstant(std::numeric_limits<float>::quiet_NaN());
    out_.dw.setZero();
    out_.dbias.setZero();
  }
  void run(method how) {
    if (how == method::ours) by_us();
    if (how == method::eigen) by_eigen(out_, in_, target_, which_);
    if (how == method::loops) by_loops(out_, in_, target_, which_);
  }
  std::string wrong(method) const {
    std::string found = bench::differs("loss", out_.loss, exact_.loss);
    if (which_ != wanted::losses) found += bench::differs("dx", out_.dx, exact_.dx);
    if (which_ == wanted::all)
      found += bench::differs("dW", out_.dw, exact_.dw) + bench::differs("dbias", out_.dbias, exact_.dbias);
    return found;
  }
  bench::work done() const {
    double const products = which_ == wanted::losses ? 1 : which_ == wanted::dx ? 2 : 3;
    double const tokens = static_cast<double>(target_.size());
    return bench::flop_of_tokens(2 * products * static_cast<double>(in_.w.size()) * tokens, target_.size());
  }

 private:
  void by_us() {
    namespace kernels = susc::kernels;
    auto const x = bench::view(in_.x), w = bench::view(in_.w);
    if (which_ == wanted::losses)
      return kernels::cross_entropy<float>(out_.loss.data(), x, w, in_.bias.data(), target_.data(), scratch_);
    bool const all = which_ == wanted::all;
    kernels::cross_entropy_gradient<float>(out_.loss.data(), out_.dx.data(), all ? out_.dw.data() : nullptr,
                                           all ? out_.dbias.data() : nullptr, in_.weight(), x, w, in_.bias.data(),
                                           target_.data(), scratch_);
  }

  wanted which_;
  std::vector<susc::token> target_;
  inputs<float> in_;
  results<float> out_;
  results<double> exact_;
  susc::kernels::cross_entropy_scratch<float> scratch_;
};

}  // namespace

int main(int argc, char** argv) {
  for (auto const& [name, which] :
       {std::pair{"losses", wanted::losses}, {"losses_dx", wanted::dx}, {"losses_dx_dw", wanted::all}}) {
    std::string const suffix = name;
    bench::add<unembedding>("cross_entropy/demo_" + suffix, bench::all_methods, 512, which, 1024, 128);
    bench::add<unembedding>("cross_entropy/paper_" + suffix, bench::all_methods, 2048, which, 5000, 256);
  }
  return bench::run(argc, argv);
}
