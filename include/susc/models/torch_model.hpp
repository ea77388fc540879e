#pragma once
/// A Model from a module of libtorch: an optional dependency, hence a header of its own.
#include <ATen/core/ivalue.h>  // first, or clang meets vectors of an incomplete type in libtorch 1.13
#include <torch/torch.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "susc/core/component.hpp"
#include "susc/core/error.hpp"
#include "susc/core/pool.hpp"

namespace susc {

namespace detail {
/// A parameter of a module and where its weights lie in the flat vector.
struct torch_parameter {
  std::string name;
  torch::Tensor tensor;
  index_range range;
};

/// Every registered parameter, in the order of named_parameters(), row-major one after the other.
inline std::vector<torch_parameter> torch_parameters(torch::nn::Module const& module) {
  std::vector<torch_parameter> all;
  std::size_t end = 0;
  for (auto const& item : module.named_parameters()) {
    std::size_t const begin = end;
    end += static_cast<std::size_t>(item.value().numel());
    all.push_back({item.key(), item.value(), {begin, end}});
  }
  return all;
}

/// Copies w to the parameters.
template <class T>
void set_torch_parameters(std::vector<torch_parameter> const& parameters, std::span<T const> w) {
  for (torch_parameter const& p : parameters)
    std::copy_n(w.data() + p.range.begin, p.range.size(), p.tensor.template data_ptr<T>());
}
}  // namespace detail

/// Where entries [begin, end) of dimension `dimension` of a module's parameter lie in the flat vector of its
/// torch_model, such as the rows of one head in a fused projection; several make up a component.
/// Throws susc::error if the module has no such parameter or the parameter no such entries.
inline std::vector<index_range> torch_slice(torch::nn::Module const& module, std::string const& parameter,
                                            std::size_t dimension, std::size_t begin, std::size_t end) {
  for (detail::torch_parameter const& p : detail::torch_parameters(module)) {
    if (p.name != parameter) continue;
    auto const sizes = p.tensor.sizes();
    require(dimension < sizes.size(), "torch_slice: dimension ", dimension, " of '", parameter, "', which has ",
            sizes.size());
    std::size_t const extent = static_cast<std::size_t>(sizes[dimension]);
    require(begin < end && end <= extent, "torch_slice: entries [", begin, ", ", end, ") of dimension ", dimension,
            " of '", parameter, "', must be at least one of its ", extent);
    std::size_t inner = 1;
    for (std::size_t d = dimension + 1; d != sizes.size(); ++d) inner *= static_cast<std::size_t>(sizes[d]);
    std::vector<index_range> ranges;
    for (std::size_t at = p.range.begin; at != p.range.end; at += extent * inner)
      ranges.push_back({at + begin * inner, at + end * inner});
    return ranges;
  }
  fail("torch_slice: the module has no parameter '", parameter, "'");
}

/// Satisfies Model, HasComponents and RestrictedModel; made by `from_torch`.
template <class Batch, std::floating_point T, class Module, class Loss>
class torch_model {
 public:
  using scalar = T;     ///< of weights and losses
  using batch = Batch;  ///< examples
  static_assert(std::same_as<T, float> || std::same_as<T, double>, "from_torch needs weights of float or double");
  static_assert(std::derived_from<Module, torch::nn::Module>, "from_torch needs a torch::nn::Module");
  static_assert(
      requires(Batch const& b) {
        { b.size() } -> std::convertible_to<std::size_t>;
      },
      "from_torch needs batches with a member `size() const`, the number of their losses");
  static_assert(std::is_invocable_r_v<torch::Tensor, Loss const&, Module&, Batch const&>,
                "from_torch needs a loss: a const `torch::Tensor loss(Module&, Batch const&)`");

  /// Of a copy of the module. Throws susc::error if libtorch uses several threads.
  torch_model(Module const& module, Loss loss, std::vector<component> components) : loss_(std::move(loss)) {
    require(torch::get_num_threads() == 1, "from_torch: libtorch would use ", torch::get_num_threads(),
            " threads within each chain's; call torch::set_num_threads(1) first");
    check(detail::torch_parameters(module));
    replica const first = clone(module);
    prototype_ = first.module;
    parameters_ = first.parameters;
    name_components();
    for (component& c : components) {
      require(c.size() != 0 && c.ranges().back().end <= parameter_count(), "from_torch: component '", c.name(),
              "' is not within the ", parameter_count(), " weights");
      components_.push_back(std::move(c));
    }
  }

  std::size_t parameter_count() const { return parameters_.back().range.end; }  ///< number of weights
  /// The batch's size().
  std::size_t example_count(Batch const& b) const { return b.size(); }
  /// "full", then each prefix of the dotted names and each name in the order of the weights, then those given.
  std::vector<component> components() const { return components_; }

  /// (parameter_count,): the weights that the module had.
  std::vector<T> weights() const {
    std::vector<T> w(parameter_count());
    for (detail::torch_parameter const& p : parameters_)
      std::copy_n(p.tensor.template data_ptr<T>(), p.range.size(), w.data() + p.range.begin);
    return w;
  }

  /// w (parameter_count,), losses (examples,) in nats.
  void losses(std::span<T const> w, Batch const& b, std::span<T> losses) const {
    require_size("losses", losses.size(), b.size());
    torch::NoGradGuard const without;
    on_replica(w, [&](replica& r) {
      torch::Tensor const tensor = losses_of(r, b).contiguous();
      std::copy_n(tensor.template data_ptr<T>(), losses.size(), losses.data());
    });
  }

  /// w, gradient (parameter_count,).
  T loss_and_gradient(std::span<T const> w, Batch const& b, std::span<T> gradient) const {
    return loss_and_gradient(w, b, components_.front(), gradient);
  }

  /// w (parameter_count,), gradient (c.size(),): autograd stops where no parameter of the component is upstream.
  T loss_and_gradient(std::span<T const> w, Batch const& b, component const& c, std::span<T> gradient) const {
    require(b.size() != 0, "from_torch: a gradient over 0 examples, must have at least 1");
    require_size("gradient entries", gradient.size(), c.size());
    torch::AutoGradMode const with(true);
    return on_replica(w, [&](replica& r) {
      std::vector<torch::Tensor> moving;
      for (detail::torch_parameter const& p : r.parameters) {
        bool const moves = overlaps(p, c);
        p.tensor.set_requires_grad(moves);
        if (moves) moving.push_back(p.tensor);
      }
      torch::Tensor const mean = losses_of(r, b).mean();
      // Without a gradient: the loss does not depend on any of them.
      std::vector<torch::Tensor> slopes(moving.size());
      if (mean.requires_grad()) slopes = torch::autograd::grad({mean}, moving, {}, false, false, true);
      gather(r.parameters, slopes, c, gradient);
      return mean.template item<T>();
    });
  }

 private:
  /// A copy of the module that one thread uses at a time.
  struct replica {
    std::shared_ptr<Module> module;
    std::vector<detail::torch_parameter> parameters;
  };

  static replica clone(Module const& module) {
    std::shared_ptr<torch::nn::Module> copy;
    try {
      copy = module.clone();
    } catch (c10::Error const& e) {
      fail("from_torch: the module cannot be cloned (", e.what_without_backtrace(),
           "); derive it from torch::nn::Cloneable and register its parameters in reset()");
    }
    copy->eval();
    replica r{std::dynamic_pointer_cast<Module>(copy), detail::torch_parameters(*copy)};
    require(r.module != nullptr, "from_torch: the module's clone is of another type");
    auto const given = detail::torch_parameters(module);
    for (std::size_t i = 0; i != given.size(); ++i)
      require(!given[i].tensor.is_alias_of(r.parameters[i].tensor), "from_torch: parameter '", given[i].name,
              "' is shared with the module's clone; reset() must make it anew");
    return r;
  }

  static void check(std::vector<detail::torch_parameter> const& parameters) {
    require(!parameters.empty() && parameters.back().range.end != 0, "from_torch: the module has no parameters");
    auto const wanted = c10::CppTypeToScalarType<T>::value;
    for (auto p = parameters.begin(); p != parameters.end(); ++p) {
      require(p->tensor.scalar_type() == wanted, "from_torch: parameter '", p->name, "' is of type ",
              c10::toString(p->tensor.scalar_type()), ", must be ", c10::toString(wanted));
      require(p->tensor.device().is_cpu(), "from_torch: parameter '", p->name, "' is on ", p->tensor.device().str(),
              ", must be on the CPU");
      require(p->tensor.is_contiguous(), "from_torch: parameter '", p->name,
              "' is not contiguous, must be: register its contiguous()");
      for (auto q = parameters.begin(); q != p; ++q)
        require(!p->tensor.is_alias_of(q->tensor), "from_torch: parameters '", q->name, "' and '", p->name,
                "' share memory, must be registered once");
    }
  }

  void name_components() {
    std::vector<std::pair<std::string, std::vector<index_range>>> named;
    for (detail::torch_parameter const& p : parameters_) {
      require(p.name != "full" && p.name.rfind("full.", 0) != 0, "from_torch: parameter '", p.name,
              "': the name 'full' is for all weights");
      for (std::size_t dot = p.name.find('.');; dot = p.name.find('.', dot + 1)) {
        std::string const prefix = p.name.substr(0, dot);
        auto found = std::find_if(named.begin(), named.end(), [&](auto const& n) { return n.first == prefix; });
        if (found == named.end()) found = named.insert(found, {prefix, {}});
        found->second.push_back(p.range);
        if (dot == std::string::npos) break;
      }
    }
    components_ = {full_component(parameter_count())};
    for (auto& [name, ranges] : named)
      if (std::any_of(ranges.begin(), ranges.end(), [](index_range r) { return r.size() != 0; }))
        components_.push_back({name, std::move(ranges)});
  }

  static void require_size(char const* what, std::size_t given, std::size_t needed) {
    require(given == needed, "from_torch: ", given, " ", what, ", must be ", needed);
  }

  /// use(replica&) on one with weights w that no other thread has.
  template <class Use>
  auto on_replica(std::span<T const> w, Use use) const {
    require_size("weights", w.size(), parameter_count());
    return replicas_.borrow([&](replica& r) {
      if (!r.module) r = clone(*prototype_);
      detail::set_torch_parameters(r.parameters, w);
      return use(r);
    });
  }

  torch::Tensor losses_of(replica& r, Batch const& b) const {
    torch::Tensor const losses = loss_(*r.module, b);
    require(losses.defined() && losses.dim() == 1 && static_cast<std::size_t>(losses.size(0)) == b.size() &&
                losses.scalar_type() == c10::CppTypeToScalarType<T>::value,
            "from_torch: the loss is a tensor of ",
            losses.defined() ? c10::str(losses.sizes(), " ", losses.dtype()) : "nothing", ", must be [", b.size(), "] ",
            c10::toString(c10::CppTypeToScalarType<T>::value), ", one an example");
    return losses;
  }

  static bool overlaps(detail::torch_parameter const& p, component const& c) {
    return std::any_of(c.ranges().begin(), c.ranges().end(),
                       [&](index_range r) { return r.begin < p.range.end && p.range.begin < r.end; });
  }

  /// Takes the component's entries out of the gradients of the parameters that it overlaps; undefined ones are 0.
  static void gather(std::vector<detail::torch_parameter> const& parameters, std::vector<torch::Tensor> const& slopes,
                     component const& c, std::span<T> gradient) {
    std::size_t position = 0, next = 0;
    for (detail::torch_parameter const& p : parameters) {
      if (!overlaps(p, c)) continue;
      torch::Tensor const slope = slopes[next].defined() ? slopes[next].contiguous() : torch::Tensor();
      ++next;
      for (index_range const r : c.ranges()) {
        std::size_t const begin = std::max(r.begin, p.range.begin), end = std::min(r.end, p.range.end);
        if (begin >= end) continue;
        if (slope.defined())
          std::copy_n(slope.template data_ptr<T>() + (begin - p.range.begin), end - begin, gradient.data() + position);
        else
          std::fill_n(gradient.data() + position, end - begin, T(0));
        position += end - begin;
      }
    }
  }

  Loss loss_;
  std::shared_ptr<Module> prototype_;  ///< is only read
  std::vector<detail::torch_parameter> parameters_;
  std::vector<component> components_;
  mutable pool<replica> replicas_;
};

/// The model of a module that can be cloned (torch::nn::Cloneable; of torch::nn::Sequential and its like, the ptr())
/// and `torch::Tensor loss(module, batch)`, which returns the loss of each example, (batch.size(),), in nats. The
/// weights are all registered parameters in the order of named_parameters(), row-major, of type T; weights() are those
/// the module has now. Later changes of the module are not seen.
///
/// Components: "full", each parameter by its name, each prefix of dotted names ("layer1" is layer1.weight and
/// layer1.bias), and those given; see torch_slice for parts of a parameter.
///
/// Chains run in threads, each on a clone of its own, in evaluation mode: dropout is off, and batch norm uses its
/// running statistics. `loss` is copied and called from several threads at once; it must not change what it has
/// captured, or the batch. Bits do not depend on the number of chains' threads, and libtorch must have one thread of
/// its own. Cloning draws from libtorch's random generator (reset() initialises); nothing here uses the numbers.
///
/// Throws susc::error if libtorch has more than one thread, the module cannot be cloned or has no parameters, a
/// parameter is not contiguous, on the CPU and of type T, two share memory, or one is called "full". Batches throw it
/// if the loss is not (batch.size(),) of T. Errors of libtorch itself are c10::Error.
template <class Batch, std::floating_point T = float, class Module, class Loss>
torch_model<Batch, T, Module, Loss> from_torch(std::shared_ptr<Module> const& module, Loss loss,
                                               std::vector<component> components = {}) {
  require(module != nullptr, "from_torch: no module");
  return {*module, std::move(loss), std::move(components)};
}

}  // namespace susc
