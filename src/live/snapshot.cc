#include "live/snapshot.h"

#include <algorithm>

#include "live/snapshot_table.h"
#include "model/row_codec.h"

namespace kalamdb::live {

namespace {

constexpr uint64_t kDefaultBatchRows = 1000;

}  // namespace

uint64_t batch_rows(const protocol::SubscribeOptions& options) {
  return std::max<uint64_t>(1, options.batch_size.value_or(kDefaultBatchRows));
}

Result<model::TablePtr> current_table(const query::Services& services, const model::TablePtr& known) {
  const model::TableDefinition& table = *known;
  if (table.type == model::TableType::kSystem) return known;
  KALAM_TRY(const auto now, services.catalog.find_table(table.namespace_id, table.name));
  if (now == nullptr || now->id != table.id) {
    return fail(ErrorCode::kTableNotFound, table.namespace_id + ":" + table.name);
  }
  return now;
}

duck::QueryContext query_context(const query::Services& services, const query::Caller& caller,
                                 const GroupQuery& query) {
  duck::QueryContext context;
  context.current_user = query.current_user;
  context.current_role = lower_name(caller.role);
  context.now_us = services.clock.now_us();
  context.timeout_ms = services.limits.statement_timeout_ms;
  return context;
}

SnapshotReader::SnapshotReader(const query::Services& services, query::Caller caller,
                               std::shared_ptr<const GroupQuery> query, const protocol::SubscribeOptions& options)
    : services_(services),
      query_(std::move(query)),
      encoder_(*query_),
      options_(options),
      snapshot_(services.storage.hot().snapshot()),
      batch_size_(batch_rows(options)) {
  context_.caller = std::move(caller);
}

Result<> SnapshotReader::check_cursor() const {
  if (options_.from.value_or(0) == 0) return {};  // who has nothing need not be told of deletions
  KALAM_TRY(const Seq forgotten, services_.storage.removed_tombstones_up_to(query_->table, query_->scope, snapshot_));
  if (*options_.from >= forgotten) return {};
  return fail(ErrorCode::kCursorTooOld, "The cursor " + std::to_string(*options_.from) +
                                            " is older than what is kept of deleted rows; subscribe without `from`");
}

Result<> SnapshotReader::start(Seq after, uint64_t newest) {
  SnapshotTable table(services_, *query_, snapshot_);
  KALAM_TRY(result_, services_.engine.live_rows(*query_->statement, table,
                                                query_context(services_, context_.caller, *query_), after, newest));
  std::vector<protocol::Field> fields;
  const auto& columns = result_->columns();
  for (size_t i = 0; i < columns.size(); ++i) {
    fields.push_back({columns[i].name, columns[i].type});
    if (columns[i].name == model::kSeqColumn) seq_column_ = i;
  }
  rows_.emplace(fields);
  batch_ = nullptr;
  row_ = 0;
  last_.reset();
  KALAM_TRY(at_row_, advance());
  KALAM_CHECK(load_removals());
  next_removal_ = static_cast<size_t>(std::ranges::upper_bound(removals_, after, {}, &Change::seq) - removals_.begin());
  return {};
}

Result<bool> SnapshotReader::advance() {
  if (batch_ != nullptr && ++row_ < batch_->row_count()) return true;
  row_ = 0;
  KALAM_TRY(batch_, result_->next());
  return batch_ != nullptr;
}

Seq SnapshotReader::row_seq() const { return std::get<int64_t>(batch_->cell(row_, seq_column_)); }

void SnapshotReader::append_row(std::string& out) const {
  if (!out.empty()) out.push_back(',');
  rows_->append(out, [&](size_t column) { return std::optional(batch_->cell(row_, column)); });
}

Result<FirstRows::Batch> SnapshotReader::next(std::optional<Seq> after) {
  const bool follows = result_ != nullptr && after && last_ == after;
  if (!follows) {
    const Seq from = std::max(after.value_or(0), options_.from.value_or(0));
    const uint64_t newest = options_.from ? 0 : options_.last_rows.value_or(0);
    if (options_.last_rows == 0U && !options_.from) {
      Batch nothing;
      nothing.control.batch_num = batch_number_++;
      return nothing;
    }
    KALAM_CHECK(check_cursor());
    KALAM_CHECK(start(from, newest));
  }
  Batch batch;
  batch.control.batch_num = batch_number_++;
  for (uint64_t rows = 0; at_row_ && rows < batch_size_ && batch.rows_json.size() < kFullBatchBytes; ++rows) {
    append_row(batch.rows_json);
    last_ = row_seq();
    batch.control.last_seq_id = last_;
    KALAM_TRY(at_row_, advance());
  }
  batch.control.has_more = at_row_;
  take_removals(at_row_ ? *last_ : INT64_MAX, batch.removals);
  return batch;
}

Result<bool> SnapshotReader::next_changes(std::vector<Change>& changes, size_t max_bytes) {
  if (result_ == nullptr) {
    KALAM_CHECK(check_cursor());
    KALAM_CHECK(start(options_.from.value_or(0), 0));
  }
  for (size_t bytes = 0; at_row_ && bytes < max_bytes;) {
    take_removals(row_seq(), changes);
    std::string row;
    append_row(row);
    changes.push_back({row_seq(), protocol::change_tail(protocol::ChangeType::kUpdate, row, "")});
    bytes += changes.back().tail.size();
    KALAM_TRY(at_row_, advance());
  }
  if (!at_row_) take_removals(INT64_MAX, changes);
  return at_row_;
}

void SnapshotReader::take_removals(Seq up_to, std::vector<Change>& out) {
  for (; next_removal_ < removals_.size() && removals_[next_removal_].seq <= up_to; ++next_removal_) {
    out.push_back(removals_[next_removal_]);
  }
}

Result<> SnapshotReader::load_removals() {
  removals_.clear();
  if (!options_.from) return {};
  KALAM_CHECK(add_deleted(removals_));
  KALAM_CHECK(add_filtered_out(removals_));
  std::ranges::sort(removals_, {}, &Change::seq);
  return {};
}

// A deleted row is to be forgotten by whoever may have had it. Tombstones are hot.
Result<> SnapshotReader::add_deleted(std::vector<Change>& removals) const {
  const auto cursor = services_.storage.hot().scan_changes(query_->table->id, query_->scope, *options_.from, snapshot_);
  while (true) {
    KALAM_TRY(const auto record, cursor->next());
    if (!record) return {};
    if (!record->deleted) continue;
    KALAM_TRY(std::string tail, encoder_.remove(record->row, record->seq, record->seq));
    removals.push_back({record->seq, std::move(tail)});
  }
}

// A live row, hot or flushed since, if the filter does not take it any more.
Result<> SnapshotReader::add_filtered_out(std::vector<Change>& removals) const {
  if (!query_->shape.has_where) return {};
  SnapshotTable source(services_, *query_, snapshot_);
  KALAM_TRY(const auto rows,
            services_.engine.other_rows(*query_->statement, source, query_context(services_, context_.caller, *query_),
                                        *options_.from));
  const model::TableDefinition& table = *query_->table;
  std::vector<const model::ColumnDefinition*> columns;
  for (const auto& column : rows->columns()) columns.push_back(table.find_column(column.name));
  while (true) {
    KALAM_TRY(const duck::ResultBatch* batch, rows->next());
    if (batch == nullptr) return {};
    for (size_t r = 0; r < batch->row_count(); ++r) {
      model::Row row(table.columns.size());
      Seq seq = 0;
      bool deleted = false;
      for (size_t i = 0; i < columns.size(); ++i) {
        const auto cell = batch->cell(r, i);
        if (columns[i]->name == model::kSeqColumn) seq = std::get<int64_t>(cell);
        if (columns[i]->name == model::kDeletedColumn) deleted = std::get<bool>(cell);
        row[static_cast<size_t>(columns[i] - table.columns.data())] = model::to_value(cell);
      }
      if (deleted) continue;
      KALAM_TRY(std::string tail, encoder_.remove(model::encode_row(table, row), seq, seq));
      removals.push_back({seq, std::move(tail)});
    }
  }
}

}  // namespace kalamdb::live
