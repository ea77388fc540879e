#include "susc/core/check_model.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <any>
#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {
using susc::component;
template <class T>
using view = std::span<T const>;

/// What a user might write, and lawful: a regression y = Σ_i w_i sin((i + 1) x), squared errors, every example's loss
/// shifted by `offset`; components "low" and "high", every refinement, hooks by which the tests below break one law.
template <class T>
struct regression {
  using scalar = T;
  struct point {
    T x, y;
  };
  using batch = std::vector<point>;
  static constexpr std::size_t size = 7, split = 3;
  T offset = 0;

  std::size_t parameter_count() const { return size; }
  std::size_t example_count(batch const& b) const { return b.size(); }
  std::vector<component> components() const { return {{"low", {{0, split}}}, {"high", {{split, 5}, {6, size}}}}; }

  static T residual(view<T> w, point const& p) {
    T sum = -p.y;
    for (std::size_t i = 0; i != size; ++i) sum += w[i] * basis(i, p);
    return sum;
  }
  static T basis(std::size_t i, point const& p) { return std::sin(static_cast<T>(i + 1) * p.x); }

  void losses(view<T> w, batch const& b, std::span<T> losses) const {
    for (std::size_t e = 0; e != b.size(); ++e) losses[e] = offset + residual(w, b[e]) * residual(w, b[e]) / 2;
  }
  T loss_and_gradient(view<T> w, batch const& b, std::span<T> gradient) const {
    std::fill(gradient.begin(), gradient.end(), T(0));
    T sum = 0, share = 1 / static_cast<T>(b.size());
    for (point const& p : b) {
      T const r = residual(w, p);
      sum += offset + r * r / 2;
      for (std::size_t i = 0; i != size; ++i) gradient[i] += share * r * basis(i, p);
    }
    return share * sum;
  }
  T loss_and_gradient(view<T> w, batch const& b, component const& c, std::span<T> gradient) const {
    std::vector<T> whole(size);
    T const loss = loss_and_gradient(w, b, whole);
    c.gather(view<T>(whole), gradient);
    return loss;
  }

  /// The residuals without the component's part.
  struct frozen {
    batch points;
    component moving;
    std::vector<T> rest;
  };
  frozen freeze(view<T> w, component const& c, batch const& b) const {
    frozen f;
    freeze(w, c, b, f);
    return f;
  }
  void freeze(view<T> w, component const& c, batch const& b, frozen& to) const {
    to.points = b;
    to.moving = c;
    to.rest.resize(b.size());
    std::vector<T> others(w.begin(), w.end());
    for (auto const r : c.ranges()) std::fill(others.begin() + r.begin, others.begin() + r.end, T(0));
    for (std::size_t e = 0; e != b.size(); ++e) to.rest[e] = residual(others, b[e]);
  }
  T residual(view<T> w, frozen const& f, std::size_t e) const {
    T sum = f.rest[e];
    for (auto const r : f.moving.ranges())
      for (std::size_t i = r.begin; i != r.end; ++i) sum += w[i] * basis(i, f.points[e]);
    return sum;
  }
  void losses(view<T> w, frozen const& f, std::span<T> losses) const {
    for (std::size_t e = 0; e != f.rest.size(); ++e) losses[e] = offset + residual(w, f, e) * residual(w, f, e) / 2;
  }
  T loss_and_gradient(view<T> w, frozen const& f, component const& c, std::span<T> gradient) const {
    std::fill(gradient.begin(), gradient.end(), T(0));
    T sum = 0, share = 1 / static_cast<T>(f.rest.size());
    for (std::size_t e = 0; e != f.rest.size(); ++e) {
      T const r = residual(w, f, e);
      sum += offset + r * r / 2;
      std::size_t position = 0;
      for (auto const range : c.ranges())
        for (std::size_t i = range.begin; i != range.end; ++i)
          gradient[position++] += share * r * basis(i, f.points[e]);
    }
    return share * sum;
  }

  double operations(susc::pass, component const&, batch const& b) const { return 6. * size * b.size(); }
  std::size_t frozen_bytes(component const&, batch const& b) const { return b.size() * (sizeof(point) + sizeof(T)); }
  std::size_t workspace_bytes(batch const&) const { return size * sizeof(T); }
};
static_assert(susc::FreezableGradientModel<regression<double>> && susc::RestrictedModel<regression<float>>);
static_assert(susc::CountsOperations<regression<double>> && susc::CountsBytes<regression<double>>);

using lawful = regression<double>;
using weights = view<double>;
using batch = lawful::batch;

template <class T>
typename regression<T>::batch points(std::size_t count, std::uint64_t seed) {
  susc::random::stream random({seed});
  typename regression<T>::batch b(count);
  for (auto& p : b) p = {static_cast<T>(random.normal()), static_cast<T>(random.normal())};
  return b;
}
template <class T>
std::vector<T> normals(std::size_t count, std::uint64_t seed) {
  susc::random::stream random({seed});
  std::vector<T> w(count);
  for (T& x : w) x = static_cast<T>(random.normal());
  return w;
}

std::string list(std::vector<susc::broken_law> const& broken) {
  std::string all;
  for (auto const& b : broken) all += b.law + ": " + b.what + "\n";
  return all;
}

// The checker is compiled for two types only, to which every model of doubles is turned.
template <class R, class... A>
using function = std::function<R(A...)>;
struct without_refinements {
  using scalar = double;
  using batch = lawful::batch;
  function<std::size_t> parameters;
  function<std::vector<component>> names;
  function<void, weights, batch const&, std::span<double>> loss;
  function<double, weights, batch const&, std::span<double>> slopes;
  std::size_t parameter_count() const { return parameters(); }
  std::size_t example_count(batch const& b) const { return b.size(); }
  std::vector<component> components() const { return names(); }
  void losses(weights w, batch const& b, std::span<double> losses) const { loss(w, b, losses); }
  double loss_and_gradient(weights w, batch const& b, std::span<double> gradient) const {
    return slopes(w, b, gradient);
  }
};
struct with_refinements : without_refinements {
  using without_refinements::loss_and_gradient;
  using without_refinements::losses;
  using frozen = std::any;
  function<double, weights, batch const&, component const&, std::span<double>> part;
  function<frozen, weights, component const&, batch const&> cold;
  function<void, weights, component const&, batch const&, frozen&> cold_again;
  function<void, weights, frozen const&, std::span<double>> thawed;
  function<double, weights, frozen const&, component const&, std::span<double>> thawed_part;
  function<double, susc::pass, component const&, batch const&> count;
  function<std::size_t, batch const&> bytes;
  double loss_and_gradient(weights w, batch const& b, component const& c, std::span<double> gradient) const {
    return part(w, b, c, gradient);
  }
  frozen freeze(weights w, component const& c, batch const& b) const { return cold(w, c, b); }
  void freeze(weights w, component const& c, batch const& b, frozen& to) const { cold_again(w, c, b, to); }
  void losses(weights w, frozen const& f, std::span<double> losses) const { thawed(w, f, losses); }
  double loss_and_gradient(weights w, frozen const& f, component const& c, std::span<double> gradient) const {
    return thawed_part(w, f, c, gradient);
  }
  double operations(susc::pass what, component const& c, batch const& b) const { return count(what, c, b); }
  std::size_t frozen_bytes(component const&, batch const& b) const { return b.size(); }
  std::size_t workspace_bytes(batch const& b) const { return bytes(b); }
};
static_assert(susc::Model<without_refinements> && !susc::RestrictedModel<without_refinements>);
static_assert(susc::FreezableGradientModel<with_refinements> && susc::RestrictedModel<with_refinements>);

template <class M>
std::vector<susc::broken_law> check(M const& m, std::vector<double> const& w, batch const& b,
                                    susc::model_check const& how = {}) {
  auto const start = [&m](auto model) {
    model.parameters = [&m] { return m.parameter_count(); };
    model.names = [&m] { return susc::components_of(m); };
    model.loss = [&m](weights x, batch const& of, std::span<double> to) { m.losses(x, of, to); };
    model.slopes = [&m](weights x, batch const& of, std::span<double> to) { return m.loss_and_gradient(x, of, to); };
    return model;
  };
  if constexpr (!susc::FreezableGradientModel<M>) {
    return susc::check_model(start(without_refinements{}), w, b, how);
  } else {
    using frozen = typename M::frozen;
    auto model = start(with_refinements{});
    model.part = [&m](weights x, batch const& of, component const& c, std::span<double> to) {
      return m.loss_and_gradient(x, of, c, to);
    };
    model.cold = [&m](weights x, component const& c, batch const& of) { return std::any(m.freeze(x, c, of)); };
    model.cold_again = [&m](weights x, component const& c, batch const& of, std::any& to) {
      m.freeze(x, c, of, std::any_cast<frozen&>(to));
    };
    model.thawed = [&m](weights x, std::any const& f, std::span<double> to) {
      m.losses(x, std::any_cast<frozen const&>(f), to);
    };
    model.thawed_part = [&m](weights x, std::any const& f, component const& c, std::span<double> to) {
      return m.loss_and_gradient(x, std::any_cast<frozen const&>(f), c, to);
    };
    model.count = [&m](susc::pass what, component const& c, batch const& of) { return m.operations(what, c, of); };
    model.bytes = [&m](batch const& of) { return m.workspace_bytes(of); };
    return susc::check_model(model, w, b, how);
  }
}

/// The model breaks this law and no other; every part is in the sentence.
template <class M>
void breaks(M const& model, std::string const& law, std::vector<std::string> const& parts, std::size_t examples = 5) {
  auto const broken = check(model, normals<double>(lawful::size, 2), points<double>(examples, 3));
  CAPTURE(list(broken));
  REQUIRE(!broken.empty());
  for (auto const& b : broken) CHECK(b.law == law);
  for (auto const& part : parts) {
    CAPTURE(part);
    CHECK(broken[0].what.find(part) != std::string::npos);
  }
}
}  // namespace

TEST_CASE("check_model: a lawful model breaks none, for 200 weights and batches, float and double") {
  for (std::uint64_t seed = 0; seed != 200; ++seed) {
    CAPTURE(seed);
    auto const check = [&]<class T>(T offset, T scale) {
      regression<T> const model{.offset = offset};
      auto w = normals<T>(model.parameter_count(), seed);
      for (T& x : w) x *= scale;
      auto const broken = susc::check_model(model, w, points<T>(1 + seed % 7, seed + 1000),
                                            {.coordinates = 4 + seed % 5, .key = {seed}});
      CAPTURE(list(broken));
      CHECK(broken.empty());
    };
    check(0., 1.);
    check(1e3, 1.);
    check(0., 30.);  // losses of size 1e3
    check(0., 1e-3);
    check(0.f, 1.f);
    check(1e3f, 1.f);
    check(0.f, 30.f);
    check(0.f, 1e-3f);
  }
}

// One wrong model, or more, a law.
namespace {
/// Without refinements; `change` is done to the mean loss and the gradient of a lawful model.
struct plain {
  using scalar = double;
  using batch = lawful::batch;
  std::size_t parameter_count() const { return lawful::size; }
  std::size_t example_count(batch const& b) const { return b.size(); }
  void losses(weights w, batch const& b, std::span<double> losses) const { lawful{}.losses(w, b, losses); }
  double loss_and_gradient(weights w, batch const& b, std::span<double> gradient) const {
    return lawful{}.loss_and_gradient(w, b, gradient);
  }
};
}  // namespace

TEST_CASE("check_model: counts that cannot be") {
  struct other_size : plain {
    std::size_t parameter_count() const { return 8; }
  };
  breaks(other_size{}, "counts", {"parameter_count() is 8, but w has 7 entries"});
  struct no_weights : plain {
    std::size_t parameter_count() const { return 0; }
  };
  breaks(no_weights{}, "counts", {"parameter_count() is 0"});
  breaks(plain{}, "counts", {"example_count(batch) is 0"}, 0);
}

TEST_CASE("check_model: components whose names or ranges cannot be used") {
  struct with : plain {
    std::vector<component> all;
    std::vector<component> components() const { return all; }
  };
  auto const wrong = [](std::vector<component> all, std::string const& part) {
    with model;
    model.all = std::move(all);
    breaks(model, "components", {part});
  };
  wrong({{"a", {{0, 3}}}, {"b", {{3, 5}}}, {"a", {{5, 7}}}}, "component 'a' is there twice, as 0 and 2");
  wrong({{"a", {{0, 3}}}, {"b", {{3, 8}}}}, "component 'b' reaches to weight 7, the last one is 6");
  wrong({{"a+b", {{0, 3}}}}, "component 'a+b' has '+' in its name");
  wrong({{"full", {{0, 3}}}}, "component 'full' has 3 weights, must have all 7");
  wrong({{"a", {{0, 3}}}, {}}, "component 1 selects no weights");
  struct changing : plain {
    mutable std::size_t calls = 0;
    std::vector<component> components() const { return {{"a", {{0, 1 + ++calls % 3}}}}; }
  };
  breaks(changing{}, "components", {"components() differs from call to call"});
}

TEST_CASE("check_model: exceptions are told, not passed on") {
  struct throws : plain {
    double loss_and_gradient(weights, batch const&, std::span<double>) const { throw std::runtime_error("no tape"); }
  };
  breaks(throws{}, "exceptions", {"loss_and_gradient(w, batch, gradient) throws: no tape"});
  struct throws_other : plain {
    void losses(weights, batch const&, std::span<double>) const { throw 1; }
  };
  breaks(throws_other{}, "exceptions", {"losses(w, batch, losses) throws what is no std::exception"});
}

TEST_CASE("check_model: writing beyond what is given") {
  struct more_losses : plain {
    void losses(weights w, batch const& b, std::span<double> losses) const {
      plain::losses(w, b, losses);
      losses.data()[b.size()] = 0;
    }
  };
  breaks(more_losses{}, "sizes", {"losses(w, batch, losses) writes outside of the 5 entries"});
  struct before : plain {
    double loss_and_gradient(weights w, batch const& b, std::span<double> gradient) const {
      *(gradient.data() - 1) = 0;
      return plain::loss_and_gradient(w, b, gradient);
    }
  };
  breaks(before{}, "sizes", {"loss_and_gradient(w, batch, gradient) writes outside of the 7 entries"});
}

TEST_CASE("check_model: what is not finite") {
  double const nan = std::numeric_limits<double>::quiet_NaN();
  struct loss : plain {
    double value;
    void losses(weights w, batch const& b, std::span<double> losses) const {
      plain::losses(w, b, losses);
      losses[3] = value;
    }
  };
  loss undefined, infinite;
  undefined.value = nan;
  infinite.value = INFINITY;
  breaks(undefined, "finite", {"the loss of example 3 is", "nan"});
  breaks(infinite, "finite", {"the loss of example 3 is inf"});
  struct slope : plain {
    double loss_and_gradient(weights w, batch const& b, std::span<double> gradient) const {
      double const mean = plain::loss_and_gradient(w, b, gradient);
      gradient[4] = INFINITY;
      return mean;
    }
  };
  breaks(slope{}, "finite", {"the gradient by w[4]", "is inf"});
  struct mean : plain {
    double loss_and_gradient(weights w, batch const& b, std::span<double> gradient) const {
      plain::loss_and_gradient(w, b, gradient);
      return NAN;
    }
  };
  breaks(mean{}, "finite", {"loss_and_gradient returns", "nan"});
  struct at_w_only : plain {
    void losses(weights w, batch const& b, std::span<double> losses) const {
      plain::losses(w, b, losses);
      if (w[0] != normals<double>(1, 2)[0] || w[1] != normals<double>(2, 2)[1] || w[6] != normals<double>(7, 2)[6] ||
          w[5] != normals<double>(7, 2)[5] || w[4] != normals<double>(7, 2)[4] || w[3] != normals<double>(7, 2)[3] ||
          w[2] != normals<double>(7, 2)[2])
        losses[0] = NAN;
    }
  };
  breaks(at_w_only{}, "finite", {"at no weights near it"});
}

TEST_CASE("check_model: results that depend on what was asked before") {
  struct noisy : plain {  // dropout left on
    mutable susc::random::stream random{{1}};
    void losses(weights w, batch const& b, std::span<double> losses) const {
      plain::losses(w, b, losses);
      losses[2] *= 1 + 1e-9 * random.uniform();
    }
  };
  breaks(noisy{}, "determinism", {"losses(w, batch, losses): entry 2 is"});
  struct running_mean : plain {
    mutable double mean = 0;
    double loss_and_gradient(weights w, batch const& b, std::span<double> gradient) const {
      double const loss = plain::loss_and_gradient(w, b, gradient);
      gradient[0] += 1e-9 * mean;
      mean = loss;
      return loss;
    }
  };
  breaks(running_mean{}, "determinism", {"loss_and_gradient(w, batch, gradient): entry 0 is"});
  struct cached : plain {  // keeps what it has computed, and knows the weights by their address
    mutable double const* known = nullptr;
    mutable std::vector<double> kept;
    void losses(weights w, batch const& b, std::span<double> losses) const {
      if (known != w.data()) {
        kept.resize(b.size());
        plain::losses(w, b, kept);
        known = w.data();
      }
      std::copy(kept.begin(), kept.end(), losses.begin());
    }
  };
  struct cached_once : cached {  // the weights that come first have their place
    void losses(weights w, batch const& b, std::span<double> losses) const {
      if (known == nullptr || known == w.data()) return cached::losses(w, b, losses);
      plain::losses(w, b, losses);
    }
  };
  breaks(cached_once{}, "determinism", {"held elsewhere in memory"});
}

TEST_CASE("check_model: entries added to, or not written") {
  struct adds : plain {
    double loss_and_gradient(weights w, batch const& b, std::span<double> gradient) const {
      std::vector<double> own(gradient.size());
      double const mean = plain::loss_and_gradient(w, b, own);
      for (std::size_t i = 0; i != own.size(); ++i) gradient[i] += own[i];
      return mean;
    }
  };
  breaks(adds{}, "overwrite", {"loss_and_gradient(w, batch, gradient): entry 0 is", "it is added to what was there"});
  struct leaves_out : plain {
    double loss_and_gradient(weights w, batch const& b, std::span<double> gradient) const {
      std::vector<double> own(gradient.size());
      double const mean = plain::loss_and_gradient(w, b, own);
      for (std::size_t i = 0; i != own.size(); ++i)
        if (i != 5) gradient[i] = own[i];
      return mean;
    }
  };
  auto const broken = check(leaves_out{}, normals<double>(7, 2), points<double>(5, 3));
  CAPTURE(list(broken));
  REQUIRE(broken.size() == 2);  // and as w[5] has a slope, that is wrong too
  CHECK(broken[0].law == "overwrite");
  CHECK(broken[0].what.find("entry 5 is 0 where it held 0, and 1 where it held 1: it is not written") !=
        std::string::npos);
  CHECK(broken[1].what.find("the slope by w[5]") != std::string::npos);
  struct scales : plain {
    void losses(weights w, batch const& b, std::span<double> losses) const {
      std::vector<double> own(losses.size());
      plain::losses(w, b, own);
      for (std::size_t i = 0; i != own.size(); ++i) losses[i] = 0 * losses[i] + own[i];  // 0 times NaN
    }
  };
  breaks(scales{}, "overwrite", {"losses(w, batch, losses): entry 0 is", "it depends on what was there"});
}

TEST_CASE("check_model: a value that is not the mean of the losses") {
  struct sum : plain {
    double loss_and_gradient(weights w, batch const& b, std::span<double> gradient) const {
      return static_cast<double>(b.size()) * plain::loss_and_gradient(w, b, gradient);
    }
  };
  breaks(sum{}, "value", {"the mean of losses is", "it looks like the sum over the 5 examples"});
  struct regularised : plain {
    double loss_and_gradient(weights w, batch const& b, std::span<double> gradient) const {
      return 1e-9 * w[0] * w[0] + plain::loss_and_gradient(w, b, gradient);
    }
  };
  breaks(regularised{}, "value", {"loss_and_gradient returns"});
}

TEST_CASE("check_model: a gradient that is not that of the mean loss") {
  struct scaled : plain {
    double factor;
    std::size_t first, last;
    double loss_and_gradient(weights w, batch const& b, std::span<double> gradient) const {
      double const mean = plain::loss_and_gradient(w, b, gradient);
      for (std::size_t i = first; i != last; ++i) gradient[i] *= factor;
      return mean;
    }
    std::vector<component> components() const { return lawful{}.components(); }
  };
  auto const wrong = [](double factor, std::size_t first, std::size_t last, std::vector<std::string> const& parts) {
    scaled model;
    model.factor = factor, model.first = first, model.last = last;
    breaks(model, "gradient", parts);
  };
  wrong(5, 0, 7, {"it looks like the sum over the 5 examples", "7 of 7 weights compared differ"});
  wrong(.2, 0, 7, {"it looks divided by the 5 examples once too often"});
  wrong(-1, 0, 7, {"its sign is turned"});
  wrong(1.05, 4, 5, {"the slope by w[4] (component 'high') is", "1 of 7 weights compared differ"});
  wrong(1 + 1e-6, 2, 3, {"the slope by w[2] (component 'low') is"});
  wrong(0, 5, 6, {"the slope by w[5] is -0, differences of the mean loss give"});
}

TEST_CASE("check_model: a constant of 5 % in a gradient of floats is seen, for 200 weights and losses of size 1e3") {
  struct scaled : regression<float> {
    using regression<float>::loss_and_gradient;
    float loss_and_gradient(view<float> w, batch const& b, std::span<float> gradient) const {
      float const mean = regression::loss_and_gradient(w, b, gradient);
      for (float& g : gradient) g *= 1.05f;
      return mean;
    }
  };
  for (std::uint64_t seed = 0; seed != 200; ++seed) {
    CAPTURE(seed);
    auto w = normals<float>(lawful::size, seed);
    for (float const scale : {1.f, 30.f}) {
      for (float& x : w) x *= scale;
      auto const broken = susc::check_model(scaled{}, w, points<float>(6, seed + 1000), {.key = {seed}});
      CAPTURE(list(broken));
      REQUIRE(!broken.empty());
      CHECK(broken[0].law == "gradient");
    }
  }
}

TEST_CASE("check_model: of many weights some are compared; the others by random directions") {
  struct wide : plain {  // ½ Σ (w_i - 1)² i-independent, one wrong slope
    std::size_t wrong;
    double factor;
    std::size_t parameter_count() const { return 1000; }
    void losses(weights w, batch const& b, std::span<double> losses) const {
      double sum = 0;
      for (double const x : w) sum += (x - 1) * (x - 1) / 2;
      std::fill_n(losses.begin(), b.size(), sum);
    }
    double loss_and_gradient(weights w, batch const& b, std::span<double> gradient) const {
      std::vector<double> l(b.size());
      losses(w, b, l);
      for (std::size_t i = 0; i != w.size(); ++i) gradient[i] = (w[i] - 1) * (i == wrong ? factor : 1);
      return l[0];
    }
  };
  for (std::size_t const wrong : {0, 500, 999}) {
    CAPTURE(wrong);
    wide model;
    model.wrong = wrong;
    for (double const factor : {-1., 100.}) {
      model.factor = factor;
      auto const broken = check(model, normals<double>(1000, 2), points<double>(1, 3), {.coordinates = 5});
      CAPTURE(list(broken));
      REQUIRE(broken.size() == 1);
      CHECK(broken[0].law == "gradient");
      // The largest entry is compared in any case.
      CHECK((broken[0].what.find("along a random direction") != std::string::npos) == (factor == -1));
    }
  }
}

TEST_CASE("check_model: kinks are no error, even at w, but a slope of neither side is") {
  struct kinked : plain {
    double slope_at_zero;
    std::size_t parameter_count() const { return 2; }
    void losses(weights w, batch const& b, std::span<double> losses) const {
      for (std::size_t i = 0; i != b.size(); ++i)
        losses[i] = std::fmax(w[0], 0.) * 3 + w[1] * std::fmax(w[1] - .001 * static_cast<double>(i), 0.);
    }
    double loss_and_gradient(weights w, batch const& b, std::span<double> gradient) const {
      std::vector<double> l(b.size());
      losses(w, b, l);
      gradient[0] = w[0] > 0 ? 3 : w[0] < 0 ? 0 : slope_at_zero;
      gradient[1] = 0;
      double mean = 0;
      for (std::size_t i = 0; i != b.size(); ++i) {
        double const kink = .001 * static_cast<double>(i), n = static_cast<double>(b.size());
        gradient[1] += w[1] > kink ? (2 * w[1] - kink) / n : 0;
        mean += l[i] / n;
      }
      return mean;
    }
  };
  kinked model;
  for (double const slope : {0., 1., 3.}) {
    model.slope_at_zero = slope;
    auto const broken = check(model, std::vector{0., .0305}, points<double>(60, 3));
    CAPTURE(list(broken));
    CHECK(broken.empty());
  }
  model.slope_at_zero = 30;
  auto const broken = check(model, std::vector{0., .0305}, points<double>(60, 3));
  REQUIRE(broken.size() == 1);
  CHECK(broken[0].what.find("the slope by w[0]") != std::string::npos);
}

TEST_CASE("check_model: a restricted gradient that is not the part of the full one") {
  struct other_order : lawful {
    using lawful::loss_and_gradient;
    double loss_and_gradient(weights w, batch const& b, component const& c, std::span<double> gradient) const {
      double const mean = lawful::loss_and_gradient(w, b, c, gradient);
      std::reverse(gradient.begin(), gradient.end());
      return mean;
    }
  };
  breaks(other_order{}, "restricted gradient", {"component 'low', at w, entry 0, of w[0]:", "the plain gradient is"});
  struct one_range : lawful {  // takes the first range alone for the component
    using lawful::loss_and_gradient;
    double loss_and_gradient(weights w, batch const& b, component const& c, std::span<double> gradient) const {
      std::vector<double> whole(size);
      double const mean = lawful::loss_and_gradient(w, b, whole);
      for (std::size_t i = 0; i != c.size(); ++i) gradient[i] = whole[c.ranges()[0].begin + i];
      return mean;
    }
  };
  breaks(one_range{}, "restricted gradient", {"component 'high', at w, entry 2, of w[6]:"});
  struct sum : lawful {
    using lawful::loss_and_gradient;
    double loss_and_gradient(weights w, batch const& b, component const& c, std::span<double> gradient) const {
      return 5 * lawful::loss_and_gradient(w, b, c, gradient);
    }
  };
  breaks(sum{}, "restricted gradient", {"component 'low', at w: returns", "the mean of losses is"});
  struct by_name : lawful {  // knows the names, not their unions
    using lawful::loss_and_gradient;
    double loss_and_gradient(weights w, batch const& b, component const& c, std::span<double> gradient) const {
      double const mean = lawful::loss_and_gradient(w, b, c, gradient);
      if (c.name() != "high" && c.name() != "low") std::fill(gradient.begin(), gradient.end(), 0.);
      return mean;
    }
  };
  breaks(by_name{}, "restricted gradient", {"component 'low+high', at w, entry 0, of w[0]: 0"});
}

TEST_CASE("check_model: frozen losses that are not the plain ones") {
  struct stale : lawful {  // ignores where the component has moved
    using lawful::losses;
    struct frozen : lawful::frozen {
      std::vector<double> at;
    };
    frozen freeze(weights w, component const& c, batch const& b) const {
      return {lawful::freeze(w, c, b), std::vector<double>(w.begin(), w.end())};
    }
    void freeze(weights w, component const& c, batch const& b, frozen& to) const { to = freeze(w, c, b); }
    void losses(weights, frozen const& f, std::span<double> losses) const { lawful::losses(f.at, f, losses); }
  };
  breaks(stale{}, "frozen losses", {"component 'low', at w moved in the component, example 0:", "the plain loss is"});
  struct keeps_old : lawful {  // a buffer of the right size is taken to hold the right numbers
    using lawful::freeze;
    void freeze(weights w, component const& c, batch const& b, frozen& to) const {
      if (to.moving == c && to.rest.size() == b.size()) return;
      std::vector<double> const old = to.rest;
      lawful::freeze(w, c, b, to);
      if (old.size() == to.rest.size()) to.rest[1] = old[1];
    }
  };
  breaks(keeps_old{}, "frozen losses", {"component 'low': freezing into memory used before gives other losses"});
}

TEST_CASE("check_model: a frozen gradient that is not the component's") {
  struct off : lawful {
    using lawful::loss_and_gradient;
    double loss_and_gradient(weights w, frozen const& f, component const& c, std::span<double> gradient) const {
      double const mean = lawful::loss_and_gradient(w, f, c, gradient);
      if (c.name() == "high") gradient[1] *= 1.05;
      return mean;
    }
  };
  breaks(off{}, "frozen gradient", {"component 'high', at w, entry 1, of w[4]:", "the plain gradient is"});
}

TEST_CASE("check_model: several threads at once, on a model with one buffer for all") {
  struct shared : plain {
    // Atomic, so that the test itself is no data race; between write and read other threads may come.
    mutable std::atomic<double> first = 0;
    double loss_and_gradient(weights w, batch const& b, std::span<double> gradient) const {
      first = w[0];
      double const mean = plain::loss_and_gradient(w, b, gradient);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      gradient[0] += first - w[0];
      return mean;
    }
  };
  breaks(shared{}, "threads",
         {"with 4 threads at once", "loss_and_gradient gives other numbers than one thread alone"});
}

TEST_CASE("check_model: several threads at once, on a restricted gradient with one buffer for all") {
  struct shared : lawful {
    using lawful::loss_and_gradient;
    mutable std::atomic<double> first = 0;
    double loss_and_gradient(weights w, batch const& b, component const& c, std::span<double> gradient) const {
      first = w[0];
      double const mean = lawful::loss_and_gradient(w, b, c, gradient);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      gradient[0] += first - w[0];
      return mean;
    }
  };
  breaks(shared{}, "threads", {"loss_and_gradient of a component gives other numbers than one thread alone"});
}

TEST_CASE("check_model: operations and bytes that are no counts") {
  struct counts : lawful {
    susc::pass wrong = susc::pass::losses;
    double value = 0;
    double operations(susc::pass what, component const& c, batch const& b) const {
      return what == wrong && c.name() == "high" ? value : lawful::operations(what, c, b);
    }
  };
  counts model;
  breaks(model, "operations", {"operations of pass::losses of component 'high' are 0, must be finite and positive"});
  model.wrong = susc::pass::freeze;
  auto const broken = check(model, normals<double>(7, 2), points<double>(5, 3));
  CHECK(broken.empty());  // nothing upstream costs nothing
  model.value = -1;
  breaks(model, "operations", {"operations of pass::freeze of component 'high' are -1, must be finite and not"});
  model.value = NAN;
  breaks(model, "operations", {"pass::freeze"});
  struct negative : lawful {
    std::size_t workspace_bytes(batch const& b) const { return b.size() - 100; }
  };
  breaks(negative{}, "bytes", {"workspace_bytes of component 'low' are 18446744073709551521"});
}
