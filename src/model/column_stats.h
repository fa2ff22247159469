// What the values of one column in one segment lie between, for leaving segments out of a scan.
#pragma once

#include <cstdint>
#include <string>

#include "model/table.h"

namespace kalamdb::model {

// Bounds are encoded by model/key_codec.h, and both empty where they are not known or all values are NULL; they may be
// wider than the values. NaN is the greatest number.
struct ColumnStats {
  uint32_t slot = 0;
  uint64_t null_count = 0;
  std::string min;
  std::string max;

  bool operator==(const ColumnStats&) const = default;
};

// Collects them, value by value.
class ColumnStatsBuilder {
 public:
  // `column` must outlive it.
  explicit ColumnStatsBuilder(const ColumnDefinition& column) : column_(column), bounded_(can_be_bounded(column)) {}

  // A value of the column's type, or NULL.
  void add(const ValueView& value);
  // Long texts and bytes are cut, and the upper bound is then the least text that is greater than all that begin so.
  ColumnStats finish() const;

 private:
  static bool can_be_bounded(const ColumnDefinition& column);

  const ColumnDefinition& column_;
  bool bounded_;
  uint64_t null_count_ = 0;
  Value min_;  // NULL until there is a value
  Value max_;
};

}  // namespace kalamdb::model
