// All subscriptions that mean the same: same table, same scope, same SELECT. A change is filtered once for the group,
// and encoded once.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "duck/engine.h"
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

 private:
  struct Column {
    const model::ColumnDefinition* definition;
    bool shown;  // in the projection, or everything is
  };
  Result<> append_row(std::string& out, std::string_view row, Seq seq, bool deleted) const;

  model::TablePtr table_;
  bool stream_;
  std::string user_;                     // of the scope
  std::vector<protocol::Field> fields_;  // of the acknowledgement
  std::vector<Column> columns_;          // every column of the table
  protocol::RowObjectEncoder rows_;      // over columns_
};

// Not thread-safe: the hub's.
class Group {
 public:
  Group(GroupQuery query, std::unique_ptr<duck::Predicate> predicate, BindPredicate bind)
      : query_(std::move(query)), predicate_(std::move(predicate)), bind_(std::move(bind)), encoder_(query_) {}

  const GroupQuery& query() const { return query_; }
  const ChangeEncoder& encoder() const { return encoder_; }
  std::vector<SubscriptionPtr>& members() { return members_; }

  // Goes on with the table as altered. Whether its columns look different to the members. Errors: when the query needs
  // a column that is gone; the group is then as before.
  Result<bool> rebind(const model::TablePtr& table);

  // What the members are told of a change to a row of their scope; nullopt: nothing. Errors: of the predicate.
  Result<std::optional<std::string>> message_for(const storage::RowChange& change);

 private:
  Result<bool> matches(std::string_view row, Seq seq, bool deleted);

  GroupQuery query_;
  std::unique_ptr<duck::Predicate> predicate_;  // nullptr: every row
  BindPredicate bind_;
  ChangeEncoder encoder_;
  std::vector<SubscriptionPtr> members_;
};

}  // namespace kalamdb::live
