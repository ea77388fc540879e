#include "susc/data/classification_batch.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "susc/data/token_batch.hpp"
#include "susc/models/mlp.hpp"

namespace {
template <class Input, class Label>
struct batch_of {
  std::vector<Input> inputs;
  std::vector<Label> labels;
};
struct no_labels {
  std::vector<double> inputs;
};
static_assert(susc::ClassificationBatch<susc::mlp<float>::batch> &&
              susc::ClassificationBatch<susc::mlp<double>::batch>);
static_assert(susc::ClassificationBatch<batch_of<float, std::uint8_t>>);
static_assert(!susc::ClassificationBatch<batch_of<int, std::uint8_t>>);
static_assert(!susc::ClassificationBatch<batch_of<double, std::string>>);
static_assert(!susc::ClassificationBatch<no_labels> && !susc::ClassificationBatch<susc::token_batch>);
}  // namespace

TEST_CASE("classification batch: inputs of each example") {
  using batch = batch_of<double, std::size_t>;
  CHECK(susc::input_width(batch{{1, 2, 3, 4, 5, 6}, {0, 1}}) == 3);
  CHECK_THROWS_WITH_AS(susc::input_width(batch{}), "a batch without examples", susc::error);
  CHECK_THROWS_WITH_AS(susc::input_width(batch{{1, 2, 3}, {0, 1}}),
                       "a batch of 2 labels and 3 input values, must have as many for each example", susc::error);
}
