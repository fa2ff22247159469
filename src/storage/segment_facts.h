// What a manifest says of a segment beyond its file, found by reading all of its rows.
#pragma once

#include <string>
#include <vector>

#include "cold/segment_users.h"
#include "duck/engine.h"
#include "model/column_stats.h"
#include "model/table.h"

namespace kalamdb::storage {

class SegmentFacts {
 public:
  // `table` must outlive it.
  explicit SegmentFacts(const model::TableDefinition& table);
  SegmentFacts(const SegmentFacts&) = delete;
  SegmentFacts& operator=(const SegmentFacts&) = delete;

  // Deleted rows too: what is known holds for every snapshot. Errors: kCorruption, also when it is out of order.
  Result<> add(const duck::SegmentRow& row);

  // Of segment_key().
  const std::vector<std::string>& keys() const { return keys_; }
  const cold::SegmentUsers& users() const { return users_; }
  // Ascending by slot, as cold::SegmentEntry has them.
  std::vector<model::ColumnStats> columns() const;
  // Of the keys, as RecordSpace::kFilter has it.
  std::string filter_record() const;

 private:
  const model::TableDefinition& table_;
  std::vector<const model::ColumnDefinition*> columns_;
  std::vector<model::ColumnStatsBuilder> builders_;
  std::vector<std::string> keys_;
  cold::SegmentUsers users_;
};

}  // namespace kalamdb::storage
