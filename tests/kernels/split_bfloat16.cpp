#include "susc/kernels/split_bfloat16.hpp"

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/amx_emulation.hpp"
#include "shapes.hpp"
#include "susc/kernels/gemm.hpp"

namespace {
namespace kernels = susc::kernels;
namespace detail = kernels::detail;
using kernels::matrix;
using shapes::guarded;

constexpr auto split = kernels::precision::split_bfloat16;
constexpr auto rounded_once = kernels::precision::bfloat16;

matrix<float> view(guarded<float>& m) {
  return {m.data(), m.rows(), m.columns(), m.stride()};
}

/// A precision, and what computes it: its bounds, and how far the largest error must come to them.
template <int Parts, class Tiles>
struct kind {
  static constexpr int parts = Parts;
  using tiles = Tiles;
  static constexpr double error = Parts == 2 ? kernels::split_bfloat16_error : kernels::bfloat16_error;
};

/// Where the compiler knows AMX, its tiles are tested too: on the CPU's, or emulated. So is AVX512_BF16.
#if defined(SUSC_HAS_AMX)
#define SUSC_TESTED_TILES detail::portable_tiles, detail::amx_tiles
#define SUSC_AMX_KINDS , kind<2, detail::amx_tiles>, kind<1, detail::amx_tiles>
#else
#define SUSC_TESTED_TILES detail::portable_tiles
#define SUSC_AMX_KINDS
#endif
#if defined(__AVX512BF16__)
#define SUSC_AVX512_KINDS , kind<2, detail::avx512_tiles>, kind<1, detail::avx512_tiles>
#else
#define SUSC_AVX512_KINDS
#endif
#define SUSC_TESTED_KINDS \
  kind<2, detail::portable_tiles>, kind<1, detail::portable_tiles> SUSC_AMX_KINDS SUSC_AVX512_KINDS

/// What the tiles need while they are used.
template <class Tiles>
struct with {};
#if defined(SUSC_HAS_AMX)
template <>
struct with<detail::amx_tiles> {
  std::optional<amx_emulation> emulation;
  with() {
    if (!kernels::amx_permitted()) emulation.emplace();
  }
};
#endif

/// Packing is the same for all tiles, and done before they see it: tested on one kind.
template <class Tiles>
constexpr bool packing_matters = std::same_as<Tiles, detail::portable_tiles>;

enum class product { plain, right_transposed, left_transposed };

/// Factors and result of one product, with what is exact.
struct problem {
  product which;
  bool add;
  std::size_t m, n, k, offset;
  bool const at = which == product::left_transposed, bt = which == product::right_transposed;
  guarded<float> a{at ? k : m, at ? m : k, (at ? m : k) + 1, offset},
      b{bt ? n : k, bt ? k : n, (bt ? k : n) + 2, offset + 1}, c{m, n, n + 3, offset + 2};
  std::vector<double> before = {};

  void fill(susc::random::stream& draw) {
    a.fill(draw), b.fill(draw);
    if (add) c.fill(draw);
    before = c.values();
  }
  template <int Parts, class Tiles>
  void compute() {
    detail::strided<float> const left{a.data(), at ? 1 : a.stride(), at ? a.stride() : 1},
        right{b.data(), bt ? 1 : b.stride(), bt ? b.stride() : 1};
    detail::split_product_on<Parts, Tiles>(view(c), left, right, k, add, nullptr);
  }
  void compute_by_name(kernels::precision how) {
    auto const mode = add ? kernels::output::add : kernels::output::overwrite;
    if (which == product::plain) kernels::multiply<float>(view(c), view(a), view(b), mode, how);
    if (which == product::right_transposed) kernels::multiply_transposed<float>(view(c), view(a), view(b), mode, how);
    if (which == product::left_transposed) kernels::transposed_multiply<float>(view(c), view(a), view(b), mode, how);
  }
  /// In units of the bound, of which `allowed` is what rounding the factors may do.
  double error(double allowed) {
    shapes::worst error;
    for (std::size_t i = 0; i != m; ++i)
      for (std::size_t j = 0; j != n; ++j) {
        double exact = 0, size = 0;
        for (std::size_t s = 0; s != k; ++s) {
          double const term = double(at ? a.at(s, i) : a.at(i, s)) * double(bt ? b.at(j, s) : b.at(s, j));
          exact += term;
          size += std::abs(term);
        }
        double const start = add ? before[i * n + j] : 0;
        error.add(c.at(i, j), start + exact,
                  allowed * size + 2 * double(k) * shapes::epsilon<float> * (std::abs(start) + size));
      }
    return error.value();
  }
};

TEST_CASE_TEMPLATE("split_bfloat16: products against naive loops: every length of every extent, strided, misaligned",
                   Kind, SUSC_TESTED_KINDS) {
  using Tiles = typename Kind::tiles;
  [[maybe_unused]] with<Tiles> const tiles;
  susc::random::stream draw{{2}};
  double largest = 0;
  constexpr std::size_t offsets = packing_matters<Tiles> ? shapes::offsets : 1;
  for (auto const which : {product::plain, product::right_transposed, product::left_transposed})
    for (bool const add : {false, true})
      for (std::size_t const length : shapes::lengths<float>())
        for (std::size_t offset = 0; offset != offsets; ++offset) {
          std::size_t const other = 1 + (length * 5 + offset) % 13, third = 1 + (length * 3 + offset) % 7;
          for (auto const& [m, n, k] :
               {std::array{length, other, third}, {third, length, other}, {other, third, length}}) {
            problem p{which, add, m, n, k, offset};
            p.fill(draw);
            p.compute<Kind::parts, Tiles>();
            double const error = p.error(Kind::error);
            CHECK(error <= 1);
            largest = std::max(largest, error);
          }
        }
  // The bound is no more than a few times too wide: without lo of either factor errors are up to 80 times larger.
  CHECK(largest > .2);
  MESSAGE("largest error, of its bound: " << largest);
}

TEST_CASE_TEMPLATE("split_bfloat16: products larger than every block: rows, columns and depth", Kind,
                   SUSC_TESTED_KINDS) {
  using Tiles = typename Kind::tiles;
  [[maybe_unused]] with<Tiles> const tiles;
  susc::random::stream draw{{3}};
  for (auto const which : {product::plain, product::right_transposed, product::left_transposed})
    for (bool const add : {false, true}) {
      if (!packing_matters<Tiles> && which != product::plain) continue;
      problem p{which, add, 133, 1057, 530, 1};
      p.fill(draw);
      p.compute<Kind::parts, Tiles>();
      CHECK(p.error(Kind::error) <= 1);
    }
}

TEST_CASE_TEMPLATE("split_bfloat16: the error of a product of normals is 4.4e-6 of its rms, of one part 2.35e-3", Kind,
                   SUSC_TESTED_KINDS) {
  using Tiles = typename Kind::tiles;
  [[maybe_unused]] with<Tiles> const tiles;
  susc::random::stream draw{{4}};
  problem p{product::plain, false, 256, 256, 256, 0};
  p.fill(draw);
  p.compute<Kind::parts, Tiles>();
  double error = 0, size = 0;
  for (std::size_t i = 0; i != p.m; ++i)
    for (std::size_t j = 0; j != p.n; ++j) {
      double exact = 0;
      for (std::size_t s = 0; s != p.k; ++s) exact += double(p.a.at(i, s)) * double(p.b.at(s, j));
      error += (p.c.at(i, j) - exact) * (p.c.at(i, j) - exact);
      size += exact * exact;
    }
  double const relative = std::sqrt(error / size);
  double const expected = Kind::parts == 2 ? 4.43e-6 : 2.35e-3;
  CHECK(relative > .95 * expected);
  CHECK(relative < 1.05 * expected);
  MESSAGE("rms error, of the product's rms: " << relative);
}

TEST_CASE_TEMPLATE("split_bfloat16: a block of tiles computes what TDPBF16PS is defined to", Tiles, SUSC_TESTED_TILES) {
  [[maybe_unused]] with<Tiles> const needed;
  susc::random::stream draw{{5}};
  // Any normal numbers, in the order of the definition: the same bits.
  auto const bfloat16 = [&] { return std::bit_cast<std::uint32_t>(static_cast<float>(draw.normal())) >> 16; };
  alignas(64) std::uint32_t a[2 * detail::tile_words], b[2 * detail::tile_words];
  for (auto* const words : {a, b})
    for (std::size_t i = 0; i != 2 * detail::tile_words; ++i) words[i] = bfloat16() | bfloat16() << 16;
  auto const low = [](std::uint32_t word) { return std::bit_cast<float>(word << 16); };
  auto const high = [](std::uint32_t word) { return std::bit_cast<float>(word & 0xFFFF0000U); };
  guarded<float> c(32, 32, 37, 1), before(32, 32, 32, 0);
  c.fill(draw);
  for (std::size_t m = 0; m != 32; ++m)
    for (std::size_t n = 0; n != 32; ++n) before.at(m, n) = c.at(m, n);
  {
    Tiles tiles;
    tiles.load(c.data(), c.stride());
    tiles.left(a);
    tiles.right(b);
    tiles.dot();
    tiles.store(c.data(), c.stride());
  }
  for (std::size_t m = 0; m != 32; ++m)
    for (std::size_t n = 0; n != 32; ++n) {
      float first = 0, second = 0;
      for (std::size_t i = 0; i != 16; ++i) {
        std::uint32_t const x = a[m * 16 + i], y = b[n / 16 * detail::tile_words + i * 16 + n % 16];
        first = std::fma(low(x), low(y), first);
        second = std::fma(high(x), high(y), second);
      }
      CHECK(c.at(m, n) == before.at(m, n) + (first + second));
    }
}

TEST_CASE_TEMPLATE("split_bfloat16: AMX and portable tiles have the same bits", Tiles, SUSC_TESTED_TILES) {
  susc::random::stream draw{{6}};
  problem one{product::plain, true, 45, 70, 300, 0};
  one.fill(draw);
  auto const start = one.c.values();
  one.compute<2, detail::portable_tiles>();
  auto const portable = one.c.values();
  for (std::size_t i = 0; i != one.m * one.n; ++i) one.c.at(i / one.n, i % one.n) = static_cast<float>(start[i]);
  {
    [[maybe_unused]] with<Tiles> const tiles;
    one.compute<2, Tiles>();
  }
  CHECK(one.c.values() == portable);
}

TEST_CASE("split_bfloat16: asked for by name, at every orientation; doubles do not ask") {
  susc::random::stream draw{{7}};
  for (auto const which : {product::plain, product::right_transposed, product::left_transposed})
    for (bool const add : {false, true}) {
      problem p{which, add, 33, 50, 40, 2};
      for (auto const& [how, allowed] :
           {std::pair{split, kernels::split_bfloat16_error}, {rounded_once, kernels::bfloat16_error}}) {
        p.fill(draw);
        p.compute_by_name(how);
        double const error = p.error(allowed);
        CHECK(error <= 1);
        CHECK(error > .02);  // what is more precise would err less
      }
    }
  guarded<double> a(5, 9, 9, 0), b(9, 7, 7, 1), c(5, 7, 7, 2), plain(5, 7, 7, 3);
  a.fill(draw), b.fill(draw);
  auto const of = [](guarded<double>& x) { return matrix<double>{x.data(), x.rows(), x.columns()}; };
  kernels::multiply<double>(of(c), of(a), of(b), kernels::output::overwrite, split);
  kernels::multiply<double>(of(plain), of(a), of(b));
  CHECK(c.values() == plain.values());
}

TEST_CASE("split_bfloat16: a row has the same bits in a product of many rows and alone") {
  susc::random::stream draw{{8}};
  for (auto const how : {split, rounded_once}) {
    std::size_t const m = 39, n = 70, k = 300;
    guarded<float> a(m, k, k, 0), b(k, n, n, 0), c(m, n, n, 0), one(1, n, n, 1);
    a.fill(draw), b.fill(draw);
    kernels::multiply<float>(view(c), view(a), view(b), kernels::output::overwrite, how);
    for (std::size_t i = 0; i != m; ++i) {
      kernels::multiply<float>(view(one), {&a.at(i, 0), 1, k}, view(b), kernels::output::overwrite, how);
      for (std::size_t j = 0; j != n; ++j) CHECK(one.at(0, j) == c.at(i, j));
    }
  }
}

TEST_CASE("split_bfloat16: a packed B gives the bits of B itself, transposed too, and its rows back") {
  susc::random::stream draw{{9}};
  kernels::packed_matrix<float> packed;  // used again for every shape and precision
  for (auto const& [m, n, k] : {std::array<std::size_t, 3>{23, 533, 301}, {7, 1, 1}, {1, 48, 700}, {5, 1070, 3}})
    for (bool const transposed : {false, true}) {
      guarded<float> a(m, k, k + 1, 0), b(transposed ? n : k, transposed ? k : n, (transposed ? k : n) + 2, 1),
          c(m, n, n, 2), direct(m, n, n + 1, 3);
      a.fill(draw), b.fill(draw);
      for (auto const how : {split, kernels::precision::single, rounded_once, kernels::precision::single}) {
        transposed ? packed.pack_transposed(view(b), how) : packed.pack(view(b), how);
        kernels::multiply<float>(view(c), view(a), packed);
        if (transposed)
          kernels::multiply_transposed<float>(view(direct), view(a), view(b), kernels::output::overwrite, how);
        else
          kernels::multiply<float>(view(direct), view(a), view(b), kernels::output::overwrite, how);
        CHECK(c.values() == direct.values());
        guarded<float> row(n, 1);
        for (std::size_t p = 0; p < k; p += 1 + k / 7) {
          packed.copy_row(p, row.data());
          double const lost = how == split ? 1. / 65536 : how == rounded_once ? 1. / 256 : 0;
          for (std::size_t j = 0; j != n; ++j) {
            double const x = transposed ? b.at(j, p) : b.at(p, j);
            CHECK(std::abs(row[j] - x) <= lost * std::abs(x));
          }
        }
      }
    }
}

/// What one number becomes.
float rounded(float x) {
  float values[kernels::lane_count<float>];
  kernels::store(values, detail::to_bfloat16(kernels::lanes<float>(x)));
  return values[0];
}

TEST_CASE("split_bfloat16: rounding is to nearest, ties to even; NaN stays, tiny numbers vanish") {
  CHECK(rounded(1) == 1);
  CHECK(rounded(1 + 0x1p-8f) == 1);              // a tie, down to even
  CHECK(rounded(1 + 0x1.8p-7f) == 1 + 0x1p-6f);  // a tie, up to even
  CHECK(rounded(-1 - 0x1.8p-7f) == -1 - 0x1p-6f);
  CHECK(rounded(1 + 0x1.0002p-8f) == 1 + 0x1p-7f);
  CHECK(rounded(0x1.ffp0f) == 2);
  CHECK(rounded(0x1p-126f) == 0x1p-126f);
  CHECK(rounded(0x1p-127f) == 0);
  CHECK(rounded(std::numeric_limits<float>::max()) == std::numeric_limits<float>::infinity());
  CHECK(rounded(-std::numeric_limits<float>::infinity()) == -std::numeric_limits<float>::infinity());
  for (std::uint32_t const bits : {0x7FC00000U, 0xFFC00000U, 0x7FFFFFFFU, 0xFFFFFFFFU, 0x7F800001U})
    CHECK(std::isnan(rounded(std::bit_cast<float>(bits))));
  susc::random::stream draw{{10}};
  for (int i = 0; i != 1000; ++i) {
    auto const x = static_cast<float>(std::exp(20 * draw.normal())), high = rounded(x);
    CHECK(std::abs(x - high) <= 0x1p-8f * x);
    CHECK(std::abs(x - high - rounded(x - high)) <= 0x1p-16f * x);
  }
}

TEST_CASE("split_bfloat16: two numbers are rounded at once as each alone") {
  susc::random::stream draw{{12}};
  constexpr std::size_t count = kernels::lane_count<float>;
  for (int i = 0; i != 20'000; ++i) {
    // Any bits: denormals, infinities and NaN among them.
    float x[2][count];
    for (auto& one : x)
      for (float& value : one) value = std::bit_cast<float>(static_cast<std::uint32_t>(draw.below(1ULL << 32)));
    std::uint32_t pairs[count];
    kernels::store(pairs, detail::rounded_pairs(kernels::load(x[0]), kernels::load(x[1])));
    for (std::size_t l = 0; l != count; ++l)
      for (std::size_t half = 0; half != 2; ++half) {
        auto const got = std::bit_cast<float>(half == 0 ? pairs[l] << 16 : pairs[l] & 0xFFFF0000U);
        float const alone = rounded(x[half][l]);
        if (std::isnan(alone) ? !std::isnan(got) : got != alone) FAIL_CHECK(x[half][l], ": ", got, " and ", alone);
      }
  }
}

TEST_CASE("split_bfloat16: what is not finite gives what is not finite, and only where it goes") {
  susc::random::stream draw{{11}};
  float const infinity = std::numeric_limits<float>::infinity();
  for (auto const how : {split, rounded_once})
    for (float const bad : {std::nanf(""), infinity, -infinity, std::numeric_limits<float>::max()}) {
      problem p{product::plain, false, 20, 40, 50, 0};
      p.fill(draw);
      p.a.at(3, 45) = bad;
      p.compute_by_name(how);
      for (std::size_t i = 0; i != p.m; ++i)
        for (std::size_t j = 0; j != p.n; ++j) CHECK(std::isfinite(p.c.at(i, j)) == (i != 3));
    }
}

TEST_CASE("split_bfloat16: no depth is an empty sum") {
  guarded<float> a(3, 1, 1, 0), b(1, 5, 5, 1), c(3, 5, 5, 2);
  for (auto const how : {split, rounded_once}) {
    c.fill_constant(2);
    kernels::multiply<float>(view(c), {a.data(), 3, 0, 1}, {b.data(), 0, 5}, kernels::output::add, how);
    CHECK(c.largest() == 2);
    kernels::multiply<float>(view(c), {a.data(), 3, 0, 1}, {b.data(), 0, 5}, kernels::output::overwrite, how);
    CHECK(c.largest() == 0);
  }
}

TEST_CASE("split_bfloat16: AMX is permitted only where the system names it") {
  std::ifstream file("/proc/cpuinfo");
  std::string const about{std::istreambuf_iterator<char>(file), {}};
  bool const named = about.find(" amx_bf16") != std::string::npos && about.find(" amx_tile") != std::string::npos;
  bool const permitted = kernels::amx_permitted();
  CHECK((named || !permitted));
  CHECK(kernels::amx_permitted() == permitted);
  MESSAGE("AMX permitted: " << permitted);
}
}  // namespace
