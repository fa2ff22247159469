#include "model/row_codec.h"

#include <limits>

#include "base/assert.h"
#include "base/bytes.h"
#include "model/convert.h"
#include "model/stored_value.h"

namespace kalamdb::model {
namespace {

constexpr size_t kNullBits = 3;  // after the offset width and the slot count

// Whether a column's value lies in the row.
bool is_stored(const ColumnDefinition& column) { return !column.is_system() || column.name == kHiddenKeyColumn; }

// The parts of a row around its data. Slots are written in order.
class RowHeader {
 public:
  RowHeader(size_t slot_count, size_t data_size) : slot_count_(slot_count), offsets_(kNullBits + (slot_count + 7) / 8) {
    KALAM_ASSERT(slot_count <= std::numeric_limits<uint16_t>::max());
    KALAM_ASSERT(data_size <= std::numeric_limits<uint32_t>::max());
    width_ = data_size <= 0xFF ? 1 : data_size <= 0xFFFF ? 2 : 4;
  }

  size_t size() const { return offsets_ + slot_count_ * width_; }

  // `row` holds size() zero bytes.
  void begin(char* row) const {
    row[0] = static_cast<char>(width_);
    auto count = static_cast<uint16_t>(slot_count_);
    std::memcpy(row + 1, &count, sizeof count);
  }

  void end_slot(char* row, size_t slot, bool is_null, size_t end) const {
    if (is_null) row[kNullBits + slot / 8] |= static_cast<char>(1 << slot % 8);
    // Little-endian, so the low bytes come first.
    std::memcpy(row + offsets_ + slot * width_, &end, width_);
  }

 private:
  size_t slot_count_;
  size_t offsets_;
  size_t width_;
};

}  // namespace

void RowBuilder::set(uint32_t slot, const ValueView& value, const DataType& type) {
  KALAM_ASSERT(slot >= 1 && slot <= slots_.size());
  if (model::is_null(value)) return;
  Slot& place = slots_[slot - 1];
  KALAM_ASSERT(place.is_null);
  size_t size = stored_size(value, type);
  size_t begin = data_.size();
  KALAM_ASSERT(begin + size <= std::numeric_limits<uint32_t>::max());
  place = {false, static_cast<uint32_t>(begin), static_cast<uint32_t>(size)};
  data_.resize(begin + size);
  store_value(data_.data() + begin, value, type);
}

std::string RowBuilder::finish() const {
  RowHeader header(slots_.size(), data_.size());
  std::string row;
  row.reserve(header.size() + data_.size());
  row.resize(header.size());
  header.begin(row.data());
  for (size_t i = 0; i < slots_.size(); ++i) {
    row.append(data_, slots_[i].begin, slots_[i].size);
    header.end_slot(row.data(), i, slots_[i].is_null, row.size() - header.size());
  }
  return row;
}

namespace {

// A column whose type was changed lies behind columns that come after it.
std::string encode_out_of_order(const TableDefinition& table, const Row& values, size_t slot_count) {
  RowBuilder row(slot_count);
  for (size_t i = 0; i < values.size(); ++i) {
    const ColumnDefinition& column = table.columns[i];
    if (is_stored(column)) row.set(column.slot(), view(values[i]), column.type);
  }
  return row.finish();
}

}  // namespace

std::string encode_row(const TableDefinition& table, const Row& values) {
  KALAM_ASSERT(values.size() == table.columns.size());
  // Slots behind the last one in use would only be NULL.
  size_t slot_count = 0;
  size_t data_size = 0;
  bool in_slot_order = true;
  for (size_t i = 0; i < values.size(); ++i) {
    const ColumnDefinition& column = table.columns[i];
    if (!is_stored(column)) continue;
    in_slot_order &= column.slot() > slot_count;
    slot_count = std::max<size_t>(slot_count, column.slot());
    if (!is_null(values[i])) data_size += stored_size(view(values[i]), column.type);
  }
  if (!in_slot_order) return encode_out_of_order(table, values, slot_count);
  RowHeader header(slot_count, data_size);
  std::string row(header.size() + data_size, '\0');
  header.begin(row.data());
  char* data = row.data() + header.size();
  char* end = data;
  size_t slot = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const ColumnDefinition& column = table.columns[i];
    if (!is_stored(column)) continue;
    // Slots of dropped and of system columns before this one.
    for (; slot + 1 < column.slot(); ++slot) header.end_slot(row.data(), slot, true, end - data);
    bool null = is_null(values[i]);
    if (!null) end = store_value(end, view(values[i]), column.type);
    header.end_slot(row.data(), slot++, null, end - data);
  }
  return row;
}

size_t RowView::end_offset(size_t slot) const {
  const char* offset = bytes_.data() + offsets_ + slot * width_;
  if (width_ == 1) return static_cast<uint8_t>(*offset);
  if (width_ == 2) return read_little_endian<uint16_t>(offset);
  return read_little_endian<uint32_t>(offset);
}

Result<RowView> RowView::open(std::string_view bytes) {
  RowView row;
  if (bytes.size() < kNullBits) return fail(ErrorCode::kCorruption, "A stored row is too short for its header");
  row.bytes_ = bytes;
  row.width_ = static_cast<uint8_t>(bytes[0]);
  if (row.width_ != 1 && row.width_ != 2 && row.width_ != 4) {
    return fail(ErrorCode::kCorruption, "A stored row has an impossible offset width");
  }
  row.slot_count_ = read_little_endian<uint16_t>(bytes.data() + 1);
  row.offsets_ = kNullBits + (row.slot_count_ + 7u) / 8;
  row.data_ = row.offsets_ + static_cast<size_t>(row.slot_count_) * row.width_;
  if (row.data_ > bytes.size()) return fail(ErrorCode::kCorruption, "A stored row is too short for its slots");
  size_t end = 0;
  bool ascending = true;
  for (size_t slot = 0; slot < row.slot_count_; ++slot) {
    size_t next = row.end_offset(slot);
    ascending &= next >= end;
    end = next;
  }
  if (!ascending || end != bytes.size() - row.data_) {
    return fail(ErrorCode::kCorruption, "The offsets of a stored row do not match its length");
  }
  return row;
}

// The value starts as NULL and is built in place in the result: copying it was most of the cost.
Result<ValueView> RowView::get(uint32_t slot, const DataType& type) const {
  Result<ValueView> value;
  if (!has(slot)) return value;
  size_t index = slot - 1;
  if (bytes_[kNullBits + index / 8] >> index % 8 & 1) return value;
  size_t begin = index == 0 ? 0 : end_offset(index - 1);
  std::string_view stored(bytes_.data() + data_ + begin, end_offset(index) - begin);
  if (type.tag == TypeTag::kEmbedding ? !load_embedding(stored, type, *value) : !load_value(stored, type, *value)) {
    value = fail(ErrorCode::kCorruption, "A stored value of " + std::to_string(stored.size()) + " bytes in slot " +
                                             std::to_string(slot) + " is not one of type " + sql_name(type));
  }
  return value;
}

bool RowView::load_embedding(std::string_view stored, const DataType& type, ValueView& value) const {
  if (stored.size() != type.dimension * sizeof(float)) return false;
  if (reinterpret_cast<uintptr_t>(stored.data()) % alignof(float) == 0) {
    value = std::span(reinterpret_cast<const float*>(stored.data()), type.dimension);
  } else {
    aligned_vectors_.push_front(*load_vector(stored, type));
    value = std::span<const float>(aligned_vectors_.front());
  }
  return true;
}

Result<ValueView> RowView::get(const ColumnDefinition& column) const {
  if (has(column.slot())) return get(column.slot(), column.type);
  return get_former(column);
}

Result<ValueView> RowView::get_former(const ColumnDefinition& column) const {
  const OlderRows& older = *column.older_rows;
  for (size_t i = 0; i < older.former.size(); ++i) {
    const FormerSlot& former = older.former[i];
    if (!has(former.slot)) continue;
    KALAM_TRY(const ValueView value, get(former.slot, former.type));
    KALAM_TRY(Value converted, convert_former(value, column, i));
    converted_.push_front(std::move(converted));
    return view(converted_.front());
  }
  return view(older.missing);
}

}  // namespace kalamdb::model
