#include "duck/statement.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <cstring>

#include "duck/dialect.h"
#include "duck/live_query.h"
#include "duck/parse_bounds.h"
#include "duck/row_expressions.h"
#include "duck/shapes.h"
#include "duck/statement_impl.h"
#include "duck/tokens.h"
#include "duck/tree_check.h"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/list.hpp"

namespace kalamdb::duck {
namespace {

constexpr size_t kMaxLiveBytes = 64 * 1024;  // a longer one would take long to normalize

std::unexpected<Error> invalid(std::string message) { return fail(ErrorCode::kInvalidSql, std::move(message)); }

Result<> check_text(std::string_view sql) {
  if (!simdjson::validate_utf8(sql.data(), sql.size())) return invalid("SQL text is not valid UTF-8");
  if (std::memchr(sql.data(), '\0', sql.size()) != nullptr) return invalid("SQL text contains a NUL byte");
  return {};
}

// Statements that start otherwise are refused without being parsed.
Result<> check_first_word(std::string_view sql) {
  Token first;
  Lexer lexer(sql);
  if (!lexer.next(first)) return invalid(*lexer.error() != '\0' ? lexer.error() : "There is no SQL statement");
  if (first.kind == TokenKind::kOperator && text(sql, first) == "(") return {};
  const std::string word = duckdb::StringUtil::Upper(std::string(text(sql, first)));
  if (first.kind == TokenKind::kWord) {
    for (const char* allowed : {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "FROM", "VALUES", "EXPLAIN", "TABLE"}) {
      if (word == allowed) return {};
    }
  }
  constexpr size_t kShown = 40;
  return invalid("Unsupported statement type: " + word.substr(0, kShown));
}

std::string where_in(std::string_view sql, const duckdb::ErrorData& error) {
  const auto position = error.ExtraInfo().find("position");
  if (position == error.ExtraInfo().end()) return "";
  const size_t offset = std::min<size_t>(std::strtoull(position->second.c_str(), nullptr, 10), sql.size());
  const std::string_view before = sql.substr(0, offset);
  const size_t line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return fmt::format(" (line {}, column {})", line, offset - start + 1);
}

Result<duckdb::unique_ptr<duckdb::SQLStatement>> parse_tree(const std::string& sql) {
  try {
    duckdb::ParserOptions options;
    options.max_expression_depth = kMaxExpressionDepth;
    duckdb::Parser parser(options);
    parser.ParseQuery(sql);
    if (parser.statements.empty()) return invalid("There is no SQL statement");
    if (parser.statements.size() > 1) return invalid("Only one statement is allowed here");
    return std::move(parser.statements.front());
  } catch (const std::exception& exception) {
    const duckdb::ErrorData error(exception);
    const std::string& message = error.RawMessage();
    if (message.starts_with("Max expression depth") || message.starts_with("memory exhausted")) {
      return invalid(fmt::format("SQL statement has expressions nested more than {} levels deep", kMaxExpressionDepth));
    }
    return invalid(message + where_in(sql, error));
  }
}

StatementKind kind_of(const duckdb::SQLStatement& tree) {
  switch (tree.type) {
    case duckdb::StatementType::INSERT_STATEMENT:
      return StatementKind::kInsert;
    case duckdb::StatementType::UPDATE_STATEMENT:
      return StatementKind::kUpdate;
    case duckdb::StatementType::DELETE_STATEMENT:
      return StatementKind::kDelete;
    case duckdb::StatementType::EXPLAIN_STATEMENT:
      return StatementKind::kExplain;
    default:
      return StatementKind::kSelect;
  }
}

Result<> read_shape(Statement::Impl& impl) {
  const duckdb::SQLStatement& tree = *impl.tree;
  KALAM_TRY(impl.returning, returning_items(tree));
  switch (impl.kind) {
    case StatementKind::kSelect:
      impl.point_select = point_select_shape(tree.Cast<duckdb::SelectStatement>());
      break;
    case StatementKind::kInsert:
      if (const auto& conflict = tree.Cast<duckdb::InsertStatement>().on_conflict_info;
          conflict && conflict->set_info) {
        KALAM_CHECK(check_set(*conflict->set_info, "ON CONFLICT DO UPDATE"));
      }
      impl.insert = insert_shape(tree.Cast<duckdb::InsertStatement>());
      break;
    case StatementKind::kUpdate:
      KALAM_CHECK(check_set(*tree.Cast<duckdb::UpdateStatement>().set_info, "UPDATE"));
      impl.change = update_shape(tree.Cast<duckdb::UpdateStatement>());
      break;
    case StatementKind::kDelete:
      impl.change = delete_shape(tree.Cast<duckdb::DeleteStatement>());
      break;
    case StatementKind::kExplain:
      break;
  }
  return {};
}

}  // namespace

Statement::Statement() = default;
Statement::~Statement() = default;

Result<std::shared_ptr<const Statement>> Statement::parse(std::string_view sql) {
  KALAM_CHECK(check_text(sql));
  KALAM_CHECK(check_first_word(sql));
  KALAM_TRY(const bool is_dialect, check_parse_bounds(sql));
  std::string source;
  if (is_dialect) {
    KALAM_TRY(source, translate(sql));
  } else {
    source = sql;
  }
  auto impl = std::make_unique<Impl>();
  KALAM_TRY(impl->tree, parse_tree(source));
  TreeCheck check;
  KALAM_CHECK(check.run(*impl->tree));
  impl->kind = kind_of(*impl->tree);
  impl->tables = check.take_tables();
  impl->parameter_count = check.parameter_count();
  impl->uses_current_user = check.uses_current_user();
  KALAM_CHECK(read_shape(*impl));
  if (impl->kind == StatementKind::kExplain) {
    std::shared_ptr<Statement> explained(new Statement());
    explained->impl_ = std::make_unique<Impl>();
    explained->impl_->tree = impl->tree->Cast<duckdb::ExplainStatement>().stmt->Copy();
    explained->impl_->kind = kind_of(*explained->impl_->tree);
    explained->impl_->tables = impl->tables;
    explained->impl_->parameter_count = impl->parameter_count;
    KALAM_CHECK(read_shape(*explained->impl_));
    impl->explained = std::move(explained);
  }
  std::shared_ptr<Statement> statement(new Statement());
  statement->impl_ = std::move(impl);
  return statement;
}

const std::shared_ptr<const Statement>& Statement::explained() const { return impl_->explained; }
StatementKind Statement::kind() const { return impl_->kind; }
const std::vector<TableName>& Statement::tables() const { return impl_->tables; }
uint32_t Statement::parameter_count() const { return impl_->parameter_count; }
const std::optional<PointSelect>& Statement::point_select() const { return impl_->point_select; }
const std::optional<InsertShape>& Statement::insert() const { return impl_->insert; }
const std::optional<ChangeShape>& Statement::change() const { return impl_->change; }
const std::vector<ReturningItem>& Statement::returning() const { return impl_->returning; }

Result<LiveShape> Statement::live() const {
  if (impl_->kind != StatementKind::kSelect) return invalid("Subscription query must be a SELECT");
  if (impl_->tree->query.size() > kMaxLiveBytes) {
    return invalid(fmt::format("Subscription query is longer than {} bytes", kMaxLiveBytes));
  }
  if (impl_->parameter_count > 0) return invalid("Subscription query does not support parameters");
  KALAM_TRY(LiveShape shape, live_shape(impl_->tree->Cast<duckdb::SelectStatement>()));
  shape.uses_current_user = impl_->uses_current_user;
  return shape;
}

}  // namespace kalamdb::duck
