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

// A batch that has as much is full, whatever the client asked for: what queues for a socket is bounded.
inline constexpr size_t kFullBatchBytes = 1 << 20;
// How many rows a batch has at most.
uint64_t batch_rows(const protocol::SubscribeOptions& options);

// Not thread-safe: one subscription's. Blocks while rows are computed.
class FirstRows {
 public:
  virtual ~FirstRows() = default;

  // The last commit that the rows hold.
  virtual Seq boundary() const = 0;

  struct Batch {
    // What a client that resumes must forget: rows deleted since its cursor and rows that have left the filter, in
    // `_seq` order, up to the last row of the batch. They go ahead of the rows: who has the batch has all up to its
    // last_seq_id.
    std::vector<ChangeTail> removals;
    std::string rows_json;  // objects separated by commas
    protocol::BatchControl control;
  };
  // The batch behind `after` (nullopt: from the beginning).
  virtual Result<Batch> next(std::optional<Seq> after) = 0;
};

// Rows as a subscriber sees them, in `_seq` order. Not thread-safe.
class SeqRows {
 public:
  virtual ~SeqRows() = default;
  // Moves to the first row, and then to the next one; false at the end.
  virtual Result<bool> next() = 0;
  virtual Seq seq() const = 0;
  // Appends the row as a JSON object.
  virtual Result<> append(std::string& out) const = 0;
};

class SnapshotReader final : public FirstRows {
 public:
  // `services` must outlive it. The snapshot is taken here.
  SnapshotReader(const query::Services& services, query::Caller caller, std::shared_ptr<const GroupQuery> query,
                 const protocol::SubscribeOptions& options);

  Seq boundary() const override { return snapshot_->seq(); }

  // Asking for the batch that follows the last one is cheap; any other place runs the query again. Errors:
  // kCursorTooOld when it resumes from before deletions that are not known any more.
  Result<Batch> next(std::optional<Seq> after) override;

  // Appends the same as changes, for a subscriber who has fallen behind: in `_seq` order, the rows as updates, since
  // older versions of them may be known. About `max_bytes` at a time; false when there are no more. Errors: those of
  // next().
  Result<bool> next_changes(std::vector<ChangeTail>& changes, size_t max_bytes);

 private:
  Result<> check_cursor() const;
  Result<> start(Seq after, uint64_t newest);
  Result<std::unique_ptr<SeqRows>> open_rows(Seq after, uint64_t newest) const;
  Result<> load_removals();
  Result<> add_deleted(std::vector<ChangeTail>& removals) const;
  Result<> add_filtered_out(std::vector<ChangeTail>& removals) const;
  // Appends the removals up to there that have not been handed out.
  void take_removals(Seq up_to, std::vector<ChangeTail>& out);

  const query::Services& services_;
  query::StatementContext context_;
  std::shared_ptr<const GroupQuery> query_;
  ChangeEncoder encoder_;
  protocol::SubscribeOptions options_;
  hot::SnapshotPtr snapshot_;
  uint64_t batch_size_;
  std::unique_ptr<SeqRows> rows_;
  bool at_row_ = false;      // a row is ready to be handed out
  std::optional<Seq> last_;  // of the rows handed out from rows_
  uint32_t batch_number_ = 0;
  std::vector<ChangeTail> removals_;  // of a client that resumes
  size_t next_removal_ = 0;
};

}  // namespace kalamdb::live
