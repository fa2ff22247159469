// SHOW STATS FOR [TABLE] [ns.]t
#include <algorithm>
#include <cmath>
#include <set>

#include "query/commands.h"
#include "query/sources.h"

namespace kalamdb::query {

namespace {

using model::TypeTag;
using model::Value;

struct Numbers {
  int64_t hot_rows = 0;
  int64_t hot_bytes = 0;
  int64_t cold_rows = 0;
  std::set<std::string> segments;  // paths: users may share them
  double segment_bytes = 0;
  int64_t last_flushed_us = 0;
};

// The rows of one scope, counted.
Result<> add_scope(const Services& services, const model::TablePtr& table, const UserId& user,
                   const hot::SnapshotPtr& snapshot, Numbers& numbers) {
  KALAM_TRY(const auto scan, services.storage.scan(table, user, snapshot));
  const auto hot = scan->hot({}, false);
  while (true) {
    KALAM_TRY(const auto record, hot->next());
    if (!record) break;
    ++numbers.hot_rows;
    numbers.hot_bytes += static_cast<int64_t>(record->key.size() + record->row.size());
  }
  for (const auto& segment : scan->segments()) {
    numbers.segments.insert(segment.path);
    numbers.cold_rows += static_cast<int64_t>(segment.live_rows());
    // Of one that users share each has a part.
    numbers.segment_bytes += static_cast<double>(segment.size_bytes) * segment.visible.size() / segment.row_count;
    numbers.last_flushed_us = std::max(numbers.last_flushed_us, segment.created_at_us);
  }
  return {};
}

// Whose rows are counted: of a table that has each user's, administrators see the sum and others their own.
Result<std::vector<UserId>> scopes(const Services& services, const model::TablePtr& table, const Caller& caller,
                                   const hot::SnapshotPtr& snapshot) {
  if (!table->is_per_user()) return std::vector{UserId()};
  if (!is_admin(caller.role)) return std::vector{caller.user};
  return services.storage.users(table, snapshot);
}

class ShowStats : public Command {
 public:
  explicit ShowStats(QualifiedName name) : name_(std::move(name)) {}

  Result<> authorize(const Caller&) const override { return {}; }  // depends on the table: see run()
  bool is_allowed_in_transaction() const override { return true; }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    KALAM_TRY(const model::TablePtr table, services.catalog.find_table(namespace_of(name_, context), name_.name));
    if (table == nullptr) return fail(ErrorCode::kTableNotFound, namespace_of(name_, context) + "." + name_.name);
    if (table->is_view()) {
      return fail(ErrorCode::kInvalidOperation, table->qualified_name() + " is a view, which has no rows of its own");
    }
    KALAM_CHECK(check_access(*table, context.caller, Access::kRead));
    const auto snapshot = services.storage.hot().snapshot();
    Numbers numbers;
    KALAM_TRY(const auto users, scopes(services, table, context.caller, snapshot));
    for (const UserId& user : users) KALAM_CHECK(add_scope(services, table, user, snapshot, numbers));

    StatementResult result;
    result.rows = make_result(
        {result_column("table_name", TypeTag::kText), result_column("namespace", TypeTag::kText),
         result_column("schema_version", TypeTag::kInt), result_column("logical_rows", TypeTag::kBigInt),
         result_column("flushed_segments", TypeTag::kBigInt), result_column("active_streams", TypeTag::kBigInt),
         result_column("memory_bytes", TypeTag::kBigInt), result_column("hot_rows", TypeTag::kBigInt),
         result_column("cold_rows", TypeTag::kBigInt), result_column("storage_bytes", TypeTag::kBigInt),
         result_column("last_flushed_at", TypeTag::kTimestamp)},
        {{table->name, table->namespace_id, int64_t{table->schema_version}, numbers.hot_rows + numbers.cold_rows,
          static_cast<int64_t>(numbers.segments.size()), Value(), numbers.hot_bytes, numbers.hot_rows,
          numbers.cold_rows, std::llround(numbers.segment_bytes),
          numbers.last_flushed_us == 0 ? Value() : Value(numbers.last_flushed_us)}});
    return result;
  }

 private:
  QualifiedName name_;
};

}  // namespace

ParsedCommand parse_show_stats(TokenReader& reader) {
  KALAM_CHECK(reader.expect("for"));
  (void)reader.accept("table");
  KALAM_TRY(QualifiedName name, reader.qualified_name("a table name"));
  KALAM_CHECK(reader.end());
  return std::make_unique<ShowStats>(std::move(name));
}

}  // namespace kalamdb::query
