// A table as a transaction sees it: the snapshot with the transaction's own rows laid over it.
#pragma once

#include <memory>
#include <vector>

#include "duck/source.h"
#include "storage/transaction.h"

namespace kalamdb::storage {

class TransactionScan final : public duck::TableScan {
 public:
  // `own` must outlive it and not change while it lives.
  TransactionScan(std::shared_ptr<const duck::TableScan> base, const OwnRows& own);

  const model::TablePtr& table() const override { return base_->table(); }
  std::unique_ptr<model::RowCursor> hot(const duck::KeyRange& range, bool with_tombstones) const override;
  uint64_t hot_row_estimate() const override { return base_->hot_row_estimate() + own_.rows.size(); }
  const std::vector<duck::Segment>& segments() const override { return segments_; }

 private:
  std::shared_ptr<const duck::TableScan> base_;
  const OwnRows& own_;
  std::vector<duck::Segment> segments_;  // without the rows that the own ones replace
};

}  // namespace kalamdb::storage
