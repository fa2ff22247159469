// The committer as a thread of its own beside the hot store.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "platform/clock.h"
#include "platform/id_generator.h"
#include "storage/commit_group.h"
#include "storage/committer.h"
#include "storage/hot_row_counts.h"

namespace kalamdb::storage {

class CommitterThread final : public Committer {
 public:
  // Whether there is room for more rows.
  using RoomCheck = std::function<Result<>()>;

  // Reads the live tables from the hot store and starts the thread. The references must outlive it.
  // Errors: kCorruption, kIo.
  static Result<std::unique_ptr<CommitterThread>> start(hot::Store& store, SegmentCache& segments,
                                                        HotRowCounts& hot_row_counts, const platform::Clock& clock,
                                                        Durability durability, uint16_t node_number, RoomCheck room);
  ~CommitterThread() override { stop(); }

  void submit(CommitRequest request, CommitCallback done) override;
  Result<ChangeSetPtr> commit(CommitRequest request) override;

  // Both before the first commit. An early listener is called before the commit is answered, so that whoever has the
  // answer finds the change counted.
  void add_listener(ChangeListener listener);
  void add_early_listener(ChangeListener listener);
  // After what has queued. Later commits fail with kUnavailable. May be called again.
  void stop();

 private:
  struct Queued {
    CommitRequest request;
    CommitCallback done;
  };
  struct Outcome {
    CommitCallback done;
    Result<ChangeSetPtr> result;
    bool changed = false;
    std::vector<TableId> emptied;
    std::optional<TableId> moved;      // whose rows have moved between the hot store and segments, or are gone
    std::optional<TableId> uncounted;  // of which it is not known how many rows there are any more
  };

  CommitterThread(hot::Store& store, SegmentCache& segments, HotRowCounts& hot_row_counts, const platform::Clock& clock,
                  Durability durability, uint16_t node_number, RoomCheck room);
  Result<> load_tables();
  void run();
  // Moves what has queued to `pending_`; waits while there is nothing. False when stopped with nothing left.
  bool take_queued();
  void commit_group();
  // Asks for it again after some milliseconds only.
  const Result<>& room();
  void note_tables(const std::vector<Outcome>& outcomes);
  // `changes` are those of `outcomes` that changed something.
  void count_hot_rows(const std::vector<Outcome>& outcomes, const std::vector<ChangeSetPtr>& changes, Seq last_seq);
  void answer(std::vector<Outcome>& outcomes, const std::vector<ChangeSetPtr>& changes) const;

  hot::Store& store_;
  SegmentCache& segments_;
  HotRowCounts& hot_row_counts_;
  const platform::Clock& clock_;
  const Durability durability_;
  const RoomCheck find_room_;
  platform::SnowflakeGenerator seqs_;
  std::vector<ChangeListener> early_listeners_;
  std::vector<ChangeListener> listeners_;

  std::mutex mutex_;
  std::condition_variable queued_;
  std::vector<Queued> queue_;
  bool waiting_ = false;
  bool stopping_ = false;

  // Of the thread.
  std::deque<Queued> pending_;
  LiveTables tables_;
  RowCounts row_counts_;
  Result<> room_;
  std::chrono::steady_clock::time_point room_found_at_;

  std::thread thread_;
};

}  // namespace kalamdb::storage
