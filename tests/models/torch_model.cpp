#include "susc/models/torch_model.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "difference.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/random.hpp"
#include "susc/models/mlp.hpp"
#include "susc/response/estimate.hpp"

namespace {

struct labelled {
  torch::Tensor inputs, labels;
  std::size_t size() const { return static_cast<std::size_t>(labels.size(0)); }
};

constexpr std::int64_t widths[]{3, 7, 6, 4};

/// tanh layers of the widths above; susc::mlp's layer<l> is layer<l> here.
struct network : torch::nn::Cloneable<network> {
  torch::nn::Linear layer1 = nullptr, layer2 = nullptr, layer3 = nullptr;
  torch::nn::Dropout dropout = nullptr;
  network() { reset(); }
  void reset() override {
    layer1 = register_module("layer1", torch::nn::Linear(widths[0], widths[1]));
    layer2 = register_module("layer2", torch::nn::Linear(widths[1], widths[2]));
    layer3 = register_module("layer3", torch::nn::Linear(widths[2], widths[3]));
    dropout = register_module("dropout", torch::nn::Dropout());
  }
  torch::Tensor forward(torch::Tensor x) { return layer3(dropout(torch::tanh(layer2(torch::tanh(layer1(x)))))); }
};

/// Deeper names, and a parameter that is not there.
struct nested : torch::nn::Cloneable<nested> {
  nested() { reset(); }
  void reset() override {
    register_module("body", torch::nn::Sequential(torch::nn::Linear(torch::nn::LinearOptions(2, 2).bias(false)),
                                                  torch::nn::Tanh(), torch::nn::Linear(2, 1)));
  }
};

torch::Tensor cross_entropy(network& n, labelled const& b) {
  return torch::nn::functional::cross_entropy(n.forward(b.inputs), b.labels,
                                              torch::nn::functional::CrossEntropyFuncOptions().reduction(torch::kNone));
}

auto const one_thread = [] {
  torch::set_num_threads(1);
  return true;
}();

auto model_of(std::shared_ptr<network> const& n, std::vector<susc::component> components = {}) {
  return susc::from_torch<labelled, double>(n, cross_entropy, std::move(components));
}
std::shared_ptr<network> random_network() {
  torch::manual_seed(3);
  auto n = std::make_shared<network>();
  n->to(torch::kFloat64);
  return n;
}
using model_type = decltype(model_of(nullptr));
static_assert(susc::Model<model_type> && susc::HasComponents<model_type> && susc::RestrictedModel<model_type>);

/// libtorch has W_l (n_l, n_{l-1}), susc::mlp (n_{l-1}, n_l): from the order of libtorch's flat vector to mlp's.
std::vector<double> transposed(std::vector<double> const& w) {
  std::vector<double> to;
  std::size_t begin = 0;
  for (std::size_t l = 0; l != 3; ++l) {
    std::size_t const in = widths[l], out = widths[l + 1];
    for (std::size_t i = 0; i != in; ++i)
      for (std::size_t o = 0; o != out; ++o) to.push_back(w[begin + o * in + i]);
    for (std::size_t o = 0; o != out; ++o) to.push_back(w[begin + in * out + o]);
    begin += (in + 1) * out;
  }
  return to;
}

susc::mlp<>::batch random_batch(std::size_t count, std::uint64_t seed) {
  susc::random::stream stream({seed});
  susc::mlp<>::batch b;
  for (std::size_t i = 0; i != 3 * count; ++i) b.inputs.push_back(stream.normal());
  for (std::size_t i = 0; i != count; ++i) b.labels.push_back(stream.below(4));
  return b;
}
labelled as_tensors(susc::mlp<>::batch const& b) {
  std::vector<std::int64_t> const labels(b.labels.begin(), b.labels.end());
  return {torch::tensor(b.inputs, torch::kFloat64).reshape({-1, 3}), torch::tensor(labels)};
}

}  // namespace

TEST_CASE("torch_model: losses and gradient are those of susc::mlp") {
  auto const model = model_of(random_network());
  susc::mlp<> const oracle({3, 7, 6, 4});
  REQUIRE(model.parameter_count() == oracle.parameter_count());
  std::vector<double> w = model.weights();
  susc::random::stream stream({4});
  for (double& x : w) x += .3 * stream.normal();  // not the weights that the module had
  for (std::size_t const count : {1, 50}) {
    CAPTURE(count);
    auto const b = random_batch(count, count);
    std::vector<double> losses(count), expected(count), gradient(w.size(), 1e300), slope(w.size());
    CHECK(model.example_count(as_tensors(b)) == count);
    model.losses(w, as_tensors(b), losses);
    oracle.losses(transposed(w), b, expected);
    CHECK(largest_difference(losses, expected) < 1e-12);
    double const mean = oracle.loss_and_gradient(transposed(w), b, slope);
    CHECK(std::abs(model.loss_and_gradient(w, as_tensors(b), gradient) - mean) < 1e-12);
    CHECK(largest_difference(transposed(gradient), slope) < 1e-12);
  }
}

TEST_CASE("torch_model: weights are the module's, and its later changes are not seen") {
  auto const n = random_network();
  auto const model = model_of(n);
  auto const w = model.weights();
  CHECK(w[5] == n->layer1->weight[1][2].item<double>());
  CHECK(w[21] == n->layer1->bias[0].item<double>());
  CHECK(w.back() == n->layer3->bias[3].item<double>());
  torch::NoGradGuard const without;
  for (torch::Tensor& p : n->parameters()) p.zero_();
  CHECK(model.weights() == w);
}

TEST_CASE("torch_model: components are names and their prefixes") {
  auto const components = model_of(random_network(), {{"ends", {{0, 1}, {101, 102}}}}).components();
  std::vector<susc::component> const expected{
      {"full", {{0, 104}}},          {"layer1", {{0, 28}}},         {"layer1.weight", {{0, 21}}},
      {"layer1.bias", {{21, 28}}},   {"layer2", {{28, 76}}},        {"layer2.weight", {{28, 70}}},
      {"layer2.bias", {{70, 76}}},   {"layer3", {{76, 104}}},       {"layer3.weight", {{76, 100}}},
      {"layer3.bias", {{100, 104}}}, {"ends", {{0, 1}, {101, 102}}}};
  REQUIRE(components.size() == expected.size());
  for (std::size_t i = 0; i != expected.size(); ++i) {
    CHECK(components[i].name() == expected[i].name());
    CHECK(components[i] == expected[i]);
  }

  std::vector<std::string> names;
  auto const loss = [](nested&, labelled const& batch) { return batch.inputs; };
  for (auto const& c : susc::from_torch<labelled>(std::make_shared<nested>(), loss).components())
    names.push_back(c.name());
  CHECK(names ==
        std::vector<std::string>{"full", "body", "body.0", "body.0.weight", "body.2", "body.2.weight", "body.2.bias"});
}

TEST_CASE("torch_model: slices of a parameter are its rows, columns and blocks") {
  using ranges = std::vector<susc::index_range>;
  auto const n = random_network();
  // In parentheses: libtorch brings a printer of vectors that does not know these.
  CHECK((susc::torch_slice(*n, "layer1.weight", 0, 2, 4) == ranges{{6, 12}}));
  CHECK((susc::torch_slice(*n, "layer2.bias", 0, 1, 3) == ranges{{71, 73}}));
  CHECK((susc::torch_slice(*n, "layer3.weight", 1, 4, 6) == ranges{{80, 82}, {86, 88}, {92, 94}, {98, 100}}));
  torch::nn::Conv1d const convolution(torch::nn::Conv1dOptions(3, 2, 5));  // weight (2, 3, 5)
  CHECK((susc::torch_slice(*convolution, "weight", 1, 1, 2) == ranges{{5, 10}, {20, 25}}));
  CHECK_THROWS_WITH_AS(susc::torch_slice(*n, "layer4.weight", 0, 0, 1),
                       "torch_slice: the module has no parameter 'layer4.weight'", susc::error);
  CHECK_THROWS_WITH_AS(susc::torch_slice(*n, "layer1.bias", 1, 0, 1),
                       "torch_slice: dimension 1 of 'layer1.bias', which has 1", susc::error);
  CHECK_THROWS_WITH_AS(susc::torch_slice(*n, "layer1.weight", 1, 2, 4),
                       "torch_slice: entries [2, 4) of dimension 1 of 'layer1.weight', must be at least one of its 3",
                       susc::error);
}

TEST_CASE("torch_model: a component's gradient has the bits of the full gradient restricted to it") {
  auto const n = random_network();
  auto const model = model_of(
      n, {{"columns", susc::torch_slice(*n, "layer2.weight", 1, 2, 4)}, {"across", {{2, 5}, {20, 30}, {99, 103}}}});
  auto const b = as_tensors(random_batch(20, 9));
  auto const w = model.weights();
  std::vector<double> full(w.size());
  double const loss = model.loss_and_gradient(w, b, full);
  for (auto const& c : model.components()) {
    CAPTURE(c.name());
    std::vector<double> restricted(c.size(), 1e300), expected(c.size());
    CHECK(model.loss_and_gradient(w, b, c, restricted) == loss);
    c.gather<double>(full, expected);
    CHECK(restricted == expected);
  }
}

TEST_CASE("torch_model: a loss that does not depend on a component has gradient 0 there") {
  auto const model = susc::from_torch<labelled, double>(random_network(), [](network& n, labelled const& b) {
    return n.layer3->bias.sum() * torch::ones(b.labels.size(0), torch::kFloat64);
  });
  auto const b = as_tensors(random_batch(3, 9));
  std::vector<double> full(104, 1e300), expected(104);
  model.loss_and_gradient(model.weights(), b, full);
  std::fill(expected.begin() + 100, expected.end(), 1.);
  CHECK(full == expected);
  auto const first = susc::find_component(model.components(), "layer1");
  std::vector<double> restricted(first.size(), 1e300);
  model.loss_and_gradient(model.weights(), b, first, restricted);
  CHECK(restricted == std::vector<double>(first.size()));
}

TEST_CASE("torch_model: autograd is asked for the component's parameters alone") {
  std::string asked;
  auto const model = susc::from_torch<labelled, double>(random_network(), [&](network& n, labelled const& b) {
    asked.clear();
    for (torch::Tensor const& p : n.parameters()) asked += p.requires_grad() ? '1' : '0';
    return cross_entropy(n, b);
  });
  auto const b = as_tensors(random_batch(2, 9));
  std::vector<double> gradient(104), bias(4);
  model.loss_and_gradient(model.weights(), b, susc::find_component(model.components(), "layer3.bias"), bias);
  CHECK(asked == "000001");
  model.loss_and_gradient(model.weights(), b, gradient);
  CHECK(asked == "111111");
}

TEST_CASE("torch_model: a run has the same bits with one thread and with two") {
  auto const model = model_of(random_network());
  auto const evaluation = as_tensors(random_batch(40, 1)), probe = as_tensors(random_batch(10, 2));
  auto const minibatch = [](std::size_t size, susc::random::key key) {
    return as_tensors(random_batch(size, key.bits));
  };
  auto const run = [&](std::size_t threads) {
    auto const result = susc::estimate_susceptibilities(
        model, model.weights(), susc::data_distribution{evaluation, minibatch}, {{"probe", probe}},
        {.components = {"layer1", "layer2", "layer3.bias"},
         .posterior = {.n_beta = 30, .localization = 30},
         .sampler = {.step_size = .001},
         .draws = 20},
        susc::threads{threads});
    auto const chi = result.response_matrix();
    return std::vector<double>(chi.value.begin(), chi.value.end());
  };
  auto const one = run(1);
  CHECK(one.size() == 3);
  CHECK(std::all_of(one.begin(), one.end(), [](double x) { return std::isfinite(x) && x != 0; }));
  CHECK(run(2) == one);
}

TEST_CASE("torch_model: gradients where the caller has switched them off, and in float") {
  auto const n = std::make_shared<network>();
  auto const single = susc::from_torch<labelled>(n, cross_entropy);
  auto const batch = random_batch(20, 9);
  labelled b = as_tensors(batch);
  b.inputs = b.inputs.to(torch::kFloat32);
  std::vector<float> const w = single.weights();
  std::vector<float> gradient(w.size());
  torch::NoGradGuard const without;
  double const loss = static_cast<double>(single.loss_and_gradient(w, b, gradient));
  std::vector<double> expected(w.size());
  susc::mlp<> const oracle({3, 7, 6, 4});
  CHECK(std::abs(loss - oracle.loss_and_gradient(transposed({w.begin(), w.end()}), batch, expected)) < 1e-5);
  CHECK(largest_difference(transposed({gradient.begin(), gradient.end()}), expected) < 1e-5);
}

namespace {

struct one_parameter : torch::nn::Cloneable<one_parameter> {
  one_parameter(torch::Tensor t, std::string n) : source(std::move(t)), name(std::move(n)) { reset(); }
  void reset() override { register_parameter(name, source.clone(), false); }
  torch::Tensor source;
  std::string name;
};
struct keeps_parameter : torch::nn::Cloneable<keeps_parameter> {
  keeps_parameter() { reset(); }
  void reset() override { register_parameter("p", value); }
  torch::Tensor value = torch::zeros(2);
};
struct shares : torch::nn::Cloneable<shares> {
  shares() { reset(); }
  void reset() override { register_parameter("b", register_parameter("a", torch::zeros(2))); }
};
struct plain : torch::nn::Module {
  plain() { register_parameter("p", torch::zeros(2)); }
};

/// What from_torch refuses a module with; empty if it does not.
template <class T = float, class Module>
std::string refusal(std::shared_ptr<Module> module, std::vector<susc::component> components = {}) {
  try {
    susc::from_torch<labelled, T>(
        module, [](Module&, labelled const& b) { return b.inputs; }, std::move(components));
  } catch (susc::error const& e) {
    return e.what();
  }
  return {};
}
std::string refusal(torch::Tensor parameter, std::string name = "p") {
  return refusal(std::make_shared<one_parameter>(std::move(parameter), std::move(name)));
}

}  // namespace

TEST_CASE("torch_model: modules that are refused") {
  CHECK(refusal(torch::zeros({2, 3})) == "");
  CHECK(refusal(torch::zeros({2, 3}).t()) ==
        "from_torch: parameter 'p' is not contiguous, must be: register its contiguous()");
  CHECK(refusal(torch::zeros({2, 3}, torch::kInt64)) == "from_torch: parameter 'p' is of type Long, must be Float");
  CHECK(refusal<double>(std::make_shared<plain>()) == "from_torch: parameter 'p' is of type Float, must be Double");
  CHECK(refusal(torch::zeros(2), "full") == "from_torch: parameter 'full': the name 'full' is for all weights");
  CHECK(refusal(torch::zeros(0)) == "from_torch: the module has no parameters");
  CHECK(refusal(std::make_shared<torch::nn::TanhImpl>()) == "from_torch: the module has no parameters");
  CHECK(refusal(std::make_shared<shares>()) ==
        "from_torch: parameters 'a' and 'b' share memory, must be registered once");
  CHECK(refusal(std::make_shared<keeps_parameter>()) ==
        "from_torch: parameter 'p' is shared with the module's clone; reset() must make it anew");
  CHECK(refusal(std::shared_ptr<network>()) == "from_torch: no module");
  CHECK(refusal(std::make_shared<plain>()).find("from_torch: the module cannot be cloned (") == 0);
  CHECK(refusal(std::make_shared<network>(), {{"beyond", {{100, 105}}}}) ==
        "from_torch: component 'beyond' is not within the 104 weights");
  torch::set_num_threads(2);
  CHECK(refusal(std::make_shared<network>()) ==
        "from_torch: libtorch would use 2 threads within each chain's; call torch::set_num_threads(1) first");
  torch::set_num_threads(1);
}

TEST_CASE("torch_model: batches that are refused") {
  auto const b = as_tensors(random_batch(4, 1));
  std::vector<double> losses(4), w(104), gradient(104);
  CHECK_THROWS_WITH_AS(model_of(random_network()).losses(losses, b, losses), "from_torch: 4 weights, must be 104",
                       susc::error);
  CHECK_THROWS_WITH_AS(model_of(random_network()).losses(w, b, gradient), "from_torch: 104 losses, must be 4",
                       susc::error);
  CHECK_THROWS_WITH_AS(model_of(random_network()).loss_and_gradient(w, b, losses),
                       "from_torch: 4 gradient entries, must be 104", susc::error);
  CHECK_THROWS_WITH_AS(model_of(random_network()).loss_and_gradient(w, as_tensors({}), gradient),
                       "from_torch: a gradient over 0 examples, must have at least 1", susc::error);
  auto const refused = [&](auto loss) -> std::string {
    try {
      susc::from_torch<labelled, double>(random_network(), loss).loss_and_gradient(w, b, gradient);
    } catch (susc::error const& e) {
      return e.what();
    }
    return {};
  };
  std::string const must = ", must be [4] Double, one an example";
  CHECK(refused([](network& n, labelled const& x) { return cross_entropy(n, x).mean(); }) ==
        "from_torch: the loss is a tensor of [] double" + must);
  CHECK(refused([](network& n, labelled const& x) { return n.forward(x.inputs); }) ==
        "from_torch: the loss is a tensor of [4, 4] double" + must);
  CHECK(refused([](network& n, labelled const& x) { return cross_entropy(n, x).to(torch::kFloat32); }) ==
        "from_torch: the loss is a tensor of [4] float" + must);
  CHECK(refused([](network&, labelled const&) { return torch::Tensor(); }) ==
        "from_torch: the loss is a tensor of nothing" + must);
}
