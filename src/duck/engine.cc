#include "duck/engine.h"

#include <unordered_set>

#include "duck/dml.h"
#include "duck/duck_error.h"
#include "duck/foreign_parquet.h"
#include "duck/live_query.h"
#include "duck/predicate.h"
#include "duck/rewrite.h"
#include "duck/row_expressions.h"
#include "duck/segment_io.h"
#include "duck/session.h"
#include "duck/statement_impl.h"
#include "duck/types.h"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/statement/list.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"
#include "model/key_codec.h"

namespace kalamdb::duck {

namespace {

// The table that an INSERT, UPDATE or DELETE writes to.
Result<model::TablePtr> target_table(const TableName& name, SourceResolver& tables) {
  KALAM_TRY(const TableSource source, tables.open(name));
  if (source.scan) return source.scan->table();
  if (source.computed) return source.computed->table;
  return fail(ErrorCode::kInvalidOperation, "'" + name.name + "' is a view, which cannot be written to");
}

class DuckEngine : public Engine {
 public:
  DuckEngine(std::shared_ptr<SegmentAccess> access, std::unique_ptr<RenewedInstance> instance,
             std::unique_ptr<RenewedInstance> background, EngineOptions foreign)
      : access_(std::move(access)),
        instance_(std::move(instance)),
        background_(std::move(background)),
        foreign_(std::move(foreign)) {}

  void set_remote_files(RemoteFiles* files) override { access_->remote = files; }

  Result<std::unique_ptr<QueryResult>> query(const Statement& statement, SourceResolver& tables,
                                             const QueryContext& context) override {
    return guarded([&]() -> Result<std::unique_ptr<QueryResult>> {
      if (statement.kind() == StatementKind::kExplain) return explain(statement, tables, context);
      auto tree = statement.impl().tree->Copy();
      return run(std::move(tree->Cast<duckdb::SelectStatement>().node), tables, context);
    });
  }

  Result<std::vector<ResultColumn>> describe(const Statement& select, SourceResolver& tables,
                                             const QueryContext& context) override {
    return guarded([&]() -> Result<std::vector<ResultColumn>> {
      auto own = session(context);
      auto tree = select.impl().tree->Copy();
      auto& node = tree->Cast<duckdb::SelectStatement>().node;
      KALAM_CHECK(Rewriter(own->state(), tables, context.parameters).run(*node));
      return own->describe(select_all_from(std::move(node)));
    });
  }

  Result<std::unique_ptr<QueryResult>> insert_rows(const Statement& insert, const std::vector<std::string>& columns,
                                                   SourceResolver& tables, const QueryContext& context) override {
    return guarded([&]() -> Result<std::unique_ptr<QueryResult>> {
      KALAM_TRY(const auto table, target_table(insert.insert()->table, tables));
      KALAM_TRY(auto result, run(insert_query(*insert.impl().tree, columns, *table), tables, context,
                                 {.hide_system_columns = true}));
      if (result->columns().size() != columns.size()) {
        return fail(ErrorCode::kInvalidSql, "INSERT names " + std::to_string(columns.size()) + " column(s) but gives " +
                                                std::to_string(result->columns().size()) + " value(s) a row");
      }
      return result;
    });
  }

  Result<TouchedRows> changes(const Statement& change, SourceResolver& tables, const QueryContext& context) override {
    return guarded([&]() -> Result<TouchedRows> {
      KALAM_TRY(const auto table, target_table(change.change()->table, tables));
      ChangeQuery changes = change_query(*change.impl().tree, *table);
      KALAM_TRY(auto result, run(std::move(changes.query), tables, context, {.positioned = changes.target}));
      return read_changes(*result, *table, changes);
    });
  }

  Result<EvaluatedRows> returning(const Statement& change, const model::TablePtr& table, std::vector<model::Row> rows,
                                  SourceResolver& tables, const QueryContext& context) override {
    return guarded([&]() -> Result<EvaluatedRows> {
      return evaluate(returning_query(*change.impl().tree, *table, std::move(rows)), tables, context);
    });
  }

  Result<EvaluatedRows> conflict_updates(const Statement& insert, const model::TablePtr& table,
                                         std::vector<ConflictRow> rows, SourceResolver& tables,
                                         const QueryContext& context) override {
    return guarded([&]() -> Result<EvaluatedRows> {
      return evaluate(conflict_query(*insert.impl().tree, *table, std::move(rows)), tables, context);
    });
  }

  Result<std::unique_ptr<QueryResult>> live_rows(const Statement& select, SourceResolver& tables,
                                                 const QueryContext& context, Seq after, uint64_t newest) override {
    return guarded([&]() -> Result<std::unique_ptr<QueryResult>> {
      KALAM_TRY(const LiveShape shape, select.live());
      KALAM_TRY(const auto table, target_table(shape.table, tables));
      const bool star_has_seq = table->type != model::TableType::kSystem && table->find_column(model::kSeqColumn);
      return run(live_query(select, star_has_seq, after, newest), tables, context);
    });
  }

  Result<std::unique_ptr<QueryResult>> other_rows(const Statement& select, SourceResolver& tables,
                                                  const QueryContext& context, Seq after) override {
    return guarded([&] { return run(other_rows_query(select, after), tables, context); });
  }

  Result<std::unique_ptr<Predicate>> bind_predicate(const Statement& select, const model::TablePtr& table,
                                                    const QueryContext& context) override {
    return guarded([&] { return make_predicate(session(context), select, table, context); });
  }

  Result<std::unique_ptr<RowExpressions>> bind_result(const Statement& select, const model::TablePtr& table,
                                                      const QueryContext& context) override {
    return guarded([&]() -> Result<std::unique_ptr<RowExpressions>> {
      KALAM_TRY(const LiveShape shape, select.live());
      return make_row_expressions(session(context), result_expressions(select, shape), table, context);
    });
  }

  Result<std::unique_ptr<QueryResult>> result_rows(const Statement& select, SourceResolver& tables,
                                                   const QueryContext& context, uint64_t limit) override {
    return guarded([&]() -> Result<std::unique_ptr<QueryResult>> {
      KALAM_TRY(const LiveShape shape, select.live());
      KALAM_TRY(const auto table, target_table(shape.table, tables));
      return run(result_query(select, shape, *table, limit), tables, context);
    });
  }

  Result<WrittenSegment> write_segment(const std::string& path, const model::TablePtr& table, model::RowCursor& rows,
                                       const std::vector<std::pair<std::string, std::string>>& metadata) override {
    return guarded([&] { return write_segment_file(*background_session(), path, table, rows, metadata); });
  }

  Result<std::vector<SegmentRow>> find_in_segments(const model::TablePtr& table, std::span<const Segment> segments,
                                                   std::span<const std::string> keys) override {
    return guarded([&] { return find_segment_rows(*session({.timeout_ms = 0}), table, segments, keys); });
  }

  Result<std::unique_ptr<SegmentRows>> read_segment(const model::TablePtr& table, const Segment& segment) override {
    return guarded([&] { return read_segment_rows(background_session(), table, segment); });
  }

  Result<std::vector<ResultColumn>> parquet_columns(std::span<const std::string> paths,
                                                    std::function<bool()> is_abandoned) override {
    return guarded([&] { return foreign_columns(foreign_sessions(std::move(is_abandoned)), paths); });
  }

  Result<std::unique_ptr<QueryResult>> read_parquet(std::span<const std::string> paths,
                                                    std::span<const std::string> columns, size_t key_columns,
                                                    std::function<bool()> is_abandoned) override {
    return guarded(
        [&] { return read_foreign(foreign_sessions(std::move(is_abandoned)), paths, columns, key_columns); });
  }

 private:
  std::unique_ptr<Session> session(const QueryContext& context) {
    return std::make_unique<Session>(instance_->get(), context);
  }
  std::unique_ptr<Session> background_session() {
    return std::make_unique<Session>(background_->get(), QueryContext{.timeout_ms = 0});
  }

  // Each with an instance of its own, since files of others may break it.
  OpenSession foreign_sessions(std::function<bool()> is_abandoned) {
    return [options = foreign_, access = access_, is_abandoned]() -> Result<std::unique_ptr<Session>> {
      KALAM_TRY(auto instance, Instance::open(options, access));
      return std::make_unique<Session>(std::move(instance),
                                       QueryContext{.timeout_ms = 0, .is_abandoned = is_abandoned});
    };
  }

  Result<std::unique_ptr<QueryResult>> run(duckdb::unique_ptr<duckdb::QueryNode> query, SourceResolver& tables,
                                           const QueryContext& context, RewriteOptions options = {}) {
    auto own = session(context);
    KALAM_CHECK(Rewriter(own->state(), tables, context.parameters, options).run(*query));
    KALAM_TRY(auto result, own->start(std::move(query)));
    return stream_result(std::move(own), std::move(result));
  }

  Result<EvaluatedRows> evaluate(RowQuery query, SourceResolver& tables, const QueryContext& context) {
    const size_t count = query.rows.rows->size();
    KALAM_TRY(const auto result, run(std::move(query.query), tables, context,
                                     {.given = query.given, .given_rows = std::move(query.rows)}));
    EvaluatedRows evaluated{.columns = {result->columns().begin() + 1, result->columns().end()}, .rows = {}};
    for (ResultColumn& column : evaluated.columns) column.source = nullptr;  // of a table that is gone with the query
    evaluated.rows.resize(count);
    size_t filled = 0;
    for (;;) {
      KALAM_TRY(const ResultBatch* batch, result->next());
      if (!batch) break;
      for (size_t r = 0; r < batch->row_count(); ++r, ++filled) {
        model::Row& row = evaluated.rows.at(static_cast<size_t>(std::get<int64_t>(batch->cell(r, 0))));
        for (size_t i = 1; i <= evaluated.columns.size(); ++i) row.push_back(model::to_value(batch->cell(r, i)));
      }
    }
    if (filled != count) return fail(ErrorCode::kInvalidSql, "An expression over a row must give one value");
    return evaluated;
  }

  // DML is explained as the query that finds its rows.
  Result<std::unique_ptr<QueryResult>> explain(const Statement& statement, SourceResolver& tables,
                                               const QueryContext& context) {
    auto own = session(context);
    own->state().plain = true;
    auto tree = statement.impl().tree->Copy();
    auto& explained = tree->Cast<duckdb::ExplainStatement>().stmt;
    KALAM_CHECK(replace_dml(explained, tables));
    auto& node = *explained->Cast<duckdb::SelectStatement>().node;
    KALAM_CHECK(Rewriter(own->state(), tables, context.parameters).run(node));
    KALAM_TRY(auto result, own->start(std::move(tree)));
    return stream_result(std::move(own), std::move(result));
  }

  static Result<> replace_dml(duckdb::unique_ptr<duckdb::SQLStatement>& statement, SourceResolver& tables) {
    duckdb::unique_ptr<duckdb::QueryNode> query;
    if (statement->type == duckdb::StatementType::INSERT_STATEMENT) {
      const auto& insert = statement->Cast<duckdb::InsertStatement>();
      KALAM_TRY(const auto table, target_table({insert.schema, insert.table}, tables));
      if (!insert.select_statement) return fail(ErrorCode::kInvalidOperation, "INSERT … DEFAULT VALUES has no plan");
      query = insert_query(*statement, {insert.columns.begin(), insert.columns.end()}, *table);
    } else if (statement->type != duckdb::StatementType::SELECT_STATEMENT) {
      const auto& target = statement->type == duckdb::StatementType::UPDATE_STATEMENT
                               ? statement->Cast<duckdb::UpdateStatement>().table
                               : statement->Cast<duckdb::DeleteStatement>().table;
      const auto& name = target->Cast<duckdb::BaseTableRef>();
      KALAM_TRY(const auto table, target_table({name.schema_name, name.table_name}, tables));
      ChangeQuery changes = change_query(*statement, *table);
      // Explained without the positions, which nothing but a change itself asks for.
      auto& list = changes.query->Cast<duckdb::SelectNode>().select_list;
      const auto positions = list.begin() + static_cast<std::ptrdiff_t>(table->columns.size());
      list.erase(positions, positions + 2);
      query = std::move(changes.query);
    }
    if (query) statement = select_statement(std::move(query));
    return {};
  }

  static Result<TouchedRows> read_changes(QueryResult& result, const model::TableDefinition& table,
                                          const ChangeQuery& changes) {
    const size_t columns = table.columns.size();
    const size_t first_assigned = columns + 2;
    TouchedRows touched;
    for (size_t i = first_assigned; i < result.columns().size(); ++i) {
      touched.assigned_types.push_back(result.columns()[i].type);
    }
    std::unordered_set<std::string> seen;
    for (;;) {
      KALAM_TRY(const ResultBatch* batch, result.next());
      if (!batch) return touched;
      for (size_t r = 0; r < batch->row_count(); ++r) {
        TouchedRow row;
        for (size_t i = 0; i < columns; ++i) row.current.push_back(model::to_value(batch->cell(r, i)));
        if (is_tombstone(table, row.current)) continue;
        if (changes.may_repeat_rows && !seen.insert(model::encode_key(table, row.current)).second) continue;
        row.seq = sequence(table, row.current);
        const auto segment = batch->cell(r, columns);
        row.cold = !model::is_null(segment);
        if (row.cold) {
          row.segment_id = static_cast<uint64_t>(std::get<int64_t>(segment));
          row.position = static_cast<uint32_t>(std::get<int64_t>(batch->cell(r, columns + 1)));
        }
        for (size_t i = first_assigned; i < result.columns().size(); ++i) {
          row.assigned.push_back(model::to_value(batch->cell(r, i)));
        }
        touched.rows.push_back(std::move(row));
      }
    }
  }

  static bool is_tombstone(const model::TableDefinition& table, const model::Row& row) {
    const auto* column = table.find_column(model::kDeletedColumn);
    const bool* deleted = column ? std::get_if<bool>(&row[column - table.columns.data()]) : nullptr;
    return deleted && *deleted;
  }

  static Seq sequence(const model::TableDefinition& table, const model::Row& row) {
    const auto* column = table.find_column(model::kSeqColumn);
    const int64_t* value = column ? std::get_if<int64_t>(&row[column - table.columns.data()]) : nullptr;
    return value ? *value : 0;
  }

  const std::shared_ptr<SegmentAccess> access_;
  const std::unique_ptr<RenewedInstance> instance_;
  const std::unique_ptr<RenewedInstance> background_;  // for what is done to whole segments
  const EngineOptions foreign_;                        // of instances for files of others
};

}  // namespace

Result<std::unique_ptr<Engine>> Engine::create(EngineOptions options) {
  const std::string temp_directory = options.temp_directory;
  const auto access = std::make_shared<SegmentAccess>();
  if (!temp_directory.empty()) options.temp_directory = temp_directory + "/queries";
  KALAM_TRY(auto instance, RenewedInstance::open(options, access));
  // With one thread, DuckDB works on the caller's own, whose priority may be low, and writes a segment row group by row
  // group rather than from all of its rows in memory.
  options.threads = 1;
  if (!temp_directory.empty()) options.temp_directory = temp_directory + "/segments";
  KALAM_TRY(auto background, RenewedInstance::open(options, access));
  if (!temp_directory.empty()) options.temp_directory = temp_directory + "/imports";
  return std::make_unique<DuckEngine>(access, std::move(instance), std::move(background), std::move(options));
}

}  // namespace kalamdb::duck
