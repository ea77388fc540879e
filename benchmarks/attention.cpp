// Causal attention of the heads of one layer over one sequence, forward and backward. FLOP: the half of the products
// that is not masked, two forward and five backward, where the scores are computed again.
#include "susc/kernels/attention.hpp"

#include "attention_loops.hpp"
#include "layers.hpp"

namespace {

using bench::Index;
using bench::method;
using bench::row_major;
enum class direction { forward, backward };

class heads {
 public:
  static constexpr std::size_t most_for_loops = 1;

  heads(std::size_t heads, direction which, Index length, Index width)
      : heads_(static_cast<Index>(heads)),
        length_(length),
        width_(width),
        which_(which),
        qkv_(bench::random_matrix(length, 3 * heads_ * width, 1)),
        dz_(bench::random_matrix(length, heads_ * width, 2)),
        z_(length, heads_ * width),
        log_sum_(heads_, length),
        dqkv_(length, 3 * heads_ * width),
        exact_z_(length, heads_ * width),
        exact_dqkv_(length, 3 * heads_ * width) {
    by_eigen<double>(exact_z_, exact_dqkv_, qkv_.cast<double>(), dz_.cast<double>());
    if (which == direction::backward) forward_by_us();  // the backward pass starts from its results
  }
  void start() {
    if (which_ == direction::forward) z_.setConstant(std::numeric_limits<float>::quiet_NaN());
    dqkv_.setConstant(std::numeric_limits<float>::quiet_NaN());
  }
  void run(method how) {
    if (how == method::eigen) return by_eigen<float>(z_, dqkv_, qkv_, dz_);
    if (how == method::loops) return by_loops();
    which_ == direction::forward ? forward_by_us() : backward_by_us();
  }
  std::string wrong(method) const {
    return which_ == direction::forward ? bench::differs("z", z_, exact_z_)
                                        : bench::differs("dq, dk, dv", dqkv_, exact_dqkv_);
  }
  bench::work done() const {
    double const products = which_ == direction::forward ? 2 : 5;
    return bench::flop(products * static_cast<double>(heads_ * length_ * (length_ + 1) * width_));
  }

 private:
  template <class T>
  void by_eigen(row_major<T>& z, row_major<T>& dqkv, row_major<T> const& qkv, row_major<T> const& dz) const {
    for (Index h = 0; h != heads_; ++h) {
      Index const q = 3 * h * width_, k = q + width_, v = k + width_;
      auto const in = [&](Index c) { return qkv.middleCols(c, width_); };
      if (which_ == direction::forward)
        z.middleCols(h * width_, width_).noalias() = bench::attention_pattern<T>(in(q), in(k)) * in(v);
      else
        bench::attention_backward<T>(dqkv.middleCols(q, width_), dqkv.middleCols(k, width_), dqkv.middleCols(v, width_),
                                     dz.middleCols(h * width_, width_), in(q), in(k), in(v));
    }
  }

  void by_loops() {
    if (which_ == direction::backward) dqkv_.setZero();
    for (Index h = 0; h != heads_; ++h) {
      bench::looped_head head{qkv_, 3 * h * width_, width_, {}, {}};
      for (Index i = 0; i != length_; ++i)
        which_ == direction::forward ? head.forward(z_, h * width_, i) : head.backward(dqkv_, dz_, h * width_, i);
    }
  }

  void forward_by_us() {
    for (Index h = 0; h != heads_; ++h) {
      float const* const q = qkv_.data() + 3 * h * width_;
      std::size_t const from = stride(qkv_);
      susc::kernels::causal_attention(z_.data() + h * width_, stride(z_), log_sum_.row(h).data(), q, from, q + width_,
                                      from, q + 2 * width_, from, size(length_), size(width_), scratch_);
    }
  }
  void backward_by_us() {
    for (Index h = 0; h != heads_; ++h) {
      float const* const q = qkv_.data() + 3 * h * width_;
      float* const dq = dqkv_.data() + 3 * h * width_;
      std::size_t const from = stride(qkv_), out = stride(z_);
      susc::kernels::causal_attention_backward(dq, from, dq + width_, from, dq + 2 * width_, from,
                                               dz_.data() + h * width_, out, z_.data() + h * width_, out,
                                               log_sum_.row(h).data(), q, from, q + width_, from, q + 2 * width_, from,
                                               size(length_), size(width_), scratch_);
    }
  }
  static std::size_t size(Index i) { return static_cast<std::size_t>(i); }
  static std::size_t stride(row_major<float> const& m) { return size(m.cols()); }

  Index heads_, length_, width_;
  direction which_;
  row_major<float> qkv_, dz_, z_, log_sum_, dqkv_;
  row_major<double> exact_z_, exact_dqkv_;
  susc::kernels::attention_scratch<float> scratch_;
};

}  // namespace

int main(int argc, char** argv) {
  for (auto const& [name, which] : {std::pair{"forward", direction::forward}, {"backward", direction::backward}})
    for (auto const& [length, width] : {std::pair{64, 16}, {128, 32}, {1024, 32}})
      bench::add<heads>("attention/" + std::to_string(length) + "x" + std::to_string(width) + "_" + name,
                        bench::all_methods, 8, which, length, width);
  return bench::run(argc, argv);
}
