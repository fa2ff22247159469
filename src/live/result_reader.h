// How a subscription of a query that has a result begins.
#pragma once

#include <memory>

#include "live/result_group.h"
#include "live/snapshot.h"

namespace kalamdb::live {

// Reads the result of a query, with the table as it is now defined. Blocks. Errors: kTableNotFound, those of the query,
// kResultTooLarge.
Result<LoadedResult> load_result(const query::Services& services, const query::Caller& caller, GroupQuery query,
                                 size_t max_bytes);

// The rows of a result in batches. Whatever the client says of where it is, it gets the one that follows.
class ResultReader final : public FirstRows {
 public:
  ResultReader(ResultSnapshotPtr snapshot, const protocol::SubscribeOptions& options);

  Seq boundary() const override { return snapshot_->seq; }
  Result<Batch> next(std::optional<Seq> after) override;
  const ResultSnapshot& snapshot() const { return *snapshot_; }

 private:
  const ResultSnapshotPtr snapshot_;
  const uint64_t batch_size_;
  size_t next_ = 0;
  uint32_t batch_number_ = 0;
};

}  // namespace kalamdb::live
