// The rows that a subscription starts with: read at one snapshot, handed out in batches as the client asks for them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "live/group.h"
#include "protocol/live_messages.h"
#include "query/sources.h"

namespace kalamdb::live {

// Not thread-safe: one subscription's. Blocks while rows are computed.
class SnapshotReader {
 public:
  // `services` must outlive it. The snapshot is taken here.
  SnapshotReader(const query::Services& services, query::Caller caller, std::shared_ptr<const GroupQuery> query,
                 const protocol::SubscribeOptions& options);

  // The last commit that the snapshot holds.
  Seq boundary() const { return snapshot_->seq(); }

  struct Batch {
    std::string rows_json;  // objects separated by commas
    protocol::BatchControl control;
  };
  // The batch behind `after` (nullopt: from the beginning). Asking for the batch that follows the last one is cheap;
  // any other place runs the query again. Errors: kCursorTooOld when it resumes from before deletions that are not
  // known any more.
  Result<Batch> next(std::optional<Seq> after);

  // What a client that resumes must forget, as tails of change messages: rows deleted since its cursor and rows that
  // have left the filter, in `_seq` order.
  struct Removal {
    Seq seq = 0;
    std::string tail;
  };
  Result<std::vector<Removal>> removals() const;

 private:
  Result<> check_cursor() const;
  Result<> start(Seq after, uint64_t newest);
  duck::QueryContext query_context() const;
  Result<> add_deleted(std::vector<Removal>& removals) const;
  Result<> add_filtered_out(std::vector<Removal>& removals) const;
  // Moves to the next row; false at the end.
  Result<bool> advance();
  Seq row_seq() const;
  void append_row(std::string& out) const;

  const query::Services& services_;
  query::StatementContext context_;
  std::shared_ptr<const GroupQuery> query_;
  ChangeEncoder encoder_;
  protocol::SubscribeOptions options_;
  hot::SnapshotPtr snapshot_;
  uint64_t batch_size_;
  std::unique_ptr<duck::QueryResult> result_;
  std::optional<protocol::RowObjectEncoder> rows_;
  size_t seq_column_ = 0;
  const duck::ResultBatch* batch_ = nullptr;
  size_t row_ = 0;
  bool at_row_ = false;      // a row is ready to be handed out
  std::optional<Seq> last_;  // of the rows handed out by the running query
  uint32_t batch_number_ = 0;
};

}  // namespace kalamdb::live
