// All subscriptions that mean the same: same table, same scope, same SELECT. A change is filtered once for the group,
// and encoded once.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "duck/engine.h"
#include "live/result.h"
#include "live/subscription.h"
#include "protocol/cells.h"
#include "storage/commit.h"

namespace kalamdb::live {

// What the members of a group share. Immutable but for the predicate.
struct GroupQuery {
  std::shared_ptr<const duck::Statement> statement;
  duck::LiveShape shape;
  model::TablePtr table;
  UserId scope;              // whose rows; empty for SHARED tables
  std::string current_user;  // whom CURRENT_USER means
};

// Errors: kInvalidSql for a column in the projection that the table does not have.
Result<> check_projection(const GroupQuery& query);

// Makes the predicate of a query, nullptr for one without WHERE. May be called as long as there are subscriptions.
using BindPredicate = std::function<Result<std::unique_ptr<duck::Predicate>>(const GroupQuery& query)>;

// The result of a query at one commit, with the query as of the table's definition then.
struct LoadedResult {
  GroupQuery query;
  std::unique_ptr<LiveResult> result;
  Seq seq = 0;
};

// What groups work with. All of it may be called from any thread, as long as there are subscriptions.
struct GroupServices {
  BindPredicate bind;
  // Reads a result, which may take long. For queries that have one: of duck::LiveKind::kTop and kAggregate.
  std::function<Result<LoadedResult>(const GroupQuery& query)> load;
  // Runs a task on a thread that may be blocked; false when none takes it.
  std::function<bool(std::function<void()> task)> post;
};

// Writes the changes of one table for one projection. Immutable.
class ChangeEncoder {
 public:
  explicit ChangeEncoder(const GroupQuery& query);

  // The columns of the subscription as its acknowledgement shows them.
  const std::vector<protocol::Field>& fields() const { return fields_; }
  // The `change` message behind its subscription id: `"change_type":…}`. Errors: kCorruption.
  Result<std::string> insert(const storage::RowChange& change) const;
  Result<std::string> update(const storage::RowChange& change) const;
  // A delete, or a row that left the filter: `row` is what it was, as of `old_seq`. STREAM rows also carry the
  // "<user>:<_seq>" by which older clients know them.
  Result<std::string> remove(std::string_view row, Seq seq, Seq old_seq) const;
  // Appends a row as a batch of the first rows shows it. Errors: kCorruption.
  Result<> append_row(std::string& out, std::string_view row, Seq seq) const;

 private:
  struct Column {
    const model::ColumnDefinition* definition;
    bool shown;  // in the projection, or everything is
  };

  // `deleted` nullopt: without that column.
  Result<> append(std::string& out, std::string_view row, Seq seq, std::optional<bool> deleted) const;
  // Changes of STREAM tables go without.
  std::optional<bool> deleted_column(bool deleted) const { return stream_ ? std::nullopt : std::optional(deleted); }

  model::TablePtr table_;
  bool stream_;
  std::string user_;                     // of the scope
  std::vector<protocol::Field> fields_;  // of the acknowledgement
  std::vector<Column> columns_;          // every column of the table
  protocol::RowObjectEncoder rows_;      // over columns_
};

// A change as the tail of a message.
struct ChangeTail {
  Seq seq = 0;
  std::string tail;
};

// What the members are told at a place in the order of changes. `text`: the tail of a message, nullopt: nothing; an
// error is told as such.
struct GroupMessage {
  Seq seq = 0;
  Result<std::optional<std::string>> text;
};

class ResultGroup;

// Not thread-safe: the hub's.
class Group {
 public:
  explicit Group(GroupQuery query) : query_(std::move(query)) {}
  virtual ~Group() = default;

  const GroupQuery& query() const { return query_; }
  std::vector<SubscriptionPtr>& members() { return members_; }
  // Of the members' rows, as acknowledgements show them; empty while they are not known.
  virtual std::span<const protocol::Field> fields() const = 0;

  // A change to a row of the scope. Appends what the members are told of it at once.
  virtual void change(const storage::ChangeSetPtr& commit, const storage::RowChange& change,
                      std::vector<GroupMessage>& messages) = 0;
  // Goes on with the table as altered. Whether its columns look different to the members from here on. Errors: when the
  // query needs a column that is gone; the group is then as before.
  virtual Result<bool> alter(const model::TablePtr& table) = 0;
  // What rows that concern it have, if that is known; valid until it is altered or its result is installed.
  virtual const duck::Predicate::Equality* equality() const = 0;
  // This one, if it has a result.
  virtual ResultGroup* result() { return nullptr; }

 protected:
  GroupQuery query_;

 private:
  std::vector<SubscriptionPtr> members_;
};

// LiveKind::kRows: each change is told as it comes.
class RowGroup final : public Group {
 public:
  RowGroup(GroupQuery query, std::unique_ptr<duck::Predicate> predicate, BindPredicate bind)
      : Group(std::move(query)), predicate_(std::move(predicate)), bind_(std::move(bind)), encoder_(query_) {}

  std::span<const protocol::Field> fields() const override { return encoder_.fields(); }
  void change(const storage::ChangeSetPtr& commit, const storage::RowChange& change,
              std::vector<GroupMessage>& messages) override;
  Result<bool> alter(const model::TablePtr& table) override;
  const duck::Predicate::Equality* equality() const override;

 private:
  Result<std::optional<std::string>> message_for(const storage::RowChange& change);
  Result<bool> matches(std::string_view row, Seq seq, bool deleted);

  std::unique_ptr<duck::Predicate> predicate_;  // nullptr: every row
  BindPredicate bind_;
  ChangeEncoder encoder_;
};

// Whether two lists of columns look the same to a client.
bool same_fields(std::span<const protocol::Field> a, std::span<const protocol::Field> b);

}  // namespace kalamdb::live
