#include "susc/models/transformer_init.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "configurations.hpp"
#include "difference.hpp"

namespace {

constexpr susc::transformer_config config{
    .vocabulary = 50, .context = 40, .width = 32, .layers = 2, .heads = 4, .head_width = 6, .mlp_width = 100};
constexpr susc::transformer_layout layout{config};

// Twenty thousand numbers of each kind: a scale wrong by 5 % is ten standard errors.
constexpr susc::transformer_layout large{
    {.vocabulary = 400, .context = 160, .width = 128, .layers = 2, .heads = 4, .mlp_width = 100}};

/// The sample deviation is within 5 standard errors, σ / √(2 n), of σ, and so is the mean, σ / √n, of 0.
void check_normal(susc::aligned_vector<double> const& w, std::vector<susc::index_range> const& ranges, double sigma) {
  double sum = 0, squares = 0, n = 0;
  for (susc::index_range const r : ranges)
    for (std::size_t i = r.begin; i != r.end; ++i, n += 1) sum += w[i], squares += w[i] * w[i];
  double const deviation = std::sqrt(squares / n);
  REQUIRE(n >= 20'000);
  CHECK(std::abs(deviation / sigma - 1) < 5 / std::sqrt(2 * n));
  CHECK(std::abs(sum / n) < 5 * sigma / std::sqrt(n));
}

}  // namespace

TEST_CASE("initial weights: standard deviations of all matrices") {
  auto const w = susc::initial_weights<double>(large, {3});
  check_normal(w, {large.embedding()}, .05);
  check_normal(w, {large.unembedding()}, 1 / std::sqrt(128.));
  std::size_t const matrix = large.head_matrix();
  std::vector<susc::index_range> inputs[3], outputs, mlp_in, mlp_out;
  for (std::size_t l = 0; l != 2; ++l) {
    for (std::size_t h = 0; h != 4; ++h) {
      std::size_t const begin = large.head(l, h).begin;
      for (std::size_t i = 0; i != 3; ++i) inputs[i].push_back({begin + i * matrix, begin + (i + 1) * matrix});
      outputs.push_back({begin + 3 * matrix, begin + 4 * matrix});
    }
    mlp_in.push_back({large.mlp_in(l).begin, large.mlp_in(l).begin + 12'800});
    mlp_out.push_back({large.mlp_out(l).begin, large.mlp_out(l).begin + 12'800});
  }
  for (auto const& ranges : inputs) check_normal(w, ranges, 1 / std::sqrt(128.));
  check_normal(w, outputs, 1 / std::sqrt(4 * 128.));
  check_normal(w, mlp_in, 1 / std::sqrt(128.));
  check_normal(w, mlp_out, 1 / std::sqrt(4 * 100.));
  check_normal(susc::initial_weights<double>(large, {3}, susc::position_init::normal), {large.positions()}, .05);
}

TEST_CASE("initial weights: LayerNorm is the identity, biases are 0, and the key decides") {
  auto const w = susc::initial_weights<double>(layout, {3});
  auto const all = [&](std::size_t begin, std::size_t count, double value) {
    return std::all_of(w.begin() + static_cast<std::ptrdiff_t>(begin),
                       w.begin() + static_cast<std::ptrdiff_t>(begin + count), [&](double x) { return x == value; });
  };
  auto const identity = [&](susc::index_range r) { return all(r.begin, 32, 1) && all(r.begin + 32, 32, 0); };
  CHECK(identity(layout.final_norm()));
  for (std::size_t l = 0; l != 2; ++l) {
    CHECK(identity(layout.attention_norm(l)));
    CHECK(identity(layout.mlp_norm(l)));
    for (std::size_t h = 0; h != 4; ++h) CHECK(all(layout.head(l, h).begin + 4 * layout.head_matrix(), 18, 0));
    CHECK(all(layout.output_bias(l).begin, 32, 0));
    CHECK(all(layout.mlp_in(l).begin + 3200, 100, 0));
    CHECK(all(layout.mlp_out(l).begin + 3200, 32, 0));
  }
  CHECK(all(layout.unembedding_bias().begin, 50, 0));
  CHECK(w == susc::initial_weights<double>(layout, {3}));
  CHECK(w != susc::initial_weights<double>(layout, {4}));
}

TEST_CASE("initial weights: positions are sinusoids of wavelengths 3 to twice the context") {
  auto const w = susc::initial_weights<double>(layout, {3});
  auto const at = [&](std::size_t t, std::size_t d) { return w[layout.positions().begin + t * 32 + d]; };
  double const amplitude = .3 * std::sqrt(2.);
  double largest = 0;
  for (std::size_t pair = 0; pair != 16; ++pair) {
    double const wavelength = 3 * std::pow(80. / 3, static_cast<double>(pair) / 15);
    for (std::size_t t = 0; t != 40; ++t) {
      double const angle = 2 * std::acos(-1.) * static_cast<double>(t) / wavelength;
      largest = nan_max(largest, std::abs(at(t, 2 * pair) - amplitude * std::sin(angle)));
      largest = nan_max(largest, std::abs(at(t, 2 * pair + 1) - amplitude * std::cos(angle)));
    }
  }
  CHECK(largest < 1e-12);
  // The shortest comes back after 3 positions; the longest is half way round at the context's end.
  for (std::size_t t = 0; t != 37; ++t) CHECK(at(t + 3, 0) == doctest::Approx(at(t, 0)).epsilon(1e-12));
  CHECK(at(20, 30) == doctest::Approx(amplitude).epsilon(1e-12));

  // One pair of columns, an odd width: no division by 0, no column left out.
  susc::transformer_layout const narrow{{.vocabulary = 3, .context = 4, .width = 1, .layers = 0, .heads = 1}};
  auto const small = susc::initial_weights<double>(narrow, {1});
  CHECK(small[narrow.positions().begin + 1] == doctest::Approx(amplitude * std::sin(2 * std::acos(-1.) / 3)));
}

TEST_CASE("decayed ranges: weight decay applies to matrices, not to look-up tables, LayerNorm and biases") {
  for (auto const& kind : configurations()) {
    CAPTURE(kind.name);
    susc::transformer_config const& c = kind.config;
    susc::transformer_layout const where{c};
    std::vector<int> decays(where.size());
    for (susc::index_range const r : susc::decayed_ranges(where))
      for (std::size_t i = r.begin; i != r.end; ++i) ++decays[i];
    // Initial weights are 0 or 1 exactly where there is no matrix; the tables of embedding and positions do not decay.
    auto const w = susc::initial_weights<double>(where, {5}, susc::position_init::normal);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i != w.size(); ++i)
      wrong += decays[i] != (w[i] != 0 && w[i] != 1 && i >= where.positions().end);
    CHECK(wrong == 0);
  }
}
