#include "storage/transaction.h"

#include <algorithm>
#include <utility>

#include "storage/key_errors.h"
#include "storage/transaction_scan.h"

namespace kalamdb::storage {
namespace {

// Rows that move (a flush, say) between a look at them and the commit are looked for again, this many times.
constexpr int kMaxAttempts = 5;

// What a row costs beside its bytes.
constexpr uint64_t kRowOverheadBytes = 256;

std::unexpected<Error> lost() {
  return fail(
      ErrorCode::kConflict,
      "A row that the transaction changes was changed by a concurrent request; run the whole transaction again");
}

}  // namespace

Transaction::Transaction(Storage& storage)
    : storage_(storage), snapshot_(storage.hot().snapshot()), last_seq_(snapshot_->seq()) {}

const OwnRows* Transaction::find_scope(const model::TablePtr& table, const UserId& user) const {
  const auto found = scopes_.find({table->id, user});
  return found == scopes_.end() ? nullptr : &found->second;
}

Result<std::optional<FoundRow>> Transaction::find(const model::TablePtr& table, const UserId& user,
                                                  std::string_view key) {
  if (const OwnRows* own = find_scope(table, user)) {
    if (const auto row = own->rows.find(key); row != own->rows.end()) {
      if (!row->second.live) return std::nullopt;
      return FoundRow{.seq = row->second.seq, .row = row->second.row};
    }
  }
  return storage_.find(table, user, key, snapshot_);
}

Result<std::vector<std::optional<FoundRow>>> Transaction::find_all(const model::TablePtr& table, const UserId& user,
                                                                   std::span<const std::string> keys) {
  KALAM_TRY(auto found, storage_.find_all(table, user, keys, snapshot_));
  const OwnRows* own = find_scope(table, user);
  for (size_t i = 0; own != nullptr && i < keys.size(); ++i) {
    const auto row = own->rows.find(keys[i]);
    if (row == own->rows.end()) continue;
    found[i].reset();
    if (row->second.live) found[i] = FoundRow{.seq = row->second.seq, .row = row->second.row};
  }
  return found;
}

Result<std::shared_ptr<const duck::TableScan>> Transaction::scan(const model::TablePtr& table, const UserId& user) {
  KALAM_TRY(auto base, storage_.scan(table, user, snapshot_));
  const OwnRows* own = find_scope(table, user);
  if (own == nullptr) return base;
  return std::make_shared<const TransactionScan>(std::move(base), *own);
}

Result<Storage::ColdKeys> Transaction::cold_keys(const model::TablePtr& table, const UserId& user,
                                                 std::span<const std::string> keys) {
  KALAM_TRY(Storage::ColdKeys cold, storage_.cold_keys(table, user, keys, snapshot_));
  if (const OwnRows* own = find_scope(table, user)) {
    std::erase_if(cold.taken, [&](const auto& taken) { return own->rows.contains(taken.key); });
  }
  return cold;
}

Result<ChangeSetPtr> Transaction::apply(CommitRequest request) {
  auto done = std::make_shared<ChangeSet>();
  const Seq before = last_seq_;
  done->rows.reserve(request.rows.size());
  for (uint32_t i = 0; i < request.rows.size(); ++i) {
    KALAM_TRY(const bool written, add(request.rows[i], before, *done));
    if (!written) done->ignored_rows.push_back(i);
  }
  done->commit_seq = last_seq_;
  return done;
}

Result<OwnRows*> Transaction::open_scope(const RowWrite& write) {
  if (write.table->type == model::TableType::kStream) {
    return fail(ErrorCode::kInvalidOperation, "stream tables are not supported inside explicit transactions");
  }
  const auto [entry, added] = scopes_.try_emplace({write.table->id, write.user});
  OwnRows& own = entry->second;
  if (added) {
    own.table = write.table;
    own.user = write.user;
  }
  if (own.table->schema_version != write.table->schema_version) {
    return fail(ErrorCode::kConflict, "Table " + write.table->qualified_name() +
                                          " was altered while the transaction ran; run the whole transaction again");
  }
  return &own;
}

Result<OwnRow> Transaction::base_of(const RowWrite& write) const {
  OwnRow row;
  const bool is_change = write.kind == WriteKind::kUpdate || write.kind == WriteKind::kDelete;
  if (is_change && write.cold) {
    row.base_cold = write.cold;
    row.base_seq = write.read_seq;
    row.base_row = write.old_row;
  } else {
    KALAM_TRY(auto stored, storage_.hot().get(write.table->id, write.user, write.key, snapshot_));
    if (stored && !stored->deleted) {
      row.base_seq = stored->seq;
      row.base_row = std::move(stored->row);
    }
    if (is_change && row.base_seq != write.read_seq) return lost();
  }
  row.live = row.base_seq != 0;
  row.seq = row.base_seq;
  row.row = row.base_row;
  return row;
}

Result<bool> Transaction::add(RowWrite& write, Seq first_seq, ChangeSet& done) {
  KALAM_TRY(OwnRows* const scope, open_scope(write));
  auto entry = scope->rows.find(write.key);
  if (entry == scope->rows.end()) {
    KALAM_TRY(OwnRow base, base_of(write));
    bytes_ += kRowOverheadBytes + write.key.size() + base.base_row.size() + base.row.size();
    entry = scope->rows.emplace(write.key, std::move(base)).first;
    const OwnRow& row = entry->second;
    if (row.base_cold) scope->replaced[row.base_cold->segment_id].add(row.base_cold->position);
  }
  OwnRow& row = entry->second;
  const bool inserts = write.kind != WriteKind::kUpdate && write.kind != WriteKind::kDelete;
  if (inserts && row.live) {
    if (write.kind == WriteKind::kInsert) {
      if (row.seq > first_seq) return fail(repeated_key(*write.table, write.key));
      return fail(key_taken(*write.table, write.key, "hot storage"));
    }
    if (write.kind == WriteKind::kInsertAbsent) return lost();
    return false;
  }
  if (inserts && write.kind != WriteKind::kInsert) row.insert_kind = WriteKind::kInsertAbsent;
  if (!inserts && (!row.live || row.seq != write.read_seq)) return lost();

  RowChange change{.table = write.table, .user = write.user, .seq = ++last_seq_, .key = write.key};
  change.kind = inserts                            ? ChangeKind::kInsert
                : write.kind == WriteKind::kUpdate ? ChangeKind::kUpdate
                                                   : ChangeKind::kDelete;
  if (!inserts) {
    change.old_seq = row.seq;
    change.old_row = row.row;
  }
  row.seq = change.seq;
  row.live = write.kind != WriteKind::kDelete;
  if (row.live) {
    bytes_ = bytes_ - row.row.size() + write.row.size();
    row.row = std::move(write.row);
    change.row = row.row;
  }
  done.rows.push_back(std::move(change));
  return true;
}

Result<CommitRequest> Transaction::request() const {
  CommitRequest request;
  std::vector<std::pair<Seq, RowWrite>> writes;
  for (const auto& [id, scope] : scopes_) {
    for (const auto& [key, row] : scope.rows) {
      if (row.seq == row.base_seq || (row.base_seq == 0 && !row.live)) continue;  // as the snapshot has it
      RowWrite write{.table = scope.table, .user = scope.user, .key = key};
      write.kind = row.base_seq == 0 ? row.insert_kind : row.live ? WriteKind::kUpdate : WriteKind::kDelete;
      if (row.live) write.row = row.row;
      write.read_seq = row.base_seq;
      write.cold = row.base_cold;
      if (row.base_cold) write.old_row = row.base_row;
      writes.emplace_back(row.seq, std::move(write));
    }
    KALAM_TRY(const uint64_t version, storage_.segments_version(scope.table, scope.user, snapshot_));
    request.segments_read.push_back({scope.table, scope.user, version});
  }
  std::ranges::sort(writes, {}, &std::pair<Seq, RowWrite>::first);
  for (auto& [seq, write] : writes) request.rows.push_back(std::move(write));
  return request;
}

Result<> Transaction::relocate(CommitRequest& request) const {
  const hot::SnapshotPtr now = storage_.hot().snapshot();
  for (SegmentsRead& read : request.segments_read) {
    const OwnRows& scope = scopes_.at({read.table->id, read.user});
    KALAM_TRY(read.segments_version, storage_.segments_version(scope.table, scope.user, now));
  }
  for (RowWrite& write : request.rows) {
    if (write.read_seq == 0) {  // it inserts
      KALAM_TRY(const auto cold, storage_.cold_keys(write.table, write.user, std::span(&write.key, 1), now));
      if (!cold.taken.empty() && write.kind == WriteKind::kInsertAbsent) return lost();
      if (!cold.taken.empty()) {
        return fail(key_taken(*write.table, write.key, "cold storage: " + cold.taken.front().path));
      }
      continue;
    }
    KALAM_TRY(auto found, storage_.find(write.table, write.user, write.key, now));
    if (!found || found->seq != write.read_seq) return lost();
    write.cold = found->cold;
    write.old_row = found->cold ? std::move(found->row) : std::string();
  }
  return {};
}

Result<> Transaction::commit() {
  KALAM_TRY(CommitRequest writes, request());
  if (writes.rows.empty()) return {};
  for (int attempt = 1;; ++attempt) {
    auto committed = storage_.committer().commit(writes);
    if (committed) return {};
    if (committed.error().code != ErrorCode::kConflict || attempt == kMaxAttempts) {
      return fail(std::move(committed).error());
    }
    KALAM_CHECK(relocate(writes));
  }
}

size_t Transaction::table_count() const {
  size_t count = 0;
  TableId last;
  for (const auto& [id, scope] : scopes_) {
    if (count == 0 || id.first != last) ++count;
    last = id.first;
  }
  return count;
}

}  // namespace kalamdb::storage
