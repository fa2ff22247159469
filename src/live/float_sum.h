// A sum of floating-point numbers of which any may be taken out again.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

namespace kalamdb::live {

// Compensated summation (A. Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", 1974),
// so that what a large number has pushed out of the sum is still there when it goes. NaN and the infinities are counted
// beside it.
class FloatSum {
 public:
  void add(double value) { count(value, 1); }
  // A value that was added before.
  void remove(double value) { count(value, -1); }

  double value() const {
    if (nans_ > 0 || (positive_infinities_ > 0 && negative_infinities_ > 0)) {
      return std::numeric_limits<double>::quiet_NaN();
    }
    if (positive_infinities_ > 0) return std::numeric_limits<double>::infinity();
    if (negative_infinities_ > 0) return -std::numeric_limits<double>::infinity();
    return sum_ + compensation_;
  }

  // False once finite numbers have added up to more than a double holds: it must be made anew.
  bool is_usable() const { return std::isfinite(sum_) && std::isfinite(compensation_); }

 private:
  void count(double value, int64_t times) {
    if (std::isnan(value)) {
      nans_ += times;
    } else if (std::isinf(value)) {
      (value > 0 ? positive_infinities_ : negative_infinities_) += times;
    } else {
      add_finite(times > 0 ? value : -value);
    }
  }

  void add_finite(double value) {
    const double sum = sum_ + value;
    compensation_ += std::abs(sum_) >= std::abs(value) ? (sum_ - sum) + value : (value - sum) + sum_;
    sum_ = sum;
  }

  double sum_ = 0;
  double compensation_ = 0;
  int64_t nans_ = 0;
  int64_t positive_infinities_ = 0;
  int64_t negative_infinities_ = 0;
};

}  // namespace kalamdb::live
