// A step of a chain with all weights free: the gradient of a minibatch, normals, and SGLD's update.
#include "subject.hpp"
#include "susc/sampling/sgld.hpp"

namespace {

using bench::method;

class full_step {
 public:
  full_step(std::size_t tokens, susc::transformer_config config)
      : on_(tokens, config), gradient_(on_.w.size()), target_{{.n_beta = 1000, .localization = 300}, on_.w} {
    on_.model.loss_and_gradient(on_.w, on_.batch, gradient_);
    Eigen::VectorXd const g = bench::vector(gradient_).cast<double>();
    // The loss rises along the gradient as the gradient says: by differences of losses, which need no backward pass.
    double const h = .01 / g.norm();
    slope_ = (loss_at(h * g) - loss_at(-h * g)) / (2 * h * g.norm());
    moved_ = g * (-sampler_.step_size / 2 * target_.settings.n_beta);
    for (std::size_t i = 0; i != gradient_.size(); ++i)
      moved_[static_cast<Eigen::Index>(i)] +=
          std::sqrt(sampler_.step_size) * double(susc::random::normal<float>(key_, 0, i));
  }
  void start() {
    state_ = sampler_.init(std::span<float const>(on_.w));
    std::fill(gradient_.begin(), gradient_.end(), std::numeric_limits<float>::quiet_NaN());
  }
  void run(method) {
    on_.model.loss_and_gradient(state_.w, on_.batch, gradient_);
    state_ = sampler_.step(std::move(state_), std::span<float const>(gradient_), target_, key_);
  }
  std::string wrong(method) const {
    double const norm = bench::vector(gradient_).cast<double>().norm();
    std::string found;
    if (!(std::abs(norm / slope_ - 1) < .01))
      found = "the loss rises by " + std::to_string(slope_) + " along a gradient of " + std::to_string(norm) + "; ";
    Eigen::VectorXd const moved = (bench::vector(state_.w) - bench::vector(on_.w)).cast<double>();
    return found + bench::differs("the step", moved, moved_);
  }
  bench::work done() const { return on_.done(on_.flop(susc::pass::gradient, on_.everything())); }

 private:
  double loss_at(Eigen::VectorXd const& displacement) const {
    Eigen::VectorXf const w = (bench::vector(on_.w).cast<double>() + displacement).cast<float>();
    std::vector<float> losses(on_.batch.example_count());
    on_.model.losses({w.data(), on_.w.size()}, on_.batch, losses);
    return bench::vector(losses).cast<double>().mean();
  }

  bench::subject on_;
  susc::aligned_vector<float> gradient_;
  susc::sgld sampler_{.step_size = 1e-4};  // as much drift as noise
  susc::posterior<float> target_;
  susc::random::key key_{7};
  susc::sgld::state<float> state_;
  Eigen::VectorXd moved_;
  double slope_;
};

}  // namespace

int main(int argc, char** argv) {
  bench::add<full_step>("full_step/demo", {method::ours}, bench::demo_tokens, bench::demo);
  bench::add<full_step>("full_step/paper", {method::ours}, bench::paper_tokens, bench::paper);
  return bench::run(argc, argv);
}
