#pragma once
// The mean of a correlated series with its standard error, computed apart from the library's.
#include <cmath>
#include <cstddef>
#include <vector>

/// Means of `batches` consecutive parts of `length` values: with parts much longer than the memory of the series, the
/// error follows Student's t with batches - 1 degrees of freedom, where 5 errors are a probability of about 1e-6.
class time_average {
 public:
  explicit time_average(std::size_t length, std::size_t batches = 200) : part_(length / batches), sums_(batches) {}

  void add(double x) {
    if (seen_ < part_ * sums_.size()) sums_[seen_ / part_] += x;
    ++seen_;
  }
  double value() const {
    double sum = 0;
    for (double const s : sums_) sum += s;
    return sum / static_cast<double>(sums_.size() * part_);
  }
  double error() const {
    double const mean = value(), count = static_cast<double>(sums_.size());
    double square = 0;
    for (double const s : sums_) square += std::pow(s / static_cast<double>(part_) - mean, 2);
    return std::sqrt(square / (count - 1) / count);
  }

 private:
  std::size_t part_, seen_ = 0;
  std::vector<double> sums_;
};
