#pragma once
// From text, a generated language or token files to what a model is trained and probed on.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "options.hpp"
#include "susc/data/token_batch.hpp"
#include "susc/data/token_mixture.hpp"
#include "susc/sampling/draw.hpp"

namespace structural_inference {

using susc::token_batch;

/// The domain that is made, not found: segments of the corpus's unigrams, repeated.
inline constexpr char const* repeats = "repeats";

struct prepared_data {
  std::size_t vocabulary = 0;
  std::size_t context = 0;
  susc::token bos = 0;               // begins the random sequences that heads are scored on
  std::vector<susc::token> no_text;  // tokens that stand for no text, as one that begins each sequence does
  susc::token_mixture training;
  susc::token_mixture held_out;  // the same domains; empty parts never
  std::vector<susc::probe<token_batch>> probes;
  token_batch evaluation;
  std::vector<std::uint64_t> unigrams;  // of the training text; empty: random tokens are uniform
  std::function<std::string(susc::token)> piece;
  bool pieces_are_text = true;  // false: a token's number is all that is known of it
  std::string tokenizer;        // serialized, empty if there is none to keep
};

/// Text found on this machine or in the folder that the options name; says on screen what there is.
prepared_data text_data(options const& o);

/// The generated language.
prepared_data synthetic_data(options const& o);

/// Data of a model trained elsewhere; the evaluation set is drawn from its pretraining data.
prepared_data external_data(options const& o, std::size_t vocabulary, std::size_t context);

/// A token's text; empty if it stands for none.
inline std::string text_of_token(prepared_data const& data, susc::token token) {
  bool const none = std::find(data.no_text.begin(), data.no_text.end(), token) != data.no_text.end();
  return none ? std::string() : data.piece(token);
}

/// FNV-1a over all training tokens: a model is used again only for the very same data.
std::string fingerprint(susc::token_mixture const& mixture);

/// Probe, sequence, position and token of each row of the tokens' arrays.
xt::xtensor<std::int32_t, 2> token_table(prepared_data const& data);

}  // namespace structural_inference
