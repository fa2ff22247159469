// The stored form of a row: compact, and able to give one column without decoding the others.
//
//   [u8 offset width: 1, 2 or 4][u16 slots][null bits, slots/8 rounded up][end offset of each slot][data]
//
// Slot i holds the column with ordinal i + 1. Since ordinals are never reused, a row of an older schema reads as the
// current one: a slot past the end is a column added later (the caller supplies its default), a dropped column's slot
// is simply not asked for. Numbers are little-endian. System columns other than `_key` are never stored here: `_seq`
// and
// `_deleted` are in the record around the row.
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
  // `slot_count` is the table's max_ordinal(), at most 65,535.
  explicit RowBuilder(size_t slot_count) : slots_(slot_count) {}
  // Copies the value, which must be one of `type`. `ordinal` is from 1 to slot_count.
  void set(uint32_t ordinal, const ValueView& value, const DataType& type);
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
  // True if the row was written by a schema that had the column (its value may still be NULL).
  bool has(uint32_t ordinal) const { return ordinal >= 1 && ordinal <= slot_count_; }
  // The column's value; NULL for an absent slot. Errors: kCorruption when the stored length does not fit the type.
  Result<ValueView> get(uint32_t ordinal, const DataType& type) const;
  // The column's value as the current schema sees it: an absent slot reads as the column's literal default, which must
  // then outlive the value too.
  Result<ValueView> get(const ColumnDefinition& column) const;

 private:
  size_t end_offset(size_t slot) const;
  bool load_embedding(std::string_view stored, const DataType& type, ValueView& value) const;

  std::string_view bytes_;
  uint8_t width_ = 1;
  uint16_t slot_count_ = 0;
  size_t offsets_ = 0;  // where the end offsets start
  size_t data_ = 0;     // where the data starts
  // Vectors whose bytes don't lie where floats may be read in place.
  mutable std::forward_list<std::vector<float>> aligned_vectors_;
};

// A stored row with what surrounds it. Borrowed: valid until the cursor that gave it moves.
struct RowRecord {
  Seq seq = 0;
  bool deleted = false;  // a tombstone: the row as it was, kept until retention
  std::string_view key;  // the primary key, encoded by model/key_codec.h
  std::string_view row;  // see RowView
};

// Rows of one table and scope, one after another. Not thread-safe.
class RowCursor {
 public:
  virtual ~RowCursor() = default;
  // The next row, or nullopt at the end. Errors: kIo, kCorruption.
  virtual Result<std::optional<RowRecord>> next() = 0;
};

}  // namespace kalamdb::model
