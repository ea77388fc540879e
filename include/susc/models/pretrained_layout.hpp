#pragma once
/// Where each weight of a pretrained transformer lies in the flat vector: tensor by tensor as in its file, layer by
/// layer, so that gradients compare name by name.
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/models/pretrained_config.hpp"

namespace susc {

/// A tensor of a file, in the flat vector.
struct named_parameter {
  std::string name;                ///< as Hugging Face's transformers call it
  std::vector<std::size_t> shape;  ///< row-major
  index_range range;               ///< of the flat vector
};

/// A matrix, and its bias.
struct linear_place {
  index_range weight;       ///< (outputs, inputs), as of torch.nn.Linear, or (inputs, outputs), as of GPT-2's Conv1D
  index_range bias;         ///< (outputs), or empty
  std::size_t inputs = 0;   ///< numbers it reads
  std::size_t outputs = 0;  ///< numbers it writes
  bool output_rows = true;  ///< a row of it belongs to an output, not to an input

  /// Appends where the weights from inputs `in` to outputs `out` lie.
  void add_block(std::vector<index_range>& to, index_range in, index_range out) const {
    index_range const rows = output_rows ? out : in, columns = output_rows ? in : out;
    std::size_t const stride = output_rows ? inputs : outputs;
    if (columns.size() == stride) return to.push_back(at(rows.begin * stride, rows.size() * stride));
    for (std::size_t i = rows.begin; i != rows.end; ++i) to.push_back(at(i * stride + columns.begin, columns.size()));
  }

 private:
  index_range at(std::size_t offset, std::size_t size) const {
    return {weight.begin + offset, weight.begin + offset + size};
  }
};

/// A norm's parameters, (width) each.
struct norm_place {
  index_range gain;  ///< factors
  index_range bias;  ///< empty of RMSNorm
};

/// Where each weight of a configuration lies.
struct pretrained_layout {
  /// One block, in this order.
  struct layer {
    index_range all;                        ///< of the block
    norm_place attention_norm;              ///< before the attention
    std::vector<linear_place> projections;  ///< to the projected columns: one matrix, or those of Q, K and V
    linear_place output;                    ///< from the heads to the residual stream
    norm_place mlp_norm;                    ///< before the MLP
    linear_place gate;                      ///< of SwiGLU; empty elsewhere
    linear_place up, down;                  ///< to the hidden units and back
  };

  pretrained_config config;                 ///< whose weights are laid out
  std::vector<named_parameter> parameters;  ///< all of them, by where they lie
  index_range embedding;                    ///< (vocabulary, width)
  index_range positions;                    ///< (context, width), or empty
  std::vector<layer> layers;                ///< from below
  norm_place final_norm;                    ///< after the last layer
  index_range unembedding;                  ///< (vocabulary, width): `embedding` where it is tied

  /// Throws susc::error if the configuration makes no transformer.
  explicit pretrained_layout(pretrained_config const& c) : config(c) {
    check(c);
    struct names {
      char const *embedding, *block, *attention_norm, *mlp_norm, *final_norm, *unembedding;
    };
    names const of = c.family == pretrained_family::gpt2
                         ? names{"transformer.wte", "transformer.h.", "ln_1", "ln_2", "transformer.ln_f", "lm_head"}
                     : c.family == pretrained_family::gpt_neox
                         ? names{"gpt_neox.embed_in",        "gpt_neox.layers.",          "input_layernorm",
                                 "post_attention_layernorm", "gpt_neox.final_layer_norm", "embed_out"}
                         : names{"model.embed_tokens",       "model.layers.", "input_layernorm",
                                 "post_attention_layernorm", "model.norm",    "lm_head"};
    std::size_t const width = c.width;
    embedding = add(std::string(of.embedding) + ".weight", {c.vocabulary, width});
    if (c.learned_positions()) positions = add("transformer.wpe.weight", {c.context, width});
    for (std::size_t l = 0; l != c.layers; ++l) {
      std::string const block = of.block + std::to_string(l) + ".";
      layer& here = layers.emplace_back();
      here.all.begin = size();
      here.attention_norm = add_norm(block + of.attention_norm);
      if (c.family == pretrained_family::llama) {
        std::string const attention = block + "self_attn.", mlp = block + "mlp.";
        here.projections = {add_linear(attention + "q_proj", width, c.query_width(), c.attention_bias),
                            add_linear(attention + "k_proj", width, c.key_width(), c.attention_bias),
                            add_linear(attention + "v_proj", width, c.key_width(), c.attention_bias)};
        here.output = add_linear(attention + "o_proj", c.query_width(), width, c.attention_bias);
        here.mlp_norm = add_norm(block + of.mlp_norm);
        here.gate = add_linear(mlp + "gate_proj", width, c.mlp_width, c.mlp_bias);
        here.up = add_linear(mlp + "up_proj", width, c.mlp_width, c.mlp_bias);
        here.down = add_linear(mlp + "down_proj", c.mlp_width, width, c.mlp_bias);
      } else {
        bool const gpt2 = c.family == pretrained_family::gpt2;
        here.projections = {add_linear(block + (gpt2 ? "attn.c_attn" : "attention.query_key_value"), width,
                                       c.projected_width(), c.attention_bias)};
        here.output =
            add_linear(block + (gpt2 ? "attn.c_proj" : "attention.dense"), c.query_width(), width, c.attention_bias);
        here.mlp_norm = add_norm(block + of.mlp_norm);
        here.up = add_linear(block + (gpt2 ? "mlp.c_fc" : "mlp.dense_h_to_4h"), width, c.mlp_width, c.mlp_bias);
        here.down = add_linear(block + (gpt2 ? "mlp.c_proj" : "mlp.dense_4h_to_h"), c.mlp_width, width, c.mlp_bias);
      }
      here.all.end = size();
    }
    final_norm = add_norm(of.final_norm);
    unembedding = c.tied ? embedding : add(std::string(of.unembedding) + ".weight", {c.vocabulary, width});
  }

  std::size_t size() const { return parameters.empty() ? 0 : parameters.back().range.end; }  ///< number of weights

  /// Columns of Q, K, V side by side, as the projections write them: the query of head h.
  index_range query(std::size_t h) const { return columns(interleaved() ? 3 * h : h); }
  /// The key of key/value head g.
  index_range key(std::size_t g) const { return columns(interleaved() ? 3 * g + 1 : config.heads + g); }
  /// The value of key/value head g.
  index_range value(std::size_t g) const {
    return columns(interleaved() ? 3 * g + 2 : config.heads + config.key_value_heads + g);
  }
  /// Columns of what the heads give, side by side, as the output matrix reads them: those of head h.
  index_range given(std::size_t h) const { return columns(h); }

  /// Calls f(matrix, outputs) for the part of each projection that writes the given columns.
  template <class F>
  static void for_each_projection(layer const& of, index_range columns, F f) {
    std::size_t first = 0;
    for (linear_place const& p : of.projections) {
      std::size_t const begin = std::max(columns.begin, first), end = std::min(columns.end, first + p.outputs);
      if (begin < end) f(p, index_range{begin - first, end - first}, first);
      first += p.outputs;
    }
  }

  /// Weights and biases that make the given projected columns of layer l.
  void add_projection(std::vector<index_range>& to, std::size_t l, index_range columns) const {
    for_each_projection(layers[l], columns, [&](linear_place const& p, index_range out, std::size_t) {
      p.add_block(to, {0, p.inputs}, out);
      if (p.bias.size() != 0) to.push_back({p.bias.begin + out.begin, p.bias.begin + out.end});
    });
  }

 private:
  bool interleaved() const { return config.family == pretrained_family::gpt_neox; }
  index_range columns(std::size_t i) const { return {i * config.head_width, (i + 1) * config.head_width}; }

  index_range add(std::string name, std::vector<std::size_t> shape) {
    std::size_t count = 1;
    for (std::size_t const extent : shape) count *= extent;
    parameters.push_back({std::move(name), std::move(shape), {size(), size() + count}});
    return parameters.back().range;
  }
  norm_place add_norm(std::string const& name) {
    norm_place place;
    place.gain = add(name + ".weight", {config.width});
    place.bias = config.rms() ? index_range{size(), size()} : add(name + ".bias", {config.width});
    return place;
  }
  linear_place add_linear(std::string const& name, std::size_t inputs, std::size_t outputs, bool bias) {
    bool const output_rows = config.family != pretrained_family::gpt2;
    linear_place place{{}, {}, inputs, outputs, output_rows};
    place.weight = add(name + ".weight", output_rows ? std::vector{outputs, inputs} : std::vector{inputs, outputs});
    if (bias) place.bias = add(name + ".bias", {outputs});
    return place;
  }
};

/// "full", "embed", "pos_embed" where positions are learned, "unembed", "ln_final", and of each layer l: "l<l>" (all of
/// it), "l<l>attn" (all heads and the output bias), "l<l>mlp", and "l<l>h<h>": query and output of head h, and its key
/// and value where no other head shares them; where some do, "l<l>kv<g>" is key and value of group g. Of a tied model,
/// "unembed" selects what "embed" does.
inline std::vector<component> pretrained_components(pretrained_layout const& layout) {
  pretrained_config const& c = layout.config;
  bool const shared = c.key_value_heads != c.heads;
  std::vector<component> all{full_component(layout.size()), {"embed", {layout.embedding}}};
  if (c.learned_positions()) all.push_back({"pos_embed", {layout.positions}});
  all.push_back({"unembed", {layout.unembedding}});
  all.push_back({"ln_final", {layout.final_norm.gain, layout.final_norm.bias}});
  for (std::size_t l = 0; l != c.layers; ++l) {
    auto const& layer = layout.layers[l];
    std::string const name = "l" + std::to_string(l);
    all.push_back({name, {layer.all}});
    std::vector<index_range> ranges{layer.output.weight, layer.output.bias};
    layout.add_projection(ranges, l, {0, c.projected_width()});
    all.push_back({name + "attn", std::move(ranges)});
    ranges.clear();
    for (auto const& m : {layer.gate, layer.up, layer.down}) ranges.insert(ranges.end(), {m.weight, m.bias});
    all.push_back({name + "mlp", std::move(ranges)});
    for (std::size_t h = 0; h != c.heads; ++h) {
      ranges.clear();
      layout.add_projection(ranges, l, layout.query(h));
      if (!shared) {
        layout.add_projection(ranges, l, layout.key(h));
        layout.add_projection(ranges, l, layout.value(h));
      }
      layer.output.add_block(ranges, layout.given(h), {0, c.width});
      all.push_back({name + "h" + std::to_string(h), std::move(ranges)});
    }
    for (std::size_t g = 0; shared && g != c.key_value_heads; ++g) {
      ranges.clear();
      layout.add_projection(ranges, l, layout.key(g));
      layout.add_projection(ranges, l, layout.value(g));
      all.push_back({name + "kv" + std::to_string(g), std::move(ranges)});
    }
  }
  return all;
}

}  // namespace susc
