#pragma once
/// A mixture of token datasets: what a language model is trained on when its text comes from several domains.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "susc/data/token_batch.hpp"

namespace susc {

/// A sequence is drawn from part i with probability proportional to its weight, then uniformly within the part.
struct token_mixture {
  /// One of the datasets.
  struct part {
    std::string name;       ///< in messages
    token_batch sequences;  ///< all of one length
    double weight = 1;      ///< not negative; need not sum to 1
  };
  std::vector<part> parts;  ///< at least one of positive weight

  /// `size` sequences drawn independently. Throws if there is nothing to draw from, parts differ in length, have other
  /// tokens than they say, or a weight is negative or not finite.
  token_batch sample(std::size_t size, random::key key) const {
    token_batch batch;
    sample(size, key, batch);
    return batch;
  }
  /// The same into `batch`, whose memory is used again.
  void sample(std::size_t size, random::key key, token_batch& batch) const {
    double const total = total_weight();
    batch.sequences = size;
    batch.length = parts.front().sequences.length;
    batch.tokens.clear();
    batch.tokens.reserve(size * batch.length);
    random::stream stream(key);
    for (std::size_t i = 0; i != size; ++i) {
      double left = stream.uniform() * total;
      std::size_t chosen = 0;
      while (chosen + 1 != parts.size() && left >= parts[chosen].weight) left -= parts[chosen++].weight;
      token_batch const& from = parts[chosen].sequences;
      auto const row = from.sequence(stream.below(from.sequences));
      batch.tokens.insert(batch.tokens.end(), row.begin(), row.end());
    }
  }

  /// About `size` different sequences, part by part: of each part of positive weight its share by weight, rounded so
  /// that the shares add up (largest remainders), at least one, at most all it has. Of a set that stands for the
  /// mixture the mean loss is then that of the mixture but for the choice within each part. Throws as sample does.
  token_batch stratified_sample(std::size_t size, random::key key) const {
    double const total = total_weight();
    std::vector<std::size_t> counts(parts.size()), order(parts.size());
    std::vector<double> remainder(parts.size());
    double left = 0;  // sequences that rounding down leaves out
    for (std::size_t i = 0; i != parts.size(); ++i) {
      double const share = static_cast<double>(size) * (parts[i].weight / total);
      double const whole = std::floor(share + 1e-9);  // a share that is a whole number but for rounding
      remainder[i] = share - whole;
      left += remainder[i];
      counts[i] = static_cast<std::size_t>(std::min(whole, static_cast<double>(parts[i].sequences.sequences)));
    }
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return remainder[a] > remainder[b]; });
    for (std::size_t i = 0; i != static_cast<std::size_t>(std::max(0., std::round(left))); ++i) ++counts[order[i]];
    token_batch batch{{}, 0, parts.front().sequences.length};
    for (std::size_t i = 0; i != parts.size(); ++i) {
      if (parts[i].weight == 0) continue;
      auto const own = sample_distinct_sequences(parts[i].sequences, std::max<std::size_t>(1, counts[i]),
                                                 random::fold_in(key, parts[i].name));
      batch.tokens.insert(batch.tokens.end(), own.tokens.begin(), own.tokens.end());
      batch.sequences += own.sequences;
    }
    return batch;
  }

 private:
  double total_weight() const {
    double total = 0;
    for (part const& p : parts) {
      require(p.sequences.sequences > 0, "domain '", p.name, "' has no sequences to draw from");
      require(p.sequences.length == parts.front().sequences.length, "domain '", p.name, "' has sequences of ",
              p.sequences.length, " tokens, '", parts.front().name, "' of ", parts.front().sequences.length);
      require(p.sequences.tokens.size() == p.sequences.sequences * p.sequences.length, "domain '", p.name, "' has ",
              p.sequences.tokens.size(), " tokens, must have ", p.sequences.sequences, " x ", p.sequences.length);
      require(std::isfinite(p.weight) && p.weight >= 0, "domain '", p.name, "' has weight ", p.weight,
              ", must be finite and not negative");
      total += p.weight;
    }
    require(total > 0, "a mixture of datasets needs at least one part of positive weight");
    return total;
  }
};

}  // namespace susc
