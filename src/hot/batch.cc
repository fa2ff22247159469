#include <rocksdb/write_batch.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "hot/keys.h"
#include "hot/rocks.h"

namespace kalamdb::hot {
namespace {

// Filling a batch only appends to a string: nothing here can fail but by a bug.
void require_ok(const rocksdb::Status& status) { KALAM_ASSERT(status.ok()); }

class RocksBatch final : public Batch {
 public:
  explicit RocksBatch(const Families& families) : families_(families) {}

  void put_row(TableId table, const UserId& user, std::string_view key, Seq seq, bool deleted, std::string_view row,
               Seq replaced) override {
    value_.clear();
    append_little_endian<int64_t>(value_, seq);
    value_.push_back(deleted ? kDeletedFlag : '\0');
    value_.append(row);
    require_ok(batch_.Put(families_[kRows], row_key(table, user, key), value_));
    if (replaced != 0) require_ok(batch_.Delete(families_[kChanges], change_key(table, user, replaced)));
    require_ok(batch_.Put(families_[kChanges], change_key(table, user, seq), slice(key)));
  }

  void erase_row(TableId table, const UserId& user, std::string_view key, Seq seq) override {
    require_ok(batch_.Delete(families_[kRows], row_key(table, user, key)));
    require_ok(batch_.Delete(families_[kChanges], change_key(table, user, seq)));
  }

  void erase_table(TableId table) override { erase_prefix(table_prefix(table)); }
  void erase_scope(TableId table, const UserId& user) override { erase_prefix(scope_prefix(table, user)); }

  void erase_rows(TableId table, const UserId& user, std::string_view begin, std::string_view end) override {
    if (end == successor(begin)) {
      require_ok(batch_.Delete(families_[kRows], row_key(table, user, begin)));
    } else {
      require_ok(batch_.DeleteRange(families_[kRows], row_key(table, user, begin), row_key(table, user, end)));
    }
  }

  void erase_changes(TableId table, const UserId& user, Seq first, Seq last) override {
    if (first == last) {
      require_ok(batch_.Delete(families_[kChanges], change_key(table, user, first)));
    } else {
      require_ok(
          batch_.DeleteRange(families_[kChanges], change_key(table, user, first), change_key(table, user, last + 1)));
    }
  }

  void put_record(RecordSpace space, std::string_view key, std::string_view value) override {
    require_ok(batch_.Put(families_[kRecords], record_key(space, key), slice(value)));
  }
  void erase_record(RecordSpace space, std::string_view key) override {
    require_ok(batch_.Delete(families_[kRecords], record_key(space, key)));
  }

  void mark() override { batch_.SetSavePoint(); }
  void roll_back() override { require_ok(batch_.RollbackToSavePoint()); }
  void release() override { require_ok(batch_.PopSavePoint()); }
  size_t size_bytes() const override { return batch_.GetDataSize(); }

  rocksdb::WriteBatch& rocks() { return batch_; }

 private:
  void erase_prefix(const std::string& begin) {
    const std::string end = prefix_end(begin);
    KALAM_ASSERT(!end.empty());  // table ids are counted up from 1
    require_ok(batch_.DeleteRange(families_[kRows], begin, end));
    require_ok(batch_.DeleteRange(families_[kChanges], begin, end));
  }

  const Families& families_;
  rocksdb::WriteBatch batch_;
  std::string value_;
};

}  // namespace

std::unique_ptr<Batch> new_rocks_batch(const Families& families) { return std::make_unique<RocksBatch>(families); }

rocksdb::WriteBatch& rocks_batch(Batch& batch) { return static_cast<RocksBatch&>(batch).rocks(); }

}  // namespace kalamdb::hot
