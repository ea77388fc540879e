#include "susc/structure/class_mean.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "susc/core/random.hpp"

namespace {
using susc::class_estimate;
using susc::class_mean;
using labels = std::vector<char>;
using sequences = std::vector<std::size_t>;
}  // namespace

TEST_CASE("class_mean: by hand, with as many tokens of the class in a sequence as there happen to be") {
  std::vector<double> const values{1, 2, 3, 4, 6};
  class_estimate const found = class_mean(values, labels{1, 1, 0, 1, 0}, sequences{3, 3, 3, 1, 1});
  CHECK(found.count == 3);
  CHECK(found.sequences == 2);
  CHECK(found.mean == doctest::Approx(7. / 3));
  CHECK(found.error == doctest::Approx(10. / 9));  // residuals -5/9, 5/9
  CHECK(found.difference == doctest::Approx(7. / 3 - 4.5));
  CHECK(found.difference_error == doctest::Approx(7. / 18));  // of the rest -3/4, 3/4
}

TEST_CASE("class_mean: undefined numbers are NaN") {
  std::vector<double> const values{1, 2, 3};
  class_estimate const none = class_mean(values, labels{0, 0, 0}, sequences{0, 1, 2});
  CHECK(none.count == 0);
  CHECK(none.sequences == 0);
  CHECK(std::isnan(none.mean));
  CHECK(std::isnan(none.error));
  CHECK(std::isnan(none.difference));
  CHECK(std::isnan(none.difference_error));
  class_estimate const all = class_mean(values, labels{1, 1, 1}, sequences{0, 1, 2});
  CHECK(all.mean == doctest::Approx(2));
  CHECK(all.error == doctest::Approx(1 / std::sqrt(3.)));  // one token a sequence: the usual standard error
  CHECK(std::isnan(all.difference));
  CHECK(std::isnan(all.difference_error));
  class_estimate const one = class_mean(values, labels{1, 1, 0}, sequences{2, 2, 1});
  CHECK(one.mean == doctest::Approx(1.5));
  CHECK(std::isnan(one.error));
  CHECK(one.difference == doctest::Approx(-1.5));
  CHECK(std::isnan(one.difference_error));
  // What is not in the class does not touch its mean.
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  class_estimate const beside = class_mean(std::vector{1., 3., nan}, labels{1, 1, 0}, sequences{0, 1, 1});
  CHECK(beside.mean == doctest::Approx(2));
  CHECK(beside.error == doctest::Approx(1));
  CHECK(std::isnan(beside.difference));
  CHECK(std::isnan(class_mean(std::vector{1., nan}, labels{1, 1}, sequences{0, 1}).mean));
}

TEST_CASE("class_mean: lengths and numbers of sequences are checked") {
  std::vector<double> const values{1, 2, 3};
  CHECK_THROWS_WITH_AS(class_mean(values, labels{1, 0}, sequences{0, 1, 2}),
                       "class mean: 3 values, 2 labels, 3 sequence numbers", susc::error);
  CHECK_THROWS_AS(class_mean(values, labels{1, 0, 1}, sequences{0, 1}), susc::error);
  CHECK_THROWS_WITH_AS(class_mean(values, labels{1, 0, 1}, sequences{0, 3, 2}),
                       "class mean: value 1 is of sequence 3, wanted numbers below 3", susc::error);
}

TEST_CASE("class_mean: errors are those of sequences with a level of their own [oracle]") {
  // Token = level of its sequence + its own: means of n sequences of c tokens vary by a²/n + e²/(n c); in a difference
  // within sequences the level cancels. The squared error is unbiased for both; over 10 000 repetitions its mean has a
  // relative standard error of sqrt(2 / (11 x 10 000)) = .0043: 5 of them allowed, 5 % are 11.
  constexpr std::size_t n = 12, c = 3, d = 2, repetitions = 10'000;
  constexpr double level = 2, own = 3;
  susc::random::stream draw{{17}};
  std::vector<double> values(n * (c + d));
  labels in_class;
  sequences sequence;
  for (std::size_t i = 0; i != n; ++i)
    for (std::size_t j = 0; j != c + d; ++j) in_class.push_back(j < c), sequence.push_back(i);
  double squares = 0, squares_of_difference = 0;
  for (std::size_t r = 0; r != repetitions; ++r) {
    for (std::size_t i = 0; i != n; ++i) {
      double const here = level * draw.normal();
      for (std::size_t j = 0; j != c + d; ++j) values[i * (c + d) + j] = here + own * draw.normal();
    }
    class_estimate const found = class_mean(values, in_class, sequence);
    squares += found.error * found.error / repetitions;
    squares_of_difference += found.difference_error * found.difference_error / repetitions;
  }
  constexpr double exact = level * level / n + own * own / (n * c);
  constexpr double exact_of_difference = own * own / (n * c) + own * own / (n * d);
  CHECK(std::abs(squares / exact - 1) < 5 * .0043);
  CHECK(std::abs(squares_of_difference / exact_of_difference - 1) < 5 * .0043);
}
