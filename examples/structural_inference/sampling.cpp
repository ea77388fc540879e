#include "sampling.hpp"

#include <cstdio>
#include <span>
#include <utility>

#include "susc/io/file.hpp"
#include "susc/response/estimate.hpp"
#include "susc/response/localization.hpp"
#include "susc/sampling/leimkuhler_matthews.hpp"

namespace structural_inference {

namespace {

/// f of the settings with the sampler that the options name.
template <class F>
auto with_settings(options const& o, std::vector<chosen_localization> const& chosen, F&& f) {
  auto const of = [&](auto sampler) {
    sampler.step_size = step_size_of(o);
    susc::sampling_options<decltype(sampler)> settings{
        .posterior = {.n_beta = o.n_beta, .localization = localization_of(o)},
        .sampler = sampler,
        .chains = o.chains,
        .draws = o.draws,
        .burn_in = o.burn_in,
        .thinning = o.thinning,
        .batch_size = o.batch_size,
        .seed = o.seed,
        .seconds_between_checkpoints = o.checkpoint_seconds};
    if (o.all_weights == "same") settings.all_weights = {settings.posterior, sampler};
    for (auto const& c : chosen) {
      susc::chain_settings<decltype(sampler)> own{settings.posterior, sampler};
      own.posterior.localization = c.localization;
      own.sampler.step_size = c.step_size;
      if (&c == chosen.data())
        settings.all_weights = own;
      else
        settings.component_settings[c.component] = own;
    }
    return f(std::move(settings));
  };
  return o.sampler == "sgld" ? of(susc::sgld{}) : of(susc::leimkuhler_matthews{});
}
/// f of the settings, and of the model.
template <class F>
auto with_settings(options const& o, std::vector<chosen_localization> const& chosen, trained_model const& trained,
                   F&& f) {
  return with_settings(o, chosen, [&](auto settings) {
    return std::visit([&](auto const& model) { return f(std::move(settings), model); }, trained.model);
  });
}

auto distribution_of(prepared_data const& data) {
  return susc::data_distribution{data.evaluation,
                                 [&data](std::size_t size, susc::random::key key, susc::token_batch& batch) {
                                   data.training.sample(size, key, batch);
                                 }};
}

}  // namespace

void check_sampling(options const& o) {
  susc::require(localization_of(o) != 0 || o.step_size, "--localization 0 needs a --step-size");
  susc::check(susc::localization_pilot{.target = o.pilot_target});
  susc::require(o.checkpoint_seconds >= 0, "--checkpoint-seconds is ", o.checkpoint_seconds, ", must not be negative");
  if (!o.run_directory.empty()) {
    try {
      susc::staged_directory const writable(o.run_directory);  // leaves no trace
    } catch (susc::error const& reason) {
      susc::fail("--run-directory cannot be used: ", reason.what());
    }
  }
  with_settings(o, {}, [](auto const& settings) {
    susc::checked_length(settings);
    susc::check(settings.posterior);
    settings.sampler.check(settings.posterior);
  });
}

std::vector<chosen_localization> choose_localization(options const& o, std::vector<std::string> const& components,
                                                     trained_model const& trained, prepared_data const& data,
                                                     std::atomic<bool> const* stop) {
  return with_settings(o, {}, trained, [&](auto settings, auto const& model) {
    settings.components = components;
    settings.all_weights = {};
    settings.stop = stop;
    std::vector<chosen_localization> all;
    for (auto& c : susc::choose_localization(model, std::span<float const>(trained.w), distribution_of(data), settings,
                                             {.target = o.pilot_target}, susc::threads{o.threads}))
      all.push_back({std::move(c.component), c.settings.posterior.localization, c.settings.sampler.step_size,
                     c.observable, c.rounds, c.reached, std::move(c.warning)});
    return all;
  });
}

nlohmann::json settings_of(options const& o, trained_model const& trained) {
  nlohmann::json settings{{"corpus", o.external() ? o.pretraining : o.corpus},
                          {"model", trained.training},
                          {"data_seed", o.data_seed},
                          {"evaluation_tokens", o.evaluation_tokens},
                          {"sampler", o.sampler},
                          {"n_beta", o.n_beta},
                          {"chains", o.chains},
                          {"draws", o.draws},
                          {"burn_in", o.burn_in},
                          {"thinning", o.thinning},
                          {"batch_size", o.batch_size},
                          {"centring", o.centring == susc::centring::full ? "full" : "restricted"},
                          {"seed", o.seed}};
  if (!o.external()) settings.update({{"tokens_per_domain", o.tokens_per_domain}, {"probe_tokens", o.probe_tokens}});
  if (o.localization)
    settings.update(
        {{"localization", *o.localization}, {"step_size", step_size_of(o)}, {"all_weights", o.all_weights}});
  else
    settings["pilot_target"] = o.pilot_target;
  return settings;
}

void print_localization(std::vector<chosen_localization> const& chosen, double target) {
  std::printf("\nLocalization that puts E[phi] at %g (E[phi] of the pilot run)\n", target);
  for (std::size_t i = 0; i != chosen.size(); ++i)
    std::printf("%s  %-6s %6.4g (%.3f)%s", i % 4 == 0 ? "" : " ", chosen[i].component.c_str(), chosen[i].localization,
                chosen[i].observable.value, i % 4 == 3 || i + 1 == chosen.size() ? "\n" : "");
  std::fflush(stdout);
}

susc::cost expected_cost(options const& o, std::vector<std::string> const& components, trained_model const& trained,
                         prepared_data const& data, std::atomic<bool> const* stop,
                         std::vector<chosen_localization> const& chosen) {
  return with_settings(o, chosen, trained, [&](auto settings, auto const& model) {
    settings.components = components;
    settings.stop = stop;
    return susc::estimate_cost(model, std::span<float const>(trained.w), distribution_of(data), data.probes, settings,
                               susc::threads{o.threads});
  });
}

susc::susceptibility_result sample(options const& o, std::vector<std::string> const& components,
                                   trained_model const& trained, prepared_data const& data, susc::progress& shown,
                                   std::atomic<bool> const* stop, std::vector<chosen_localization> const& chosen) {
  return with_settings(o, chosen, trained, [&](auto settings, auto const& model) {
    settings.components = components;
    settings.progress = [&](std::size_t) { shown.advance(); };
    settings.resumed = [&](std::size_t) { shown.skip(1); };
    settings.run_directory = run_directory_of(o);
    settings.stop = stop;
    return susc::estimate_susceptibilities(model, std::span<float const>(trained.w), distribution_of(data), data.probes,
                                           settings, susc::threads{o.threads});
  });
}

}  // namespace structural_inference
