#include "susc/kernels/attention.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "shapes.hpp"

namespace {
namespace kernels = susc::kernels;
using shapes::guarded;
using shapes::worst;

// The formulas with whole matrices, and the same with absolute values for the error bound.
struct reference {
  std::size_t length, width;
  double scale, size = 1;  // size: S of the header
  std::vector<double> q, k, v, p, z, z_size, log_sum;

  reference(std::size_t length, std::size_t width, std::vector<double> q, std::vector<double> k, std::vector<double> v)
      : length(length),
        width(width),
        scale(1 / std::sqrt(double(width))),
        q(std::move(q)),
        k(std::move(k)),
        v(std::move(v)),
        p(length * length),
        z(length * width),
        z_size(length * width),
        log_sum(length) {
    for (std::size_t i = 0; i != length; ++i) {
      double* const row = p.data() + i * length;
      double largest = -1e300, sum = 0;
      for (std::size_t j = 0; j <= i; ++j) {
        double absolute = 0;
        for (std::size_t d = 0; d != width; ++d) {
          double const term = this->q[i * width + d] * this->k[j * width + d] * scale;
          row[j] += term;
          absolute += std::abs(term);
        }
        size = std::max(size, 1 + absolute);
        largest = std::max(largest, row[j]);
      }
      for (std::size_t j = 0; j <= i; ++j) sum += std::exp(row[j] - largest);
      log_sum[i] = largest + std::log(sum);
      for (std::size_t j = 0; j <= i; ++j) {
        row[j] = std::exp(row[j] - log_sum[i]);
        for (std::size_t d = 0; d != width; ++d) {
          z[i * width + d] += row[j] * this->v[j * width + d];
          z_size[i * width + d] += row[j] * std::abs(this->v[j * width + d]);
        }
      }
    }
  }

  struct gradients {
    std::vector<double> dq, dk, dv, dq_size, dk_size, dv_size;
  };
  gradients backward(std::vector<double> const& dz) const {
    std::vector<double> const zero(length * width);
    gradients g{zero, zero, zero, zero, zero, zero};
    for (std::size_t i = 0; i != length; ++i) {
      double inner = 0, inner_size = 0;
      std::vector<double> dp(i + 1), dp_size(i + 1);
      for (std::size_t j = 0; j <= i; ++j) {
        for (std::size_t d = 0; d != width; ++d) {
          double const term = dz[i * width + d] * v[j * width + d];
          dp[j] += term;
          dp_size[j] += std::abs(term);
        }
        inner += p[i * length + j] * dp[j];
        inner_size += p[i * length + j] * dp_size[j];
      }
      for (std::size_t j = 0; j <= i; ++j) {
        double const pij = p[i * length + j], ds = pij * (dp[j] - inner) * scale;
        double const ds_size = pij * (dp_size[j] + inner_size) * scale;
        for (std::size_t d = 0; d != width; ++d) {
          std::size_t const id = i * width + d, jd = j * width + d;
          g.dq[id] += ds * k[jd], g.dq_size[id] += ds_size * std::abs(k[jd]);
          g.dk[jd] += ds * q[id], g.dk_size[jd] += ds_size * std::abs(q[id]);
          g.dv[jd] += pij * dz[id], g.dv_size[jd] += pij * std::abs(dz[id]);
        }
      }
    }
    return g;
  }
};

struct errors {
  worst z, log_sum, dq, dk, dv;
};

// growth: a factor for the keys of each block, so that the largest score moves from block to block.
template <class T>
void compare(errors& found, kernels::attention_scratch<T>& scratch, std::size_t length, std::size_t width, double size,
             std::size_t offset, susc::random::stream& draw, std::vector<double> const& growth = {}) {
  // Every operand has its own leading dimension, with NaNs between the rows.
  auto const buffer = [&](std::size_t more) { return guarded<T>(length, width, width + more, offset + more); };
  guarded<T> q = buffer(1), k = buffer(2), v = buffer(3), z = buffer(0), dz = buffer(2), dq = buffer(3), dk = buffer(0),
             dv = buffer(1), log_sum(length, offset);
  q.fill(draw, size), k.fill(draw, size), v.fill(draw), dz.fill(draw);
  for (std::size_t j = 0; j != length && !growth.empty(); ++j)
    for (std::size_t d = 0; d != width; ++d)
      k.at(j, d) *= static_cast<T>(growth[j / kernels::attention_block % growth.size()]);
  kernels::causal_attention(z.data(), z.stride(), log_sum.data(), q.data(), q.stride(), k.data(), k.stride(), v.data(),
                            v.stride(), length, width, scratch);
  kernels::causal_attention_backward(dq.data(), dq.stride(), dk.data(), dk.stride(), dv.data(), dv.stride(), dz.data(),
                                     dz.stride(), z.data(), z.stride(), log_sum.data(), q.data(), q.stride(), k.data(),
                                     k.stride(), v.data(), v.stride(), length, width, scratch);
  reference const exact(length, width, q.values(), k.values(), v.values());
  auto const gradients = exact.backward(dz.values());
  double const unit = kernels::attention_error * shapes::epsilon<T> * (double(length) + double(width) * exact.size);
  // Probabilities below the smallest normal number may be 0.
  double const underflow = 1e3 * double(length) * (1 + size) * double(std::numeric_limits<T>::min());
  auto const add = [&](worst& w, guarded<T>& result, std::vector<double> const& value,
                       std::vector<double> const& absolute) {
    auto const got = result.values();
    for (std::size_t i = 0; i != got.size(); ++i) w.add(got[i], value[i], unit * absolute[i] + underflow);
  };
  add(found.z, z, exact.z, exact.z_size);
  add(found.log_sum, log_sum, exact.log_sum, std::vector<double>(length, 1));
  add(found.dq, dq, gradients.dq, gradients.dq_size);
  add(found.dk, dk, gradients.dk, gradients.dk_size);
  add(found.dv, dv, gradients.dv, gradients.dv_size);
}

void check(errors const& e) {
  for (worst const& w : {e.z, e.log_sum, e.dq, e.dk, e.dv}) CHECK(w.value() <= 1);
}

TEST_CASE_TEMPLATE("attention and its gradient against whole matrices: lengths 1..70 and 100, head widths 1..20", T,
                   float, double) {
  susc::random::stream draw{{8}};
  kernels::attention_scratch<T> scratch;  // shared, so that what a longer sequence left behind must not matter
  errors found;
  for (std::size_t length = 100; length != 0; length = length == 100 ? 70 : length - 1)
    for (std::size_t step = 0; step != 4; ++step)
      compare(found, scratch, length, 1 + (length + 5 * step) % 20, 1, length + step, draw);
  for (std::size_t const length : {1, 31, 32, 33, 64, 65})
    for (std::size_t width = 1; width <= 20; ++width) compare(found, scratch, length, width, 1, width, draw);
  check(found);
}

TEST_CASE_TEMPLATE("attention beyond one block of keys, the largest score growing and falling from block to block", T,
                   float, double) {
  susc::random::stream draw{{11}};
  kernels::attention_scratch<T> scratch;
  errors found;
  constexpr std::size_t block = kernels::attention_block;
  for (std::size_t const length : {block - 1, block, block + 1, block + 17, 2 * block, 2 * block + 1, 3 * block - 5})
    for (std::size_t const width : {1, 7, 16, 24}) {
      compare(found, scratch, length, width, 1, length + width, draw);
      for (auto const& growth : {std::vector{0.1, 1.0, 3.0}, std::vector{3.0, 1.0, 0.1}, std::vector{0.3, 30.0, 1.0}})
        compare(found, scratch, length, width, 1, width, draw, growth);
    }
  check(found);
}

TEST_CASE_TEMPLATE("attention has the same bits wherever its operands lie", T, float, double) {
  constexpr std::size_t length = 150, width = 11;
  kernels::attention_scratch<T> scratch;
  std::vector<std::vector<double>> results;
  for (std::size_t offset = 0; offset != shapes::offsets; ++offset) {
    auto const buffer = [&] { return guarded<T>(length, width, width + offset, offset); };
    guarded<T> q = buffer(), k = buffer(), v = buffer(), z = buffer(), dz = buffer(), dq = buffer(), dk = buffer(),
               dv = buffer(), log_sum(length, offset);
    susc::random::stream draw{{12}};
    q.fill(draw), k.fill(draw), v.fill(draw), dz.fill(draw);
    std::size_t const stride = q.stride();
    kernels::causal_attention(z.data(), stride, log_sum.data(), q.data(), stride, k.data(), stride, v.data(), stride,
                              length, width, scratch);
    kernels::causal_attention_backward(dq.data(), stride, dk.data(), stride, dv.data(), stride, dz.data(), stride,
                                       z.data(), stride, log_sum.data(), q.data(), stride, k.data(), stride, v.data(),
                                       stride, length, width, scratch);
    results.emplace_back();
    for (auto* part : {&z, &log_sum, &dq, &dk, &dv})
      for (double const x : part->values()) results.back().push_back(x);
  }
  for (auto const& other : results) CHECK(other == results.front());
}

TEST_CASE_TEMPLATE("attention with scores up to 1e4 in size is finite and as accurate as it can be", T, float, double) {
  susc::random::stream draw{{9}};
  kernels::attention_scratch<T> scratch;
  for (double const size : {5.0, 20.0, 50.0}) {
    errors found;
    for (std::size_t const length : {3, 33, 70}) compare(found, scratch, length, 16, size, 1, draw);
    check(found);
  }
  errors found;
  compare(found, scratch, 40, 8, 1e-4, 2, draw);  // all scores alike: P is the running mean
  std::size_t held = 0;
  for (auto const* buffer :
       {&scratch.keys, &scratch.values, &scratch.dk, &scratch.dv, &scratch.scores, &scratch.slopes, &scratch.queries,
        &scratch.dz, &scratch.query_panels, &scratch.dz_panels, &scratch.sums, &scratch.largest, &scratch.sum})
    held += buffer->size();
  CHECK(held == kernels::attention_scratch_size<T>(70, 16));
  check(found);
}

TEST_CASE("attention's gradient by central differences") {
  // f = sum of dz * z; error: h^2 f'''/6 + eps f/h, about 1e-9.
  susc::random::stream draw{{10}};
  kernels::attention_scratch<double> scratch;
  for (std::size_t const length : {1, 5, 40}) {
    std::size_t const width = 3, count = length * width;
    guarded<double> q(count), k(count), v(count), z(count), dz(count), dq(count), dk(count), dv(count), log_sum(length);
    q.fill(draw), k.fill(draw), v.fill(draw), dz.fill(draw);
    auto const f = [&] {
      kernels::causal_attention(z.data(), width, log_sum.data(), q.data(), width, k.data(), width, v.data(), width,
                                length, width, scratch);
      double sum = 0;
      for (std::size_t i = 0; i != count; ++i) sum += dz[i] * z[i];
      return sum;
    };
    f();
    kernels::causal_attention_backward(dq.data(), width, dk.data(), width, dv.data(), width, dz.data(), width, z.data(),
                                       width, log_sum.data(), q.data(), width, k.data(), width, v.data(), width, length,
                                       width, scratch);
    auto const slope = [&](double& at) {
      double const h = 1e-5, middle = at;
      at = middle + h;
      double const above = f();
      at = middle - h;
      double const below = f();
      at = middle;
      return (above - below) / (2 * h);
    };
    for (std::size_t i = 0; i != count; ++i) {
      CHECK(std::abs(slope(q[i]) - dq[i]) < 1e-7);
      CHECK(std::abs(slope(k[i]) - dk[i]) < 1e-7);
      CHECK(std::abs(slope(v[i]) - dv[i]) < 1e-7);
    }
  }
}
}  // namespace
