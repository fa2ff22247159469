#include <utility>

#include "base/bytes.h"
#include "hot/keys.h"
#include "hot/rocks.h"

namespace kalamdb::hot {
namespace {

class ScanCursor final : public model::RowCursor {
 public:
  ScanCursor(rocksdb::DB& db, const Families& families, std::string_view scope, std::string_view begin,
             std::string_view end, bool with_tombstones, SnapshotPtr snapshot)
      : snapshot_(std::move(snapshot)), scope_bytes_(scope.size()), with_tombstones_(with_tombstones) {
    begin_.append(scope).append(begin);
    end_ = end.empty() ? prefix_end(scope) : std::string(scope).append(end);
    end_slice_ = end_;
    rocksdb::ReadOptions options = read_options(snapshot_);
    options.iterate_upper_bound = &end_slice_;
    rows_.reset(db.NewIterator(options, families[kRows]));
  }

  Result<std::optional<model::RowRecord>> next() override {
    if (std::exchange(started_, true)) {
      rows_->Next();
    } else {
      rows_->Seek(begin_);
    }
    for (; rows_->Valid(); rows_->Next()) {
      KALAM_TRY(const StoredRowView stored, read_row(bytes(rows_->value())));
      if (stored.deleted && !with_tombstones_) continue;
      return model::RowRecord{stored.seq, stored.deleted, bytes(rows_->key()).substr(scope_bytes_), stored.row};
    }
    if (!rows_->status().ok()) return fail(to_error(rows_->status(), "Reading rows"));
    return std::nullopt;
  }

 private:
  SnapshotPtr snapshot_;
  size_t scope_bytes_;
  bool with_tombstones_;
  bool started_ = false;
  std::string begin_;
  std::string end_;
  rocksdb::Slice end_slice_;  // the iterator keeps a pointer to it
  std::unique_ptr<rocksdb::Iterator> rows_;
};

class ChangeCursor final : public model::RowCursor {
 public:
  ChangeCursor(rocksdb::DB& db, const Families& families, std::string_view scope, Seq after, SnapshotPtr snapshot)
      : db_(db), rows_family_(families[kRows]), snapshot_(std::move(snapshot)), scope_(scope), end_(prefix_end(scope)) {
    begin_ = scope_;
    append_big_endian<uint64_t>(begin_, static_cast<uint64_t>(after) + 1);
    end_slice_ = end_;
    rocksdb::ReadOptions options = read_options(snapshot_);
    options.iterate_upper_bound = &end_slice_;
    changes_.reset(db.NewIterator(options, families[kChanges]));
  }

  Result<std::optional<model::RowRecord>> next() override {
    if (std::exchange(started_, true)) {
      changes_->Next();
    } else {
      changes_->Seek(begin_);
    }
    if (!changes_->Valid()) {
      if (!changes_->status().ok()) return fail(to_error(changes_->status(), "Reading the change index"));
      return std::nullopt;
    }
    const std::string_view entry = bytes(changes_->key()).substr(scope_.size());
    if (entry.size() != sizeof(Seq)) return fail(ErrorCode::kCorruption, "A change-index key has a wrong length");
    row_key_.assign(scope_).append(bytes(changes_->value()));
    row_.Reset();
    const auto status = db_.Get(read_options(snapshot_), rows_family_, row_key_, &row_);
    if (status.IsNotFound()) return fail(ErrorCode::kCorruption, "The change index names a row that is not there");
    if (!status.ok()) return fail(to_error(status, "Reading a row"));
    KALAM_TRY(const StoredRowView stored, read_row(bytes(row_)));
    if (stored.seq != static_cast<Seq>(read_big_endian<uint64_t>(entry.data()))) {
      return fail(ErrorCode::kCorruption, "The change index names a version that is not there");
    }
    return model::RowRecord{stored.seq, stored.deleted, std::string_view(row_key_).substr(scope_.size()), stored.row};
  }

 private:
  rocksdb::DB& db_;
  rocksdb::ColumnFamilyHandle* rows_family_;
  SnapshotPtr snapshot_;
  std::string scope_;
  std::string begin_;
  std::string end_;
  rocksdb::Slice end_slice_;  // the iterator keeps a pointer to it
  bool started_ = false;
  std::string row_key_;
  rocksdb::PinnableSlice row_;
  std::unique_ptr<rocksdb::Iterator> changes_;
};

}  // namespace

std::unique_ptr<model::RowCursor> scan_rows(rocksdb::DB& db, const Families& families, std::string_view scope,
                                            std::string_view begin, std::string_view end, bool with_tombstones,
                                            SnapshotPtr snapshot) {
  return std::make_unique<ScanCursor>(db, families, scope, begin, end, with_tombstones, std::move(snapshot));
}

std::unique_ptr<model::RowCursor> scan_change_index(rocksdb::DB& db, const Families& families, std::string_view scope,
                                                    Seq after, SnapshotPtr snapshot) {
  return std::make_unique<ChangeCursor>(db, families, scope, after, std::move(snapshot));
}

}  // namespace kalamdb::hot
