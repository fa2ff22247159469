// The two halves of a table at one snapshot, as duck::Engine reads them.
#pragma once

#include <memory>
#include <vector>

#include "duck/source.h"
#include "hot/store.h"
#include "storage/hot_row_counts.h"
#include "storage/segment_cache.h"

namespace kalamdb::storage {

class SnapshotScan final : public duck::TableScan {
 public:
  // Rows with `_seq` up to `expired_up_to` are hidden. `snapshot` keeps the segments' files; `store` and `counts` must
  // outlive it.
  SnapshotScan(const hot::Store& store, HotRowCounts& counts, model::TablePtr table, UserId user,
               hot::SnapshotPtr snapshot, std::vector<duck::Segment> segments, Seq expired_up_to)
      : store_(store),
        counts_(counts),
        table_(std::move(table)),
        user_(std::move(user)),
        snapshot_(std::move(snapshot)),
        segments_(std::move(segments)),
        expired_up_to_(expired_up_to) {}

  const model::TablePtr& table() const override { return table_; }
  std::unique_ptr<model::RowCursor> hot(const duck::KeyRange& range, bool with_tombstones) const override;
  std::optional<uint64_t> known_hot_rows() const override;
  void learn_hot_rows(uint64_t rows) const override;
  uint64_t hot_row_estimate() const override { return store_.estimate_rows(table_->id, &user_); }
  const std::vector<duck::Segment>& segments() const override { return segments_; }

 private:
  const hot::Store& store_;
  HotRowCounts& counts_;
  model::TablePtr table_;
  UserId user_;
  hot::SnapshotPtr snapshot_;
  std::vector<duck::Segment> segments_;
  Seq expired_up_to_;
};

}  // namespace kalamdb::storage
