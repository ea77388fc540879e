#pragma once
/// The shape of a pretrained transformer from the config.json of Hugging Face's transformers. What would change the
/// network in a way that is not implemented is refused, by the name of the field.
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "susc/core/error.hpp"
#include "susc/core/requirements.hpp"
#include "susc/io/sharded_safetensors.hpp"
#include "susc/models/pretrained_config.hpp"

SUSC_REQUIRE_VERSION("nlohmann/json", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, 3, 11);

namespace susc {

namespace detail {
/// Fields of a config.json, with errors that name them. A field that is null counts as absent.
class config_fields {
 public:
  explicit config_fields(std::filesystem::path const& path)
      : where_("file '" + path.string() + "': "), fields_(read_json_object(path)) {}
  config_fields(std::string where, nlohmann::json fields) : where_(std::move(where)), fields_(std::move(fields)) {}

  bool has(char const* name) const { return fields_.contains(name) && !fields_[name].is_null(); }
  std::size_t count(char const* name) const {
    require(has(name), where_, "field '", name, "' is missing");
    return count(name, 0);
  }
  std::size_t count(char const* name, std::size_t absent) const {
    if (!has(name)) return absent;
    require(fields_[name].is_number_unsigned() && fields_[name] != 0, where_, "field '", name, "' is ",
            fields_[name].dump(), ", wanted a whole number above 0");
    return fields_[name].get<std::size_t>();
  }
  double number(char const* name, double absent) const {
    if (!has(name)) return absent;
    require(fields_[name].is_number(), where_, "field '", name, "' is ", fields_[name].dump(), ", wanted a number");
    return fields_[name].get<double>();
  }
  bool flag(char const* name, bool absent) const {
    if (!has(name)) return absent;
    require(fields_[name].is_boolean(), where_, "field '", name, "' is ", fields_[name].dump(),
            ", wanted true or false");
    return fields_[name].get<bool>();
  }
  std::string text(char const* name, char const* absent) const {
    if (!has(name)) return absent;
    require(fields_[name].is_string(), where_, "field '", name, "' is ", fields_[name].dump(), ", wanted a text");
    return fields_[name].get<std::string>();
  }
  /// A group of fields; without any where it is absent.
  config_fields group(char const* name) const {
    std::string const where = where_ + "field '" + name + "': ";
    if (!has(name)) return {where, nlohmann::json::object()};
    require(fields_[name].is_object(), where_, "field '", name, "' is ", fields_[name].dump(), ", wanted an object");
    return {where, fields_[name]};
  }
  /// Throws unless the field is absent or has the one value that is implemented.
  void only(char const* name, nlohmann::json const& value) const {
    require(!has(name) || fields_[name] == value, where_, "field '", name, "' is ",
            has(name) ? fields_[name].dump() : "", ", not supported: must be ", value.dump(), " or absent");
  }
  /// Throws if the field is there.
  void never(char const* name) const {
    require(!has(name), where_, "field '", name, "' is ", has(name) ? fields_[name].dump() : "",
            ", not supported: must be null or absent");
  }
  template <class... Args>
  [[noreturn]] void refuse(char const* name, Args const&... args) const {
    fail(where_, "field '", name, "' is ", fields_[name].dump(), ", not supported", args...);
  }

 private:
  std::string where_;
  nlohmann::json fields_;
};

inline activation_function hugging_face_activation(config_fields const& fields, char const* name, char const* absent) {
  std::string const text = fields.text(name, absent);
  if (text == "gelu") return activation_function::gelu;
  if (text == "gelu_new" || text == "gelu_pytorch_tanh" || text == "gelu_fast") return activation_function::gelu_new;
  if (text == "relu") return activation_function::relu;
  fields.refuse(name, ": must be gelu, gelu_new, gelu_fast, gelu_pytorch_tanh or relu");
}

/// Base and scaling of the rotary frequencies: in fields of their own, or (transformers 5) in 'rope_parameters'.
inline void read_rotary(pretrained_config& c, config_fields const& fields, char const* base) {
  bool const grouped = fields.has("rope_parameters");
  c.rotary_base = fields.number(base, fields.number("rope_theta", 10000));
  config_fields const group = fields.group(grouped ? "rope_parameters" : "rope_scaling");
  if (grouped) c.rotary_base = group.number("rope_theta", c.rotary_base);
  char const* const type = group.has("rope_type") ? "rope_type" : "type";
  if (std::string const text = group.text(type, "default"); text == "llama3") {
    c.scaling = {group.number("factor", 1), group.number("low_freq_factor", 1), group.number("high_freq_factor", 4),
                 group.number("original_max_position_embeddings", 8192)};
  } else if (text != "default") {
    group.refuse(type, ": must be default or llama3");
  }
}

inline pretrained_config gpt2_config(config_fields const& fields) {
  fields.only("scale_attn_weights", true);
  fields.only("scale_attn_by_inverse_layer_idx", false);
  fields.only("add_cross_attention", false);
  pretrained_config c{.family = pretrained_family::gpt2};
  c.vocabulary = fields.count("vocab_size");
  c.context = fields.count("n_positions", 1024);
  c.width = fields.count("n_embd");
  c.layers = fields.count("n_layer");
  c.heads = c.key_value_heads = fields.count("n_head");
  c.head_width = c.width / c.heads;
  c.mlp_width = fields.count("n_inner", 4 * c.width);
  c.activation = hugging_face_activation(fields, "activation_function", "gelu_new");
  c.norm_epsilon = fields.number("layer_norm_epsilon", 1e-5);
  c.attention_bias = c.mlp_bias = true;
  c.tied = fields.flag("tie_word_embeddings", true);
  return c;
}

/// What GPT-NeoX and Llama call alike.
inline pretrained_config common_config(config_fields const& fields, pretrained_family family) {
  pretrained_config c{.family = family};
  c.vocabulary = fields.count("vocab_size");
  c.context = fields.count("max_position_embeddings", 2048);
  c.width = fields.count("hidden_size");
  c.layers = fields.count("num_hidden_layers");
  c.heads = c.key_value_heads = fields.count("num_attention_heads");
  c.head_width = c.width / c.heads;
  c.mlp_width = fields.count("intermediate_size");
  c.tied = fields.flag("tie_word_embeddings", false);
  return c;
}

inline pretrained_config gpt_neox_config(config_fields const& fields) {
  pretrained_config c = common_config(fields, pretrained_family::gpt_neox);
  c.activation = hugging_face_activation(fields, "hidden_act", "gelu");
  c.norm_epsilon = fields.number("layer_norm_eps", 1e-5);
  read_rotary(c, fields, "rotary_emb_base");
  double const part = fields.group("rope_parameters").number("partial_rotary_factor", fields.number("rotary_pct", .25));
  c.rotary_width = static_cast<std::size_t>(static_cast<double>(c.head_width) * part);
  c.parallel = fields.flag("use_parallel_residual", true);
  c.attention_bias = fields.flag("attention_bias", true);
  c.mlp_bias = true;
  return c;
}

inline pretrained_config llama_config(config_fields const& fields) {
  fields.only("hidden_act", "silu");
  fields.only("pretraining_tp", 1);
  pretrained_config c = common_config(fields, pretrained_family::llama);
  c.key_value_heads = fields.count("num_key_value_heads", c.heads);
  c.head_width = fields.count("head_dim", c.head_width);
  c.norm_epsilon = fields.number("rms_norm_eps", 1e-6);
  read_rotary(c, fields, "rope_theta");
  fields.group("rope_parameters").only("partial_rotary_factor", 1.0);
  c.rotary_width = c.head_width;
  c.attention_bias = fields.flag("attention_bias", false);
  c.mlp_bias = fields.flag("mlp_bias", false);
  return c;
}
}  // namespace detail

/// From a config.json. Throws susc::error, naming the field, if it is of another architecture than GPT-2, GPT-NeoX and
/// Llama, asks for what is not implemented, or makes no transformer.
inline pretrained_config read_pretrained_config(std::filesystem::path const& path) {
  detail::config_fields const fields(path);
  fields.never("quantization_config");
  std::string const type = fields.text("model_type", "");
  pretrained_config c;
  if (type == "gpt2")
    c = detail::gpt2_config(fields);
  else if (type == "gpt_neox")
    c = detail::gpt_neox_config(fields);
  else if (type == "llama")
    c = detail::llama_config(fields);
  else
    fail("file '", path.string(), "': field 'model_type' is '", type,
         "', not supported: must be gpt2, gpt_neox or llama");
  try {
    check(c);
  } catch (error const& reason) {
    fail("file '", path.string(), "': ", reason.what());
  }
  return c;
}

}  // namespace susc
