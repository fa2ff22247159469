// The stored form of a row: compact, and able to give one column without decoding the others.
//
//   [u8 offset width: 1, 2 or 4][u16 slots][null bits, slots/8 rounded up][end offset of each slot][data]
//
// Slots count from 1; ColumnDefinition::slot() says which one is a column's. Since slots are never reused, a row of an
// older schema reads as the current one: a slot past the end is that of a column added later or whose type was changed
// later, a dropped column's slot is simply not asked for. Numbers are little-endian. System columns other than `_key`
// are never stored here: `_seq` and `_deleted` are in the record around the row.
#pragma once

#include <forward_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "model/table.h"

namespace kalamdb::model {

// Builds one row. Slots may be set in any order, at most once each; slots never set are NULL.
class RowBuilder {
 public:
  // `slot_count` is at most 65,535.
  explicit RowBuilder(size_t slot_count) : slots_(slot_count) {}
  // Copies the value, which must be one of `type`. `slot` is from 1 to slot_count.
  void set(uint32_t slot, const ValueView& value, const DataType& type);
  // The encoded row.
  std::string finish() const;

 private:
  // Where a value lies in `data_`.
  struct Slot {
    bool is_null = true;
    uint32_t begin = 0;
    uint32_t size = 0;
  };
  std::vector<Slot> slots_;
  std::string data_;  // in the order in which slots were set
};

// `values[i]` belongs to `table.columns[i]`, is of its type (as coerce() gives it) or NULL; system columns are skipped
// but for `_key`.
std::string encode_row(const TableDefinition& table, const Row& values);

// Reads an encoded row in place. The bytes must outlive the view, and both must outlive the values that it returns. Not
// thread-safe.
class RowView {
 public:
  // Checks the header and that every offset lies within the bytes. Errors: kCorruption.
  static Result<RowView> open(std::string_view bytes);
  // True if the row was written by a schema that had the slot (its value may still be NULL).
  bool has(uint32_t slot) const { return slot >= 1 && slot <= slot_count_; }
  // The slot's value; NULL for an absent one. Errors: kCorruption when the stored length does not fit the type.
  Result<ValueView> get(uint32_t slot, const DataType& type) const;
  // The column's value as the current schema sees it: what was stored as another type is converted, a row from before
  // the column reads as `missing`. `column` must outlive the value. Errors: kConflict for a value that does not
  // convert: ALTER TABLE has made sure that there is none, so the row was read as of before it.
  Result<ValueView> get(const ColumnDefinition& column) const;

 private:
  size_t end_offset(size_t slot) const;
  bool load_embedding(std::string_view stored, const DataType& type, ValueView& value) const;
  Result<ValueView> get_former(const ColumnDefinition& column) const;

  std::string_view bytes_;
  uint8_t width_ = 1;
  uint16_t slot_count_ = 0;
  size_t offsets_ = 0;  // where the end offsets start
  size_t data_ = 0;     // where the data starts
  // Vectors whose bytes don't lie where floats may be read in place.
  mutable std::forward_list<std::vector<float>> aligned_vectors_;
  mutable std::forward_list<Value> converted_;  // values that were stored as another type
};

// A stored row with what surrounds it. Borrowed: valid until the cursor that gave it moves.
struct RowRecord {
  Seq seq = 0;
  bool deleted = false;          // a tombstone: the row as it was, kept until retention
  std::string_view key;          // the primary key, encoded by model/key_codec.h
  std::string_view row;          // see RowView
  const UserId* user = nullptr;  // whose it is, of rows of several users
};

// Rows of one table and scope, one after another. Not thread-safe.
class RowCursor {
 public:
  virtual ~RowCursor() = default;
  // The next row, or nullopt at the end. Errors: kIo, kCorruption.
  virtual Result<std::optional<RowRecord>> next() = 0;
};

}  // namespace kalamdb::model
