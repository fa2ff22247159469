#include "live/result_reader.h"

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

ResultReader::ResultReader(ResultSnapshotPtr snapshot, const protocol::SubscribeOptions& options)
    : snapshot_(std::move(snapshot)), batch_size_(batch_rows(options)) {}

Result<FirstRows::Batch> ResultReader::next(std::optional<Seq> after) {
  if (!after) next_ = 0;
  Batch batch;
  batch.control.batch_num = batch_number_++;
  const auto& rows = snapshot_->rows;
  for (uint64_t count = 0; next_ < rows.size() && count < batch_size_ && batch.rows_json.size() < kFullBatchBytes;
       ++count) {
    if (!batch.rows_json.empty()) batch.rows_json.push_back(',');
    KALAM_CHECK(snapshot_->form.encoder->append_row(batch.rows_json, *rows[next_++].row, snapshot_->seq));
    batch.control.last_seq_id = snapshot_->seq;
  }
  batch.control.has_more = next_ < rows.size();
  return batch;
}

}  // namespace kalamdb::live
