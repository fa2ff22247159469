#include "live/group.h"

#include <algorithm>

#include "model/row_codec.h"
#include "protocol/live_messages.h"

namespace kalamdb::live {

using model::ColumnDefinition;
using model::ValueView;

namespace {

bool hidden(const ColumnDefinition& column) { return column.name == model::kHiddenKeyColumn; }

// Stored columns of two versions of a row are compared and shown by this.
Result<ValueView> cell(const model::RowView& row, const ColumnDefinition& column, Seq seq, bool deleted) {
  if (column.name == model::kSeqColumn) return ValueView(seq);
  if (column.name == model::kDeletedColumn) return ValueView(deleted);
  return row.get(column);
}

std::vector<protocol::Field> all_fields(const model::TableDefinition& table) {
  std::vector<protocol::Field> fields;
  for (const auto& column : table.columns) fields.push_back({column.name, column.type, protocol::flags_of(column)});
  return fields;
}

}  // namespace

Result<> check_projection(const GroupQuery& query) {
  for (const std::string& name : query.shape.columns) {
    if (query.table->find_column(name) == nullptr) {
      return fail(ErrorCode::kInvalidSql, "Column '" + name + "' does not exist");
    }
  }
  return {};
}

ChangeEncoder::ChangeEncoder(const GroupQuery& query)
    : table_(query.table),
      stream_(table_->type == model::TableType::kStream),
      user_(query.scope.value),
      rows_(all_fields(*table_)) {
  const auto& names = query.shape.columns;
  const auto named = [&](const ColumnDefinition& column) {
    return std::ranges::any_of(names, [&](const std::string& name) { return table_->find_column(name) == &column; });
  };
  for (const auto& column : table_->columns) {
    const bool always = column.name == model::kSeqColumn;
    const bool shown = !hidden(column) && (names.empty() || always || named(column));
    columns_.push_back({&column, shown});
    if (names.empty() && shown) fields_.push_back({column.name, column.type, protocol::flags_of(column)});
  }
  for (const std::string& name : names) {
    const ColumnDefinition* column = table_->find_column(name);
    fields_.push_back({column->name, column->type, protocol::flags_of(*column)});
  }
}

Result<> ChangeEncoder::append_row(std::string& out, std::string_view row, Seq seq) const {
  return append(out, row, seq, false);
}

Result<> ChangeEncoder::append(std::string& out, std::string_view row, Seq seq, std::optional<bool> deleted) const {
  KALAM_TRY(const auto view, model::RowView::open(row));
  Result<> outcome;
  rows_.append(out, [&](size_t i) -> std::optional<ValueView> {
    const auto& [definition, shown] = columns_[i];
    if (!shown || (!deleted && definition->name == model::kDeletedColumn)) return std::nullopt;
    auto value = cell(view, *definition, seq, deleted.value_or(false));
    if (!value) {
      outcome = fail(std::move(value).error());
      return std::nullopt;
    }
    return *value;
  });
  return outcome;
}

Result<std::string> ChangeEncoder::insert(const storage::RowChange& change) const {
  std::string row;
  KALAM_CHECK(append(row, change.row, change.seq, deleted_column(false)));
  return protocol::change_tail(protocol::ChangeType::kInsert, row, "");
}

// The new version has its key, `_seq` and every column that is not NULL; the old one its key, `_seq` and what changed.
Result<std::string> ChangeEncoder::update(const storage::RowChange& change) const {
  KALAM_TRY(const auto now, model::RowView::open(change.row));
  KALAM_TRY(const auto before, model::RowView::open(change.old_row));
  Result<> outcome;
  const auto append = [&](std::string& out, const model::RowView& row, Seq seq, bool only_changed) {
    rows_.append(out, [&](size_t i) -> std::optional<ValueView> {
      const ColumnDefinition& column = *columns_[i].definition;
      if (column.name == model::kSeqColumn) return ValueView(seq);
      if (column.is_system() || (!columns_[i].shown && !column.is_primary_key())) return std::nullopt;
      auto value = row.get(column);
      auto other = only_changed ? now.get(column) : value;
      if (!value || !other) {
        outcome = fail(ErrorCode::kCorruption, "A row of " + table_->qualified_name() + " cannot be read");
        return std::nullopt;
      }
      if (column.is_primary_key()) return *value;
      if (only_changed ? model::same(*value, *other) : model::is_null(*value)) return std::nullopt;
      return *value;
    });
  };
  std::string new_row;
  append(new_row, now, change.seq, false);
  std::string old_row;
  append(old_row, before, change.old_seq, true);
  KALAM_CHECK(outcome);
  return protocol::change_tail(protocol::ChangeType::kUpdate, new_row, old_row);
}

Result<std::string> ChangeEncoder::remove(std::string_view row, Seq seq, Seq old_seq) const {
  std::string old_row;
  KALAM_CHECK(append(old_row, row, seq, deleted_column(true)));
  if (stream_) {
    std::string row_id = R"({"row_id":)";
    protocol::append_json_string(row_id, user_ + ":" + std::to_string(old_seq));
    old_row.replace(0, 1, row_id + ",");  // every row has its _seq, so a comma is right
  }
  return protocol::change_tail(protocol::ChangeType::kDelete, "", old_row);
}

bool same_fields(std::span<const protocol::Field> a, std::span<const protocol::Field> b) {
  return std::ranges::equal(a, b, [](const protocol::Field& one, const protocol::Field& other) {
    return one.name == other.name && one.type == other.type && one.flags == other.flags;
  });
}

Result<bool> RowGroup::alter(const model::TablePtr& table) {
  GroupQuery query = query_;
  query.table = table;
  KALAM_CHECK(check_projection(query));
  KALAM_TRY(auto predicate, bind_(query));
  ChangeEncoder encoder(query);
  const bool changed = !same_fields(encoder.fields(), encoder_.fields());
  query_ = std::move(query);
  predicate_ = std::move(predicate);
  encoder_ = std::move(encoder);
  return changed;
}

const duck::Predicate::Equality* RowGroup::equality() const {
  return predicate_ != nullptr && predicate_->equality() ? &*predicate_->equality() : nullptr;
}

Result<bool> RowGroup::matches(std::string_view row, Seq seq, bool deleted) {
  if (predicate_ == nullptr) return true;
  const model::RowRecord record{.seq = seq, .deleted = deleted, .key = {}, .row = row};
  std::vector<char> matches;
  KALAM_CHECK(predicate_->evaluate(std::span(&record, 1), matches));
  return matches[0] != 0;
}

void RowGroup::change(const storage::ChangeSetPtr&, const storage::RowChange& change,
                      std::vector<GroupMessage>& messages) {
  auto text = message_for(change);
  if (!text || *text) messages.push_back({change.seq, std::move(text)});
}

Result<std::optional<std::string>> RowGroup::message_for(const storage::RowChange& change) {
  const auto some = [](Result<std::string> message) -> Result<std::optional<std::string>> {
    if (!message) return fail(std::move(message).error());
    return *std::move(message);
  };
  bool was = false;
  bool is = false;
  if (change.kind != storage::ChangeKind::kInsert) {
    KALAM_TRY(was, matches(change.old_row, change.old_seq, false));
  }
  if (change.kind != storage::ChangeKind::kDelete) {
    KALAM_TRY(is, matches(change.row, change.seq, false));
  }
  if (is && was) return some(encoder_.update(change));
  // A row that comes into the filter is new to its subscribers: they were told to forget it when it left.
  if (is) return some(encoder_.insert(change));
  if (was) return some(encoder_.remove(change.old_row, change.seq, change.old_seq));
  return std::nullopt;
}

}  // namespace kalamdb::live
