#include "query/existing_rows.h"

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

Result<bool> ExistingRows::any(const std::string& condition) const {
  KALAM_TRY(const bool none, for_each("1", condition + " LIMIT 1", [](const model::ValueView&) { return false; }));
  return !none;
}

Result<bool> ExistingRows::all(const model::ColumnDefinition& column,
                               const std::function<bool(const model::ValueView&)>& accept) const {
  return for_each(quoted(column.name), "_deleted IN (true, false)", accept);
}

// False as soon as `accept` refuses a row.
Result<bool> ExistingRows::for_each(const std::string& select_list, const std::string& condition,
                                    const std::function<bool(const model::ValueView&)>& accept) const {
  KALAM_TRY(const auto statement, duck::Statement::parse("SELECT " + select_list + " FROM t WHERE _seq > " +
                                                         std::to_string(after_) + " AND " + condition));
  KALAM_TRY(const auto users, services_.storage.users(table_, snapshot_));
  for (const UserId& user : users) {
    KALAM_TRY(auto scan, services_.storage.scan(table_, user, snapshot_));
    OneScope source(std::move(scan));
    KALAM_TRY(const auto rows, services_.engine.query(*statement, source, query_context(services_, context_)));
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

std::string quoted(std::string_view name) {
  std::string text = "\"";
  for (const char c : name) text.append(c == '"' ? 2 : 1, c);
  return text + "\"";
}

}  // namespace kalamdb::query
