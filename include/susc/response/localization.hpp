#pragma once
/// The localization γ at which a component's chains are as far from the trained weights as wanted, in units of what
/// matters: E[φ] = E[L(w)] - L(w*). Far more than some tenths of a nat, and the chains sample another network; far
/// less, and noise is all there is. Which γ that is depends on the component's size and on the model.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "susc/core/concepts.hpp"
#include "susc/core/error.hpp"
#include "susc/core/random.hpp"
#include "susc/response/component_response.hpp"
#include "susc/response/learning_coefficient.hpp"
#include "susc/sampling/chains.hpp"

namespace susc {

/// What `choose_localization` looks for, and how long.
struct localization_pilot {
  double target = .1;       ///< E[φ] wanted, in the unit of the loss
  double tolerance = .25;   ///< a round whose E[φ] differs from the target by less than this factor, 1.25, is the last
  std::size_t chains = 2;   ///< a component, in each round
  std::size_t draws = 16;   ///< a chain
  std::size_t rounds = 10;  ///< at most
  double smallest = .01;    ///< localization tried, as a multiple of the first
  friend bool operator==(localization_pilot const&, localization_pilot const&) = default;
};

/// Throws susc::error naming the setting with which no localization can be looked for.
inline void check(localization_pilot const& p) {
  require(std::isfinite(p.target) && p.target > 0, "the pilot's target is ", p.target, ", must be positive and finite");
  require(std::isfinite(p.tolerance) && p.tolerance > 0, "the pilot's tolerance is ", p.tolerance,
          ", must be positive and finite");
  require(p.rounds > 0, "the pilot's rounds is 0, must be at least 1");
  require(p.smallest > 0 && p.smallest <= 1, "the pilot's smallest localization is ", p.smallest,
          " of the first, must be above 0 and at most 1");
}

/// What was chosen for a component.
template <class S>
struct chosen_localization {
  std::string component = {};       ///< its name; chains with all weights free: that of the whole model, "full"
  chain_settings<S> settings = {};  ///< those of the options, but localization and step size
  estimate observable = {};         ///< E[φ] of the pilot's chains at these; NaN where all diverged
  std::size_t rounds = 0;           ///< that it took
  bool reached = false;             ///< is E[φ] at the target, up to the tolerance?
  std::string warning = {};         ///< if not: one sentence, beginning with the component's name
};

namespace detail {

/// E[φ] is taken to fall with γ: the localizations known to be too small and too large, and the next to try.
class localization_search {
 public:
  localization_search(double first, localization_pilot const& pilot)
      : pilot_(pilot), smallest_(first * pilot.smallest), next_(first) {}

  double next() const { return next_; }
  bool done() const { return done_; }
  bool reached() const { return reached_; }
  double best() const { return best_; }
  estimate observable() const { return observable_; }

  /// The outcome at next(); NaN: all chains diverged, as where γ is much too small.
  void add(estimate phi) {
    double const excess = std::isnan(phi.value) ? std::numeric_limits<double>::infinity() : phi.value / pilot_.target;
    double const distance = excess > 0 ? std::abs(std::log(excess)) : std::numeric_limits<double>::infinity();
    if (best_ == 0 || distance < distance_ || (!(distance_ < distance) && next_ > best_)) {
      best_ = next_;
      distance_ = distance;
      observable_ = phi;
    }
    reached_ = distance < std::log1p(pilot_.tolerance);
    done_ = reached_ || (excess < 1 && next_ <= smallest_);
    if (done_) return;
    side& here = excess > 1 ? too_small_ : too_large_;
    here = {next_, std::log(std::max(excess, 0.))};
    if (too_small_.localization > 0 && too_large_.localization > 0)
      next_ = between();
    else  // E[φ] of a flat loss goes with 1/γ, and of any other no faster
      next_ *= std::clamp(excess, 1. / 32, 32.) * (excess > 1 ? 1.05 : .95);
    next_ = std::max(next_, smallest_);
  }

 private:
  struct side {
    double localization = 0, log_excess = 0;  // 0: none is known
  };
  /// Where a straight line of log E[φ] over log γ meets the target, within the middle of the bracket.
  double between() const {
    double const low = std::log(too_small_.localization), high = std::log(too_large_.localization);
    double const from = too_small_.log_excess, to = too_large_.log_excess;
    bool const line = std::isfinite(from) && std::isfinite(to);
    return std::exp(low + (high - low) * (line ? std::clamp(from / (from - to), .1, .9) : .5));
  }

  localization_pilot pilot_;
  double smallest_, next_, best_ = 0, distance_ = 0;
  estimate observable_;
  side too_small_, too_large_;
  bool done_ = false, reached_ = false;
};

}  // namespace detail

/// For each component that the options name and for all weights, which come first, the localization that puts E[φ] at
/// the pilot's target: by rounds of short chains from the options' localization on, with the options' burn-in, thinning
/// and minibatches. The step size changes too, so that ε (γ + weight decay) remains as it is; near 1 is best. Same
/// bits for every executor and number of threads, for a component whatever others are named, and for every seed of the
/// options: runs that differ in it alone sample the same posteriors.
/// Where no γ is found, `warning` says why, and the settings are the nearest that were tried. Throws susc::error on
/// unusable settings, susc::interrupted where options.stop was set: nothing is kept of a pilot, it is run again.
template <Model M, MinibatchSource<typename M::batch> Minibatch, Sampler<typename M::scalar> S, Executor E = threads>
std::vector<chosen_localization<S>> choose_localization(
    M const& model, std::type_identity_t<std::span<detail::scalar_of<M> const>> center,
    data_distribution<detail::batch_of<M>, Minibatch> const& data, sampling_options<S> options,
    localization_pilot const& pilot = {}, E const& run = {}) {
  check(pilot);
  if (!options.all_weights) options.all_weights = {options.posterior, options.sampler};
  auto plan = sampled_components(plan_sampling(model, options));
  for (auto const& p : plan)
    require(p.settings.posterior.localization > 0, p.moving.name(),
            ": the localization is 0, a search for another must begin at a positive one");
  options.chains = pilot.chains;
  options.draws = pilot.draws;
  options.seed = random::fold_in(random::key{0}, "choose_localization").bits;
  options.progress = {};
  options.run_directory.clear();

  std::vector<detail::localization_search> searches;
  std::vector<chosen_localization<S>> chosen;
  for (auto const& p : plan) {
    searches.emplace_back(p.settings.posterior.localization, pilot);
    chosen.push_back({.component = p.moving.name(), .settings = p.settings});
  }
  auto const at = [&](std::size_t i, double localization) {
    chain_settings<S> settings = plan[i].settings;
    double const decay = settings.posterior.weight_decay;
    settings.sampler.step_size *= (settings.posterior.localization + decay) / (localization + decay);
    settings.posterior.localization = localization;
    return settings;
  };
  for (std::size_t round = 0; round != pilot.rounds; ++round) {
    std::vector<std::size_t> open;
    std::vector<component_plan<S>> trial;
    for (std::size_t i = 0; i != plan.size(); ++i)
      if (!searches[i].done()) {
        open.push_back(i);
        trial.push_back({plan[i].moving, at(i, searches[i].next())});
      }
    if (open.empty()) break;
    auto const chains = [&] {
      try {
        return run_chains(model, center, data, {}, trial, options, loss_trace{}, run);
      } catch (interrupted const&) {
        throw interrupted(
            "interrupted in the pilot run, of which nothing is kept; chains that are kept are as they were");
      }
    }();
    for (std::size_t t = 0; t != open.size(); ++t) {
      auto const diagnosed = diagnose(response_of(chains[t], options.thinning));
      searches[open[t]].add(diagnosed.observable);
      chosen[open[t]].rounds = round + 1;
    }
  }
  for (std::size_t i = 0; i != plan.size(); ++i) {
    auto const& search = searches[i];
    chosen[i].settings = at(i, search.best());
    chosen[i].observable = search.observable();
    chosen[i].reached = search.reached();
    if (search.reached()) continue;
    double const found = search.observable().value;
    chosen[i].warning = detail::concatenate(
        plan[i].moving.name(), ": no localization puts E[phi] at ", pilot.target, " within ", chosen[i].rounds,
        " rounds; at ", search.best(), ", which is used, ",
        std::isnan(found) ? std::string("every chain diverged") : detail::concatenate("it is ", found));
  }
  return chosen;
}

/// The options with what was chosen for each component and for all weights. Throws susc::error unless all weights come
/// first, as choose_localization returns them.
template <class S>
sampling_options<S> with_localization(sampling_options<S> options, std::vector<chosen_localization<S>> const& chosen) {
  require(!chosen.empty() && chosen.front().component == "full", "the first of the localizations chosen is that of ",
          chosen.empty() ? "none" : chosen.front().component, ", must be that of all weights, 'full'");
  options.all_weights = chosen.front().settings;
  for (auto c = chosen.begin() + 1; c != chosen.end(); ++c) options.component_settings[c->component] = c->settings;
  return options;
}

}  // namespace susc
