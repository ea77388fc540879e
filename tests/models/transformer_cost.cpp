#include "susc/models/transformer_cost.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "configurations.hpp"
#include "susc/models/transformer.hpp"

namespace {

using susc::pass;
namespace kernels = susc::kernels;

// Counts by loops over all products of the network, with no formula: a product is frozen if nothing that moves comes
// before it, and its backward pass is one product for each factor whose gradient is needed.
struct loop_nest {
  susc::transformer_config config;
  std::string moving;  // name of a component
  std::size_t sequences, positions;
  double frozen = 0, live = 0, back = 0;

  bool moves(std::string const& part, std::size_t layer = 0) const {
    std::string const l = "l" + std::to_string(layer);
    if (moving == "full" || moving == part) return true;
    if (config.tied && (part == "embed" || part == "unembed")) return moving == "embed" || moving == "unembed";
    if (part == "norm") return moving == l;
    if (part == "mlp") return moving == l || moving == l + "mlp";
    return part.starts_with(l + "h") && (moving == l || moving == l + "attn");
  }
  // `gradients`: of how many factors.
  void product(bool depends, std::size_t rows, std::size_t columns, std::size_t depth, int gradients) {
    for (std::size_t i = 0; i != rows; ++i)
      for (std::size_t j = 0; j != columns; ++j)
        for (std::size_t d = 0; d != depth; ++d) {
          (depends ? live : frozen) += 2;
          back += 2 * gradients;
        }
  }
  void causal(bool depends, std::size_t depth) {
    for (std::size_t s = 0; s != sequences; ++s)
      for (std::size_t i = 0; i != positions; ++i)
        for (std::size_t j = 0; j <= i; ++j)
          for (std::size_t d = 0; d != depth; ++d) {
            (depends ? live : frozen) += 4;  // scores and values
            if (depends) back += 10;         // scores again; gradients of probabilities, queries, keys, values
          }
  }
  void run() {
    std::size_t const n = sequences * positions, width = config.width, k = config.width_of_head();
    bool stream = moves("embed") || moves("pos_embed");
    for (std::size_t l = 0; l != config.layers; ++l) {
      bool const input = stream || moves("norm", l);
      for (std::size_t h = 0; h != config.heads; ++h) {
        bool const weights = moves(susc::head_name(l, h), l), depends = input || weights;
        product(depends, n, 3 * k, width, input + weights);
        causal(depends, k);
        product(depends, n, width, k, depends + weights);
        stream = stream || depends;
      }
      if (config.mlp_width == 0) continue;
      bool const weights = moves("mlp", l), normal = stream || moves("norm", l), depends = normal || weights;
      product(depends, n, config.mlp_width, width, normal + weights);
      product(depends, n, width, config.mlp_width, depends + weights);
      stream = stream || depends;
    }
    // The kernel always gives the gradient of its input.
    product(true, n, config.vocabulary, width, 1 + moves("unembed"));
  }

  bool is_head() const { return moving.size() == 4 && moving[2] == 'h'; }
  /// What reads the head next is frozen, with its bias; of it, a product with the head's width for the values and two
  /// for their gradients remain, and the head's output weights are mapped through it and back.
  void read_at_rank() {
    std::size_t const n = sequences * positions, width = config.width, k = config.width_of_head();
    bool const last = moving[1] - '0' + 1 == static_cast<int>(config.layers);
    std::size_t const columns = last ? config.vocabulary : 3 * config.heads * k;
    loop_nest reader{config, moving, sequences, positions};
    reader.product(true, n, columns, width, 1);
    live -= reader.live, back -= reader.back;
    product(false, n + 1, columns, width, 0);
    product(true, n, columns, k, 2);
    product(true, k, columns, width, 1);
  }
};

template <class... Vectors>
std::size_t bytes_of(Vectors const&... vectors) {
  return (std::size_t{0} + ... + (vectors.capacity() * sizeof(typename Vectors::value_type)));
}

}  // namespace

TEST_CASE("transformer: operations are those of a loop nest, for every kind of network, component and pass") {
  for (auto const& kind : configurations()) {
    CAPTURE(kind.name);
    susc::basic_transformer<double> const model(kind.config);
    for (susc::component const& c : model.components()) {
      CAPTURE(c.name());
      loop_nest count{kind.config, c.name(), 3, 5};
      count.run();
      susc::token_batch const shape{{}, 3, 6};
      double const all = count.frozen + count.live;
      CHECK(model.operations(pass::losses, c, shape) == all);
      CHECK(model.operations(pass::gradient, c, shape) == all + count.back);
      if (count.is_head() && kind.config.mlp_width == 0) count.read_at_rank();
      CHECK(model.operations(pass::freeze, c, shape) == count.frozen);
      CHECK(model.operations(pass::frozen_losses, c, shape) == count.live);
      CHECK(model.operations(pass::frozen_gradient, c, shape) == count.live + count.back);
    }
  }
}

TEST_CASE("transformer: operations a token at the paper's scale, by hand") {
  // 2 x 256 x 5000 of the unembedding; 8 x 256² of the projections of each layer; 2 x 256 x 1025 of each attention.
  susc::dynamic_transformer const model({.vocabulary = 5000, .context = 1024, .width = 256, .layers = 2, .heads = 8});
  susc::token_batch const one{{}, 1, 1025};
  auto const mega = [&](pass what, std::string const& name) {
    return model.operations(what, susc::find_component(model.components(), name), one) / 1024e6;
  };
  double const unembed = 2.56, projections = .524288, attention = .5248;
  CHECK(mega(pass::losses, "full") == doctest::Approx(unembed + 2 * (projections + attention)));
  CHECK(mega(pass::losses, "full") == doctest::Approx(4.7).epsilon(.05 / 4.7));
  CHECK(mega(pass::gradient, "full") == doctest::Approx(3 * unembed + 2 * (3 * projections + 3.5 * attention)));
  CHECK(mega(pass::gradient, "full") == doctest::Approx(14.5).epsilon(.05 / 14.5));
  // A head of the last layer: an eighth of its layer, and of the unembedding.
  double const read = unembed / 8, map = unembed * 32 / 1024;
  CHECK(mega(pass::frozen_losses, "l1h3") == doctest::Approx(read + map + (projections + attention) / 8));
  CHECK(mega(pass::frozen_gradient, "l1h3") == doctest::Approx(3 * read + 2 * map + (projections + attention) / 8 +
                                                               (1.25 * projections + 2.5 * attention) / 8));
  CHECK(mega(pass::freeze, "l1h3") ==
        doctest::Approx(projections + attention + 7 * (projections + attention) / 8 + unembed * 1025 / 1024));
}

TEST_CASE("transformer: bytes of a frozen batch and of the working memory are those of the containers") {
  for (auto const& kind : configurations()) {
    CAPTURE(kind.name);
    susc::transformer_config const& config = kind.config;
    susc::basic_transformer<double> const model(config);
    auto const w = random_weights(model.parameter_count(), 1);
    susc::token_batch const batch{std::vector<susc::token>(3 * 6), 3, 6};
    for (susc::component const& c : model.components()) {
      CAPTURE(c.name());
      auto const frozen = model.freeze(w, c, batch);
      CHECK(model.frozen_bytes(c, batch) ==
            bytes_of(frozen.tokens.tokens, frozen.residual, frozen.normal, frozen.base, frozen.bias));
    }

    // Losses alone keep the activations of one layer, and no gradients.
    susc::transformer_workspace<double> of_losses;
    of_losses.reserve(model.layout(), 15, false);
    CHECK(of_losses.layers.size() == 1);
    CHECK(of_losses.streams.size() == 2);
    CHECK(bytes_of(of_losses.d_stream, of_losses.d_normal, of_losses.d_qkv, of_losses.d_z, of_losses.d_hidden) == 0);

    // A pass makes no more than this of it; the kernels' scratch is tested with them.
    susc::transformer_workspace<double> space;
    space.pack(model.layout(), w, [](auto, auto) { return true; });
    space.reserve(model.layout(), 15, true);
    std::size_t sum =
        bytes_of(space.unembedding, space.unembedding, space.final_mean, space.final_rstd, space.final_normal,
                 space.losses, space.d_stream, space.d_normal, space.d_qkv, space.d_z, space.d_hidden, space.targets);
    for (auto const& stream : space.streams) sum += bytes_of(stream);
    for (auto const& a : space.layers)
      sum += bytes_of(a.attention_mean, a.attention_rstd, a.normal, a.qkv, a.z, a.log_sum, a.mlp_mean, a.mlp_rstd,
                      a.mlp_normal, a.hidden_input, a.hidden);
    for (auto const& heads : space.weights) sum += 2 * bytes_of(heads.qkv, heads.qkv_bias, heads.out);
    std::size_t const k = config.width_of_head(), columns = std::max(config.vocabulary, 3 * config.heads * k);
    std::size_t scratch = kernels::attention_scratch_size<double>(5, k) +
                          kernels::cross_entropy_scratch_size<double>(15, config.width, config.vocabulary);
    if (config.mlp_width == 0)
      scratch += 2 * k * (config.width + config.vocabulary + 15) + 15 * k +
                 kernels::low_rank_scratch_size<double>(15, k, columns);
    sum += 8 * scratch;
    // Gradients of all weights, in the layout of the weights.
    CHECK(model.workspace_bytes(batch) == sum + 8 * model.parameter_count());
  }
}
