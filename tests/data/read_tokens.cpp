#include "susc/data/read_tokens.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "../io/temporary_folder.hpp"

TEST_CASE("read_tokens: sequences and length come from the shape, ids from any integer type") {
  temporary_folder const folder;
  auto const path = folder.path / "tokens.npy";
  susc::token_batch const expected{{1, 2, 3, 4, 5, 6}, 2, 3};
  susc::write_npy<std::int64_t>(path, std::vector<std::int64_t>{1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(susc::read_tokens(path) == expected);
  susc::write_npy<std::int32_t>(path, expected.tokens, {2, 3});
  CHECK(susc::read_tokens(path) == expected);
  CHECK(susc::read_tokens(path).example_count() == 4);
}

TEST_CASE("read_tokens: what is not a table of token ids is refused") {
  temporary_folder const folder;
  using ids = std::vector<std::int64_t>;
  struct {
    ids values;
    std::vector<std::size_t> shape;
    std::vector<std::string> words;
  } const cases[]{
      {{1, 2, 3}, {3}, {"(3,)", "wanted 2 dimensions"}},
      {{1, 2, 3, 4}, {1, 2, 2}, {"(1, 2, 2)", "wanted 2 dimensions"}},
      {{1, 2, 3}, {3, 1}, {"(3, 1)", "at least 2 tokens"}},
      {{}, {3, 0}, {"(3, 0)", "at least 2 tokens"}},
      {{}, {0, 8}, {"(0, 8)", "at least 1 sequence"}},
      {{1, 2, 3, -4, 5, 6}, {2, 3}, {"token id -4", "row 1, column 0", "not negative"}},
      {{1, 2, 3, std::int64_t{1} << 31, 5, 6}, {2, 3}, {"2147483648", "(1, 0)", "does not fit"}},
  };
  for (auto const& c : cases) {
    auto const path = folder.path / "tokens.npy";
    susc::write_npy<std::int64_t>(path, c.values, c.shape);
    std::string const message = error_message([&] { susc::read_tokens(path); });
    check_words(message, c.words);
    check_words(message, {path.string()});
  }
  auto const floats = folder.path / "floats.npy";
  susc::write_npy<float>(floats, std::vector<float>{1, 2}, {1, 2});
  check_words(error_message([&] { susc::read_tokens(floats); }), {"floats.npy", "'<f4'", "wanted integers"});
}

TEST_CASE("check_tokens: ids at or beyond the vocabulary are named with their place") {
  susc::token_batch batch{{0, 1, 2, 3, 9, 5}, 2, 3};
  CHECK_NOTHROW(susc::check_tokens(batch, 10, "probe.npy"));
  check_words(error_message([&] { susc::check_tokens(batch, 9, "probe.npy"); }),
              {"probe.npy", "token id 9", "row 1, column 1", "vocabulary's size, 9"});
  batch.tokens[2] = -1;
  check_words(error_message([&] { susc::check_tokens(batch, 10, "probe.npy"); }), {"token id -1", "row 0, column 2"});
  CHECK_NOTHROW(susc::check_tokens({}, 10, "nothing"));
}
