// CHECK constraints: bound when a table is created or altered, enforced on every row that a statement writes.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/table.h"

namespace kalamdb::duck {
class Predicate;
}

namespace kalamdb::query {

struct PreparedWrites;
struct Services;

// The bound checks of tables that were written lately: binding costs more than a small statement. Thread-safe.
class CheckPool {
 public:
  // One predicate for each of a table's checks, true for rows that violate it.
  struct Bound {
    model::TablePtr table;
    std::vector<std::unique_ptr<duck::Predicate>> violated;
  };
  CheckPool();
  ~CheckPool();

  // nullptr when none is idle.
  std::unique_ptr<Bound> take(const model::TableDefinition& table);
  void give_back(std::unique_ptr<Bound> bound);

 private:
  static constexpr size_t kMaxTables = 256;
  static constexpr size_t kMaxIdle = 16;  // of one table

  std::mutex mutex_;
  std::unordered_map<TableId, std::vector<std::unique_ptr<Bound>>> idle_;
};

// Whether `check` is one that `table` can have: deterministic, over one row and its own columns. Gives it a name if it
// has none, and the ordinals of its columns. Errors: kInvalidSql, kInvalidOperation, naming the constraint.
Result<> bind_check(const Services& services, const model::TableDefinition& table, model::CheckConstraint& check);

// Whether a stored row meets it.
Result<bool> meets_check(const Services& services, const model::TableDefinition& table,
                         const model::CheckConstraint& check, const std::string& row);

// Errors: kConstraintViolation naming the constraint, the table and the row, counted from 1 within the writes.
Result<> enforce_checks(const Services& services, const PreparedWrites& writes);

}  // namespace kalamdb::query
