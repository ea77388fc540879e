// The tables of docs/scaling.md, from the shapes of the Pythia models and the operations that the transformer counts.
//   scaling_table                 prints them
//   scaling_table docs/scaling.md fails unless the document has them as they are
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "susc/models/transformer.hpp"
#include "susc/sampling/chain.hpp"

namespace {

using susc::pass;

// The protocol, and what a core is taken to do.
constexpr std::size_t chains = 4, sequences = 32, inputs = 1024, probe_sequences = 1'000'000 / inputs, cores = 64;
constexpr susc::chain_length length{.draws = 200, .burn_in = 20, .batch_size = sequences};
constexpr double attained = 100e9;  // FLOP/s of a core: half of 200 GFLOP/s

struct network {
  char const* name;
  susc::transformer_config config;
};
constexpr network networks[] = {
    {"14M", {.vocabulary = 50304, .context = 2048, .width = 128, .layers = 6, .heads = 4, .mlp_width = 512}},
    {"160M", {.vocabulary = 50304, .context = 2048, .width = 768, .layers = 12, .heads = 12, .mlp_width = 3072}},
    {"1.4B", {.vocabulary = 50304, .context = 2048, .width = 2048, .layers = 24, .heads = 16, .mlp_width = 8192}}};

std::string printed(char const* format, auto... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}
/// Three digits, then a unit: 1.23, 12.3, 123, 1.23 k.
std::string number(double value) {
  char const* const units[] = {"", " k", " M", " G", " T", " P", " E"};
  int unit = 0;
  for (; value >= 999.5; value /= 1000) ++unit;
  return printed("%.*f%s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, units[unit]);
}
std::string row(std::vector<std::string> const& cells) {
  std::string line = "|";
  for (auto const& cell : cells) line += " " + cell + " |";
  return line + "\n";
}

/// One component of one network.
struct figures {
  susc::dynamic_transformer model;
  susc::component part;
  susc::token_batch minibatch{{}, sequences, inputs + 1}, probes{{}, probe_sequences, inputs + 1};

  figures(network const& n, std::string const& name)
      : model(n.config), part(susc::find_component(model.components(), name)) {}

  bool whole() const { return part.size() == model.parameter_count(); }
  double a_token(pass what) const {
    return model.operations(what, part, minibatch) / static_cast<double>(minibatch.example_count());
  }
  double freeze() const { return whole() ? 0 : a_token(pass::freeze); }
  double step() const { return a_token(whole() ? pass::gradient : pass::frozen_gradient); }
  double steps() const {  // of all chains, which go in step
    double const tokens = static_cast<double>(length.steps() * minibatch.example_count());
    return tokens * (freeze() + chains * step());
  }
  double draws() const {
    double const tokens = static_cast<double>(probes.example_count());
    return tokens * (freeze() + (chains * length.draws + 1) * a_token(pass::frozen_losses));
  }
  double core_seconds() const { return (steps() + draws()) / attained; }
  double chain_bytes() const {  // all weights; start, gradient, state and noise of the component
    return 4. * static_cast<double>(model.parameter_count() + 4 * part.size());
  }
};

std::vector<std::string> heads(network const& n) {
  std::size_t const last = n.config.layers - 1;
  return {"l0h0", "l" + std::to_string(n.config.layers / 2) + "h0", "l" + std::to_string(last) + "h0"};
}

std::string operations_table() {
  std::string table = row({"Pythia", "component", "of its weights", "freeze", "step from frozen", "step without",
                           "losses from frozen", "losses without", "unembedding"}) +
                      "|---|---|---|---|---|---|---|---|---|\n";
  for (network const& n : networks) {
    auto names = heads(n);
    names.push_back("full");
    for (auto const& name : names) {
      figures const f(n, name);
      double const unembedding = 2. * static_cast<double>(n.config.width * n.config.vocabulary);
      table += row({n.name, name, number(static_cast<double>(f.part.size())), number(f.freeze()), number(f.step()),
                    number(f.a_token(pass::gradient)), number(f.a_token(pass::frozen_losses)),
                    number(f.a_token(pass::losses)),
                    printed("%.0f %%", 100 * unembedding / f.a_token(pass::frozen_losses))});
    }
  }
  return table;
}

std::string protocol_table() {
  std::string table = row({"Pythia", "component", "steps", "draws", "core hours", "on 64 cores", "a chain", "a worker",
                           "frozen minibatch", "frozen probes"}) +
                      "|---|---|---|---|---|---|---|---|---|---|\n";
  for (network const& n : networks) {
    auto names = heads(n);
    names.push_back("full");
    for (auto const& name : names) {
      figures const f(n, name);
      auto const frozen = [&](susc::token_batch const& b) {
        return number(static_cast<double>(f.model.frozen_bytes(f.part, b))) + "B";
      };
      double const seconds = f.core_seconds();
      table += row({n.name, name, number(f.steps()) + "FLOP", number(f.draws()) + "FLOP", number(seconds / 3600),
                    number(seconds / 3600 / cores) + " h", number(f.chain_bytes()) + "B",
                    number(static_cast<double>(f.model.workspace_bytes(f.minibatch))) + "B",
                    f.whole() ? "-" : frozen(f.minibatch), frozen(f.probes)});
    }
  }
  return table;
}

/// All heads and the chains with all weights free.
std::string job_table() {
  std::string table = row({"Pythia", "heads", "core hours, all heads", "core hours, all weights", "days on 64 cores"}) +
                      "|---|---|---|---|---|\n";
  for (network const& n : networks) {
    double sum = 0;
    for (auto const& name : susc::head_names(n.config)) sum += figures(n, name).core_seconds() / 3600;
    double const whole = figures(n, "full").core_seconds() / 3600;
    table += row({n.name, std::to_string(n.config.layers * n.config.heads), number(sum), number(whole),
                  number((sum + whole) / cores / 24)});
  }
  return table;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> const tables{operations_table(), protocol_table(), job_table()};
  if (argc < 2) {
    for (auto const& table : tables) std::cout << table << '\n';
    return 0;
  }
  std::ifstream file(argv[1]);
  std::string const text{std::istreambuf_iterator<char>(file), {}};
  int missing = 0;
  for (auto const& table : tables)
    if (text.find(table) == std::string::npos) {
      ++missing;
      std::cout << argv[1] << " has not this table:\n" << table << '\n';
    }
  return missing;
}
