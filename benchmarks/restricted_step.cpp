// A step of chains that move one head: each computes everything from its minibatch ("plain"), or four of them see the
// same minibatch and share what is upstream of the head, as sampling/chain.hpp does ("shared").
#include "subject.hpp"
#include "susc/sampling/sgld.hpp"

namespace {

using bench::method;

struct chain {
  susc::aligned_vector<float> w, gradient;  // all weights; the head's
  susc::sgld::state<float> state;
};

class restricted_step {
 public:
  restricted_step(std::size_t tokens, susc::transformer_config config, std::size_t layer, std::size_t chains)
      : on_(tokens, config),
        head_(on_.head(layer)),
        center_(head_.size()),
        exact_(head_.size()),
        chains_(chains),
        target_{{.n_beta = 30, .localization = 300}, center_} {
    head_.gather(std::span<float const>(on_.w), std::span<float>(center_));
    susc::aligned_vector<float> whole(on_.w.size());
    on_.model.loss_and_gradient(on_.w, on_.batch, whole);  // which full_step.cpp verifies
    head_.gather(std::span<float const>(whole), std::span<float>(exact_));
  }
  void start() {
    for (chain& c : chains_)
      c = {on_.w, susc::aligned_vector<float>(head_.size(), std::numeric_limits<float>::quiet_NaN()),
           sampler_.init(std::span<float const>(center_))};
  }
  void run(method) {
    bool const shared = chains_.size() > 1;
    if (shared) on_.model.freeze(on_.w, head_, on_.batch, frozen_);
    for (chain& c : chains_) {
      head_.scatter(std::span<float const>(c.state.w), std::span<float>(c.w));
      if (shared)
        on_.model.loss_and_gradient(c.w, frozen_, head_, c.gradient);
      else
        on_.model.loss_and_gradient(c.w, on_.batch, head_, c.gradient);
      c.state = sampler_.step(std::move(c.state), std::span<float const>(c.gradient), target_, {7});
    }
  }
  std::string wrong(method) const {
    std::string found;
    for (chain const& c : chains_)
      found += bench::differs("the gradient", bench::vector(c.gradient), bench::vector(exact_).cast<double>());
    return found;
  }
  /// Tokens are counted once for each chain.
  bench::work done() const {
    double const chains = static_cast<double>(chains_.size());
    auto done = on_.done(chains == 1 ? on_.flop(susc::pass::gradient, head_)
                                     : on_.flop(susc::pass::freeze, head_) +
                                           chains * on_.flop(susc::pass::frozen_gradient, head_));
    done.items *= chains;
    return done;
  }

 private:
  bench::subject on_;
  susc::component head_;
  susc::aligned_vector<float> center_, exact_;
  std::vector<chain> chains_;
  susc::dynamic_transformer::frozen frozen_;
  susc::sgld sampler_{.step_size = 1e-3};
  susc::posterior<float> target_;
};

}  // namespace

int main(int argc, char** argv) {
  for (std::size_t const layer : {0, 1})
    for (std::size_t const chains : {1, 4}) {
      std::string const which = "l" + std::to_string(layer) + (chains == 1 ? "_plain" : "_shared");
      auto const add = [&](std::string const& size, std::size_t tokens, susc::transformer_config const& config) {
        bench::add<restricted_step>("restricted_step/" + size + which, {method::ours}, tokens, config, layer, chains);
      };
      add("demo_", bench::demo_tokens, bench::demo);
      add("paper_", bench::paper_tokens, bench::paper);
    }
  return bench::run(argc, argv);
}
