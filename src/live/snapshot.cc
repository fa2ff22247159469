#include "live/snapshot.h"

#include <algorithm>

#include "live/snapshot_table.h"
#include "model/row_codec.h"
#include "storage/ttl.h"

namespace kalamdb::live {

namespace {

constexpr uint64_t kDefaultBatchRows = 1000;

// By the SQL engine.
class QueryRows final : public SeqRows {
 public:
  explicit QueryRows(std::unique_ptr<duck::QueryResult> result)
      : result_(std::move(result)), encoder_(fields_of(result_->columns())) {
    const auto& columns = result_->columns();
    seq_column_ =
        static_cast<size_t>(std::ranges::find(columns, model::kSeqColumn, &duck::ResultColumn::name) - columns.begin());
  }

  Result<bool> next() override {
    if (batch_ != nullptr && ++row_ < batch_->row_count()) return true;
    row_ = 0;
    KALAM_TRY(batch_, result_->next());
    return batch_ != nullptr;
  }
  Seq seq() const override { return std::get<int64_t>(batch_->cell(row_, seq_column_)); }
  Result<> append(std::string& out) const override {
    encoder_.append(out, [&](size_t column) { return std::optional(batch_->cell(row_, column)); });
    return {};
  }

 private:
  static std::vector<protocol::Field> fields_of(const std::vector<duck::ResultColumn>& columns) {
    std::vector<protocol::Field> fields;
    for (const auto& column : columns) fields.push_back({column.name, column.type});
    return fields;
  }

  const std::unique_ptr<duck::QueryResult> result_;
  const protocol::RowObjectEncoder encoder_;
  size_t seq_column_ = 0;
  const duck::ResultBatch* batch_ = nullptr;
  size_t row_ = 0;
};

// All hot rows from a `_seq` on, which the change index has in this very order.
class ChangedRows final : public SeqRows {
 public:
  ChangedRows(std::unique_ptr<model::RowCursor> changes, const ChangeEncoder& encoder)
      : changes_(std::move(changes)), encoder_(encoder) {}

  Result<bool> next() override {
    do {
      KALAM_TRY(row_, changes_->next());
    } while (row_ && row_->deleted);
    return row_.has_value();
  }
  Seq seq() const override { return row_->seq; }
  Result<> append(std::string& out) const override { return encoder_.append_row(out, row_->row, row_->seq); }

 private:
  const std::unique_ptr<model::RowCursor> changes_;
  const ChangeEncoder& encoder_;
  std::optional<model::RowRecord> row_;
};

// Rows that are few enough to be sorted here.
class SortedRows final : public SeqRows {
 public:
  static constexpr size_t kMaxBytes = 4 << 20;

  // With `newest` > 0 only that many of the highest `_seq`. nullptr: there are too many.
  static Result<std::unique_ptr<SortedRows>> read(model::RowCursor& rows, uint64_t newest,
                                                  const ChangeEncoder& encoder) {
    auto sorted = std::make_unique<SortedRows>(encoder);
    size_t bytes = 0;
    while (true) {
      KALAM_TRY(const auto row, rows.next());
      if (!row) break;
      bytes += sizeof(Row) + row->row.size();
      if (bytes > kMaxBytes) return nullptr;
      sorted->rows_.emplace_back(row->seq, row->row);
    }
    std::ranges::sort(sorted->rows_, {}, &Row::first);
    if (newest > 0 && newest < sorted->rows_.size()) sorted->next_ = sorted->rows_.size() - newest;
    return sorted;
  }

  explicit SortedRows(const ChangeEncoder& encoder) : encoder_(encoder) {}

  Result<bool> next() override { return next_++ < rows_.size(); }
  Seq seq() const override { return rows_[next_ - 1].first; }
  Result<> append(std::string& out) const override {
    return encoder_.append_row(out, rows_[next_ - 1].second, rows_[next_ - 1].first);
  }

 private:
  using Row = std::pair<Seq, std::string>;

  const ChangeEncoder& encoder_;
  std::vector<Row> rows_;
  size_t next_ = 0;
};

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

Result<std::unique_ptr<SeqRows>> SnapshotReader::open_rows(Seq after, uint64_t newest) const {
  auto& storage = services_.storage;
  // Planning a query takes longer than reading rows that are few and hot, and most subscribers have such.
  if (!query_->shape.has_where) {
    KALAM_TRY(const auto scan, storage.scan(query_->table, query_->scope, snapshot_));
    if (after == 0 && scan->segments().empty()) {
      KALAM_TRY(auto rows, SortedRows::read(*scan->hot({}, false), newest, encoder_));
      if (rows != nullptr) return rows;
    }
    const auto is_cold = [&](const duck::Segment& segment) { return segment.max_seq > after; };
    if (newest == 0 && std::ranges::none_of(scan->segments(), is_cold)) {
      const Seq expired = storage::expired_up_to(*query_->table, services_.clock.now_us());
      auto changes = storage.hot().scan_changes(query_->table->id, query_->scope, std::max(after, expired), snapshot_);
      return std::make_unique<ChangedRows>(std::move(changes), encoder_);
    }
  }
  SnapshotTable table(services_, *query_, snapshot_);
  KALAM_TRY(auto result, services_.engine.live_rows(*query_->statement, table,
                                                    query_context(services_, context_.caller, *query_), after, newest));
  return std::make_unique<QueryRows>(std::move(result));
}

Result<> SnapshotReader::start(Seq after, uint64_t newest) {
  KALAM_TRY(rows_, open_rows(after, newest));
  last_.reset();
  KALAM_TRY(at_row_, rows_->next());
  KALAM_CHECK(load_removals());
  next_removal_ =
      static_cast<size_t>(std::ranges::upper_bound(removals_, after, {}, &ChangeTail::seq) - removals_.begin());
  return {};
}

Result<FirstRows::Batch> SnapshotReader::next(std::optional<Seq> after) {
  const bool follows = rows_ != nullptr && after && last_ == after;
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
    if (!batch.rows_json.empty()) batch.rows_json.push_back(',');
    KALAM_CHECK(rows_->append(batch.rows_json));
    last_ = rows_->seq();
    batch.control.last_seq_id = last_;
    KALAM_TRY(at_row_, rows_->next());
  }
  batch.control.has_more = at_row_;
  take_removals(at_row_ ? *last_ : INT64_MAX, batch.removals);
  return batch;
}

Result<bool> SnapshotReader::next_changes(std::vector<ChangeTail>& changes, size_t max_bytes) {
  if (rows_ == nullptr) {
    KALAM_CHECK(check_cursor());
    KALAM_CHECK(start(options_.from.value_or(0), 0));
  }
  for (size_t bytes = 0; at_row_ && bytes < max_bytes;) {
    take_removals(rows_->seq(), changes);
    std::string row;
    KALAM_CHECK(rows_->append(row));
    changes.push_back({rows_->seq(), protocol::change_tail(protocol::ChangeType::kUpdate, row, "")});
    bytes += changes.back().tail.size();
    KALAM_TRY(at_row_, rows_->next());
  }
  if (!at_row_) take_removals(INT64_MAX, changes);
  return at_row_;
}

void SnapshotReader::take_removals(Seq up_to, std::vector<ChangeTail>& out) {
  for (; next_removal_ < removals_.size() && removals_[next_removal_].seq <= up_to; ++next_removal_) {
    out.push_back(removals_[next_removal_]);
  }
}

Result<> SnapshotReader::load_removals() {
  removals_.clear();
  if (!options_.from) return {};
  KALAM_CHECK(add_deleted(removals_));
  KALAM_CHECK(add_filtered_out(removals_));
  std::ranges::sort(removals_, {}, &ChangeTail::seq);
  return {};
}

// A deleted row is to be forgotten by whoever may have had it. Tombstones are hot.
Result<> SnapshotReader::add_deleted(std::vector<ChangeTail>& removals) const {
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
Result<> SnapshotReader::add_filtered_out(std::vector<ChangeTail>& removals) const {
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
