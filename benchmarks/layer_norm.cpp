// Layer normalisation, forward and backward, as a fraction of the bandwidth of a copy from and to memory: above 1 where
// the caches hold the activations.
#include "susc/kernels/layer_norm.hpp"

#include "layers.hpp"

namespace {

using bench::Index;
using bench::method;
using bench::row_major;
enum class direction { forward, backward };

/// The backward pass adds to dx, dgain and dbias, as the kernel does.
template <class T>
struct arrays {
  row_major<T> x, dy;
  bench::row<T> gain, bias;
  row_major<T> y, dx;
  bench::row<T> dgain, dbias;

  void by_eigen(direction which) {
    if (which == direction::forward)
      bench::layer_norm(y, x, gain, bias);
    else
      bench::layer_norm_backward(dx, dgain, dbias, dy, x, gain);
  }

  void by_loops(direction which) {
    Index const width = x.cols();
    for (Index t = 0; t != x.rows(); ++t) {
      T mean = 0, variance = 0, sum = 0, product = 0;
      for (Index i = 0; i != width; ++i) mean += x(t, i) / static_cast<T>(width);
      for (Index i = 0; i != width; ++i) variance += (x(t, i) - mean) * (x(t, i) - mean) / static_cast<T>(width);
      T const r = 1 / std::sqrt(variance + static_cast<T>(susc::kernels::layer_norm_epsilon));
      if (which == direction::forward) {
        for (Index i = 0; i != width; ++i) y(t, i) = (x(t, i) - mean) * r * gain[i] + bias[i];
        continue;
      }
      for (Index i = 0; i != width; ++i) {
        sum += dy(t, i) * gain[i] / static_cast<T>(width);
        product += dy(t, i) * gain[i] * (x(t, i) - mean) * r / static_cast<T>(width);
      }
      for (Index i = 0; i != width; ++i) {
        T const normalised = (x(t, i) - mean) * r;
        dx(t, i) += r * (dy(t, i) * gain[i] - sum - normalised * product);
        dgain[i] += dy(t, i) * normalised;
        dbias[i] += dy(t, i);
      }
    }
  }
};

class rows {
 public:
  rows(std::size_t tokens, direction which, Index width) : which_(which), mean_(tokens), rstd_(tokens) {
    Index const n = static_cast<Index>(tokens);
    a_ = {bench::random_matrix(n, width, 1), bench::random_matrix(n, width, 2), bench::random_matrix(1, width, 3),
          bench::random_matrix(1, width, 4), row_major<float>(n, width),        row_major<float>(n, width),
          bench::row<float>(width),          bench::row<float>(width)};
    exact_ = {a_.x.cast<double>(),
              a_.dy.cast<double>(),
              a_.gain.cast<double>(),
              a_.bias.cast<double>(),
              {},
              row_major<double>::Zero(n, width),
              bench::row<double>::Zero(width),
              bench::row<double>::Zero(width)};
    exact_.by_eigen(which);
    forward_by_us();  // the backward pass starts from its results
  }
  void start() {
    a_.y.setConstant(std::numeric_limits<float>::quiet_NaN());
    a_.dx.setZero(), a_.dgain.setZero(), a_.dbias.setZero();
  }
  void run(method how) {
    if (how == method::ours) which_ == direction::forward ? forward_by_us() : backward_by_us();
    if (how == method::eigen) a_.by_eigen(which_);
    if (how == method::loops) a_.by_loops(which_);
  }
  std::string wrong(method) const {
    if (which_ == direction::forward) return bench::differs("y", a_.y, exact_.y);
    return bench::differs("dx", a_.dx, exact_.dx) + bench::differs("dgain", a_.dgain, exact_.dgain) +
           bench::differs("dbias", a_.dbias, exact_.dbias);
  }
  /// Forward reads x and writes y; backward reads x, dy and dx and writes dx.
  bench::work done() const {
    double const passes = which_ == direction::forward ? 2 : 4;
    return bench::bytes(passes * sizeof(float) * static_cast<double>(a_.x.size()));
  }

 private:
  std::size_t width() const { return static_cast<std::size_t>(a_.x.cols()); }
  void forward_by_us() {
    susc::kernels::layer_norm(a_.y.data(), mean_.data(), rstd_.data(), a_.x.data(), a_.gain.data(), a_.bias.data(),
                              mean_.size(), width());
  }
  void backward_by_us() {
    susc::kernels::layer_norm_backward(a_.dx.data(), a_.dgain.data(), a_.dbias.data(), a_.dy.data(), a_.x.data(),
                                       mean_.data(), rstd_.data(), a_.gain.data(), mean_.size(), width());
  }

  direction which_;
  arrays<float> a_;
  arrays<double> exact_;
  susc::aligned_vector<float> mean_, rstd_;
};

}  // namespace

int main(int argc, char** argv) {
  for (auto const& [name, which] : {std::pair{"forward", direction::forward}, {"backward", direction::backward}})
    for (auto const& [tokens, width] : {std::pair{512, 128}, {2048, 256}, {32768, 256}})
      bench::add<rows>("layer_norm/" + std::to_string(tokens) + "x" + std::to_string(width) + "_" + name,
                       bench::all_methods, static_cast<std::size_t>(tokens), which, width);
  return bench::run(argc, argv);
}
