#include "susc/data/packing.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "../io/temporary_folder.hpp"

namespace {
/// Three documents of 100, 26 and 5 different runs: their texts tell them apart.
struct documents {
  temporary_folder folder;
  std::vector<susc::document> all;
  documents() {
    for (auto const& [name, first, size] : {std::tuple("a", '\x01', 100), {"b", 'z', 26}, {"c", '~', 5}}) {
      std::string text;
      for (int i = 0; i != size; ++i) text += static_cast<char>(std::string_view(name) == "a" ? first + i : first);
      folder.file(name, text);
      all.push_back({folder.path / name, 0, text.size()});
    }
  }
};
}  // namespace

TEST_CASE("packing: BOS and consecutive tokens of one document; what fills no sequence is dropped") {
  documents const set;
  susc::byte_tokenizer const bytes;
  susc::token_batch const batch = susc::pack_documents(set.all, bytes, 11, 1'000'000, {3});
  CHECK(batch.sequences == 10 + 2);  // 100 / 10 and 26 / 10; the document of 5 bytes fills none
  CHECK(batch.tokens.size() == batch.sequences * batch.length);
  std::set<susc::token> starts;
  for (std::size_t i = 0; i != batch.sequences; ++i) {
    auto const row = batch.sequence(i);
    CHECK(row[0] == bytes.bos());
    susc::token const step = row[1] == 'z' && row[2] == 'z' ? 0 : 1;
    for (std::size_t t = 2; t != row.size(); ++t) CHECK(row[t] == row[t - 1] + step);
    if (step == 1) starts.insert(row[1]);
  }
  CHECK(starts == std::set<susc::token>{1, 11, 21, 31, 41, 51, 61, 71, 81, 91});
}

TEST_CASE("packing: stops at max_tokens, BOS counted; the key alone decides the order") {
  documents const set;
  susc::byte_tokenizer const bytes;
  CHECK(susc::pack_documents(set.all, bytes, 11, 54, {3}).sequences == 4);
  CHECK(susc::pack_documents(set.all, bytes, 11, 55, {3}).sequences == 5);
  std::vector<susc::document> const reversed(set.all.rbegin(), set.all.rend());
  CHECK(susc::pack_documents(reversed, bytes, 11, 1000, {3}) == susc::pack_documents(set.all, bytes, 11, 1000, {3}));
}

TEST_CASE("packing: a document may just fill a sequence") {
  documents const set;
  susc::byte_tokenizer const bytes;
  CHECK(susc::pack_documents(set.all, bytes, 101, 1000, {3}).sequences == 1);
}
