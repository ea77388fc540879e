#pragma once
/// Checks a user's model: whether it keeps, at given weights and a given batch, the laws of core/concepts.hpp that no
/// compiler checks.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <exception>
#include <iomanip>
#include <limits>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "susc/core/aligned_vector.hpp"
#include "susc/core/broken_law.hpp"
#include "susc/core/central_difference.hpp"
#include "susc/core/component.hpp"
#include "susc/core/concepts.hpp"
#include "susc/core/error.hpp"
#include "susc/core/random.hpp"

namespace susc {

/// How thoroughly `check_model` looks.
struct model_check {
  /// Weights, drawn at random, whose slope is compared with differences, beside the weight of largest gradient of each
  /// component; all, where the model has no more. Each takes 19 evaluations of the losses.
  std::size_t coordinates = 64;
  random::key key = {1};  ///< of the coordinates and displacements drawn
};

namespace detail {

/// The checks of one model; `broken` is what they have found.
template <Model M>
class model_checker {
 public:
  using T = typename M::scalar;
  using batch_type = typename M::batch;
  using vector = aligned_vector<T>;  // on the same boundary at every call, lest SIMD code begin elsewhere
  using view = std::span<T const>;

  model_checker(M const& model, view w, batch_type const& batch, model_check const& how)
      : model_(model), batch_(batch), how_(how), w_(w.begin(), w.end()), draws_(how.key) {}

  std::vector<broken_law> broken;

  /// Runs every check; one that presupposes a broken law is left out.
  void run() {
    try {
      if (!counts()) return;
      std::size_t const before = broken.size();
      if (!plain()) return;
      measure_noise();
      value();
      gradient();
      if (broken.size() == before) refinements();
      if (!breaks("sizes")) threads();
      costs();
    } catch (std::exception const& e) {
      report("exceptions", doing_, " throws: ", e.what());
    } catch (...) {
      report("exceptions", doing_, " throws what is no std::exception");
    }
  }

 private:
  static constexpr double epsilon = static_cast<double>(std::numeric_limits<T>::epsilon());
  static constexpr double unlimited = std::numeric_limits<double>::infinity();
  static constexpr std::size_t directions = 3;
  static constexpr char const* losses_call = "losses(w, batch, losses)";
  static constexpr char const* gradient_call = "loss_and_gradient(w, batch, gradient)";

  template <class... Args>
  void report(char const* law, Args const&... args) {
    broken.push_back({law, concatenate(std::setprecision(9), args...)});
  }

  bool breaks(char const* law) const {
    return std::any_of(broken.begin(), broken.end(), [&](broken_law const& b) { return b.law == law; });
  }

  using evaluated = detail::evaluated<T>;
  template <class F>
  evaluated written(std::string what, std::size_t size, T fill, F call) {
    doing_ = std::move(what);
    bool intact = true;
    evaluated result = written_by(call, size, fill, intact);
    if (!intact && !breaks("sizes"))
      report("sizes", doing_, " writes outside of the ", size, " entries that it is given");
    return result;
  }
  evaluated losses(view x, T fill = 0) {
    return written(losses_call, count_, fill, [&](std::span<T> to) { model_.losses(x, batch_, to); });
  }
  evaluated gradient(view x, T fill = 0) {
    return written(gradient_call, w_.size(), fill,
                   [&](std::span<T> to) { return model_.loss_and_gradient(x, batch_, to); });
  }

  static double mean(vector const& values) {
    double sum = 0;
    for (T const v : values) sum += static_cast<double>(v);
    return sum / static_cast<double>(values.size());
  }
  /// "w[3] (component 'first')": the smallest component that has it.
  std::string coordinate(std::size_t i) const {
    component const* smallest = nullptr;
    for (component const& c : components_)
      for (index_range const r : c.ranges())
        if (r.begin <= i && i < r.end && (smallest == nullptr || c.size() < smallest->size())) smallest = &c;
    return concatenate("w[", i, "]", smallest == nullptr ? "" : " (component '" + smallest->name() + "')");
  }

  bool counts() {
    doing_ = "parameter_count()";
    std::size_t const parameters = model_.parameter_count();
    doing_ = "example_count(batch)";
    count_ = model_.example_count(batch_);
    if (parameters == 0) report("counts", "parameter_count() is 0, must be at least 1");
    if (parameters != w_.size())
      report("counts", "parameter_count() is ", parameters, ", but w has ", w_.size(), " entries");
    if (count_ == 0) report("counts", "example_count(batch) is 0: check with a batch of some examples");
    if (!broken.empty()) return false;
    doing_ = "components()";
    components_ = components_of(model_);
    for (std::size_t i = 0; i != components_.size(); ++i) {
      component const& c = components_[i];
      auto const name = [&] { return "component '" + c.name() + "'"; };
      if (c.size() == 0) {
        report("components", "component ", i, " selects no weights");
        return false;
      }
      for (std::size_t j = 0; j != i; ++j)
        if (components_[j].name() == c.name()) report("components", name(), " is there twice, as ", j, " and ", i);
      if (c.name().find('+') != std::string::npos)
        report("components", name(), " has '+' in its name, which joins names");
      if (c.ranges().back().end > parameters)
        report("components", name(), " reaches to weight ", c.ranges().back().end - 1, ", the last one is ",
               parameters - 1);
      if (c.name() == "full" && c.size() != parameters)
        report("components", name(), " has ", c.size(), " weights, must have all ", parameters);
    }
    if (components_of(model_) != components_) report("components", "components() differs from call to call");
    return broken.empty();
  }

  /// Losses and gradient are finite, deterministic and overwritten; a broken law spoils every later check.
  bool plain() {
    double square = 0;
    for (T const v : w_) square += static_cast<double>(v) * static_cast<double>(v);
    scale_ = square > 0 ? std::sqrt(square / static_cast<double>(w_.size())) : 1;
    losses_ = losses(w_);
    gradient_ = gradient(w_);
    for (std::size_t i = 0; i != count_; ++i)
      if (!std::isfinite(losses_.values[i])) {
        report("finite", "the loss of example ", i, " is ", losses_.values[i]);
        return false;
      }
    if (!std::isfinite(gradient_.loss)) report("finite", "loss_and_gradient returns ", gradient_.loss);

    // Other weights in between, at the same address too: what a model remembers of them shows.
    vector const kept = w_, moved = moved_along(random_direction(nullptr), .25);
    auto const other_losses = losses(moved), other_gradient = gradient(moved);
    w_ = moved;
    bool const same_moved = same(other_losses, losses(w_)) && same(other_gradient, gradient(w_));
    w_ = kept;
    auto const changed = [&](char const* call, evaluated const& first, evaluated const& second) {
      if (same(first, second)) return false;
      std::size_t i = 0;
      while (i != first.values.size() && same(first.values[i], second.values[i])) ++i;
      if (i == first.values.size())
        report("determinism", call, " returns ", first.loss, ", then, with the same arguments, ", second.loss);
      else
        report("determinism", call, ": entry ", i, " is ", first.values[i], ", then, with the same arguments, ",
               second.values[i]);
      return true;
    };
    bool const deterministic =
        !changed(losses_call, losses_, losses(w_)) && !changed(losses_call, losses_, losses(kept)) &&
        !changed(gradient_call, gradient_, gradient(w_)) && !changed(gradient_call, gradient_, gradient(kept));
    if (!deterministic) return false;
    if (!same_moved) {
      report("determinism", "losses and gradient at the same weights, held elsewhere in memory, are others");
      return false;
    }
    overwritten(losses_call, losses_, [&](T fill) { return losses(w_, fill); });
    overwritten(gradient_call, gradient_, [&](T fill) { return gradient(w_, fill); });
    auto const unknown = [](T v) { return !std::isfinite(v); };
    auto const found = std::find_if(gradient_.values.begin(), gradient_.values.end(), unknown);
    if (found != gradient_.values.end())
      report("finite", "the gradient by ", coordinate(static_cast<std::size_t>(found - gradient_.values.begin())),
             " is ", *found);
    return !breaks("finite");
  }

  template <class F>
  void overwritten(std::string const& call, evaluated const& from_zero, F from) {
    for (T const fill : {T(1), std::numeric_limits<T>::quiet_NaN()}) {
      evaluated const again = from(fill);
      std::size_t first = again.values.size();
      bool kept = true, added = false;
      for (std::size_t i = again.values.size(); i-- != 0;) {
        T const zero = from_zero.values[i], here = again.values[i];
        if (same(zero, here)) continue;
        first = i;
        kept = kept && zero == 0 && same(here, fill);
        added = added || (zero != 0 && std::abs(here - zero - 1) < std::abs(zero) / 1000 + T(1e-3));
      }
      if (first == again.values.size()) continue;
      report("overwrite", call, ": entry ", first, " is ", from_zero.values[first], " where it held 0, and ",
             again.values[first], " where it held ", fill, ": ",
             kept    ? "it is not written"
             : added ? "it is added to what was there"
                     : "it depends on what was there");
      return;
    }
  }

  /// Normals of the scale of the weights, in c alone if there is one.
  std::vector<double> random_direction(component const* c) {
    std::vector<double> d(w_.size());
    auto const whole = full_component(w_.size());
    for (index_range const r : (c == nullptr ? whole : *c).ranges())
      for (std::size_t i = r.begin; i != r.end; ++i) d[i] = scale_ * draws_.normal();
    return d;
  }
  vector moved_along(std::vector<double> const& d, double h) const {
    vector x = w_;
    for (std::size_t i = 0; i != x.size(); ++i) x[i] = static_cast<T>(static_cast<double>(w_[i]) + h * d[i]);
    return x;
  }
  double mean_at(vector const& x) { return mean(losses(x).values); }

  /// A distance so small that a smooth function is a cubic over it, and so large that its rounding errors differ.
  static double spacing() { return std::pow(epsilon, .4); }

  /// Rounding errors of mean loss and slopes, from values at neighbouring weights: medians over the directions.
  void measure_noise() {
    choose_coordinates();
    std::array<double, directions> of_loss;
    std::vector<std::array<double, directions>> of_slope(compared_.size());
    for (std::size_t k = 0; k != directions; ++k) {
      directions_[k] = random_direction(nullptr);
      std::array<double, noise_points> means, along;
      std::vector<std::array<double, noise_points>> slopes(compared_.size());
      for (std::size_t j = 0; j != noise_points; ++j) {
        vector const x = moved_along(directions_[k], static_cast<double>(j) * spacing());
        means[j] = mean_at(x);
        vector const g = gradient(x).values;
        along[j] = dot(g, directions_[k]);
        for (std::size_t i = 0; i != compared_.size(); ++i) slopes[i][j] = static_cast<double>(g[compared_[i]]);
      }
      of_loss[k] = rounding_noise(means);
      noise_along_[k] = rounding_noise(along);
      for (std::size_t i = 0; i != compared_.size(); ++i) of_slope[i][k] = rounding_noise(slopes[i]);
    }
    auto const median = [](std::array<double, directions> values) {
      std::sort(values.begin(), values.end());
      return std::isfinite(values[directions / 2]) ? values[directions / 2] : 0.;
    };
    double size = 0;
    for (T const l : losses_.values) size += std::abs(static_cast<double>(l)) / static_cast<double>(count_);
    // Losses are logarithms of probabilities: their own rounding is that of numbers of order 1, or of their size.
    noise_ = std::max(median(of_loss), epsilon * (1 + size) / 2);
    summation_ = static_cast<double>(count_) * epsilon * size + 8 * noise_;
    for (std::size_t i = 0; i != compared_.size(); ++i) noise_of_slope_.push_back(median(of_slope[i]));
  }
  void choose_coordinates() {
    if (w_.size() <= how_.coordinates) {
      for (std::size_t i = 0; i != w_.size(); ++i) compared_.push_back(i);
      return;
    }
    for (std::size_t i = 0; i != how_.coordinates; ++i) compared_.push_back(draws_.below(w_.size()));
    for (component const& c : components_) {
      std::size_t largest = c.ranges().front().begin;
      for (index_range const r : c.ranges())
        for (std::size_t i = r.begin; i != r.end; ++i)
          if (std::abs(gradient_.values[i]) > std::abs(gradient_.values[largest])) largest = i;
      compared_.push_back(largest);
    }
    std::sort(compared_.begin(), compared_.end());
    compared_.erase(std::unique(compared_.begin(), compared_.end()), compared_.end());
  }
  static double dot(vector const& g, std::vector<double> const& d) {
    double sum = 0;
    for (std::size_t i = 0; i != g.size(); ++i) sum += static_cast<double>(g[i]) * d[i];
    return sum;
  }

  void value() {
    double const expected = mean(losses_.values), found = static_cast<double>(gradient_.loss);
    if (std::abs(found - expected) <= summation_) return;
    report("value", "loss_and_gradient returns ", found, ", the mean of losses is ", expected,
           guess(count_, {{found, expected, summation_}}));
  }

  void gradient() {
    std::vector<comparison> wrong;
    double worst = 0;
    std::size_t at = 0, usable = 0;
    auto const compare = [&](slope_estimate s, double found, double own_error, std::size_t where) {
      if (!std::isfinite(s.error)) return;
      ++usable;
      comparison const c{found, s.value, s.error + own_error};
      double const excess = std::abs(c.found - c.expected) / c.error;
      if (excess <= 1) return;
      wrong.push_back(c);
      if (excess > worst) worst = excess, at = where, std::swap(wrong.front(), wrong.back());
    };
    vector x = w_;
    for (std::size_t k = 0; k != compared_.size(); ++k) {
      std::size_t const i = compared_[k];
      double const here = static_cast<double>(w_[i]), g = static_cast<double>(gradient_.values[i]);
      auto const f = [&](double h) {
        x[i] = static_cast<T>(here + h);
        return mean_at(x);
      };
      // That w + h is rounded counts as an error of the loss.
      auto const s = central_difference(f, std::max(std::abs(here), scale_), noise_ + epsilon * std::abs(g * here));
      x[i] = w_[i];
      compare(s, g, 8 * (noise_of_slope_[k] + epsilon * std::abs(g)), i);
    }
    if (!wrong.empty()) {
      report("gradient", "the slope by ", coordinate(at), " is ", wrong[0].found,
             ", differences of the mean loss give ", wrong[0].expected, " +- ", wrong[0].error, guess(count_, wrong),
             "; ", wrong.size(), " of ", compared_.size(), " weights compared differ");
      return;
    }
    for (std::size_t k = 0; k != directions; ++k) {
      auto const& d = directions_[k];
      double moved = 0, own = 0;
      for (std::size_t i = 0; i != d.size(); ++i) {
        double const g = static_cast<double>(gradient_.values[i]);
        moved += std::pow(g * static_cast<double>(w_[i]), 2);
        own += std::pow(g * d[i], 2);
      }
      auto const f = [&](double h) { return mean_at(moved_along(d, h)); };
      compare(central_difference(f, 1., noise_ + epsilon * std::sqrt(moved)), dot(gradient_.values, d),
              8 * (noise_along_[k] + epsilon * std::sqrt(own)), k);
    }
    if (!wrong.empty())
      report("gradient", "the slope along a random direction is ", wrong[0].found,
             ", differences of the mean loss give ", wrong[0].expected, " +- ", wrong[0].error,
             ": a weight is wrong that is not among the ", compared_.size(), " compared; compare more coordinates");
    if (usable == 0) report("finite", "the losses are finite at w, but at no weights near it");
  }

  /// Fast functions beside the plain ones, at weights moved in one component: at neighbouring weights, from which their
  /// rounding errors are taken, and at one further off.
  void refinements() {
    std::vector<component> tried = components_;
    if (components_.size() >= 2) {
      auto const& a = components_[components_.size() - 2];
      auto const& b = components_.back();
      std::array const names{a, b};
      tried.push_back(find_component(names, a.name() + "+" + b.name()));
    }
    for (std::size_t i = 0; i != tried.size(); ++i) {
      component const& c = tried[i];
      std::string const name = "'" + c.name() + "'";
      bool const whole = c.size() == w_.size();  // whose gradient the plain function is asked for
      if constexpr (RestrictedModel<M>) {
        auto const restricted = [&](view x, T fill) {
          return written("loss_and_gradient(w, batch, component " + name + ", gradient)", c.size(), fill,
                         [&](std::span<T> to) { return model_.loss_and_gradient(x, batch_, c, to); });
        };
        if (!whole) compare_with_part("restricted gradient", c, restricted);
      }
      if constexpr (FreezableModel<M>) {
        doing_ = "freeze(w, component " + name + ", batch)";
        auto const frozen = model_.freeze(w_, c, batch_);
        auto const thawed = [&](view x, T fill) {
          return written("losses(w, frozen " + name + ", losses)", count_, fill,
                         [&](std::span<T> to) { model_.losses(x, frozen, to); });
        };
        auto const everything = full_component(count_);
        compare_with("frozen losses", c, everything, thawed, [&](view x) { return losses(x); });
        if constexpr (FreezableGradientModel<M>) {
          auto const from_frozen = [&](view x, T fill) {
            return written("loss_and_gradient(w, frozen " + name + ", component, gradient)", c.size(), fill,
                           [&](std::span<T> to) { return model_.loss_and_gradient(x, frozen, c, to); });
          };
          if (!whole) compare_with_part("frozen gradient", c, from_frozen);
          // Memory that held another component at other weights.
          vector const elsewhere = moved_along(random_direction(nullptr), .25);
          doing_ = "freeze(w, component " + name + ", batch, frozen) into memory used before";
          auto used = model_.freeze(elsewhere, tried[(i + 1) % tried.size()], batch_);
          model_.freeze(w_, c, batch_, used);
          vector const x = moved_along(random_direction(&c), .25);
          auto const again = written(doing_, count_, 0, [&](std::span<T> to) { model_.losses(x, used, to); });
          if (!same(again, thawed(x, 0)))
            report("frozen losses", "component ", name, ": freezing into memory used before gives other losses");
        }
      }
    }
  }
  template <class Fast>
  void compare_with_part(char const* law, component const& c, Fast fast) {
    compare_with(law, c, c, fast, [&](view x) {
      evaluated whole = gradient(x), part{vector(c.size()), whole.loss};
      c.gather(view(whole.values), std::span(part.values));
      return part;
    });
  }
  /// Entry i of what `fast` and `plain` give is that of number i of the ranges of `entries`.
  template <class Fast, class Plain>
  void compare_with(char const* law, component const& c, component const& entries, Fast fast, Plain plain) {
    bool const gradients = law != std::string("frozen losses");
    if (evaluated const first = fast(w_, 0); !same(first, fast(w_, 0))) {
      report("determinism", doing_, ": the same arguments, other results");
      return;
    }
    overwritten(doing_, fast(w_, 0), [&](T fill) { return fast(w_, fill); });
    auto const d = random_direction(&c);
    std::vector<std::array<double, noise_points>> differences(entries.size());
    std::vector<std::pair<evaluated, evaluated>> at;
    for (std::size_t j = 0; j != noise_points + 1; ++j) {
      vector const x = moved_along(d, j == noise_points ? .25 : static_cast<double>(j) * spacing());
      at.emplace_back(fast(x, 0), plain(x));
      if (j == noise_points) break;
      for (std::size_t i = 0; i != differences.size(); ++i)
        differences[i][j] = static_cast<double>(at[j].first.values[i]) - static_cast<double>(at[j].second.values[i]);
      if (j != 0) at.pop_back(), at.emplace_back();  // only those at w and at the far weights are compared
    }
    double noise = 0;
    for (auto const& of_entry : differences) {
      double const n = rounding_noise(of_entry);
      if (std::isfinite(n)) noise = std::max(noise, n);
    }
    for (std::size_t const j : {std::size_t{0}, noise_points}) {
      auto const& [found, expected] = at[j];
      double size = gradients ? 0 : 1;
      for (T const v : expected.values) size = std::max(size, std::abs(static_cast<double>(v)));
      for (T const v : gradients ? gradient_.values : vector{}) size = std::max(size, std::abs(static_cast<double>(v)));
      double const error = 16 * (noise + epsilon * size);
      char const* const where = j == 0 ? "at w" : "at w moved in the component";
      std::size_t position = 0;
      for (index_range const r : entries.ranges())
        for (std::size_t i = r.begin; i != r.end; ++i, ++position) {
          T const f = found.values[position], e = expected.values[position];
          if (!std::isfinite(e) || std::abs(static_cast<double>(f) - static_cast<double>(e)) <= error) continue;
          report(law, "component '", c.name(), "', ", where, ", ",
                 gradients ? concatenate("entry ", position, ", of w[", i, "]") : concatenate("example ", i), ": ", f,
                 ", the plain ", gradients ? "gradient" : "loss", " is ", e);
          return;
        }
      double const f = static_cast<double>(found.loss), e = static_cast<double>(expected.loss);
      if (std::isfinite(e) &&
          !(std::abs(f - e) <= 2 * summation_ + 16 * epsilon * std::abs(e) * static_cast<double>(count_))) {
        report(law, "component '", c.name(), "', ", where, ": returns ", f, ", the mean of losses is ", e);
        return;
      }
    }
  }

  /// What each function gives at x, by its name. Writes to no member, so several threads may call it.
  std::vector<std::pair<char const*, evaluated>> everything_at(view x, component const& c) const {
    std::vector<std::pair<char const*, evaluated>> all;
    auto const add = [&all](char const* name, std::size_t size, auto call) {
      bool intact = true;
      all.emplace_back(name, written_by(call, size, T(0), intact));
    };
    bool const part = c.size() != w_.size();
    add("losses", count_, [&](std::span<T> to) { model_.losses(x, batch_, to); });
    add("loss_and_gradient", w_.size(), [&](std::span<T> to) { return model_.loss_and_gradient(x, batch_, to); });
    if constexpr (RestrictedModel<M>)
      if (part)
        add("loss_and_gradient of a component", c.size(),
            [&](std::span<T> to) { return model_.loss_and_gradient(x, batch_, c, to); });
    if constexpr (FreezableModel<M>) {
      auto const frozen = model_.freeze(x, c, batch_);
      add("losses of what is frozen", count_, [&](std::span<T> to) { model_.losses(x, frozen, to); });
      if constexpr (FreezableGradientModel<M>)
        if (part)
          add("loss_and_gradient of what is frozen", c.size(),
              [&](std::span<T> to) { return model_.loss_and_gradient(x, frozen, c, to); });
    }
    return all;
  }

  /// Each thread has weights and a component of its own, and all call at once, several times over.
  void threads() {
    constexpr std::size_t count = 4, rounds = 8;
    doing_ = "a call from several threads at once";
    std::vector<vector> at;
    std::vector<std::string> wrong(count);
    std::vector<std::vector<std::pair<char const*, evaluated>>> expected;
    auto const moving = [&](std::size_t t) -> component const& { return components_[t % components_.size()]; };
    for (std::size_t t = 0; t != count; ++t) {
      at.push_back(moved_along(random_direction(nullptr), .1));
      expected.push_back(everything_at(at[t], moving(t)));
    }
    auto const work = [&](std::size_t t) {
      try {
        for (std::size_t round = 0; round != rounds; ++round) {
          auto const found = everything_at(at[t], moving(t));
          for (std::size_t i = 0; i != found.size(); ++i)
            if (!same(found[i].second, expected[t][i].second)) {
              wrong[t] = std::string(found[i].first) + " gives other numbers than one thread alone gets";
              return;
            }
        }
      } catch (std::exception const& e) {
        wrong[t] = std::string("a call throws: ") + e.what();
      } catch (...) {
        wrong[t] = "a call throws what is no std::exception";
      }
    };
    {
      std::vector<std::jthread> running;
      for (std::size_t t = 0; t != count; ++t) running.emplace_back(work, t);
    }
    for (std::string const& sentence : wrong)
      if (!sentence.empty()) {
        report("threads", "with ", count, " threads at once, each with weights of its own, ", sentence,
               "; is there a member that calls write to?");
        return;
      }
  }

  void costs() {
    for (component const& c : components_) {
      if constexpr (CountsOperations<M>) {
        constexpr std::pair<pass, char const*> passes[] = {{pass::losses, "losses"},
                                                           {pass::gradient, "gradient"},
                                                           {pass::freeze, "freeze"},
                                                           {pass::frozen_losses, "frozen_losses"},
                                                           {pass::frozen_gradient, "frozen_gradient"}};
        for (auto const& [what, name] : passes) {
          bool const frozen = what != pass::losses && what != pass::gradient;
          if (frozen && !FreezableModel<M>) continue;
          doing_ = "operations(pass, component, batch)";
          double const n = model_.operations(what, c, batch_);
          // What is frozen of a component of the first weights may be nothing.
          if (!(n < unlimited) || n < 0 || (n == 0 && !frozen))
            report("operations", "operations of pass::", name, " of component '", c.name(), "' are ", n, ", must be ",
                   frozen ? "finite and not negative" : "finite and positive");
        }
      }
      if constexpr (CountsBytes<M>) {
        doing_ = "frozen_bytes(component, batch)";
        std::size_t const frozen = model_.frozen_bytes(c, batch_);
        doing_ = "workspace_bytes(batch)";
        std::size_t const workspace = model_.workspace_bytes(batch_);
        for (auto const& [name, n] : {std::pair{"frozen_bytes", frozen}, {"workspace_bytes", workspace}})
          if (n > std::size_t{1} << 50)
            report("bytes", name, " of component '", c.name(), "' are ", n, ": a negative number as std::size_t?");
      }
    }
  }

  M const& model_;
  batch_type const& batch_;
  model_check how_;
  vector w_;
  random::stream draws_;
  std::string doing_;  ///< the call that an exception came from
  std::size_t count_ = 0;
  std::vector<component> components_;
  evaluated losses_, gradient_;  ///< at w
  double scale_ = 1;             ///< of the weights: their root mean square
  std::vector<std::size_t> compared_;
  std::array<std::vector<double>, directions> directions_;
  double noise_ = 0, summation_ = 0;  ///< rounding errors: deviation of the mean loss, bound for a sum of losses
  std::array<double, directions> noise_along_{};
  std::vector<double> noise_of_slope_;
};

}  // namespace detail

/// The laws that `model` breaks at weights w (parameter_count,) and on `batch`, none if all hold; those that presuppose
/// a broken one are not tried. w must be where the losses are smooth but for kinks, and best not at a minimum, where
/// every wrong factor of the gradient is hidden: initial weights are good, zeros are not. What the model throws is
/// reported, not passed on.
///
/// The gradient is compared with central differences, by a bound on their error; rounding errors are measured at
/// neighbouring weights. In float an error below them stays unseen: check in double too if your code allows it.
/// Costs some 100 + 19 coordinates evaluations, and 60 more for each component of a model with refinements.
template <Model M>
std::vector<broken_law> check_model(M const& model, std::type_identity_t<std::span<typename M::scalar const>> w,
                                    typename M::batch const& batch, model_check const& how = {}) {
  detail::model_checker<M> checker(model, w, batch, how);
  checker.run();
  return std::move(checker.broken);
}

}  // namespace susc
