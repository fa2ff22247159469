#include "duck/foreign_parquet.h"

#include <algorithm>
#include <utility>

#include "duck/duck_error.h"
#include "duck/segment_file_system.h"
#include "duck/types.h"
#include "duckdb/parser/expression/list.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/result_modifier.hpp"
#include "duckdb/parser/tableref/list.hpp"

namespace kalamdb::duck {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::make_uniq;
using Expression = duckdb::unique_ptr<duckdb::ParsedExpression>;

namespace {

Expression constant(duckdb::Value value) { return make_uniq<duckdb::ConstantExpression>(std::move(value)); }

// The names of such files are those of segments of no table.
std::string file_name(const std::string& path) { return segment_file_name(TableId(0), path); }

duckdb::unique_ptr<duckdb::SelectNode> select_from(std::span<const std::string> paths) {
  duckdb::vector<duckdb::Value> names;
  for (const std::string& path : paths) names.emplace_back(file_name(path));
  duckdb::vector<Expression> arguments;
  arguments.push_back(constant(duckdb::Value::LIST(LogicalType::VARCHAR, std::move(names))));
  for (const auto& [option, value] : {std::pair("union_by_name", true), std::pair("hive_partitioning", false)}) {
    arguments.push_back(constant(duckdb::Value::BOOLEAN(value)));
    arguments.back()->SetAlias(option);
  }
  auto files = make_uniq<duckdb::TableFunctionRef>();
  files->function = make_uniq<duckdb::FunctionExpression>("parquet_scan", std::move(arguments));
  auto node = make_uniq<duckdb::SelectNode>();
  node->from_table = std::move(files);
  return node;
}

duckdb::unique_ptr<duckdb::SelectNode> select_all(std::span<const std::string> paths) {
  auto node = select_from(paths);
  node->select_list.push_back(make_uniq<duckdb::StarExpression>());
  return node;
}

// What a column of that type becomes in a table.
model::DataType column_type(const LogicalType& type) {
  if (type.id() == LogicalTypeId::UBIGINT) return {.tag = model::TypeTag::kDecimal, .precision = 20};
  if (type.id() == LogicalTypeId::HUGEINT || type.id() == LogicalTypeId::UHUGEINT) return {model::TypeTag::kText};
  return to_result_type(type).type;
}

// The column as to_duck_type(column_type(type)).
Expression converted(const std::string& column, const LogicalType& type) {
  Expression value = make_uniq<duckdb::ColumnRefExpression>(column);
  const auto cast = [&](const LogicalType& to) { value = make_uniq<duckdb::CastExpression>(to, std::move(value)); };
  const LogicalType physical = to_result_type(type).physical;
  if (physical.IsJSONType() && !type.IsJSONType()) {
    cast(with_field_names(type));
    cast(physical);
  }
  cast(to_duck_type(column_type(type)));
  return value;
}

// Without names that are for nobody outside.
std::string public_text(std::string text) {
  for (size_t at = text.find(segment_prefix()); at != text.npos; at = text.find(segment_prefix())) {
    text.erase(at, file_name("").size());
  }
  return text;
}

bool is_about_files(ErrorCode code) {
  return code != ErrorCode::kTimeout && code != ErrorCode::kQueryMemoryExceeded && code != ErrorCode::kUnavailable;
}

std::unexpected<Error> unreadable(const std::string& path, const Error& error) {
  const std::string why = error.code == ErrorCode::kIo || error.code == ErrorCode::kInternal
                              ? "it is damaged, or no Parquet file"
                              : public_text(error.message);
  return fail(ErrorCode::kInvalidInput, "The file " + path + " cannot be read as Parquet: " + why);
}

using NamedTypes = std::vector<std::pair<std::string, LogicalType>>;

// Session::describe() does not tell the types as DuckDB has them.
Result<NamedTypes> types_of(Session& session, std::span<const std::string> paths) {
  return guarded([&]() -> Result<NamedTypes> {
    const auto prepared = session.context().Prepare(select_statement(select_all(paths)));
    if (prepared->HasError()) return fail(to_error(prepared->error));
    NamedTypes types;
    for (size_t i = 0; i < prepared->ColumnCount(); ++i) {
      types.emplace_back(prepared->GetNames()[i], prepared->GetTypes()[i]);
    }
    return types;
  });
}

Result<> read_all(Session& session, std::span<const std::string> paths) {
  KALAM_TRY(auto result, session.start(duckdb::unique_ptr<duckdb::QueryNode>(select_all(paths))));
  while (true) {
    KALAM_TRY(const auto chunk, session.fetch(*result));
    if (!chunk) return {};
  }
}

// Names the file that is to blame for an error, if it is one of them.
Error explained(const OpenSession& open, std::span<const std::string> paths, Error error) {
  if (!is_about_files(error.code)) return error;
  for (size_t i = 0; i < paths.size(); ++i) {
    const auto session = open();
    if (!session) return session.error();
    auto read = guarded([&] { return read_all(**session, paths.subspan(i, 1)); });
    if (read) continue;
    if (!is_about_files(read.error().code)) return read.error();
    return unreadable(paths[i], read.error()).error();
  }
  return {ErrorCode::kInvalidInput, "The files cannot be read together: " + public_text(std::move(error.message))};
}

class ForeignRows final : public QueryResult {
 public:
  ForeignRows(OpenSession open, std::span<const std::string> paths, std::unique_ptr<QueryResult> rows)
      : open_(std::move(open)), paths_(paths.begin(), paths.end()), rows_(std::move(rows)) {}

  const std::vector<ResultColumn>& columns() const override { return rows_->columns(); }
  Result<const ResultBatch*> next() override {
    auto batch = rows_->next();
    if (!batch) return fail(explained(open_, paths_, std::move(batch).error()));
    return batch;
  }
  void cancel() override { rows_->cancel(); }

 private:
  const OpenSession open_;
  const std::vector<std::string> paths_;
  const std::unique_ptr<QueryResult> rows_;
};

}  // namespace

Result<std::vector<ResultColumn>> foreign_columns(const OpenSession& open, std::span<const std::string> paths) {
  KALAM_TRY(const auto session, open());
  session->state().plain = true;
  const auto types = types_of(*session, paths);
  if (!types) return fail(explained(open, paths, types.error()));
  std::vector<ResultColumn> columns;
  for (const auto& [name, type] : *types) columns.push_back({name, column_type(type)});
  return columns;
}

Result<std::unique_ptr<QueryResult>> read_foreign(const OpenSession& open, std::span<const std::string> paths,
                                                  std::span<const std::string> columns, size_t key_columns) {
  KALAM_TRY(auto session, open());
  session->state().plain = true;
  const auto types = types_of(*session, paths);
  if (!types) return fail(explained(open, paths, types.error()));
  const auto type_of = [&](std::string_view name) {
    const auto found = std::ranges::find(*types, name, &std::pair<std::string, LogicalType>::first);
    return found == types->end() ? nullptr : &found->second;
  };
  auto node = select_from(paths);
  for (const std::string& column : columns) {
    const LogicalType* const type = type_of(column);
    if (type == nullptr) return fail(ErrorCode::kConflict, "The files have changed meanwhile; run it again");
    node->select_list.push_back(converted(column, *type));
  }
  // Segments of KalamDB's own may have rows that were deleted before they were written.
  if (const auto* const deleted = type_of(model::kDeletedColumn); deleted && deleted->id() == LogicalTypeId::BOOLEAN) {
    node->where_clause = make_uniq<duckdb::ComparisonExpression>(
        duckdb::ExpressionType::COMPARE_DISTINCT_FROM,
        make_uniq<duckdb::ColumnRefExpression>(std::string(model::kDeletedColumn)),
        constant(duckdb::Value::BOOLEAN(true)));
  }
  auto order = make_uniq<duckdb::OrderModifier>();
  for (size_t i = 1; i <= key_columns; ++i) {
    order->orders.emplace_back(duckdb::OrderType::ASCENDING, duckdb::OrderByNullType::NULLS_FIRST,
                               constant(duckdb::Value::INTEGER(static_cast<int32_t>(i))));
  }
  node->modifiers.push_back(std::move(order));
  auto started = session->start(duckdb::unique_ptr<duckdb::QueryNode>(std::move(node)));
  if (!started) return fail(explained(open, paths, std::move(started).error()));
  KALAM_TRY(auto rows, stream_result(std::move(session), *std::move(started)));
  return std::make_unique<ForeignRows>(open, paths, std::move(rows));
}

}  // namespace kalamdb::duck
