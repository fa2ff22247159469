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

// The rows of a result in batches, those that are gone ahead of the first. Whatever the client says of where it is, it
// gets the one that follows.
class ResultReader final : public FirstRows {
 public:
  ResultReader(ResultStart start, const protocol::SubscribeOptions& options);

  Seq boundary() const override { return start_.snapshot->seq; }
  // Errors: kCursorTooOld when a client that resumes would need several batches.
  Result<Batch> next(std::optional<Seq> after) override;
  const ResultSnapshot& snapshot() const { return *start_.snapshot; }
  const std::vector<ResultRow>& rows() const { return start_.changed ? *start_.changed : snapshot().rows; }

 private:
  // Appends rows from next_ on, as many as go into a batch. Returns the one behind them.
  Result<size_t> append_rows(Batch& batch, Seq seq) const;

  const ResultStart start_;
  const uint64_t batch_size_;
  size_t next_ = 0;
  uint32_t batch_number_ = 0;
};

}  // namespace kalamdb::live
