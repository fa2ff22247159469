#include "live/result_reader.h"

#include <functional>
#include <numeric>

#include "live/snapshot_table.h"

namespace kalamdb::live {

namespace {

Result<LoadedResult> try_load(const query::Services& services, const query::Caller& caller, const GroupQuery& query,
                              size_t max_bytes) {
  KALAM_CHECK(check_projection(query));
  const duck::QueryContext context = query_context(services, caller, query);
  ResultSource source;
  KALAM_TRY(source.predicate, services.engine.bind_predicate(*query.statement, query.table, context));
  if (source.predicate != nullptr && source.predicate->depends_on_time()) {
    return fail(ErrorCode::kInvalidSql, "A result that is kept up to date cannot depend on the time: use a column");
  }
  KALAM_TRY(source.expressions, services.engine.bind_result(*query.statement, query.table, context));
  KALAM_TRY(auto result, LiveResult::make(query.shape, query.table, std::move(source)));
  const hot::SnapshotPtr snapshot = services.storage.hot().snapshot();
  SnapshotTable table(services, query, snapshot);
  KALAM_TRY(const auto rows, services.engine.result_rows(*query.statement, table, context, result->load_limit()));
  KALAM_CHECK(result->load(*rows, max_bytes));
  return LoadedResult{query, std::move(result), snapshot->seq()};
}

}  // namespace

Result<LoadedResult> load_result(const query::Services& services, const query::Caller& caller, GroupQuery query,
                                 size_t max_bytes) {
  while (true) {
    KALAM_TRY(query.table, current_table(services, query.table));
    auto loaded = try_load(services, caller, query, max_bytes);
    KALAM_TRY(const auto now, current_table(services, query.table));
    // Altered meanwhile: what was read may be of either.
    if (now->schema_version == query.table->schema_version) return loaded;
  }
}

ResultReader::ResultReader(ResultStart start, const protocol::SubscribeOptions& options)
    : start_(std::move(start)), batch_size_(batch_rows(options)) {}

Result<FirstRows::Batch> ResultReader::next(std::optional<Seq> after) {
  if (!after) next_ = 0;
  Batch batch;
  if (next_ == 0) batch.removals = start_.gone;
  size_t end = next_;
  if (rows().size() - next_ <= batch_size_) {
    KALAM_TRY(end, append_rows(batch, snapshot().seq));
  }
  const size_t gone_bytes = std::transform_reduce(start_.gone.begin(), start_.gone.end(), size_t{0}, std::plus(),
                                                  [](const ChangeTail& change) { return change.tail.size(); });
  if (end < rows().size() || gone_bytes > kFullBatchBytes) {
    if (start_.changed) {
      return fail(ErrorCode::kCursorTooOld, "Too much of the result has changed since then; subscribe without `from`");
    }
    // The `_seq` of the snapshot tells that a client has all of it: one whose connection breaks before is to begin
    // anew.
    batch.rows_json.clear();
    KALAM_TRY(end, append_rows(batch, static_cast<Seq>(batch_number_) + 1));
  }
  next_ = end;
  batch.control.batch_num = batch_number_++;
  batch.control.has_more = next_ < rows().size();
  return batch;
}

Result<size_t> ResultReader::append_rows(Batch& batch, Seq seq) const {
  size_t row = next_;
  for (; row < rows().size() && row - next_ < batch_size_ && batch.rows_json.size() < kFullBatchBytes; ++row) {
    if (!batch.rows_json.empty()) batch.rows_json.push_back(',');
    KALAM_CHECK(snapshot().form.encoder->append_row(batch.rows_json, *rows()[row].row, seq));
    batch.control.last_seq_id = seq;
  }
  return row;
}

}  // namespace kalamdb::live
