// Losses of every token at a draw: the whole forward pass, and with what is upstream of the moving head frozen.
#include "eigen_transformer.hpp"
#include "subject.hpp"

namespace {

using bench::method;
enum class upstream { computed, frozen };

class evaluation {
 public:
  evaluation(std::size_t tokens, susc::transformer_config config, upstream how, std::size_t layer = 0)
      : on_(tokens, config), how_(how), layer_(layer), losses_(on_.batch.example_count()), exact_(losses_.size()) {
    if (how == upstream::frozen) {
      auto const head = on_.head(layer);
      frozen_ = on_.model.freeze(on_.w, head, on_.batch);
      for (auto const r : head.ranges())  // a draw: what was frozen does not know these weights
        for (std::size_t i = r.begin; i != r.end; ++i) on_.w[i] *= 1.5f;
    }
    eigen_ = std::make_unique<bench::eigen_transformer<float>>(on_.model.layout(), on_.w);
    bench::eigen_transformer<double>(on_.model.layout(), on_.w).losses(on_.batch, exact_);
  }
  void start() { std::fill(losses_.begin(), losses_.end(), std::numeric_limits<float>::quiet_NaN()); }
  void run(method method) {
    if (method == method::eigen)
      eigen_->losses(on_.batch, losses_);
    else if (how_ == upstream::frozen)
      on_.model.losses(on_.w, frozen_, losses_);
    else
      on_.model.losses(on_.w, on_.batch, losses_);
  }
  std::string wrong(method) const {
    return bench::differs("the losses", bench::vector(losses_),
                          Eigen::Map<Eigen::VectorXd const>(exact_.data(), static_cast<bench::Index>(exact_.size())),
                          1e-5);
  }
  bench::work done() const {
    return on_.done(how_ == upstream::frozen ? on_.flop(susc::pass::frozen_losses, on_.head(layer_))
                                             : on_.flop(susc::pass::losses, on_.everything()));
  }

 private:
  bench::subject on_;
  upstream how_;
  std::size_t layer_;
  susc::aligned_vector<float> losses_;
  susc::aligned_vector<double> exact_;
  susc::dynamic_transformer::frozen frozen_;
  std::unique_ptr<bench::eigen_transformer<float>> eigen_;
};

void add(std::string const& name, std::size_t tokens, susc::transformer_config const& config) {
  bench::add<evaluation>(name, {method::ours, method::eigen}, tokens, config, upstream::computed);
  for (std::size_t const layer : {0, 1})
    bench::add<evaluation>(name + "_frozen_l" + std::to_string(layer), {method::ours}, tokens, config, upstream::frozen,
                           layer);
}

}  // namespace

int main(int argc, char** argv) {
  add("evaluation/demo", bench::demo_tokens, bench::demo);
  add("evaluation/paper", bench::paper_tokens, bench::paper);
  return bench::run(argc, argv);
}
