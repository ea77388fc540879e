#include "susc/data/synthetic_language.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <vector>

namespace {
using susc::synthetic_domain;
constexpr susc::token first_word = susc::synthetic_language::first_word;
constexpr std::size_t length = 64;
}  // namespace

TEST_CASE("synthetic_language: one key, one language") {
  auto const language = susc::make_synthetic_language({1});
  CHECK(language == susc::make_synthetic_language({1}));
  CHECK(language != susc::make_synthetic_language({2}));
  CHECK(language.vocabulary == 128);
  CHECK(language.phrases.size() == 96);
  for (auto const& each : language.phrases) {
    CHECK(each.size() >= 3);
    CHECK(each.size() <= 8);
    for (susc::token const id : each) CHECK((id >= first_word && id < 128));
  }
  CHECK(language.successors.size() == 128 - first_word);
  for (auto const& each : language.successors) CHECK(std::set<susc::token>(each.begin(), each.end()).size() == 4);
  CHECK(language.piece(0) == "<s>");
  CHECK(language.piece(1) == "(");
  CHECK(language.piece(9) == ")");
  CHECK(language.piece(17) == "w17");
}

TEST_CASE("synthetic_language: sequences open with BOS, stay in the vocabulary and depend on their key and number") {
  auto const language = susc::make_synthetic_language({1}, 40);
  for (auto const domain : susc::synthetic_domains) {
    CAPTURE(susc::name_of(domain));
    auto const batch = susc::generate_sequences(language, domain, 100, length, {3});
    REQUIRE(batch.tokens.size() == 100 * length);
    for (std::size_t i = 0; i != batch.sequences; ++i) {
      auto const row = batch.sequence(i);
      CHECK(row[0] == language.bos);
      CHECK(std::all_of(row.begin() + 1, row.end(), [](susc::token id) { return id >= 1 && id < 40; }));
    }
    CHECK(batch == susc::generate_sequences(language, domain, 100, length, {3}));
    CHECK(batch != susc::generate_sequences(language, domain, 100, length, {4}));
    auto const more = susc::generate_sequences(language, domain, 120, length, {3});
    CHECK(std::equal(batch.tokens.begin(), batch.tokens.end(), more.tokens.begin()));
  }
}

TEST_CASE("synthetic_language: bigrams come with their four probabilities") {
  auto const language = susc::make_synthetic_language({1});
  auto const batch = susc::generate_sequences(language, synthetic_domain::bigram, 2000, length, {3});
  std::array<double, 4> counts{};
  double transitions = 0;
  for (std::size_t i = 0; i != batch.sequences; ++i)
    for (std::size_t t = 2; t != length; ++t) {
      auto const& after = language.successors[static_cast<std::size_t>(batch.sequence(i)[t - 1] - first_word)];
      auto const which = std::find(after.begin(), after.end(), batch.sequence(i)[t]) - after.begin();
      REQUIRE(which < 4);
      ++counts[static_cast<std::size_t>(which)];
      ++transitions;
    }
  // The choices are independent: binomial standard error, .0014 at p = .5; probabilities swapped miss by 35 of them.
  for (std::size_t i = 0; i != 4; ++i) {
    double const p = std::array{.5, .25, .15, .1}[i];
    CHECK(std::abs(counts[i] / transitions - p) < 5 * std::sqrt(p * (1 - p) / transitions));
  }
}

TEST_CASE("synthetic_language: phrases follow one another whole, the last one cut by the end") {
  auto const language = susc::make_synthetic_language({1});
  auto const batch = susc::generate_sequences(language, synthetic_domain::phrases, 500, length, {3});
  for (std::size_t i = 0; i != batch.sequences; ++i) {
    auto const row = batch.sequence(i);
    // reached[t]: the tokens up to t are whole phrases (phrases may begin alike, so several cuts may be possible).
    std::vector<bool> reached(length + 8, false);
    reached[1] = true;
    bool complete = false;
    for (std::size_t t = 1; t != length; ++t) {
      if (!reached[t]) continue;
      for (auto const& phrase : language.phrases) {
        std::size_t const size = std::min(phrase.size(), length - t);
        if (!std::equal(phrase.begin(), phrase.begin() + static_cast<std::ptrdiff_t>(size),
                        row.begin() + static_cast<std::ptrdiff_t>(t)))
          continue;
        reached[t + size] = true;
        complete = complete || t + size == length;
      }
    }
    CHECK(complete);
  }
}

TEST_CASE("synthetic_language: brackets are well nested, of all types, at most 8 deep") {
  auto const language = susc::make_synthetic_language({1});
  auto const batch = susc::generate_sequences(language, synthetic_domain::brackets, 2000, length, {3});
  std::set<susc::token> seen;
  std::size_t deepest = 0;
  for (std::size_t i = 0; i != batch.sequences; ++i) {
    std::vector<susc::token> open;
    for (susc::token const id : batch.sequence(i).subspan(1)) {
      seen.insert(id);
      if (language.opens(id)) {
        open.push_back(id);
      } else {
        REQUIRE(language.closes(id));
        REQUIRE(!open.empty());
        CHECK(open.back() + language.bracket_types == id);
        open.pop_back();
      }
      deepest = std::max(deepest, open.size());
    }
  }
  CHECK(deepest == 8);
  CHECK(seen.size() == 16);
}

TEST_CASE("synthetic_language: induction repeats its segment, with fillers before about a quarter of the repeats") {
  // A large vocabulary, so that with this seed only the segment's tokens occur more than once.
  auto const language = susc::make_synthetic_language({1}, 1'000'000);
  auto const batch = susc::generate_sequences(language, synthetic_domain::induction, 400, 256, {3});
  std::array<int, 5> fillers{};
  int breaks = 0, boundaries = 0, at_start = 0;
  std::set<std::size_t> sizes;
  for (std::size_t i = 0; i != batch.sequences; ++i) {
    auto const row = batch.sequence(i).subspan(1);
    auto const again = [&](susc::token id) { return std::count(row.begin(), row.end(), id) > 1; };
    std::vector<susc::token> text;
    std::vector<std::size_t> run;  // number of fillers directly before each token of text
    std::size_t pending = 0;
    for (susc::token const id : row) {
      if (!again(id)) {
        ++pending;
        continue;
      }
      text.push_back(id);
      run.push_back(pending);
      pending = 0;
    }
    std::size_t const size = std::set<susc::token>(text.begin(), text.end()).size();
    sizes.insert(size);
    REQUIRE(size >= 4);
    REQUIRE(size <= 16);
    for (std::size_t t = size; t < text.size(); ++t) REQUIRE(text[t] == text[t - size]);
    // Fillers come at one phase of the segment only; where that is, the sequence itself tells.
    std::size_t phase = size;
    for (std::size_t t = 0; t != text.size(); ++t)
      if (run[t] != 0) {
        REQUIRE(run[t] <= 4);
        if (phase == size) phase = t % size;
        REQUIRE(t % size == phase);
      }
    if (phase == size) continue;
    at_start += phase == 0;
    // The first filled boundary chose the sequence, so only the boundaries after it count.
    bool first = true;
    for (std::size_t t = phase == 0 ? size : phase; t < text.size(); t += size) {
      if (!first) {
        ++boundaries;
        breaks += run[t] != 0;
        ++fillers[run[t]];
      }
      if (run[t] != 0) first = false;
    }
  }
  CHECK(sizes.size() == 13);
  CHECK(at_start > 0);
  // 1/4 of the boundaries draw 0..4 fillers, of which 4/5 show: p = 1/5, each number .05; binomial standard errors.
  CHECK(std::abs(double(breaks) / boundaries - .2) < 5 * std::sqrt(.2 * .8 / boundaries));
  for (std::size_t n = 1; n != 5; ++n)
    CHECK(std::abs(double(fillers[n]) / boundaries - .05) < 5 * std::sqrt(.05 * .95 / boundaries));
}

TEST_CASE("synthetic_language: the mixture holds the four domains in equal parts") {
  auto const language = susc::make_synthetic_language({1});
  auto const mixture = susc::generate_mixture(language, 10, length, {3});
  CHECK(mixture.sequences == 40);
  for (std::size_t d = 0; d != 4; ++d) {
    auto const part = susc::generate_sequences(language, susc::synthetic_domains[d], 10, length, {3});
    CHECK(std::equal(part.tokens.begin(), part.tokens.end(), mixture.sequence(10 * d).begin()));
  }
}
