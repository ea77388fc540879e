#include "susc/core/readouts.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

#include "susc/models/mlp.hpp"
#include "susc/models/monomial.hpp"
#include "susc/models/transformer.hpp"

namespace {
template <class T>
struct types {
  using scalar = T;
  using batch = int;
};
template <class T>
struct tells : types<T> {
  std::size_t class_count() const;
  void logits(std::span<T const>, int, std::size_t, std::span<T>) const;
  std::size_t input_count(int) const;
  T input_gradient(std::span<T const>, int, std::span<T>) const;
};
struct signed_counts : types<double> {
  int class_count() const;
  void logits(std::span<double const>, int, std::size_t, std::span<double>) const;
  int input_count(int) const;
  double input_gradient(std::span<double const>, int, std::span<double>) const;
};
struct mutable_members : types<double> {
  std::size_t class_count() const;
  void logits(std::span<double const>, int, std::size_t, std::span<double>);
  std::size_t input_count(int) const;
  double input_gradient(std::span<double const>, int, std::span<double>);
};
struct whole_batch : types<double> {  // no example asked for; no mean loss returned
  std::size_t class_count() const;
  void logits(std::span<double const>, int, std::span<double>) const;
  std::size_t input_count(int) const;
  void input_gradient(std::span<double const>, int, std::span<double>) const;
};

static_assert(susc::HasLogits<tells<float>> && susc::HasInputGradient<tells<float>>);
static_assert(susc::HasLogits<susc::mlp<double>> && susc::HasInputGradient<susc::mlp<double>>);
static_assert(susc::HasLogits<susc::dynamic_transformer> && susc::HasInputGradient<susc::dynamic_transformer>);
static_assert(!susc::HasLogits<susc::monomial<double>> && !susc::HasInputGradient<susc::monomial<double>>);
static_assert(!susc::HasLogits<signed_counts> && !susc::HasInputGradient<signed_counts>);
static_assert(!susc::HasLogits<mutable_members> && !susc::HasInputGradient<mutable_members>);
static_assert(!susc::HasLogits<whole_batch> && !susc::HasInputGradient<whole_batch>);
}  // namespace

TEST_CASE("readouts: the logits tell the losses, -log softmax(logits)[label]") {
  // Both models through the concept alone.
  auto const check = [](auto const& model, auto const& w, auto const& batch, auto label_of) {
    static_assert(susc::HasLogits<std::remove_cvref_t<decltype(model)>>);
    std::vector<double> losses(model.example_count(batch)), logits(model.class_count());
    model.losses(w, batch, losses);
    for (std::size_t i = 0; i != losses.size(); ++i) {
      model.logits(w, batch, i, logits);
      double sum = 0;
      for (double const z : logits) sum += std::exp(z);
      CHECK(std::log(sum) - logits[label_of(i)] == doctest::Approx(losses[i]).epsilon(1e-12));
    }
  };
  susc::random::stream stream({3});
  auto const normals = [&](std::size_t count) {
    std::vector<double> w(count);
    for (double& x : w) x = .5 * stream.normal();
    return w;
  };
  susc::mlp<double> const network({2, 3, 4});
  susc::mlp<double>::batch const points{normals(6), {3, 0, 2}};
  check(network, normals(network.parameter_count()), points, [&](std::size_t i) { return points.labels[i]; });
  susc::basic_transformer<double> const language(
      susc::transformer_config{.vocabulary = 5, .context = 4, .width = 6, .layers = 1, .heads = 2});
  susc::token_batch const tokens{{0, 1, 2, 3, 4, 4, 0, 3}, 2, 4};
  check(language, normals(language.parameter_count()), tokens,
        [&](std::size_t i) { return static_cast<std::size_t>(tokens.tokens[i / 3 * 4 + i % 3 + 1]); });
}
