#include "susc/io/archive.hpp"

#include <doctest/doctest.h>

#include <Eigen/Core>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/random.hpp"
#include "temporary_folder.hpp"

namespace {
enum class colour : std::uint16_t { red = 7, blue = 300 };

struct inner {
  double x = 0;
  std::optional<std::string> name;
  friend bool operator==(inner const&, inner const&) = default;
  static void members(auto& self, auto&& each) { each(self.x, self.name); }
};
class outer {
 public:
  outer() = default;
  explicit outer(int)
      : whole_{1, 2},
        parts_{{.5, "a"}, {-.25, std::nullopt}},
        nested_{{1, 2, 3}, {}, {4}},
        matrix_(2, 3),
        yes_(true),
        tint_(colour::blue) {
    matrix_ << 1, 2, 3, 4, 5, 6;
  }
  friend bool operator==(outer const&, outer const&) = default;
  static void members(auto& self, auto&& each) {
    each(self.whole_, self.parts_, self.nested_, self.matrix_);
    each(self.yes_, self.tint_);
  }

 private:
  susc::aligned_vector<float> whole_;
  std::vector<inner> parts_;
  std::vector<std::vector<std::int64_t>> nested_;
  Eigen::MatrixXd matrix_ = Eigen::MatrixXd(0, 0);
  bool yes_ = false;
  colour tint_ = colour::red;
};
struct without {
  int x;
};

template <class... T>
std::string written(T const&... values) {
  susc::archive_writer to;
  to(values...);
  return to.bytes();
}
template <class T>
T read_back(std::string const& bytes) {
  T value{};
  susc::archive_reader from(bytes, "the test: ");
  from(value);
  from.finish();
  return value;
}
}  // namespace

static_assert(susc::Archivable<std::vector<std::optional<inner>>> && susc::Archivable<outer> &&
              susc::Archivable<Eigen::VectorXf>);
static_assert(!susc::Archivable<without> && !susc::Archivable<std::vector<without>> && !susc::Archivable<int*>);

TEST_CASE("archive: the bytes are those of the format") {
  CHECK(written(std::uint16_t{0x1234}, true, std::int8_t{-1}) == std::string("\x34\x12\x01\xff"));
  CHECK(written(std::string("ab")) == std::string("\2\0\0\0\0\0\0\0ab", 10));
  CHECK(written(1.f) == std::string("\0\0\x80\x3f", 4));
  CHECK(written(std::optional<std::uint8_t>{}) == std::string("\0", 1));
  CHECK(written(std::optional<std::uint8_t>{5}) == std::string("\1\5", 2));
}

TEST_CASE("archive: what is read back is what was written") {
  CHECK(read_back<outer>(written(outer(1))) == outer(1));
  CHECK(read_back<outer>(written(outer())) == outer());
  for (double const x : {0., -0., 1e-310, std::numeric_limits<double>::infinity()}) {
    double const back = read_back<double>(written(x));
    CHECK(back == x);
    CHECK(std::signbit(back) == std::signbit(x));
  }
  CHECK(std::isnan(read_back<float>(written(std::nanf("")))));
}

TEST_CASE("archive: bytes cut short anywhere are refused, and so is a byte too many") {
  std::string const bytes = written(outer(1));
  for (std::size_t size = 0; size != bytes.size(); ++size) {
    std::string const found = error_message([&] { read_back<outer>(bytes.substr(0, size)); });
    CHECK(found.starts_with("the test: "));
  }
  check_words(error_message([&] { read_back<outer>(bytes + "x"); }), {"the test: ", "1 bytes are left"});
}

TEST_CASE("archive: announced lengths beyond the bytes make no room") {
  for (std::uint64_t const size :
       {std::uint64_t{2}, ~std::uint64_t{0}, ~std::uint64_t{0} / 8 + 2, std::uint64_t{1} << 61}) {
    CAPTURE(size);
    std::string const bytes = written(size, 1.);
    check_words(error_message([&] { read_back<std::vector<double>>(bytes); }), {"the test", "elements are announced"});
    if (size > 8) CHECK_THROWS_AS(read_back<std::vector<inner>>(bytes), susc::error);
  }
  std::int64_t const most = std::numeric_limits<std::int64_t>::max();
  for (auto const& [rows, columns] : {std::pair{most, most},
                                      {std::int64_t{1} << 32, std::int64_t{1} << 32},
                                      {-1, -1},
                                      {std::int64_t{0} - most, std::int64_t{1}},
                                      {std::int64_t{9}, std::int64_t{1}}})
    CHECK_THROWS_AS(read_back<Eigen::MatrixXd>(written(rows, columns, 1.)), susc::error);
  check_words(error_message([&] { read_back<Eigen::Vector2d>(written(std::int64_t{1}, std::int64_t{1}, 1.)); }),
              {"1 x 1", "another shape"});
}

TEST_CASE("archive: damaged bytes give an error or a value, never anything else") {
  std::string const bytes = written(outer(1));
  susc::random::stream random({3});
  for (int i = 0; i != 5000; ++i) {
    std::string damaged = bytes;
    for (int k = 0; k != 3; ++k) damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
    try {
      read_back<outer>(damaged);
    } catch (susc::error const&) {
    }
  }
  check_words(error_message([&] { read_back<bool>("\2"); }), {"2, wanted 0 or 1"});
}
