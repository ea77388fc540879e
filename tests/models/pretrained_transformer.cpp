#include "susc/models/pretrained_transformer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "difference.hpp"
#include "lawful.hpp"
#include "pretrained_configurations.hpp"
#include "susc/data/read_tokens.hpp"
#include "susc/models/pretrained_file.hpp"

namespace {

using susc::pretrained_config;
using susc::pretrained_family;

susc::token_batch random_tokens(std::size_t vocabulary, std::size_t sequences, std::size_t length, std::uint64_t seed) {
  susc::random::stream stream({seed});
  susc::token_batch batch{{}, sequences, length};
  for (std::size_t i = 0; i != sequences * length; ++i)
    batch.tokens.push_back(static_cast<susc::token>(stream.below(vocabulary)));
  return batch;
}

double mean_loss(susc::pretrained_transformer<double> const& model, std::vector<double> const& w,
                 susc::token_batch const& batch) {
  std::vector<double> losses(batch.example_count());
  model.losses(w, batch, losses);
  double sum = 0;
  for (double const l : losses) sum += l;
  return sum / static_cast<double>(losses.size());
}

/// Losses and every gradient, tensor by tensor, against those that transformers and autograd computed in double.
template <class T>
void compare_with_transformers(std::string const& family, double tolerance) {
  CAPTURE(family);
  std::filesystem::path const folder = std::filesystem::path(SUSC_FIXTURES) / family;
  auto const loaded = susc::load_pretrained<T>(folder);
  susc::pretrained_transformer<T> const model(loaded.config);
  auto const tokens = susc::read_tokens(folder / "tokens.npy");
  susc::safetensors_file const expected(folder / "gradients.safetensors");

  std::vector<double> losses(tokens.example_count());
  expected.read("losses", std::span(losses), {losses.size()});
  std::vector<T> found(losses.size());
  model.losses(loaded.weights, tokens, found);
  CHECK(largest_difference(found, losses) < tolerance);

  double loss[1];
  expected.read("loss", std::span<double>(loss), {});
  std::vector<T> gradient(model.parameter_count());
  CHECK(std::abs(static_cast<double>(model.loss_and_gradient(loaded.weights, tokens, gradient)) - loss[0]) < tolerance);
  CHECK(expected.names().size() == model.layout().parameters.size() + 2 + loaded.config.layers);
  for (auto const& p : model.layout().parameters) {
    CAPTURE(p.name);
    std::vector<double> slopes(p.range.size());
    expected.read(p.name, std::span(slopes), p.shape);
    CHECK(largest_difference(std::span(gradient).subspan(p.range.begin, p.range.size()), slopes) < tolerance);
    bool const by_keys_alone = p.name.ends_with("k_proj.bias");  // shifts all scores of a query alike, but for the turn
    if (!by_keys_alone) CHECK(largest_difference(slopes, std::vector<double>(slopes.size())) > 1e-3);
  }

  std::size_t const heads = loaded.config.heads, positions = tokens.length - 1, square = positions * positions;
  std::vector<std::vector<double>> patterns(loaded.config.layers);
  for (std::size_t l = 0; l != patterns.size(); ++l) {
    patterns[l].resize(tokens.sequences * heads * square);
    expected.read("attention." + std::to_string(l), std::span(patterns[l]),
                  {tokens.sequences, heads, positions, positions});
  }
  std::size_t seen = 0;
  model.for_each_attention_pattern(
      loaded.weights, tokens, [&](std::size_t l, std::size_t h, std::size_t s, std::span<T const> p) {
        ++seen;
        CHECK(largest_difference(p, std::span(patterns[l]).subspan((s * heads + h) * square, square)) < tolerance);
      });
  CHECK(seen == patterns.size() * heads * tokens.sequences);
}

}  // namespace

TEST_CASE("pretrained transformer: losses, gradients and attention are those of Hugging Face's transformers") {
  for (std::string const family : {"gpt2", "gpt_neox", "llama"}) {
    compare_with_transformers<double>(family, 1e-9);
    compare_with_transformers<float>(family, 1e-4);
  }
}

TEST_CASE("pretrained transformer: analytic gradients agree with central differences on every tensor") {
  for (auto const& kind : pretrained_configurations()) {
    CAPTURE(kind.name);
    susc::pretrained_transformer<double> const model(kind.config);
    auto w = pretrained_weights(model.layout(), 1);
    auto const batch = random_tokens(kind.config.vocabulary, 3, kind.config.context + 1, 2);
    std::vector<double> gradient(w.size());
    double const loss = model.loss_and_gradient(w, batch, gradient);
    CHECK(loss == doctest::Approx(mean_loss(model, w, batch)).epsilon(1e-13));
    for (auto const& p : model.layout().parameters) {
      CAPTURE(p.name);
      // Relative to the tensor's largest gradient: five-point central differences at h have error h^4.
      double scale = 0, error = 0;
      for (std::size_t i = p.range.begin; i < p.range.end; i += 1 + p.range.size() / 40) {
        bool const kinks = kind.config.activation == susc::activation_function::relu;
        double const h = kinks ? 1e-5 : 1e-3, kept = w[i];
        auto at = [&](double shift) {
          w[i] = kept + shift;
          return mean_loss(model, w, batch);
        };
        double const slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
        w[i] = kept;
        scale = std::max(scale, std::abs(gradient[i]));
        error = std::max(error, std::abs(gradient[i] - slope));
      }
      CHECK(scale > 1e-5);
      CHECK(error < 1e-7 * std::max(scale, 1e-2));
    }
  }
}

TEST_CASE("pretrained transformer: a component's gradient is the full gradient restricted to it") {
  for (auto const& kind : pretrained_configurations()) {
    CAPTURE(kind.name);
    susc::pretrained_transformer<double> const model(kind.config);
    auto const w = pretrained_weights(model.layout(), 3);
    auto const batch = random_tokens(kind.config.vocabulary, 2, kind.config.context, 4);
    std::vector<double> full(w.size());
    double const loss = model.loss_and_gradient(w, batch, full);
    for (auto const& c : components_to_try(model.layout())) {
      CAPTURE(c.name());
      std::vector<double> restricted(c.size(), 1e300), expected(c.size());
      CHECK(model.loss_and_gradient(w, batch, c, restricted) == doctest::Approx(loss).epsilon(1e-14));
      c.gather<double>(full, expected);
      CHECK(largest_difference(restricted, expected) < 1e-13);
    }
  }
}

TEST_CASE("pretrained transformer: frozen losses and gradients are the plain ones where the component has moved") {
  for (auto const& kind : pretrained_configurations()) {
    CAPTURE(kind.name);
    susc::pretrained_transformer<double> const model(kind.config);
    auto const w = pretrained_weights(model.layout(), 5), other = pretrained_weights(model.layout(), 6);
    auto const batch = random_tokens(kind.config.vocabulary, 9, kind.config.context + 1, 7);
    auto const components = components_to_try(model.layout());
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
      auto again = model.freeze(w, components[3], random_tokens(kind.config.vocabulary, 11, kind.config.context, 8));
      model.freeze(w, c, batch, again);
      model.losses(moved, again, plain);
      CHECK(plain == resumed);
    }
  }
}

TEST_CASE("pretrained transformer: chunks change nothing, and logits of every token tell its loss") {
  for (auto const& kind : pretrained_configurations()) {
    CAPTURE(kind.name);
    susc::pretrained_transformer<double> const model(kind.config);
    auto const w = pretrained_weights(model.layout(), 8);
    std::size_t const sequences = 1200 / kind.config.context;  // three chunks
    auto const batch = random_tokens(kind.config.vocabulary, sequences, kind.config.context + 1, 9);
    std::vector<double> whole(w.size()), mean(w.size()), one(w.size());
    std::vector<double> losses(batch.example_count()), logits(model.class_count());
    model.loss_and_gradient(w, batch, whole);
    model.losses(w, batch, losses);
    for (std::size_t s = 0; s != sequences; ++s) {
      auto const row = batch.sequence(s);
      model.loss_and_gradient(w, {{row.begin(), row.end()}, 1, batch.length}, one);
      for (std::size_t i = 0; i != w.size(); ++i) mean[i] += one[i] / static_cast<double>(sequences);
    }
    CHECK(largest_difference(whole, mean) < 1e-13);
    for (std::size_t i = 0; i < losses.size(); i += 97) {
      model.logits(w, batch, i, logits);
      double sum = 0;
      for (double const z : logits) sum += std::exp(z);
      std::size_t const positions = batch.length - 1;
      auto const target = static_cast<std::size_t>(batch.sequence(i / positions)[i % positions + 1]);
      CHECK(std::abs(std::log(sum) - logits[target] - losses[i]) < 1e-12);
    }
  }
}

TEST_CASE("pretrained transformer: keeps the laws of a model, in double and in float") {
  for (auto const& kind : pretrained_configurations()) {
    CAPTURE(kind.name);
    susc::pretrained_transformer<double> const model(kind.config);
    susc::pretrained_transformer<float> const single(kind.config);
    auto const w = pretrained_weights(model.layout(), 10);
    auto const batch = random_tokens(kind.config.vocabulary, 2, kind.config.context + 1, 11);
    check_lawful(model, w, batch, {.coordinates = 20});
    check_lawful(single, std::vector<float>(w.begin(), w.end()), batch, {.coordinates = 20});
  }
}

TEST_CASE("pretrained transformer: what is wrong with weights and tokens is said") {
  auto const config = pretrained_configurations().front().config;
  susc::pretrained_transformer<double> const model(config);
  auto const w = pretrained_weights(model.layout(), 1);
  std::vector<double> losses(100), few(3);
  auto const batch = [&](std::vector<susc::token> tokens) { return susc::token_batch{tokens, 1, tokens.size()}; };
  CHECK_THROWS_WITH_AS(model.losses(few, batch({1, 2}), losses), doctest::Contains("3 weights, must have"),
                       susc::error);
  CHECK_THROWS_WITH_AS(model.losses(w, batch({1, 11}), losses),
                       doctest::Contains("token id 11 at sequence 0, position 1"), susc::error);
  CHECK_THROWS_WITH_AS(model.losses(w, batch({1, -1}), losses), doctest::Contains("token id -1"), susc::error);
  CHECK_THROWS_WITH_AS(model.losses(w, batch({1}), losses), doctest::Contains("at least 2"), susc::error);
  CHECK_THROWS_WITH_AS(model.losses(w, batch(std::vector<susc::token>(9, 1)), losses),
                       doctest::Contains("sequences of 9 tokens, the model's context allows 8"), susc::error);
  CHECK_THROWS_WITH_AS(model.logits(w, batch({1, 2}), 1, losses),
                       doctest::Contains("logits of example 1 of a batch of 1"), susc::error);
}
