#pragma once
/// Byte-pair encoding by the SentencePiece library: an optional dependency, hence a header of its own.
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/core/random.hpp"
#include "susc/data/corpus.hpp"
#include "susc/data/token_batch.hpp"
#include "susc/io/file.hpp"

namespace susc {

namespace detail {
/// A model cut between two pieces is a valid message of fewer. Of its fields (1: a piece, 2: how it was trained,
/// 3: how text is normalized) the third is always there, after the others.
inline bool is_whole_sentencepiece(std::string_view bytes) {
  std::size_t at = 0;
  auto const number = [&] {  // Protocol Buffers' variable length
    std::size_t value = 0;
    for (unsigned shift = 0; at != bytes.size() && shift < 64; shift += 7) {
      auto const byte = static_cast<unsigned char>(bytes[at++]);
      value |= std::size_t{byte & 127u} << shift;
      if (byte < 128) break;
    }
    return value;
  };
  while (at < bytes.size()) {
    std::size_t const tag = number(), size = number();
    if (tag == (3 << 3 | 2)) return true;
    if (size > bytes.size() - at) return false;
    at += size;
  }
  return false;
}
}  // namespace detail

/// A trained model: an immutable value whose copies share it; satisfies Tokenizer. Text of the characters that the
/// training sample held often enough is reproduced exactly; the others become unknown(). The one exception is U+2581,
/// which SentencePiece uses for the space and which therefore comes back as one.
class sentencepiece_tokenizer {
 public:
  /// From the bytes that serialized() returned. Throws if they are no model or lack `<s>` or `<unk>`.
  explicit sentencepiece_tokenizer(std::string serialized) : serialized_(std::move(serialized)) {
    require(!serialized_.empty(), "not a SentencePiece model: it is empty");
    auto processor = std::make_shared<sentencepiece::SentencePieceProcessor>();
    auto const status = processor->LoadFromSerializedProto(serialized_);
    require(status.ok(), "not a SentencePiece model: ", status.ToString());
    require(detail::is_whole_sentencepiece(serialized_), "not a SentencePiece model: it is cut short");
    require(processor->bos_id() >= 0 && processor->unk_id() >= 0, "the SentencePiece model lacks <s> or <unk>");
    for (int id = 0; id != processor->GetPieceSize(); ++id) {
      std::string piece = processor->IdToPiece(id);
      for (std::size_t at; (at = piece.find("\u2581")) != piece.npos;) piece.replace(at, 3, " ");
      pieces_.push_back(std::move(piece));
    }
    processor_ = std::move(processor);
  }

  std::size_t vocabulary() const { return pieces_.size(); }  ///< number of pieces
  token bos() const { return processor_->bos_id(); }         ///< the id of `<s>`
  /// The id of every run of characters without a piece of their own.
  token unknown() const { return processor_->unk_id(); }
  /// Neither control symbol nor unknown. Throws for an id outside of the vocabulary.
  bool is_text(token id) const {
    checked_piece(id);
    return !processor_->IsControl(id) && !processor_->IsUnknown(id);
  }

  /// Ids of the text, without bos(). Throws susc::error if SentencePiece reports one.
  std::vector<token> encode(std::string_view text) const {
    std::vector<token> ids;
    std::vector<int> line_ids;
    // Line by line: the same tokens, as none reaches across a newline, but a third faster.
    for (std::size_t size; !text.empty(); text.remove_prefix(size)) {
      size = std::min(text.find('\n'), text.size() - 1) + 1;
      auto const status = processor_->Encode({text.data(), size}, &line_ids);
      require(status.ok(), "cannot encode text: ", status.ToString());
      ids.insert(ids.end(), line_ids.begin(), line_ids.end());
    }
    return ids;
  }
  /// Each run of unknown characters as one U+FFFD. Throws for an id outside of the vocabulary.
  std::string decode(std::span<token const> ids) const {
    std::string text;
    for (token const id : ids) {
      std::string const& piece = checked_piece(id);
      text += is_text(id) ? piece : id == unknown() ? "\uFFFD" : "";
    }
    return text;
  }
  /// Throws for an id outside of the vocabulary.
  std::string piece(token id) const { return checked_piece(id); }
  /// The model as bytes.
  std::string const& serialized() const { return serialized_; }

 private:
  std::string const& checked_piece(token id) const {
    require(id >= 0 && static_cast<std::size_t>(id) < pieces_.size(), "token ", id, " is not in the vocabulary of ",
            pieces_.size());
    return pieces_[static_cast<std::size_t>(id)];
  }
  std::string serialized_;
  std::vector<std::string> pieces_;
  std::shared_ptr<sentencepiece::SentencePieceProcessor const> processor_;
};

namespace detail {
/// Hands the lines of documents to the trainer, one document in memory at a time.
class line_iterator : public sentencepiece::SentenceIterator {
 public:
  explicit line_iterator(std::span<document const> documents) : documents_(documents) { Next(); }
  bool done() const override { return done_; }
  void Next() override {
    // The trainer reserves the tab, and lines never join: both are symbols of their own, so it loses nothing.
    for (;;) {
      begin_ = text_.find_first_not_of("\n\t", begin_);
      if (begin_ != text_.npos) break;
      if (documents_.empty()) {
        done_ = true;
        return;
      }
      text_ = read_document(documents_.front());
      documents_ = documents_.subspan(1);
      begin_ = 0;
    }
    std::size_t const end = std::min(text_.find_first_of("\n\t", begin_), text_.size());
    line_ = text_.substr(begin_, end - begin_);
    begin_ = end;
  }
  std::string const& value() const override { return line_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  std::span<document const> documents_;
  std::string text_, line_;
  std::size_t begin_ = 0;
  bool done_ = false;
};
}  // namespace detail

/// Trains on a seeded random choice of documents, `sample_bytes` in all (the last one may exceed it). A pure function
/// of its arguments. Throws if the text is too little or too varied for that vocabulary.
inline sentencepiece_tokenizer train_sentencepiece(std::vector<document> documents, std::size_t vocabulary,
                                                   random::key key, std::uint64_t sample_bytes = 4 << 20) {
  documents = shuffled_documents(std::move(documents), key);
  std::uint64_t bytes = 0;
  std::size_t count = 0;
  while (count != documents.size() && bytes < sample_bytes) bytes += documents[count++].size;
  require(bytes != 0, "cannot train a tokenizer without text");
  documents.resize(count);
  detail::line_iterator lines(documents);
  std::unordered_map<std::string, std::string> const settings{
      {"model_type", "bpe"},
      {"vocab_size", std::to_string(vocabulary)},
      {"unk_id", "0"},
      {"bos_id", "1"},
      {"eos_id", "-1"},
      {"pad_id", "-1"},
      // Text must come back exactly: nothing is normalised, added or removed.
      {"normalization_rule_name", "identity"},
      {"add_dummy_prefix", "false"},
      {"remove_extra_whitespaces", "false"},
      {"user_defined_symbols", "\n,\t"},
      {"allow_whitespace_only_pieces", "true"},  // indentation in few tokens
      {"split_digits", "true"},
      {"max_sentence_length", std::to_string(document_bytes)},  // the default leaves out lines above 4 KiB
      {"num_threads", "1"},
      {"minloglevel", "3"},  // silent: a failure comes back as a status
  };
  std::string serialized;
  auto const status = sentencepiece::SentencePieceTrainer::Train(settings, &lines, &serialized);
  require(status.ok(), "cannot train a vocabulary of ", vocabulary, " tokens on ", bytes,
          " bytes of text (more text, or a smaller vocabulary, may help): ", status.ToString());
  return sentencepiece_tokenizer(std::move(serialized));
}

/// Writes the model to a file that load_sentencepiece and other SentencePiece tools read, whole or not at all. Throws
/// if it cannot.
inline void save_sentencepiece(sentencepiece_tokenizer const& tokenizer, std::filesystem::path const& path) {
  write_file_atomically(path, [&](std::ostream& out) { out << tokenizer.serialized(); });
}

/// Reads a model from a file. Throws, naming it, if it cannot be read or is no model.
inline sentencepiece_tokenizer load_sentencepiece(std::filesystem::path const& path) {
  std::string serialized = read_file(path);
  try {
    return sentencepiece_tokenizer(std::move(serialized));
  } catch (error const& reason) {
    fail("file '", path.native(), "': ", reason.what());
  }
}

}  // namespace susc
