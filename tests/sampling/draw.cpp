#include "susc/sampling/draw.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <span>
#include <vector>

#include "susc/models/transformer.hpp"

namespace {

// Losses w·e for examples e = 1, 2, ..., and a count of how often a batch was evaluated.
struct counting_model {
  using scalar = double;
  using batch = std::vector<int>;
  int* evaluations;
  std::size_t parameter_count() const { return 2; }
  std::size_t example_count(batch const& b) const { return b.size(); }
  void losses(std::span<double const> w, batch const& b, std::span<double> losses) const {
    ++*evaluations;
    for (std::size_t i = 0; i != b.size(); ++i) losses[i] = b[i] * w[0] + w[1];
  }
  double loss_and_gradient(std::span<double const>, batch const&, std::span<double>) const { return 0; }
};

// The same with a frozen path, whose uses are counted apart.
struct freezable_model : counting_model {
  struct frozen {
    std::vector<int> examples;
    double kept;  // w[1], computed once: only w[0] may move
  };
  int* freezes;
  int* resumptions;
  using counting_model::losses;
  frozen freeze(std::span<double const> w, susc::component const&, batch const& b) const {
    ++*freezes;
    return {b, w[1]};
  }
  void losses(std::span<double const> w, frozen const& f, std::span<double> losses) const {
    ++*resumptions;
    for (std::size_t i = 0; i != f.examples.size(); ++i) losses[i] = f.examples[i] * w[0] + f.kept;
  }
};
static_assert(susc::FreezableModel<freezable_model> && !susc::FreezableModel<counting_model>);

std::vector<double> const center{1, 10}, moved{3, 10};
std::vector<int> const evaluation{1, 2, 6};
std::vector<susc::probe<std::vector<int>>> const probes{{"a", {4}}, {"b", {5, 7}}};
susc::component const first("first", {{0, 1}});

}  // namespace

TEST_CASE("draw: losses are computed once a draw, however many ask, and only if asked") {
  int evaluations = 0;
  counting_model const model{&evaluations};
  susc::draw<counting_model> at(model, center, first, evaluation, probes);
  CHECK(evaluations == 1);  // L(w*)
  CHECK(at.center_loss() == 13);
  CHECK(at.evaluation_loss() == 13);
  CHECK(evaluations == 1);
  for (int t = 0; t != 5; ++t) {
    evaluations = 0;
    at.move_to(moved);
    CHECK(evaluations == 0);
    for (int asked = 0; asked != 4; ++asked) CHECK(at.evaluation_loss() == 19);
    CHECK(evaluations == 1);
    for (int asked = 0; asked != 4; ++asked) CHECK(at.probe_losses()[0] == 22);
    CHECK(evaluations == 3);  // one for each probe
    CHECK(at.center_loss() == 13);
  }
}

TEST_CASE("draw: the losses of every evaluation example, computed once with their mean; the probes as given") {
  int evaluations = 0;
  counting_model const model{&evaluations};
  susc::draw<counting_model> at(model, center, first, evaluation, probes);
  auto const listed = [&] { return std::vector<double>(at.evaluation_losses().begin(), at.evaluation_losses().end()); };
  CHECK(listed() == std::vector<double>{11, 12, 16});
  CHECK(evaluations == 1);
  at.move_to(moved);
  CHECK(listed() == std::vector<double>{13, 16, 28});
  CHECK(at.evaluation_loss() == 19);
  CHECK(evaluations == 2);
  REQUIRE(at.probes().size() == 2);
  CHECK(at.probes()[1].name == "b");
  CHECK(at.probes()[1].batch == probes[1].batch);
}

TEST_CASE("draw: moving forgets every loss of the weights before") {
  int evaluations = 0;
  counting_model const model{&evaluations};
  susc::draw<counting_model> at(model, center, first, evaluation, probes);
  CHECK(at.probe_losses()[2] == 17);
  at.move_to(moved);
  CHECK(at.probe_losses()[2] == 31);
  CHECK(at.evaluation_loss() == 19);
  at.move_to(center);
  CHECK(at.evaluation_loss() == 13);
  CHECK(at.probe_losses()[2] == 17);
  CHECK(at.weights().data() == center.data());
}

TEST_CASE("draw: examples of all probes are counted through, in order") {
  int evaluations = 0;
  counting_model const model{&evaluations};
  susc::draw<counting_model> const at(model, center, first, evaluation, probes);
  CHECK(at.probe_example_count() == 3);
  CHECK(at.probe_ranges() == std::vector<susc::index_range>{{0, 1}, {1, 3}});
  auto const losses = at.probe_losses();
  CHECK(std::vector<double>(losses.begin(), losses.end()) == std::vector<double>{14, 15, 17});
  CHECK(at.model().evaluations == &evaluations);
  susc::draw<counting_model> const none(model, center, first, evaluation, {});
  CHECK(none.probe_example_count() == 0);
  CHECK(none.probe_losses().empty());
}

TEST_CASE("draw: the frozen path is used where the model has one, and gives the same losses") {
  int evaluations = 0, freezes = 0, resumptions = 0;
  freezable_model const model{{&evaluations}, &freezes, &resumptions};
  susc::draw<freezable_model> frozen(model, center, first, evaluation, probes);
  susc::draw<counting_model> plain(model, center, first, evaluation, probes);
  CHECK(freezes == 3);  // the evaluation set and two probes, once each
  evaluations = resumptions = 0;
  frozen.move_to(moved);
  auto const a = frozen.probe_losses();
  double const loss = frozen.evaluation_loss();
  CHECK(evaluations == 0);
  CHECK(resumptions == 3);
  CHECK(freezes == 3);
  plain.move_to(moved);
  auto const b = plain.probe_losses();
  CHECK(std::vector<double>(a.begin(), a.end()) == std::vector<double>(b.begin(), b.end()));
  CHECK(loss == plain.evaluation_loss());
}

namespace {
// The transformer without its frozen path.
struct plain_transformer {
  using scalar = double;
  using batch = susc::token_batch;
  susc::basic_transformer<double> const& model;
  std::size_t parameter_count() const { return model.parameter_count(); }
  std::size_t example_count(batch const& b) const { return model.example_count(b); }
  void losses(std::span<double const> w, batch const& b, std::span<double> losses) const { model.losses(w, b, losses); }
  double loss_and_gradient(std::span<double const> w, batch const& b, std::span<double> gradient) const {
    return model.loss_and_gradient(w, b, gradient);
  }
};
static_assert(!susc::FreezableModel<plain_transformer>);
}  // namespace

TEST_CASE("draw: a transformer's frozen path agrees with its plain losses for every component") {
  susc::basic_transformer<double> const model(
      susc::transformer_config{.vocabulary = 7, .context = 6, .width = 8, .layers = 2, .heads = 2, .mlp_width = 8});
  susc::random::stream stream({1});
  std::vector<double> star(model.parameter_count());
  for (double& w : star) w = .3 * stream.normal();
  auto const batch = [&](std::size_t sequences) {
    susc::token_batch b{{}, sequences, 7};
    for (std::size_t i = 0; i != 7 * sequences; ++i) b.tokens.push_back(static_cast<susc::token>(stream.below(7)));
    return b;
  };
  auto const evaluation_set = batch(3);
  std::vector<susc::probe<susc::token_batch>> const two{{"a", batch(1)}, {"b", batch(2)}};
  plain_transformer const plain_model{model};
  for (auto const& c : model.components()) {
    CAPTURE(c.name());
    auto w = star;
    for (auto const r : c.ranges())
      for (std::size_t i = r.begin; i != r.end; ++i) w[i] += .2 * stream.normal();
    susc::draw<susc::basic_transformer<double>> frozen(model, star, c, evaluation_set, two);
    susc::draw<plain_transformer> plain(plain_model, star, c, evaluation_set, two);
    frozen.move_to(w);
    plain.move_to(w);
    CHECK(frozen.center_loss() == doctest::Approx(plain.center_loss()).epsilon(1e-12));
    CHECK(frozen.evaluation_loss() == doctest::Approx(plain.evaluation_loss()).epsilon(1e-12));
    CHECK(std::abs(frozen.evaluation_loss() - frozen.center_loss()) > 1e-6);
    for (std::size_t j = 0; j != frozen.probe_example_count(); ++j)
      CHECK(frozen.probe_losses()[j] == doctest::Approx(plain.probe_losses()[j]).epsilon(1e-12));
  }
}
