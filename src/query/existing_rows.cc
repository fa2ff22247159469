#include "query/existing_rows.h"

#include <algorithm>

#include "query/insert.h"

namespace kalamdb::query {

namespace {

// The table as one user sees it.
class OneScope : public duck::SourceResolver {
 public:
  explicit OneScope(std::shared_ptr<const duck::TableScan> scan) : scan_(std::move(scan)) {}
  Result<duck::TableSource> open(const duck::TableName&) override { return duck::TableSource{.scan = scan_}; }

 private:
  std::shared_ptr<const duck::TableScan> scan_;
};

}  // namespace

Result<bool> ScannedRows::any(const std::string& condition) const {
  KALAM_TRY(const bool none, for_each("1", condition + " LIMIT 1", [](const model::ValueView&) { return false; }));
  return !none;
}

Result<bool> ScannedRows::all(const model::ColumnDefinition& column,
                              const std::function<bool(const model::ValueView&)>& accept) const {
  return for_each(quoted(column.name), "_deleted IN (true, false)", accept);
}

// False as soon as `accept` refuses a row.
Result<bool> ScannedRows::for_each(const std::string& select_list, const std::string& condition,
                                   const std::function<bool(const model::ValueView&)>& accept) const {
  KALAM_TRY(const auto statement, duck::Statement::parse("SELECT " + select_list + " FROM t WHERE " + condition));
  KALAM_TRY(const auto users, services_.storage.users(table_, snapshot_));
  for (const UserId& user : users) {
    KALAM_TRY(auto scan, services_.storage.scan(table_, user, snapshot_));
    OneScope source(std::move(scan));
    KALAM_TRY(const auto rows,
              services_.engine.query(*statement, source, query_context(services_, context_, services_.clock.now_us())));
    while (true) {
      KALAM_TRY(const duck::ResultBatch* batch, rows->next());
      if (batch == nullptr) break;
      for (size_t row = 0; row < batch->row_count(); ++row) {
        if (!accept(batch->cell(row, 0))) return false;
      }
    }
  }
  return true;
}

WrittenRows::WrittenRows(const Services& services, model::TablePtr table,
                         const std::vector<storage::ChangeSetPtr>& commits)
    : services_(services), table_(std::move(table)), commits_(commits) {
  for (const auto& commit : commits_) {
    for (const storage::RowChange& change : commit->rows) {
      if (change.table->id != table_->id || change.kind == storage::ChangeKind::kDelete) continue;
      rows_.push_back({.seq = change.seq, .key = change.key, .row = change.row});
    }
  }
}

Result<bool> WrittenRows::any(const std::string& condition) const {
  if (rows_.empty()) return false;
  KALAM_TRY(const auto statement, duck::Statement::parse("SELECT * FROM t WHERE " + condition));
  KALAM_TRY(const auto predicate, services_.engine.bind_predicate(*statement, table_, duck::QueryContext{}));
  std::vector<char> matches;
  KALAM_CHECK(predicate->evaluate(rows_, matches));
  return std::ranges::find(matches, 1) != matches.end();
}

Result<bool> WrittenRows::all(const model::ColumnDefinition& column,
                              const std::function<bool(const model::ValueView&)>& accept) const {
  for (const auto& record : rows_) {
    KALAM_TRY(const auto row, model::RowView::open(record.row));
    KALAM_TRY(const auto value, row.get(column));
    if (!accept(value)) return false;
  }
  return true;
}

namespace {

// Between quotes, which are doubled within.
std::string between(char quote, std::string_view content) {
  std::string text(1, quote);
  for (const char c : content) text.append(c == quote ? 2 : 1, c);
  return text + quote;
}

}  // namespace

std::string quoted(std::string_view name) { return between('"', name); }

std::string string_literal(std::string_view text) { return between('\'', text); }

}  // namespace kalamdb::query
