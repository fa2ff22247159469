// Subscriptions of a query that has a result (live/result.h). A commit's changes to it are told together. The last
// message has the `_seq` of the last row that the commit wrote to the table, those before it one that is just greater
// than what the client had: one whose connection breaks between them resumes from there, and is told all of them again.
//
// The result is read at one commit beside those that go on; changes wait meanwhile, and those that it already holds are
// left out behind it. It is read again when it runs out of rows, and when its table is altered; the members are told
// the difference. What changes is remembered for a while, for those who come back.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "live/group.h"
#include "live/result_history.h"

namespace kalamdb::live {

// What rows of a result are, and how they are shown.
struct ResultForm {
  model::TablePtr table;  // LiveResult::table()
  std::shared_ptr<const ChangeEncoder> encoder;
};

// A result at one commit. Immutable, shared by those who begin with it.
struct ResultSnapshot {
  ResultForm form;
  std::vector<ResultRow> rows;
  Seq seq = 0;
};
using ResultSnapshotPtr = std::shared_ptr<const ResultSnapshot>;

// What a subscription of a result begins with.
struct ResultStart {
  ResultSnapshotPtr snapshot;
  // Of a client that resumes, instead of all rows of the snapshot: those that have changed since its cursor, and what
  // tells it of those that are gone.
  std::optional<std::vector<ResultRow>> changed;
  std::vector<ChangeTail> gone;
};

class ResultGroup final : public Group {
 public:
  ResultGroup(GroupQuery query, size_t max_bytes)
      : Group(std::move(query)), max_bytes_(max_bytes), history_(max_bytes / 16) {}

  std::span<const protocol::Field> fields() const override;
  void change(const storage::ChangeSetPtr& commit, const storage::RowChange& change,
              std::vector<GroupMessage>& messages) override;
  Result<bool> alter(const model::TablePtr& table) override;
  const duck::Predicate::Equality* equality() const override;
  ResultGroup* result() override { return this; }

  // Changes of a commit have been given.
  bool has_changes() const { return !commit_.empty(); }
  // That commit is over. Appends what the members are told of it. Errors: the result is of
  // no use any more.
  Result<> end_commit(std::vector<GroupMessage>& messages);

  bool is_loaded() const { return result_ != nullptr; }
  // It goes on by itself.
  bool is_settled() const { return is_loaded() && !is_loading_ && !wants_load(); }
  // It must be read (again), and nobody does yet.
  bool wants_load() const;
  // Somebody does from here on until install() or, if that comes to nothing, the end of the group.
  void loading() { is_loading_ = true; }
  // Goes on with what was read. Appends what the members of a former result are told. Errors as end_commit().
  struct Installed {
    bool is_first = false;
    bool fields_changed = false;
  };
  Result<Installed> install(LoadedResult loaded, std::vector<GroupMessage>& messages);

  // As of the last commit, once it is loaded. Errors: kCursorTooOld when it is not known what has changed since `from`.
  Result<ResultStart> start(std::optional<Seq> from);

  // Members that have missed changes: what they know is the result as it was before the changes of the last
  // end_commit() or install(), or as it was given to them.
  void fell_behind(const SubscriptionPtr& member);
  void knows(const SubscriptionPtr& member, const ResultSnapshot& snapshot);
  void forget(const SubscriptionPtr& member) { known_.erase(member.get()); }
  // By which such a member gets to the result as it is, up to about `max_bytes`.
  struct CatchUp {
    bool fields_changed = false;  // of which it has to be told first
    std::vector<std::string> messages;
    bool is_complete = false;  // with these it has
  };
  Result<CatchUp> catch_up(const SubscriptionPtr& member, size_t max_bytes);
  // The hub's: what it has counted of bytes(), and until when it keeps a group without members.
  size_t counted_bytes = 0;
  int64_t lingers_until_us = 0;  // monotonic
  // The last commit in the result.
  Seq seq() const { return seq_; }
  // Of memory, about.
  size_t bytes() const { return history_.bytes() + (result_ != nullptr ? result_->bytes() : 0); }

 private:
  using Rows = std::map<std::string, RowPtr>;
  struct Known {
    Rows rows;
    ResultForm form;
    Seq seq = 0;
  };

  // A change and what keeps it.
  using Waiting = std::pair<storage::ChangeSetPtr, const storage::RowChange*>;

  Result<> apply(std::span<const Waiting> changes, std::vector<GroupMessage>& messages);
  // `before` is the form of the rows that the changes replace, and `had` the `_seq` that those had who have them.
  Result<> tell(std::vector<ResultChange> changes, const ResultForm& before, Seq had,
                std::vector<GroupMessage>& messages);
  // `seq` is what the message has.
  Result<std::string> message_for(const ResultChange& change, const ResultForm& before, Seq seq) const;
  // Of a message behind which others bring those who had all up to `had` to the result as it is.
  Seq partial_seq(Seq had) const { return std::min(had + 1, seq_); }
  static Rows by_key(std::vector<ResultRow> rows);
  // What leads from rows to the result as it is.
  std::vector<ResultChange> changes_since(const Known& known) const;

  ResultSnapshotPtr snapshot();

  const size_t max_bytes_;
  std::unique_ptr<LiveResult> result_;
  ResultHistory history_;
  ResultForm form_;
  Seq seq_ = 0;
  bool is_loading_ = false;
  bool is_altered_ = false;       // the result is of an older definition and stands still until it is loaded again
  std::vector<Waiting> commit_;   // changes of the commit that is being given
  std::vector<Waiting> waiting_;  // changes since loading() for what is being read
  size_t waiting_bytes_ = 0;
  std::vector<ResultChange> last_;  // what was told last
  ResultForm form_before_;          // of the rows before `last_`
  Seq seq_before_ = 0;              // likewise
  ResultSnapshotPtr snapshot_;      // of the result as it is; nullptr: to be made
  std::unordered_map<const Subscription*, Known> known_;
};

}  // namespace kalamdb::live
