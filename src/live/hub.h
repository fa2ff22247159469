// Takes every commit, in order, to the subscriptions that it concerns.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "catalog/user.h"
#include "live/group_index.h"
#include "live/result_group.h"
#include "platform/clock.h"
#include "query/live_queries.h"
#include "query/system_changes.h"
#include "storage/committer.h"

namespace kalamdb::live {

// Of queries that have a result.
struct ResultLimits {
  size_t max_bytes = 256 << 20;      // of memory, each: live.max_result_bytes
  size_t max_bytes_total = 1 << 30;  // all of them: live.result_bytes_total
  int64_t linger_us = 60'000'000;    // how long one without subscribers is kept up to date: live.result_linger_secs
};

// Thread-safe. One thread of its own filters, encodes and delivers, so that the committer never waits for subscribers.
class Hub : public query::LiveQueries {
 public:
  // `clock` must outlive it.
  Hub(const platform::Clock& clock, ResultLimits limits);
  ~Hub() override { stop(); }
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  const ResultLimits& result_limits() const { return limits_; }
  // Live queries that there are.
  size_t size() const;
  // How often a subscriber has fallen behind.
  uint64_t lagged() const { return lagged_.load(std::memory_order_relaxed); }

  // By which changes of system tables are told. Before the first publish().
  void set_system_changes(std::unique_ptr<query::SystemChanges> changes);
  // For Storage::add_listener().
  void publish(const storage::ChangeSetPtr& changes);

  // From when this returns, every change that the query's group matches reaches the subscription. `services` are kept
  // when the group is the first of its kind. Of a query that has a result, Subscription::ready() tells when it is
  // there.
  Result<> add(const GroupQuery& query, const SubscriptionPtr& subscription, const GroupServices& services);
  // The last message of the subscription has been sent when this returns. Harmless for one that is not there.
  void remove(const SubscriptionPtr& subscription);

  // Of a subscription whose query has a result: what it begins with, nullopt as long as that is being read. Every
  // change behind it reaches the subscription. Errors: those of ResultGroup::start().
  Result<std::optional<ResultStart>> start_result(const SubscriptionPtr& subscription, std::optional<Seq> from);
  // One that fell behind while it was given the snapshot.
  void knows(const SubscriptionPtr& subscription, const ResultSnapshot& snapshot);
  // Sends one that is behind about `max_bytes` of what it has missed. True: it is live again.
  bool catch_up(const SubscriptionPtr& subscription, size_t max_bytes);

  // Counts the subscriptions of a user. False when there are `limit` already (0: no limit); else release() gives it
  // back.
  bool reserve(const UserId& user, uint32_t limit);
  void release(const UserId& user);

  // A socket of a user: `end` is called, from any thread, once that user is dropped or has another role than `role`.
  // Returns what forget_socket() takes.
  uint64_t watch_user(const UserId& user, catalog::Role role, std::function<void()> end);
  void forget_socket(const UserId& user, uint64_t socket);
  // For Catalog::set_user_listener().
  void user_changed(const catalog::User& user);

  std::vector<query::LiveQuery> list() override;
  Result<> kill(const std::string& id) override;

  // Lets what was published be delivered and ends the thread. The second call does nothing.
  void stop();

 private:
  // Groups of one table and scope, by what they select.
  struct Entry {
    std::shared_ptr<Group> group;
    GroupServices services;
  };
  struct Groups {
    std::map<std::string, Entry> entries;
    GroupIndex index;
  };
  struct Scope {
    TableId table;
    std::string user;
    bool operator==(const Scope&) const = default;
  };
  struct ScopeHash {
    size_t operator()(const Scope& scope) const {
      return std::hash<std::string>{}(scope.user) * 31 + scope.table.value;
    }
  };

  void work(const std::stop_token& stop);
  // A change on its way to the members of a group.
  struct Pending {
    Group* group;
    GroupMessage message;
  };
  static constexpr size_t kMaxPending = 256;
  static constexpr size_t kMaxLingering = 1000;

  // `visit(scope, entry)`, which must not erase any. mutex_ is held.
  template <typename Visit>
  void for_each_group(const Visit& visit) {
    for (auto& [scope, groups] : scopes_) {
      for (auto& [key, entry] : groups.entries) visit(scope, entry);
    }
  }
  // Changes a group in what it may be found by.
  template <typename Change>
  auto change_indexed(Group& group, const Change& change);
  static Scope scope_of(const GroupQuery& query) { return {query.table->id, query.scope.value}; }
  // The group of a subscription; nullptr if it is not there. mutex_ is held.
  Group* find_locked(const Subscription* subscription);
  Entry& entry_of(const Group& group);
  // Runs `change` on the groups under the mutex, and tells their subscriptions, when it is free, what was found out.
  template <typename Change>
  void change_groups(const Change& change);
  void set_watched(bool watched);
  void deliver(const std::deque<storage::ChangeSetPtr>& commits);
  void deliver_locked(const storage::ChangeSetPtr& changes);
  void deliver_rows(const storage::ChangeSetPtr& changes);
  void end_commit();
  Result<> make_group(Entry& entry, const GroupQuery& query, const GroupServices& services);
  void erase_group(Group& group);
  Result<> start_loading(Entry& entry);
  void install(const std::weak_ptr<Group>& group, Result<LoadedResult> loaded);
  void install_locked(ResultGroup& group, Result<LoadedResult> loaded);
  // Behind a change of the group's result. Reads it again if that must be; may end the group.
  void keep_loaded(ResultGroup& group);
  // Keeps the result for those who come back; false if it is of no use to them.
  bool linger(Group& group);
  void end_lingering();
  void count_bytes(ResultGroup& group);
  // Ends results until they are within the bounds together.
  void bound_results();
  void send_fields(Group& group);
  void send_pending();
  void send_run(Group& group, std::span<const Pending> run);
  void fell_behind(const SubscriptionPtr& subscription);
  void alter_table(const model::TablePtr& table);
  void alter_group(Entry& entry, const model::TablePtr& table);
  void end_table(TableId table);
  void end(const SubscriptionPtr& subscription, std::string_view code, const std::string& message);
  // Of a group it is the end with that.
  void end(Group& group, std::string_view code, const std::string& message);
  void end(Group& group, const Error& error);
  void end_altered(Group& group, const Error& error);
  void erase_locked(const SubscriptionPtr& subscription);

  const platform::Clock& clock_;
  const ResultLimits limits_;
  mutable std::mutex mutex_;  // of the groups; held while one commit is delivered
  std::unique_ptr<query::SystemChanges> system_changes_;
  std::vector<Pending> pending_;
  std::vector<SubscriptionPtr> lagging_;  // told so once mutex_ is free
  std::atomic<uint64_t> lagged_{0};       // how often one fell behind
  std::vector<SubscriptionPtr> ended_;    // likewise
  std::vector<SubscriptionPtr> ready_;    // likewise
  std::vector<ResultGroup*> touched_;     // by the commit that is being delivered
  std::vector<Group*> found_;             // for one change
  std::unordered_map<Scope, Groups, ScopeHash> scopes_;
  std::unordered_map<const Subscription*, Group*> places_;
  std::deque<std::weak_ptr<Group>> lingering_;  // results without subscribers, in the order of their end
  size_t result_bytes_ = 0;                     // of all results

  std::mutex users_mutex_;
  std::unordered_map<UserId, uint32_t> subscriptions_of_;
  struct Socket {
    catalog::Role role;
    std::function<void()> end;
  };
  std::unordered_map<UserId, std::map<uint64_t, Socket>> sockets_of_;
  uint64_t next_socket_ = 1;

  std::mutex queue_mutex_;
  std::condition_variable_any queue_changed_;
  std::deque<storage::ChangeSetPtr> queue_;
  bool watched_ = false;  // there are subscriptions: without any, commits are not queued
  std::jthread thread_;
};

}  // namespace kalamdb::live
