#include "susc/models/transformer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "configurations.hpp"
#include "difference.hpp"
#include "lawful.hpp"
#include "susc/data/read_tokens.hpp"
#include "susc/models/transformer_file.hpp"

namespace {

using susc::activation_function;
using susc::transformer_config;

susc::token_batch random_tokens(std::size_t vocabulary, std::size_t sequences, std::size_t length, std::uint64_t seed) {
  susc::random::stream stream({seed});
  susc::token_batch batch{{}, sequences, length};
  for (std::size_t i = 0; i != sequences * length; ++i)
    batch.tokens.push_back(static_cast<susc::token>(stream.below(vocabulary)));
  return batch;
}

double mean_loss(susc::basic_transformer<double> const& model, std::vector<double> const& w,
                 susc::token_batch const& batch) {
  std::vector<double> losses(batch.example_count());
  model.losses(w, batch, losses);
  double sum = 0;
  for (double const l : losses) sum += l;
  return sum / static_cast<double>(losses.size());
}

}  // namespace

TEST_CASE("transformer: analytic gradients agree with central differences on every parameter block") {
  for (auto const& kind : configurations()) {
    CAPTURE(kind.name);
    susc::transformer_config const& config = kind.config;
    susc::basic_transformer<double> const model(config);
    auto w = random_weights(model.parameter_count(), 1);
    auto const batch = random_tokens(config.vocabulary, 3, config.context + 1, 2);
    std::vector<double> gradient(w.size());
    double const loss = model.loss_and_gradient(w, batch, gradient);
    CHECK(loss == doctest::Approx(mean_loss(model, w, batch)).epsilon(1e-13));
    for (susc::component const& block : model.components()) {
      if (block.name() == "full") continue;
      CAPTURE(block.name());
      // Relative to the block's largest gradient: five-point central differences at h have error h^4.
      double scale = 0, error = 0;
      for (susc::index_range const r : block.ranges())
        for (std::size_t i = r.begin; i < r.end; i += 1 + block.size() / 60) {
          double const h = config.activation == activation_function::relu ? 1e-5 : 1e-3, kept = w[i];  // kinks
          auto at = [&](double shift) {
            w[i] = kept + shift;
            return mean_loss(model, w, batch);
          };
          double const slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
          w[i] = kept;
          scale = std::max(scale, std::abs(gradient[i]));
          error = std::max(error, std::abs(gradient[i] - slope));
        }
      CHECK(scale > 1e-6);
      CHECK(error < 1e-7 * scale);
    }
  }
}

TEST_CASE("transformer: a component's gradient is the full gradient restricted to it") {
  for (auto const& kind : configurations()) {
    CAPTURE(kind.name);
    susc::transformer_config const& config = kind.config;
    susc::basic_transformer<double> const model(config);
    auto const w = random_weights(model.parameter_count(), 3);
    auto const batch = random_tokens(config.vocabulary, 2, config.context, 4);
    std::vector<double> full(w.size());
    double const loss = model.loss_and_gradient(w, batch, full);
    auto components = model.components();
    if (config.layers == 2) {
      components.push_back(susc::find_component(model.components(), "l0h1+l1h0"));
      components.push_back(susc::find_component(model.components(), "l1h1+unembed"));
      components.push_back(
          {"part of a head", {{model.layout().head(1, 1).begin + 3, model.layout().head(1, 1).end - 5}}});
    }
    for (auto const& c : components) {
      CAPTURE(c.name());
      std::vector<double> restricted(c.size(), 1e300), expected(c.size());
      CHECK(model.loss_and_gradient(w, batch, c, restricted) == doctest::Approx(loss).epsilon(1e-14));
      c.gather<double>(full, expected);
      CHECK(largest_difference(restricted, expected) < 1e-13);
    }
  }
}

TEST_CASE("transformer: frozen losses and gradients are the plain ones at any w that differs in the component only") {
  for (auto const& kind : configurations()) {
    CAPTURE(kind.name);
    susc::transformer_config const& config = kind.config;
    susc::basic_transformer<double> const model(config);
    auto const w = random_weights(model.parameter_count(), 5);
    auto const other = random_weights(model.parameter_count(), 6);
    auto const batch = random_tokens(config.vocabulary, 9, config.context + 1, 7);
    auto components = model.components();
    if (config.layers == 2) components.push_back(susc::find_component(model.components(), "l0h1+l1h0"));
    for (auto const& c : components) {
      CAPTURE(c.name());
      auto const frozen = model.freeze(w, c, batch);
      auto moved = w;
      std::vector<double> v(c.size());
      c.gather<double>(other, v);
      c.scatter<double>(v, moved);
      std::vector<double> plain(batch.example_count()), resumed(batch.example_count()), before(batch.example_count());
      model.losses(moved, batch, plain);
      model.losses(moved, frozen, resumed);
      model.losses(w, batch, before);
      CHECK(largest_difference(plain, resumed) < 1e-12);
      CHECK(largest_difference(plain, before) > 1e-4);
      std::vector<double> expected(c.size()), gradient(c.size());
      double const loss = model.loss_and_gradient(moved, batch, c, expected);
      CHECK(std::abs(model.loss_and_gradient(moved, frozen, c, gradient) - loss) < 1e-12);
      CHECK(largest_difference(gradient, expected) < 1e-12);
      // Memory that held another component and more tokens is used again.
      auto again = model.freeze(w, components.front(), random_tokens(config.vocabulary, 11, config.context + 1, 8));
      model.freeze(w, c, batch, again);
      model.losses(moved, again, plain);
      CHECK(plain == resumed);
    }
  }
}

TEST_CASE("transformer: few heads are read at their rank, with the plain losses and gradients") {
  transformer_config config{.vocabulary = 37, .context = 70, .width = 24, .layers = 2, .heads = 6};
  for (bool const biases : {true, false})
    for (bool const tied : {true, false}) {
      config.biases = biases, config.tied = tied;
      susc::basic_transformer<double> const model(config);
      auto const w = random_weights(model.parameter_count(), 12);
      auto const batch = random_tokens(config.vocabulary, 9, config.context + 1, 13);  // 630 tokens: two chunks
      auto const known = model.components();
      for (auto const& which : {std::pair{"l1h2", true},
                                {"l1h5+l1h0+l1h3", true},
                                {"l1h0+l1h1+l1h2+l1h3", false},
                                {"l0h2", true},
                                {"l0h4+l0h1", true},
                                {"l0h2+ln_final", true},
                                {"l0h2+l1h2", false},
                                {"l0h2+l1attn", false},
                                {"l1h2+ln_final", false}}) {
        std::string const name = which.first;  // no structured binding: clang 14 lets no lambda capture one
        bool const low_rank = which.second;
        CAPTURE(name);
        auto const c = susc::find_component(known, name);
        auto const frozen = model.freeze(w, c, batch);
        CHECK(frozen.low_rank == low_rank);
        auto moved = w;
        std::vector<double> v(c.size());
        c.gather<double>(random_weights(model.parameter_count(), 14), v);
        c.scatter<double>(v, moved);
        std::vector<double> plain(batch.example_count()), resumed(batch.example_count());
        model.losses(moved, batch, plain);
        model.losses(moved, frozen, resumed);
        CHECK(largest_difference(plain, resumed) < 1e-12);
        std::vector<double> expected(c.size()), gradient(c.size());
        double const loss = model.loss_and_gradient(moved, batch, c, expected);
        CHECK(std::abs(model.loss_and_gradient(moved, frozen, c, gradient) - loss) < 1e-12);
        CHECK(largest_difference(gradient, expected) < 1e-13);
        CHECK(*std::max_element(gradient.begin(), gradient.end()) > 1e-3);
      }
    }
  // Logits that do not fit are not kept.
  susc::dynamic_transformer const large({.vocabulary = 100'000, .context = 500, .width = 4, .layers = 1, .heads = 2});
  std::vector<float> const w(large.parameter_count());
  auto const head = susc::find_component(large.components(), "l0h1");
  CHECK(large.freeze(w, head, random_tokens(100'000, 1, 501, 15)).low_rank);
  CHECK_FALSE(large.freeze(w, head, random_tokens(100'000, 2, 501, 16)).low_rank);
}

TEST_CASE("transformer: compile-time and run-time configurations are the same model, and chunks change nothing") {
  constexpr transformer_config config{.vocabulary = 50, .context = 32, .width = 16, .layers = 2, .heads = 4};
  susc::transformer<config, double> const fixed;
  susc::basic_transformer<double> const dynamic(config);
  REQUIRE(fixed.parameter_count() == dynamic.parameter_count());
  auto const w = random_weights(fixed.parameter_count(), 8);
  auto const batch = random_tokens(50, 40, 33, 9);  // 1280 tokens: three chunks
  std::vector<double> a(w.size()), b(w.size());
  CHECK(fixed.loss_and_gradient(w, batch, a) == dynamic.loss_and_gradient(w, batch, b));
  CHECK(a == b);
  std::vector<double> mean(w.size()), one(w.size());
  for (std::size_t s = 0; s != batch.sequences; ++s) {
    auto const row = batch.sequence(s);
    fixed.loss_and_gradient(w, {{row.begin(), row.end()}, 1, batch.length}, one);
    for (std::size_t i = 0; i != w.size(); ++i) mean[i] += one[i] / static_cast<double>(batch.sequences);
  }
  CHECK(largest_difference(a, mean) < 1e-14);
}

TEST_CASE("transformer: logits of every token tell its loss") {
  for (auto const& kind : configurations()) {
    CAPTURE(kind.name);
    susc::basic_transformer<double> const model(kind.config);
    auto const w = random_weights(model.parameter_count(), 21);
    auto const batch = random_tokens(kind.config.vocabulary, 2, kind.config.context + 1, 22);
    std::vector<double> losses(batch.example_count()), logits(model.class_count());
    model.losses(w, batch, losses);
    for (std::size_t i = 0; i != losses.size(); ++i) {
      std::fill(logits.begin(), logits.end(), 1e300);
      model.logits(w, batch, i, logits);
      double sum = 0;
      for (double const z : logits) sum += std::exp(z);
      std::size_t const positions = batch.length - 1;
      auto const target = static_cast<std::size_t>(batch.sequence(i / positions)[i % positions + 1]);
      CHECK(std::abs(std::log(sum) - logits[target] - losses[i]) < 1e-12);
    }
    CHECK_THROWS_WITH_AS(model.logits(w, batch, losses.size(), logits),
                         doctest::Contains("transformer: logits of example"), susc::error);
  }
}

TEST_CASE(
    "transformer: the gradient by the embedded tokens agrees with central differences, and sums to the positions'") {
  for (auto const& kind : configurations()) {
    CAPTURE(kind.name);
    transformer_config const& config = kind.config;
    susc::basic_transformer<double> const model(config);
    auto w = random_weights(model.parameter_count(), 23);
    auto const batch = random_tokens(config.vocabulary, 9, config.context + 1, 24);  // context 70: two chunks
    std::size_t const width = config.width, positions = config.context;
    REQUIRE(model.input_count(batch) == 9 * positions * width);
    std::vector<double> gradient(model.input_count(batch), 1e300), of_weights(w.size());
    double const loss = model.input_gradient(w, batch, gradient);
    CHECK(loss == doctest::Approx(model.loss_and_gradient(w, batch, of_weights)).epsilon(1e-13));
    std::size_t const begin = model.layout().positions().begin;
    for (std::size_t i = 0; i != positions * width; ++i) {
      double sum = 0;
      for (std::size_t s = 0; s != 9; ++s) sum += gradient[s * positions * width + i];
      CHECK(std::abs(sum - of_weights[begin + i]) < 1e-13);
    }
    // A sequence alone: its positions are its embedded tokens. Its share of the batch's mean is a ninth.
    auto const row = batch.sequence(8);
    susc::token_batch const alone{{row.begin(), row.end()}, 1, batch.length};
    double scale = 0, error = 0;
    for (std::size_t i = 0; i < positions * width; i += 1 + positions * width / 60) {
      double const h = config.activation == activation_function::relu ? 1e-5 : 1e-3, kept = w[begin + i];  // kinks
      auto const at = [&](double shift) {
        w[begin + i] = kept + shift;
        return mean_loss(model, w, alone) / 9;
      };
      double const slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      w[begin + i] = kept;
      scale = std::max(scale, std::abs(gradient[8 * positions * width + i]));
      error = std::max(error, std::abs(gradient[8 * positions * width + i] - slope));
    }
    CHECK(scale > 1e-6);
    CHECK(error < 1e-7 * scale);
  }
}

TEST_CASE("transformer: attention patterns are causal probabilities") {
  transformer_config const config{.vocabulary = 11, .context = 40, .width = 8, .layers = 2, .heads = 2};
  susc::basic_transformer<double> const model(config);
  auto const w = random_weights(model.parameter_count(), 10);
  std::size_t seen = 0;
  model.for_each_attention_pattern(w, random_tokens(11, 2, 41, 11), [&](auto, auto, auto, std::span<double const> p) {
    ++seen;
    for (std::size_t i = 0; i != 40; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j != 40; ++j) {
        CHECK((j > i ? p[i * 40 + j] == 0 : p[i * 40 + j] > 0));
        sum += p[i * 40 + j];
      }
      CHECK(sum == doctest::Approx(1).epsilon(1e-12));
    }
  });
  CHECK(seen == 8);
}

namespace {

constexpr char const* fixtures[]{"attention_only", "gelu_untied", "gelu_new_tied", "relu"};

/// A model of the fixtures, and what PyTorch computed with it in double: losses, their mean and its gradient.
template <class T>
struct fixture {
  susc::loaded_transformer<T> loaded;
  susc::token_batch tokens;
  std::vector<double> losses, loss = std::vector<double>(1), gradient;

  explicit fixture(std::string const& name)
      : loaded(susc::load_transformer<T>(SUSC_FIXTURES "/" + name + ".safetensors",
                                         name == "attention_only" ? "gelu" : "")),
        tokens(susc::read_tokens(SUSC_FIXTURES "/" + name + "_tokens.npy")) {
    susc::safetensors_file const file(SUSC_FIXTURES "/" + name + "_gradients.safetensors");
    losses.resize(tokens.example_count());
    file.read("losses", std::span<double>(losses), {losses.size()});
    file.read("loss", std::span<double>(loss), {});
    susc::transformer_layout const layout{loaded.config};
    gradient.assign(layout.size(), std::nan(""));
    susc::detail::for_each_tensor(layout, [&](susc::detail::tensor_place const& place) {
      std::vector<double> values(place.pieces * place.count);
      file.read(place.name, std::span<double>(values), place.shape);
      for (std::size_t p = 0; p != place.pieces; ++p)
        std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(p * place.count), place.count,
                    gradient.begin() + static_cast<std::ptrdiff_t>(place.begin + p * place.stride));
    });
  }
};

}  // namespace

TEST_CASE("transformer: losses and all gradients are PyTorch's, in double") {
  for (char const* name : fixtures) {
    CAPTURE(std::string(name));
    fixture<double> const f(name);
    susc::basic_transformer<double> const model(f.loaded.config);
    std::vector<double> losses(f.losses.size()), gradient(model.parameter_count());
    model.losses(f.loaded.weights, f.tokens, losses);
    double const loss = model.loss_and_gradient(f.loaded.weights, f.tokens, gradient);
    CHECK(largest_difference(losses, f.losses) < 1e-10);
    CHECK(std::abs(loss - f.loss[0]) < 1e-10);
    REQUIRE(gradient.size() == f.gradient.size());
    // No NaN is left in the reference: each coordinate was read from the file.
    CHECK(std::none_of(f.gradient.begin(), f.gradient.end(), [](double x) { return std::isnan(x); }));
    CHECK(largest_difference(gradient, f.gradient) < 1e-10);
    CHECK(*std::max_element(f.gradient.begin(), f.gradient.end()) > .01);
  }
}

TEST_CASE("transformer: losses and gradients are PyTorch's, in float") {
  // The largest differences seen are 1.3e-6 for losses and 4.1e-7 for gradients.
  for (char const* name : fixtures) {
    CAPTURE(std::string(name));
    fixture<float> const f(name);
    susc::dynamic_transformer const model(f.loaded.config);
    std::vector<float> losses(f.losses.size()), gradient(model.parameter_count());
    model.losses(f.loaded.weights, f.tokens, losses);
    model.loss_and_gradient(f.loaded.weights, f.tokens, gradient);
    CHECK(largest_difference(losses, f.losses) < 1e-4);
    CHECK(largest_difference(gradient, f.gradient) < 1e-4);
  }
}

TEST_CASE("transformer: with bfloat16 losses are float's to 1 %, gradients to 1 % of their rms") {
  transformer_config const config{.vocabulary = 300, .context = 64, .width = 64, .layers = 2, .heads = 4};
  susc::dynamic_transformer const single(config), rounded(config, susc::kernels::precision::bfloat16);
  auto const normals = random_weights(single.parameter_count(), 17);
  std::vector<float> const w(normals.begin(), normals.end());
  auto const batch = random_tokens(config.vocabulary, 4, config.context + 1, 18);
  std::vector<float> expected(batch.example_count()), losses(batch.example_count()), slopes(w.size()),
      gradient(w.size());
  single.losses(w, batch, expected);
  rounded.losses(w, batch, losses);
  single.loss_and_gradient(w, batch, slopes);
  rounded.loss_and_gradient(w, batch, gradient);
  double difference = 0, loss = 0, error = 0, size = 0;
  for (std::size_t i = 0; i != losses.size(); ++i) {
    difference += std::pow(double(losses[i]) - double(expected[i]), 2);
    loss += std::pow(double(expected[i]), 2);
  }
  for (std::size_t i = 0; i != slopes.size(); ++i) {
    error += std::pow(double(gradient[i]) - double(slopes[i]), 2);
    size += std::pow(double(slopes[i]), 2);
  }
  MESSAGE("rms: losses " << std::sqrt(difference / double(losses.size())) << " of "
                         << std::sqrt(loss / double(losses.size())) << ", gradients " << std::sqrt(error / size));
  CHECK(difference < 1e-4 * loss);
  CHECK(error < 1e-4 * size);
  CHECK(error > 1e-6 * size);  // not split, nor single
}

TEST_CASE("transformer: with split_bfloat16 losses are float's to 1e-4, gradients to 2e-5 of their rms") {
  // Seen: losses of 6.5 nats differ by 7e-6 rms and 3.4e-5 at most, gradients by 4e-6 to 8e-6 of their rms.
  transformer_config config{.vocabulary = 300, .context = 64, .width = 64, .layers = 2, .heads = 4};
  for (std::size_t const mlp_width : {0, 96}) {
    CAPTURE(mlp_width);
    config.mlp_width = mlp_width;
    susc::dynamic_transformer const single(config), split(config, susc::kernels::precision::split_bfloat16);
    auto const normals = random_weights(single.parameter_count(), 17);
    std::vector<float> const w(normals.begin(), normals.end());
    auto const batch = random_tokens(config.vocabulary, 4, config.context + 1, 18);
    std::vector<float> expected(batch.example_count()), losses(batch.example_count());
    auto const check = [&](std::vector<float> const& slopes, std::vector<float> const& gradient) {
      CHECK(largest_difference(losses, expected) < 1e-4);
      CHECK(largest_difference(losses, expected) > 3e-6);  // not single precision again
      double error = 0, size = 0;
      for (std::size_t i = 0; i != slopes.size(); ++i) {
        error += std::pow(double(gradient[i]) - double(slopes[i]), 2);
        size += std::pow(double(slopes[i]), 2);
      }
      CHECK(error < 2e-5 * 2e-5 * size);
    };
    std::vector<float> slopes(w.size()), gradient(w.size());
    single.losses(w, batch, expected);
    split.losses(w, batch, losses);
    single.loss_and_gradient(w, batch, slopes);
    split.loss_and_gradient(w, batch, gradient);
    check(slopes, gradient);
    for (std::string const name : {"l1h2", "l0h1", "l0", "unembed"}) {
      CAPTURE(name);
      auto const c = susc::find_component(single.components(), name);
      auto const exact = single.freeze(w, c, batch), frozen = split.freeze(w, c, batch);
      slopes.resize(c.size()), gradient.resize(c.size());
      single.losses(w, exact, expected);
      split.losses(w, frozen, losses);
      single.loss_and_gradient(w, exact, c, slopes);
      split.loss_and_gradient(w, frozen, c, gradient);
      check(slopes, gradient);
      split.losses(w, exact, losses);
      CHECK(losses != expected);  // what lies behind the frozen heeds the precision by itself
    }
  }
}

TEST_CASE("transformer: keeps the laws of a model, in every configuration, of doubles and of floats") {
  for (auto const& kind : configurations()) {
    CAPTURE(kind.name);
    susc::basic_transformer<double> const model(kind.config);
    susc::basic_transformer<float> const narrow(kind.config);
    auto const batch = random_tokens(kind.config.vocabulary, 2, std::min<std::size_t>(kind.config.context, 9) + 1, 2);
    auto const w = random_weights(model.parameter_count(), 1);
    check_lawful(model, w, batch, {.coordinates = 20});
    check_lawful(narrow, {w.begin(), w.end()}, batch, {.coordinates = 20});
  }
}

TEST_CASE("transformer: weights of another number are refused") {
  susc::basic_transformer<double> const model(configurations()[0].config);
  auto const batch = random_tokens(11, 2, 8, 2);
  std::vector<double> w(model.parameter_count() - 1), losses(batch.example_count()), gradient(w.size() + 1);
  std::string const message =
      "transformer: " + std::to_string(w.size()) + " weights, must have " + std::to_string(w.size() + 1);
  CHECK_THROWS_WITH_AS(model.losses(w, batch, losses), message.c_str(), susc::error);
  CHECK_THROWS_WITH_AS(model.loss_and_gradient(w, batch, gradient), message.c_str(), susc::error);
  CHECK_THROWS_WITH_AS(model.freeze(w, model.components()[1], batch), message.c_str(), susc::error);
}
