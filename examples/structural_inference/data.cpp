#include "data.hpp"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>

#include "susc/data/corpus.hpp"
#include "susc/data/packing.hpp"
#include "susc/data/read_tokens.hpp"
#include "susc/data/repeats.hpp"
#include "susc/data/synthetic_language.hpp"
#include "susc/data/token_texts.hpp"
#include "susc/data/tokenizer.hpp"
#include "susc/data/unigram.hpp"
#include "susc/sampling/executor.hpp"
#ifdef SUSC_WITH_SENTENCEPIECE
#include "susc/data/sentencepiece.hpp"
#endif

namespace structural_inference {

namespace {

/// Probes and evaluation set from the held-out data: fixed by the data's seed, so that trainings and samplings compare.
void choose_probes(prepared_data& data, options const& o) {
  std::size_t const positions = data.training.parts.front().sequences.length - 1;
  auto const sequences = [&](std::size_t tokens) { return std::max<std::size_t>(1, tokens / positions); };
  susc::random::key const key = susc::random::fold_in({o.data_seed}, "probes");
  for (auto const& part : data.held_out.parts)
    data.probes.push_back({part.name, susc::sample_distinct_sequences(part.sequences, sequences(o.probe_tokens),
                                                                      susc::random::fold_in(key, part.name))});
  data.evaluation =
      data.held_out.stratified_sample(sequences(o.evaluation_tokens), susc::random::fold_in(key, "evaluation"));
}

template <class Tokenizer>
prepared_data text_data(std::vector<susc::domain> const& domains, std::shared_ptr<Tokenizer> tokenizer,
                        options const& o) {
  prepared_data data;
  data.vocabulary = tokenizer->vocabulary();
  data.context = o.context.value_or(64);
  data.bos = tokenizer->bos();
  data.no_text = {data.bos};
  std::size_t const length = data.context + 1;
  susc::random::key const key{o.data_seed};
  data.training.parts.resize(domains.size());
  data.held_out.parts.resize(domains.size());
  susc::threads{o.threads}(domains.size(), [&](std::size_t i) {
    std::string const& name = domains[i].name;
    auto const split =
        susc::split_documents(domains[i], .1, susc::random::fold_in(susc::random::fold_in(key, "split"), name));
    auto const pack = [&](std::vector<susc::document> const& documents, std::size_t tokens) {
      return susc::pack_documents(documents, *tokenizer, length, std::max(tokens, length),
                                  susc::random::fold_in(key, name));
    };
    data.training.parts[i] = {name, pack(split.training, o.tokens_per_domain)};
    data.held_out.parts[i] = {name, pack(split.held_out, o.tokens_per_domain / 10)};
  });
  data.unigrams.resize(data.vocabulary);
  for (auto const& part : data.training.parts) {
    auto const counts = susc::unigram_counts(part.sequences, *tokenizer);
    for (std::size_t v = 0; v != counts.size(); ++v) data.unigrams[v] += counts[v];
  }
  // A quarter of the training sequences: without them induction heads need far more text.
  double const weight = static_cast<double>(domains.size()) / 3;
  auto const repeat = [&](std::size_t tokens, char const* use) {
    return susc::repeat_sequences(data.unigrams, data.bos, std::max<std::size_t>(64, tokens / length), length,
                                  susc::random::fold_in(susc::random::fold_in(key, repeats), use));
  };
  data.training.parts.push_back({repeats, repeat(o.tokens_per_domain, "training"), weight});
  data.held_out.parts.push_back({repeats, repeat(o.tokens_per_domain / 10, "held out"), weight});
  data.piece = [tokenizer](susc::token t) { return tokenizer->piece(t); };
  choose_probes(data, o);
  return data;
}

/// The texts of an external model's tokens, from the tokenizer that their ids are of.
void name_tokens(prepared_data& data, std::string const& file) {
  if (std::filesystem::path(file).extension() == ".json") {
    auto const read = std::make_shared<susc::token_texts>(susc::read_token_texts(file));
    susc::require(read->text.size() <= data.vocabulary, "--tokenizer ", file, " has ", read->text.size(),
                  " tokens, the model has ", data.vocabulary);
    read->text.resize(data.vocabulary);  // a model may have rows for tokens that there are none of
    data.no_text.assign(read->special.begin(), read->special.end());
    data.piece = [read](susc::token t) { return read->text[static_cast<std::size_t>(t)]; };
    data.pieces_are_text = true;
    return;
  }
#ifdef SUSC_WITH_SENTENCEPIECE
  auto const tokenizer = std::make_shared<susc::sentencepiece_tokenizer>(susc::load_sentencepiece(file));
  susc::require(tokenizer->vocabulary() == data.vocabulary, "--tokenizer ", file, " has ", tokenizer->vocabulary(),
                " tokens, the model has ", data.vocabulary);
  data.bos = tokenizer->bos();
  data.no_text = {data.bos};
  data.piece = [tokenizer](susc::token t) { return tokenizer->piece(t); };
  data.pieces_are_text = true;
  data.tokenizer = tokenizer->serialized();
#else
  susc::fail("--tokenizer ", file, " needs SentencePiece; this build has bytes and tokenizer.json only");
#endif
}

}  // namespace

prepared_data synthetic_data(options const& o) {
  prepared_data data;
  data.vocabulary = o.vocabulary.value_or(128);
  data.context = o.context.value_or(64);
  susc::random::key const key{o.data_seed};
  auto const language = std::make_shared<susc::synthetic_language>(
      susc::make_synthetic_language(susc::random::fold_in(key, "language"), data.vocabulary));
  data.bos = susc::synthetic_language::bos;
  data.no_text = {data.bos};
  std::size_t const length = data.context + 1;
  for (auto const domain : susc::synthetic_domains) {
    std::string const name{susc::name_of(domain)};
    auto const generate = [&](std::size_t tokens, char const* use) {
      return susc::generate_sequences(*language, domain, std::max<std::size_t>(64, tokens / length), length,
                                      susc::random::fold_in(susc::random::fold_in(key, use), name));
    };
    data.training.parts.push_back({name, generate(o.tokens_per_domain, "training data")});
    data.held_out.parts.push_back({name, generate(o.tokens_per_domain / 20, "held-out data")});
  }
  data.piece = [language](susc::token t) { return language->piece(t); };
  choose_probes(data, o);
  return data;
}

prepared_data text_data(options const& o) {
  susc::corpus const found = o.corpus == "system" ? susc::system_corpus() : susc::corpus_from_directory(o.corpus);
  std::cout << "Corpus:\n";
  std::vector<susc::document> everything;
  for (auto const& domain : found.domains) {
    std::cout << "  " << domain.name << ": " << domain.documents.size() << " documents, "
              << (domain.bytes + 50'000) / 100'000 / 10. << " MB\n";
    everything.insert(everything.end(), domain.documents.begin(), domain.documents.end());
    susc::require(domain.name != repeats, "a domain cannot be called '", repeats,
                  "': that one is made from the others");
  }
  if (found.skipped_files != 0) std::cout << "  (" << found.skipped_files << " files that are no text left out)\n";
#ifdef SUSC_WITH_SENTENCEPIECE
  std::size_t const vocabulary = o.vocabulary.value_or(1024);
  std::cout << "Tokenizer: byte-pair encoding (SentencePiece), " << vocabulary << " tokens" << std::endl;
  auto const tokenizer = std::make_shared<susc::sentencepiece_tokenizer>(
      susc::train_sentencepiece(everything, vocabulary, susc::random::fold_in({o.data_seed}, "tokenizer")));
  auto data = text_data(found.domains, tokenizer, o);
  data.tokenizer = tokenizer->serialized();
  return data;
#else
  susc::require(!o.vocabulary, "--vocabulary needs SentencePiece; this build has bytes only");
  std::cout << "Tokenizer: bytes (built without SentencePiece)" << std::endl;
  return text_data(found.domains, std::make_shared<susc::byte_tokenizer>(), o);
#endif
}

prepared_data external_data(options const& o, std::size_t vocabulary, std::size_t context) {
  prepared_data data;
  data.vocabulary = vocabulary;
  data.context = context;
  auto const read = [&](std::string const& file) {
    token_batch tokens = susc::read_tokens(file);
    susc::check_tokens(tokens, vocabulary, file);
    susc::require(tokens.length <= context + 1, file, ": sequences of ", tokens.length,
                  " tokens, the model's context allows ", context + 1);
    return tokens;
  };
  data.training.parts.push_back({"pretraining", read(o.pretraining)});
  data.bos = data.training.parts[0].sequences.tokens[0];
  for (std::string const& argument : o.probes) {
    std::size_t const equals = argument.find('=');
    susc::require(equals != std::string::npos && equals != 0, "--probe ", argument, ": must be NAME=FILE.npy");
    std::string const name = argument.substr(0, equals);
    for (auto const& other : data.probes)
      susc::require(other.name != name, "--probe ", argument, ": there is a probe '", name, "' already");
    data.probes.push_back({name, read(argument.substr(equals + 1))});
    data.held_out.parts.push_back({name, data.probes.back().batch});
  }
  std::size_t const positions = data.training.parts[0].sequences.length - 1;
  data.evaluation = data.training.stratified_sample(std::max<std::size_t>(1, o.evaluation_tokens / positions),
                                                    susc::random::fold_in({o.data_seed}, "evaluation"));
  data.piece = [](susc::token t) { return " " + std::to_string(t); };
  data.pieces_are_text = false;
  if (!o.tokenizer.empty()) name_tokens(data, o.tokenizer);
  return data;
}

std::string fingerprint(susc::token_mixture const& mixture) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (auto const& part : mixture.parts)
    for (susc::token const t : part.sequences.tokens) hash = (hash ^ static_cast<std::uint32_t>(t)) * 0x100000001B3u;
  return std::to_string(hash);
}

xt::xtensor<std::int32_t, 2> token_table(prepared_data const& data) {
  std::size_t rows = 0;
  for (auto const& probe : data.probes) rows += probe.batch.example_count();
  auto table = xt::xtensor<std::int32_t, 2>::from_shape({rows, 4});
  std::size_t row = 0;
  for (std::size_t p = 0; p != data.probes.size(); ++p)
    for (std::size_t s = 0; s != data.probes[p].batch.sequences; ++s)
      for (std::size_t t = 1; t != data.probes[p].batch.length; ++t, ++row) {
        table(row, 0) = static_cast<std::int32_t>(p);
        table(row, 1) = static_cast<std::int32_t>(s);
        table(row, 2) = static_cast<std::int32_t>(t);
        table(row, 3) = data.probes[p].batch.sequence(s)[t];
      }
  return table;
}

}  // namespace structural_inference
