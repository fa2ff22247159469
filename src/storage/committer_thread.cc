#include "storage/committer_thread.h"

#include <future>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "storage/segments_change.h"

namespace kalamdb::storage {
namespace {

// Bounds on one group, so that its first commit does not wait long for its last. A larger single commit goes alone.
constexpr size_t kMaxGroupBytes = 4 << 20;
constexpr size_t kMaxGroupCommits = 4096;

std::unexpected<Error> stopped() { return fail(ErrorCode::kUnavailable, "The server is shutting down"); }

}  // namespace

Result<std::unique_ptr<CommitterThread>> CommitterThread::start(hot::Store& store, SegmentCache& segments,
                                                                HotRowCounts& hot_row_counts,
                                                                const platform::Clock& clock, Durability durability,
                                                                uint16_t node_number, RoomCheck room) {
  std::unique_ptr<CommitterThread> committer(
      new CommitterThread(store, segments, hot_row_counts, clock, durability, node_number, std::move(room)));
  KALAM_CHECK(committer->load_tables());
  committer->thread_ = std::thread([raw = committer.get()] { raw->run(); });
  return committer;
}

CommitterThread::CommitterThread(hot::Store& store, SegmentCache& segments, HotRowCounts& hot_row_counts,
                                 const platform::Clock& clock, Durability durability, uint16_t node_number,
                                 RoomCheck room)
    : store_(store),
      segments_(segments),
      hot_row_counts_(hot_row_counts),
      clock_(clock),
      durability_(durability),
      find_room_(std::move(room)),
      seqs_(clock, node_number, store.last_seq()),
      row_counts_(store, segments) {}

Result<> CommitterThread::load_tables() {
  Result<> outcome;
  KALAM_CHECK(store_.scan_records(hot::RecordSpace::kTable, "", nullptr, [&](std::string_view, std::string_view json) {
    auto table = model::decode_table(json);
    if (!table) {
      outcome = fail(std::move(table).error());
      return false;
    }
    tables_.emplace(table->id, LiveTable{.schema_version = table->schema_version});
    return true;
  }));
  return outcome;
}

void CommitterThread::add_listener(ChangeListener listener) { listeners_.push_back(std::move(listener)); }

void CommitterThread::add_early_listener(ChangeListener listener) { early_listeners_.push_back(std::move(listener)); }

void CommitterThread::submit(CommitRequest request, CommitCallback done) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      queue_.push_back({std::move(request), std::move(done)});
      wake = std::exchange(waiting_, false);
    }
  }
  if (done) {  // not queued
    done(stopped());
  } else if (wake) {
    queued_.notify_one();
  }
}

Result<ChangeSetPtr> CommitterThread::commit(CommitRequest request) {
  KALAM_ASSERT(std::this_thread::get_id() != thread_.get_id());  // it would wait for itself
  auto answer = std::make_shared<std::promise<Result<ChangeSetPtr>>>();
  auto outcome = answer->get_future();
  submit(std::move(request), [answer](Result<ChangeSetPtr> result) { answer->set_value(std::move(result)); });
  return outcome.get();
}

void CommitterThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  queued_.notify_one();
  if (thread_.joinable()) thread_.join();
}

bool CommitterThread::take_queued() {
  std::unique_lock lock(mutex_);
  if (pending_.empty()) {
    while (queue_.empty() && !stopping_) {
      waiting_ = true;
      queued_.wait(lock);
    }
    waiting_ = false;
  }
  for (Queued& queued : queue_) pending_.push_back(std::move(queued));
  queue_.clear();
  return !pending_.empty();
}

void CommitterThread::run() {
  while (take_queued()) commit_group();
}

void CommitterThread::commit_group() {
  CommitGroup group({store_, segments_, clock_, seqs_, tables_, row_counts_, room()});
  std::vector<Outcome> outcomes;
  bool alone = false;
  while (!pending_.empty() && !alone && outcomes.size() < kMaxGroupCommits && group.size_bytes() < kMaxGroupBytes) {
    alone = goes_alone(pending_.front().request);
    if (alone && !outcomes.empty()) break;
    Queued queued = std::move(pending_.front());
    pending_.pop_front();
    const Seq before = group.last_seq();
    auto emptied = queued.request.erase_tables;
    std::optional<TableId> moved, uncounted;
    if (const auto& change = queued.request.segments_change; change != nullptr) {
      moved = change->table();
      if (change->changes_row_counts()) uncounted = moved;
    }
    auto added = group.add(std::move(queued.request));
    const bool changed = added && group.last_seq() != before;
    outcomes.push_back({std::move(queued.done), std::move(added), changed, std::move(emptied), moved, uncounted});
  }
  std::vector<ChangeSetPtr> changes;
  if (group.has_writes()) {
    const bool sync = group.always_syncs() || (durability_ == Durability::kFsync && group.needs_sync());
    if (auto written = group.write(sync ? hot::Sync::kYes : hot::Sync::kNo); !written) {
      // What failed may have failed because of something that is not there after all.
      for (Outcome& outcome : outcomes) outcome.result = fail(written.error());
      row_counts_.clear();
    } else {
      changes.reserve(outcomes.size());
      for (const Outcome& outcome : outcomes) {
        if (outcome.result && outcome.changed) changes.push_back(*outcome.result);
      }
      count_hot_rows(outcomes, changes, group.last_seq());
    }
  }
  note_tables(outcomes);
  answer(outcomes, changes);
}

const Result<>& CommitterThread::room() {
  const auto now = std::chrono::steady_clock::now();
  if (now - room_found_at_ < std::chrono::milliseconds(10)) return room_;
  room_found_at_ = now;
  const bool was_full = !room_;
  room_ = find_room_();
  if (!room_) {
    if (!was_full) log::error("committer: no more rows are accepted: {}", room_.error().message);
    room_ =
        fail(ErrorCode::kUnavailable,
             "The disk is full: less than storage.min_free_bytes is free; nothing was written. Make room, or delete "
             "rows and VACUUM");
  } else if (was_full) {
    log::info("committer: there is room again, rows are accepted");
  }
  return room_;
}

void CommitterThread::note_tables(const std::vector<Outcome>& outcomes) {
  row_counts_.trim();
  for (const Outcome& outcome : outcomes) {
    if (!outcome.result) continue;
    const ChangeSet& done = **outcome.result;
    for (const auto& change : done.table_changes) {
      row_counts_.forget(change.table);  // it may not be kept up to date while the table has no bound
      if (change.schema_version == 0) {
        tables_.erase(change.table);
      } else {
        tables_[change.table].schema_version = change.schema_version;
      }
    }
    if (outcome.uncounted) row_counts_.forget(*outcome.uncounted);
    for (const TableId table : outcome.emptied) {
      row_counts_.forget(table);
      if (const auto live = tables_.find(table); live != tables_.end()) live->second.emptied_at = done.commit_seq;
    }
  }
}

void CommitterThread::count_hot_rows(const std::vector<Outcome>& outcomes, const std::vector<ChangeSetPtr>& changes,
                                     Seq last_seq) {
  std::vector<TableId> uncounted;
  for (const Outcome& outcome : outcomes) {
    if (!outcome.result) continue;
    for (const auto& change : (*outcome.result)->table_changes) uncounted.push_back(change.table);
    uncounted.insert(uncounted.end(), outcome.emptied.begin(), outcome.emptied.end());
    if (outcome.moved) uncounted.push_back(*outcome.moved);
  }
  hot_row_counts_.apply(changes, uncounted, last_seq);
}

void CommitterThread::answer(std::vector<Outcome>& outcomes, const std::vector<ChangeSetPtr>& changes) const {
  const auto tell = [&](const std::vector<ChangeListener>& listeners) {
    for (const ChangeSetPtr& change : changes) {
      for (const ChangeListener& listener : listeners) listener(change);
    }
  };
  tell(early_listeners_);
  for (Outcome& outcome : outcomes) outcome.done(std::move(outcome.result));
  tell(listeners_);
}

}  // namespace kalamdb::storage
