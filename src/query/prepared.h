// SQL text, parsed and classified once and kept for the next time the same text comes.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/shared_slot.h"
#include "duck/statement.h"
#include "query/command.h"

namespace kalamdb::query {

struct PointPlan;  // point_plan.h

// One statement, parsed. Immutable but for the plan, which is derived from the catalog and replaced when that changes.
struct Prepared {
  // EXECUTE AS USER's target; the rest is then the statement within.
  std::optional<std::string> as_user;
  // One of the two.
  std::unique_ptr<const Command> command;
  std::shared_ptr<const duck::Statement> statement;
  mutable SharedSlot<const PointPlan> plan;

  uint32_t parameter_count() const { return statement ? statement->parameter_count() : 0; }
};
using PreparedPtr = std::shared_ptr<const Prepared>;

// Parses one statement: KalamDB's own by the table in commands.h, everything else as standard SQL.
// Errors: kInvalidSql; kInvalidInput for a malformed EXECUTE AS USER.
Result<PreparedPtr> prepare(std::string_view sql);

// The statements of recent requests by their text. Thread-safe; bounded in entries and in bytes.
class PreparedCache {
 public:
  // The statement if `sql` is exactly one; nullptr when it is several. Texts of up to kMaxCachedBytes are kept.
  Result<PreparedPtr> single(std::string_view sql);

  static constexpr size_t kMaxCachedBytes = 2048;
  static constexpr size_t kMaxEntries = 2048;

 private:
  struct Entry {
    std::string sql;
    PreparedPtr prepared;
  };
  PreparedPtr find(std::string_view sql);
  void add(std::string_view sql, const PreparedPtr& prepared);

  std::mutex mutex_;
  std::list<Entry> recent_;  // most recently used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_sql_;
};

}  // namespace kalamdb::query
