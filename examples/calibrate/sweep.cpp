#include "sweep.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <string>
#include <variant>
#include <vector>

#include "susc/report/progress.hpp"
#include "susc/response/learning_coefficient.hpp"
#include "susc/sampling/exponential_integrator.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"
#include "susc/sampling/mala_acceptance.hpp"
#include "susc/sampling/rmsprop_sgld.hpp"
#include "susc/sampling/sghmc.hpp"
#include "susc/sampling/sgnht.hpp"

namespace calibrate {

namespace {

/// A visitor, and the seconds it takes: they are no part of what a draw costs.
template <class V>
struct timed {
  V visitor;
  double seconds = 0;

  template <susc::Model M>
  void start(susc::draw<M> const& center, susc::draw_counts counts) {
    visitor.start(center, counts);
  }
  template <susc::Model M>
  void add(susc::draw<M> const& at) {
    double const from = susc::steady_seconds();
    visitor.add(at);
    seconds += susc::steady_seconds() - from;
  }
  void merge(timed const& other) {
    visitor.merge(other.visitor);
    seconds += other.seconds;
  }
};

template <class F>
auto with_sampler(std::string const& name, F&& f) {
  if (name == "rmsprop_sgld") return f(susc::rmsprop_sgld{});
  if (name == "sghmc") return f(susc::sghmc{});
  if (name == "sgnht") return f(susc::sgnht{});
  if (name == "leimkuhler_matthews") return f(susc::leimkuhler_matthews{});
  if (name == "exponential_integrator") return f(susc::exponential_integrator{});
  return f(susc::sgld{});
}

/// Steps after which the localization alone has brought a chain's expected loss within 1 % of its limit. SGLD's
/// distance to w* decays as exp(-ε γ t/2), the loss as its square; a momentum of friction .1 needs 46 steps at least.
std::size_t default_burn_in(std::string const& sampler, double unit, double step_size) {
  double const least = sampler == "sghmc" || sampler == "sgnht" ? 50 : 20;
  return static_cast<std::size_t>(std::clamp(std::ceil(5 * unit / step_size), least, 200.));
}

template <class S>
void measure(measurement& m, susc::sampling_costs& spent, problem const& p, options const& o, S sampler,
             auto const& progress) {
  susc::component_plan<S> const plan{p.moving,
                                     {{.n_beta = m.n_beta, .localization = m.localization * p.scale},
                                      (sampler.step_size = m.step_size / p.scale, sampler)}};
  susc::sampling_options<S> const sampling{.chains = o.chains,
                                           .draws = o.draws,
                                           .burn_in = m.burn_in,
                                           .thinning = o.thinning,
                                           .batch_size = o.batch_size,
                                           .seed = o.seed,
                                           .progress = progress};
  timed<susc::mala_acceptance> const acceptance{
      {plan.settings.posterior, sampler.step_size, std::max<std::size_t>(1, o.draws / 5), o.seed}};
  susc::data_distribution const data{p.evaluation, [&](std::size_t size, susc::random::key key) {
                                       return susc::sample_sequences(p.pretraining, size, key);
                                     }};
  auto const chains = std::visit(
      [&](auto const& model) {
        return susc::run_chains(model, p.weights, data, {}, std::vector{plan}, sampling,
                                susc::visitors(susc::loss_trace{}, acceptance), susc::sequential{})
            .front();
      },
      p.model);
  auto response = susc::described(chains, o.thinning);
  double sum = 0, count = 0;
  for (std::size_t c = 0; c != chains.chains.size(); ++c) {
    auto const& [loss, accepted] = chains.chains[c].each;
    response.loss_traces.push_back(loss.traces.at(0));
    response.costs.draw_seconds -= accepted.seconds;
    if (chains.outcomes[c].diverged) continue;
    for (double const probability : accepted.visitor.traces.at(0)) sum += probability, ++count;
  }
  response.observable_traces = response.loss_traces;
  auto const d = susc::diagnose(response);
  m.dropped_chains = d.dropped_chains;
  m.learning_coefficient = d.learning_coefficient;
  m.excess_loss = d.observable;
  m.acceptance = sum / count;
  m.r_hat = d.r_hat;
  m.ess = d.effective_sample_size;
  m.drift = d.drift;
  m.ess_per_gradient = m.ess / static_cast<double>(response.costs.steps);
  spent = response.costs;
}

/// Runs every setting of the table.
template <class S>
costs sweep(std::vector<measurement>& table, problem const& p, options const& o, S sampler) {
  std::size_t steps = 0;
  for (measurement const& m : table) {
    susc::posterior_settings const posterior{.n_beta = m.n_beta, .localization = m.localization};
    susc::check(posterior);
    sampler.step_size = m.step_size;
    sampler.check(posterior);
    steps += o.chains * (m.burn_in + o.draws * o.thinning);
  }
  std::printf("\n");
  std::fflush(stdout);
  susc::progress shown(std::cout, "Sampling " + std::to_string(table.size()) + " settings", steps, susc::is_terminal(1),
                       "steps");
  std::vector<susc::sampling_costs> spent(table.size());
  susc::threads{o.threads}(table.size(), [&](std::size_t i) {
    measure(table[i], spent[i], p, o, sampler, [&](std::size_t) { shown.advance(); });
  });
  shown.finish();
  susc::sampling_costs all;
  for (auto const& s : spent) {
    all.steps += s.steps;
    all.draws += s.draws;
    all.step_seconds += s.step_seconds;
    all.draw_seconds += s.draw_seconds;
  }
  // A step costs the same at every setting. With the mean of all, what else the machine did decides about nothing.
  costs const mean{all.step_seconds / static_cast<double>(all.steps),
                   all.draw_seconds / std::max(1., static_cast<double>(all.draws))};
  for (std::size_t i = 0; i != table.size(); ++i)
    table[i].ess_per_second = table[i].ess / (mean.step_seconds * static_cast<double>(spent[i].steps) +
                                              mean.draw_seconds * static_cast<double>(spent[i].draws));
  return mean;
}

}  // namespace

std::vector<measurement> settings(options const& o) {
  std::vector<measurement> table;
  for (double const localization : o.localizations) {
    // RMSprop's preconditioner multiplies the step by up to 1/δ = 10.
    double const unit = (o.sampler == "rmsprop_sgld" ? .1 : 1) / localization;  // may be infinite
    std::vector<double> steps = o.step_sizes;
    if (steps.empty())
      for (double const factor : {1 / 16., 1 / 8., 1 / 4., 1 / 2., 1., 2.}) steps.push_back(factor * unit);
    for (double const n_beta : o.n_betas)
      for (double const step : steps)
        table.push_back({localization, n_beta, step, o.burn_in.value_or(default_burn_in(o.sampler, unit, step))});
  }
  return table;
}

costs sweep(std::vector<measurement>& table, problem const& p, options const& o) {
  return with_sampler(o.sampler, [&](auto sampler) { return sweep(table, p, o, sampler); });
}

}  // namespace calibrate
