// The result of a live query whose rows are not simply those of the table (duck::LiveKind::kTop and kAggregate), kept
// up to date from the table's changes: O(log n) for a change of a top n, O(1) for one of a group but for MIN and MAX,
// which are O(log n) in the group's values.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "duck/engine.h"
#include "storage/commit.h"

namespace kalamdb::live {

// model::encode_row() of LiveResult::table().
using RowPtr = std::shared_ptr<const std::string>;

// A row that came, went (nullptr: not in the result) or is another now.
struct ResultChange {
  std::string key;
  RowPtr before;
  RowPtr now;
};

struct ResultRow {
  std::string key;
  RowPtr row;
};

// What a result is made by. `predicate` nullptr: every row of the table.
struct ResultSource {
  std::unique_ptr<duck::Predicate> predicate;
  std::unique_ptr<duck::RowExpressions> expressions;
};

// Not thread-safe.
class LiveResult {
 public:
  // `table` is the query's, `shape` of kTop or kAggregate. Errors: kInvalidSql for aggregates of types that they are
  // not kept up to date of.
  static Result<std::unique_ptr<LiveResult>> make(const duck::LiveShape& shape, const model::TablePtr& table,
                                                  ResultSource source);
  virtual ~LiveResult() = default;

  // What the rows are rows of: kTop: the query's table; kAggregate: one with a column for each item, the GROUP BY being
  // its key.
  const model::TablePtr& table() const { return table_; }
  // How many rows load() takes of Engine::result_rows(); 0: all.
  virtual uint64_t load_limit() const { return 0; }
  // Fills it, once and before the others. Past `max_bytes` it fails with kResultTooLarge.
  Result<> load(duck::QueryResult& rows, size_t max_bytes);

  // Changes of the query's table and scope, in their order. Returns what is wrong with rows that could not be
  // evaluated, which count as if the WHERE did not take them.
  std::vector<Error> apply(std::span<const storage::RowChange* const> changes);
  // What has become of the result since the last call; rows that went come first. Errors: kInvalidOperation for a value
  // that does not fit its column; the result is of no use then.
  Result<std::vector<ResultChange>> take_changes();
  // It should be loaded again before it becomes wrong or incomplete.
  virtual bool wants_reload() const = 0;
  // The rows in their order, as of the last take_changes().
  virtual std::vector<ResultRow> rows() const = 0;
  // What the rows that the WHERE takes have, if that is known.
  const duck::Predicate::Equality* equality() const {
    return source_.predicate != nullptr && source_.predicate->equality() ? &*source_.predicate->equality() : nullptr;
  }
  // Of memory, about.
  size_t bytes() const { return bytes_; }

 protected:
  LiveResult(model::TablePtr table, ResultSource source) : table_(std::move(table)), source_(std::move(source)) {}

  // One row of Engine::result_rows().
  virtual Result<> load_row(model::Row values) = 0;
  virtual Result<> loaded() = 0;
  // The row of a key as it is now; nullptr: not in the result. Called once for each key that was noted.
  virtual Result<RowPtr> current(const std::string& key) = 0;
  // Before the row of a key changes: what take_changes() showed of it last.
  void note(const std::string& key, RowPtr before) { noted_.emplace(key, std::move(before)); }
  // A row that the WHERE takes has come, or went that was given before. `values` are RowExpressions'.
  virtual void add(const storage::RowChange& change, model::Row values) = 0;
  virtual void remove(const storage::RowChange& change, model::Row values) = 0;
  // Whether remove() needs no values, and may be called for rows that were not given.
  virtual bool removes_by_key() const { return false; }

  const model::TablePtr table_;
  size_t bytes_ = 0;

 private:
  // Versions of rows, as the source sees them; nullopt: not taken.
  using Evaluated = std::vector<std::optional<model::Row>>;
  Evaluated evaluate(std::span<const model::RowRecord> rows, std::vector<Error>* errors);
  Result<Evaluated> try_evaluate(std::span<const model::RowRecord> rows);

  const ResultSource source_;
  std::map<std::string, RowPtr> noted_;  // by key, since the last take_changes()
};

}  // namespace kalamdb::live
