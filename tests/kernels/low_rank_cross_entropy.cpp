#include "susc/kernels/low_rank_cross_entropy.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "shapes.hpp"

namespace {
namespace kernels = susc::kernels;
using shapes::guarded;
using shapes::worst;

struct errors {
  worst loss, dz, dm, dscale;
};

struct problem {
  std::size_t tokens, rank, vocabulary, offset = 0;
  double size = 1;    // of base and M
  double masked = 0;  // -1e30: the bias of every third word, targets among them
};

template <class T>
void compare(errors& found, problem const& of, susc::random::stream& draw) {
  auto const [tokens, rank, vocabulary, offset, size, masked] = of;
  guarded<T> base(tokens, vocabulary, vocabulary + 3, offset), z(tokens, rank, rank + 2, offset + 1),
      m(rank, vocabulary, vocabulary + 1, offset + 2), scale(tokens, offset + 3), bias(vocabulary, offset),
      loss(tokens, offset + 1), alone(tokens, offset + 2), dz(tokens * rank, offset + 3), dm(rank * vocabulary, offset),
      dscale(tokens, offset + 1);
  base.fill(draw, size), z.fill(draw), m.fill(draw, size), scale.fill(draw, .3, 1), bias.fill(draw), dm.fill(draw);
  if (masked != 0)
    for (std::size_t v = 0; v < vocabulary; v += 3) bias[v] = static_cast<T>(masked);
  std::vector<std::int32_t> target(tokens);
  for (auto& t : target) t = static_cast<std::int32_t>(draw.below(vocabulary));
  auto dm_exact = dm.values();
  std::vector<double> dm_size;
  for (double const value : dm_exact) dm_size.push_back(std::abs(value));
  double const weight = .25;

  kernels::low_rank_scratch<T> scratch;
  kernels::matrix<T const> const mb{base.data(), tokens, vocabulary, base.stride()},
      mz{z.data(), tokens, rank, z.stride()}, mm{m.data(), rank, vocabulary, m.stride()};
  kernels::low_rank_cross_entropy<T>(alone.data(), mb, mz, mm, scale.data(), bias.data(), target.data(), nullptr,
                                     scratch);
  kernels::low_rank_gradient<T> const gradient{dz.data(), dm.data(), dscale.data(), static_cast<T>(weight)};
  kernels::low_rank_cross_entropy<T>(loss.data(), mb, mz, mm, scale.data(), bias.data(), target.data(), &gradient,
                                     scratch);

  CHECK(scratch.m.size() + scratch.transposed.size() + scratch.u.size() + scratch.scaled_z.size() +
            scratch.factors.size() ==
        kernels::low_rank_scratch_size<T>(tokens, rank, vocabulary));

  double const unit = kernels::cross_entropy_error * shapes::epsilon<T>;
  for (std::size_t t = 0; t != tokens; ++t) {
    std::vector<double> u(vocabulary), logits(vocabulary);
    double largest = -1e300, sum = 0, largest_u = 0;
    for (std::size_t v = 0; v != vocabulary; ++v) {
      u[v] = double(base.at(t, v));
      double absolute = std::abs(u[v]);
      for (std::size_t r = 0; r != rank; ++r) {
        double const term = double(z.at(t, r)) * double(m.at(r, v));
        u[v] += term;
        absolute += std::abs(term);
      }
      largest_u = std::max(largest_u, absolute);
      logits[v] = double(scale[t]) * u[v] + double(bias[v]);
      largest = std::max(largest, logits[v]);
    }
    for (double const logit : logits) sum += std::exp(logit - largest);
    std::size_t const correct = static_cast<std::size_t>(target[t]);
    double const exact = std::log(sum) + (largest - logits[correct]),
                 size_of_token =
                     1 + double(vocabulary + tokens) / 16 + std::abs(double(scale[t])) * largest_u + std::abs(largest);
    for (T const result : {loss[t], alone[t]}) found.loss.add(result, exact, unit * (size_of_token + std::abs(exact)));
    double slope_of_scale = 0, slope_size = 0;
    std::vector<double> z_slopes(rank), z_sizes(rank);
    for (std::size_t v = 0; v != vocabulary; ++v) {
      double const p = std::exp(logits[v] - largest) / sum, slope = weight * (p - (v == correct)),
                   absolute = size_of_token * weight * (p + (v == correct));
      slope_of_scale += slope * u[v];
      slope_size += absolute * largest_u;
      for (std::size_t r = 0; r != rank; ++r) {
        double const along = double(scale[t]) * slope, along_size = std::abs(double(scale[t])) * absolute;
        z_slopes[r] += along * double(m.at(r, v));
        z_sizes[r] += along_size * std::abs(double(m.at(r, v)));
        dm_exact[r * vocabulary + v] += along * double(z.at(t, r));
        dm_size[r * vocabulary + v] += along_size * std::abs(double(z.at(t, r)));
      }
    }
    found.dscale.add(dscale[t], slope_of_scale, unit * slope_size);
    for (std::size_t r = 0; r != rank; ++r) found.dz.add(dz[t * rank + r], z_slopes[r], unit * z_sizes[r]);
  }
  double const underflow = double(tokens) * 1e3 * double(std::numeric_limits<T>::min());
  for (std::size_t i = 0; i != dm_exact.size(); ++i) found.dm.add(dm[i], dm_exact[i], unit * dm_size[i] + underflow);
}

void check(errors const& e) {
  for (worst const& w : {e.loss, e.dz, e.dm, e.dscale}) CHECK(w.value() <= 1);
}

TEST_CASE_TEMPLATE("low-rank cross-entropy against naive loops: every vocabulary and misalignment", T, float, double) {
  susc::random::stream draw{{15}};
  errors found;
  for (std::size_t const vocabulary : shapes::lengths<T>())
    for (std::size_t offset = 0; offset != shapes::offsets; ++offset)
      compare<T>(found, {3, 1 + (vocabulary + offset) % 9, vocabulary, offset}, draw);
  check(found);
}

TEST_CASE_TEMPLATE("low-rank cross-entropy of more than a block of tokens and of a large vocabulary", T, float,
                   double) {
  susc::random::stream draw{{16}};
  errors found;
  for (std::size_t const tokens : {95, 96, 97, 200}) compare<T>(found, {tokens, 5, 11, 1}, draw);
  compare<T>(found, {50, 16, 6007}, draw);
  check(found);
}

TEST_CASE_TEMPLATE("low-rank cross-entropy with logits of size 1e3 and words masked by a bias of -1e30", T, float,
                   double) {
  susc::random::stream draw{{17}};
  for (std::size_t const vocabulary : {7, 33}) {
    errors large, masked, both;
    compare<T>(large, {20, 4, vocabulary, 1, 500}, draw);
    compare<T>(masked, {20, 4, vocabulary, 2, 1, -1e30}, draw);
    compare<T>(both, {20, 4, vocabulary, 3, 500, -1e30}, draw);
    check(large);
    check(masked);
    check(both);
  }
}
}  // namespace
