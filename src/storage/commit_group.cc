#include "storage/commit_group.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/assert.h"
#include "cold/deletion_vector.h"
#include "hot/keys.h"
#include "storage/key_errors.h"
#include "storage/retention.h"
#include "storage/segments_change.h"
#include "storage/ttl.h"

namespace kalamdb::storage {
namespace {

std::unexpected<Error> row_conflict() {
  return fail(ErrorCode::kConflict, "The row was changed by a concurrent request; run the statement again");
}

bool is_stream(const RowWrite& write) { return write.table->type == model::TableType::kStream; }

}  // namespace

bool goes_alone(const CommitRequest& request) {
  return !request.table_changes.empty() || !request.erase_tables.empty() || request.segments_change != nullptr;
}

CommitGroup::CommitGroup(const CommitContext& context) : context_(context), batch_(context.store.new_batch()) {}

Result<std::shared_ptr<ChangeSet>> CommitGroup::add(CommitRequest request) {
  ++request_;
  if (request.seq_floor > 0) context_.seqs.raise_floor(request.seq_floor);
  rows_before_.clear();
  records_before_.clear();
  pending_marks_.clear();
  count_changes_.clear();
  auto done = std::make_shared<ChangeSet>();
  batch_->mark();
  if (auto filled = validate_and_fill(request, *done); !filled) {
    roll_back();
    return fail(std::move(filled).error());
  }
  batch_->release();

  const bool writes_more = !request.records.empty() || !request.tombstones.empty() || goes_alone(request);
  if (!done->rows.empty()) {
    done->commit_seq = done->rows.back().seq;
  } else {
    done->commit_seq = writes_more ? context_.seqs.next() : std::max(last_seq_, context_.store.last_seq());
  }
  if (done->rows.empty() && !writes_more) return done;
  last_seq_ = done->commit_seq;
  // No row has the `_seq` behind that of a commit: see live/result_group.h.
  context_.seqs.next();
  always_syncs_ = always_syncs_ || request.always_sync;
  needs_sync_ = needs_sync_ || writes_more || std::ranges::any_of(done->rows, [](const RowChange& change) {
                  return change.table->type != model::TableType::kStream;
                });
  for (const PendingMark& mark : pending_marks_) {
    Marked& marked = marked_.at(mark.record_key);
    if (marked.changed == nullptr) {
      marked.changed = marked.base ? std::make_shared<PositionSet>(*marked.base) : std::make_shared<PositionSet>();
    }
    marked.changed->add(mark.positions);
    marked.seq = last_seq_;
  }
  done->table_changes = std::move(request.table_changes);
  return done;
}

Result<> CommitGroup::write(hot::Sync sync) {
  for (auto& [key, marked] : marked_) {
    if (marked.changed == nullptr) continue;
    batch_->put_record(hot::RecordSpace::kDeletions, key, cold::encode_deletions(marked.seq, *marked.changed));
  }
  KALAM_CHECK(context_.store.write(*batch_, last_seq_, sync));
  for (auto& [key, marked] : marked_) {
    if (marked.changed != nullptr) context_.segments.put_deletions(key, marked.seq, marked.changed);
  }
  return {};
}

Result<> CommitGroup::validate_and_fill(CommitRequest& request, ChangeSet& done) {
  KALAM_CHECK(check_segments(request));
  if (request.validate) {
    KALAM_ASSERT(goes_alone(request));
    KALAM_CHECK(request.validate());
  }
  // Tables first, so that a commit may put rows or records in what it has emptied.
  for (const TableId table : request.erase_tables) batch_->erase_table(table);
  done.rows.reserve(request.rows.size());
  for (uint32_t i = 0; i < request.rows.size(); ++i) {
    KALAM_TRY(const bool written, add_row(request.rows[i], done));
    if (!written) done.ignored_rows.push_back(i);
  }
  KALAM_CHECK(check_row_counts());
  KALAM_CHECK(note_forgotten(done));
  for (const RestoredTombstone& row : request.tombstones) {
    batch_->put_row(row.table, row.user, row.key, row.seq, /*deleted=*/true, row.row, /*replaced=*/0);
  }
  for (RecordWrite& write : request.records) KALAM_CHECK(add_record(write, done));
  for (const SegmentMark& mark : request.marks) {
    std::string record_key = segment_record_key(mark.scope, mark.segment_id);
    KALAM_CHECK(find_marked(mark.scope, mark.segment_id, record_key));
    pending_marks_.push_back({std::move(record_key), mark.positions});
  }
  if (request.segments_change != nullptr) {
    const SegmentsChange& change = *request.segments_change;
    const auto live = context_.tables.find(change.table());
    if (live == context_.tables.end() || live->second.schema_version != change.schema_version() ||
        live->second.emptied_at > change.snapshot_seq()) {
      return fail(ErrorCode::kConflict, "The table was altered, emptied or dropped meanwhile; run it again");
    }
    KALAM_CHECK(request.segments_change->apply(context_.store, *batch_));
  }
  return {};
}

Result<> CommitGroup::check_segments(const CommitRequest& request) {
  for (const SegmentsRead& read : request.segments_read) {
    std::string scope = segment_scope(*read.table, read.user).key;
    auto known = segments_versions_.find(scope);
    if (known == segments_versions_.end()) {
      KALAM_TRY(const uint64_t version, context_.segments.segments_version(scope, nullptr));
      known = segments_versions_.emplace(std::move(scope), version).first;
    }
    if (known->second != read.segments_version) {
      return fail(ErrorCode::kConflict, "The table was flushed meanwhile; run the statement again");
    }
  }
  return {};
}

Result<> CommitGroup::check_schema(const model::TablePtr& table) const {
  const auto live = context_.tables.find(table->id);
  if (live == context_.tables.end() || live->second.schema_version != table->schema_version) {
    return fail(ErrorCode::kConflict,
                "Table " + table->qualified_name() + " was altered or dropped meanwhile; run the statement again");
  }
  return {};
}

Result<bool> CommitGroup::add_row(RowWrite& write, ChangeSet& done) {
  KALAM_CHECK(check_schema(write.table));
  std::string full_key = hot::row_key(write.table->id, write.user, write.key);
  KALAM_TRY(Current current, read_current(write, full_key));
  switch (write.kind) {
    case WriteKind::kInsert:
    case WriteKind::kInsertOrIgnore:
    case WriteKind::kInsertAbsent:
      return insert_row(write, std::move(full_key), current, done);
    case WriteKind::kUpdate:
    case WriteKind::kDelete:
      KALAM_CHECK(change_row(write, std::move(full_key), current, done));
      return true;
  }
  KALAM_ASSERT(false);
}

Result<bool> CommitGroup::insert_row(RowWrite& write, std::string full_key, const Current& current, ChangeSet& done) {
  if (current.live) {
    if (write.kind == WriteKind::kInsertOrIgnore) return false;
    if (write.kind == WriteKind::kInsertAbsent) return row_conflict();
    return fail(current.by_this_request ? repeated_key(*write.table, write.key)
                                        : key_taken(*write.table, write.key, "hot storage"));
  }
  KALAM_CHECK(context_.room);
  KALAM_CHECK(count_row(write, 1));
  const Seq seq = context_.seqs.next();
  batch_->put_row(write.table->id, write.user, write.key, seq, false, write.row, current.seq);
  remember(std::move(full_key), {.seq = seq, .present = true, .deleted = false, .request = request_});
  done.rows.push_back({.table = std::move(write.table),
                       .user = std::move(write.user),
                       .kind = ChangeKind::kInsert,
                       .seq = seq,
                       .key = std::move(write.key),
                       .row = std::move(write.row)});
  return true;
}

Result<> CommitGroup::change_row(RowWrite& write, std::string full_key, Current& current, ChangeSet& done) {
  const bool is_update = write.kind == WriteKind::kUpdate;
  if (is_update) KALAM_CHECK(context_.room);
  if (write.cold) {
    // A live cold row has nothing hot under its key: what is there came after the caller read.
    if (current.seq != 0) return row_conflict();
    KALAM_CHECK(mark_deleted(write));
  } else {
    if (!current.live || current.by_this_group || current.seq != write.read_seq) return row_conflict();
    write.old_row = std::move(current.row);
  }
  if (!is_update) KALAM_CHECK(count_row(write, -1));
  const Seq seq = context_.seqs.next();
  const bool erase = !is_update && is_stream(write);
  if (erase) {
    batch_->erase_row(write.table->id, write.user, write.key, current.seq);
  } else {
    batch_->put_row(write.table->id, write.user, write.key, seq, !is_update, is_update ? write.row : write.old_row,
                    current.seq);
  }
  remember(std::move(full_key), {.seq = seq, .present = !erase, .deleted = !is_update, .request = request_});
  done.rows.push_back({.table = std::move(write.table),
                       .user = std::move(write.user),
                       .kind = is_update ? ChangeKind::kUpdate : ChangeKind::kDelete,
                       .old_is_cold = write.cold.has_value(),
                       .seq = seq,
                       .old_seq = write.read_seq,
                       .key = std::move(write.key),
                       .row = is_update ? std::move(write.row) : std::string(),
                       .old_row = std::move(write.old_row)});
  return {};
}

Result<CommitGroup::Current> CommitGroup::read_current(const RowWrite& write, const std::string& full_key) {
  Current current;
  if (const auto written = rows_.find(full_key); written != rows_.end()) {
    current.by_this_group = true;
    current.by_this_request = written->second.request == request_;
    if (written->second.present) {
      current.seq = written->second.seq;
      current.live = !written->second.deleted;
    }
    return current;
  }
  KALAM_TRY(auto stored, context_.store.get(write.table->id, write.user, write.key, nullptr));
  if (stored) {
    current.seq = stored->seq;
    current.live = !stored->deleted && !is_expired(*write.table, stored->seq, context_.clock.now_us());
    current.row = std::move(stored->row);
  }
  return current;
}

Result<> CommitGroup::mark_deleted(const RowWrite& write) {
  const std::string scope = segment_scope(*write.table, write.user).key;
  std::string record_key = segment_record_key(scope, write.cold->segment_id);
  KALAM_TRY(Marked* const marked, find_marked(scope, write.cold->segment_id, record_key));
  const PositionSet* deleted = marked->changed ? marked->changed.get() : marked->base.get();
  if (deleted != nullptr && deleted->contains(write.cold->position)) return row_conflict();
  pending_marks_.push_back({std::move(record_key), {write.cold->position, write.cold->position + 1}});
  return {};
}

Result<CommitGroup::Marked*> CommitGroup::find_marked(const std::string& scope, uint64_t segment_id,
                                                      const std::string& record_key) {
  if (const auto known = marked_.find(record_key); known != marked_.end()) return &known->second;
  KALAM_TRY(const auto manifest, context_.segments.manifest(scope, nullptr));
  if (manifest == nullptr || manifest->find(segment_id) == nullptr) {
    return fail(ErrorCode::kConflict, "A segment was removed meanwhile; run the statement again");
  }
  KALAM_TRY(auto base, context_.segments.deletions(scope, segment_id, nullptr));
  return &marked_.emplace(record_key, Marked{.base = std::move(base)}).first->second;
}

Result<> CommitGroup::add_record(RecordWrite& write, ChangeSet& done) {
  std::string key = hot::record_key(write.space, write.key);
  const auto written = records_.find(key);
  std::optional<std::string> current;
  if (written != records_.end()) {
    current = written->second;
  } else if (write.expected || is_shown(write.space)) {
    KALAM_TRY(current, context_.store.get_record(write.space, write.key, nullptr));
  }
  if (write.expected && current.value_or("") != *write.expected) {
    return fail(ErrorCode::kConflict, "The record was changed by a concurrent request; run it again");
  }
  if (is_shown(write.space)) done.records.push_back({write.space, write.key, std::move(current), write.value});
  if (write.value) {
    batch_->put_record(write.space, write.key, *write.value);
  } else {
    batch_->erase_record(write.space, write.key);
  }
  std::optional<std::optional<std::string>> before;
  if (written != records_.end()) before = written->second;
  records_before_.emplace_back(key, std::move(before));
  records_.insert_or_assign(std::move(key), std::move(write.value));
  return {};
}

Result<> CommitGroup::count_row(const RowWrite& write, int change) {
  if (write.table->options.max_rows_per_user == 0) return {};
  auto known = std::ranges::find_if(count_changes_, [&](const CountChange& counted) {
    return counted.table->id == write.table->id && counted.user == write.user;
  });
  if (known == count_changes_.end()) {
    KALAM_TRY(int64_t* const count, context_.row_counts.of(*write.table, write.user));
    known = count_changes_.insert(known, {.table = write.table, .user = write.user, .count = count});
  }
  known->change += change;
  *known->count += change;
  return {};
}

// A deleted STREAM row leaves nothing by which a subscriber that resumes could be told of it.
Result<> CommitGroup::note_forgotten(const ChangeSet& done) {
  std::map<std::string, Seq> scopes;
  for (const RowChange& change : done.rows) {
    if (change.kind != ChangeKind::kDelete || change.table->type != model::TableType::kStream) continue;
    scopes[hot::scope_prefix(change.table->id, change.user)] = change.seq;
  }
  for (const auto& [scope, seq] : scopes) {
    KALAM_CHECK(put_removed_tombstones(context_.store, scope, seq, *batch_));
  }
  return {};
}

Result<> CommitGroup::check_row_counts() const {
  for (const CountChange& counted : count_changes_) {
    const uint64_t most = counted.table->options.max_rows_per_user;
    if (counted.change <= 0 || static_cast<uint64_t>(*counted.count) <= most) continue;
    return fail(ErrorCode::kConstraintViolation, "User '" + counted.user.value + "' would have " +
                                                     std::to_string(*counted.count) + " rows in table " +
                                                     counted.table->qualified_name() + ", where MAX_ROWS_PER_USER is " +
                                                     std::to_string(most) + "; delete some first");
  }
  return {};
}

void CommitGroup::remember(std::string full_key, const Written& written) {
  const auto [entry, added] = rows_.try_emplace(std::move(full_key), written);
  std::optional<Written> before;
  if (!added) before = std::exchange(entry->second, written);
  rows_before_.emplace_back(entry->first, before);
}

void CommitGroup::roll_back() {
  batch_->roll_back();
  for (const CountChange& counted : count_changes_) *counted.count -= counted.change;
  // Backwards, so that of several writes of one key the state before the first remains.
  for (; !rows_before_.empty(); rows_before_.pop_back()) {
    auto& [key, before] = rows_before_.back();
    if (before) {
      rows_[key] = *before;
    } else {
      rows_.erase(key);
    }
  }
  for (; !records_before_.empty(); records_before_.pop_back()) {
    auto& [key, before] = records_before_.back();
    if (before) {
      records_[key] = std::move(*before);
    } else {
      records_.erase(key);
    }
  }
}

}  // namespace kalamdb::storage
