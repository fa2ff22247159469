#include "live/hub.h"

#include <algorithm>
#include <iterator>

#include "base/log.h"
#include "live/frames.h"
#include "protocol/error_codes.h"
#include "protocol/live_messages.h"

namespace kalamdb::live {

namespace {

std::string group_key(const GroupQuery& query) {
  return query.shape.uses_current_user ? query.current_user + '\0' + query.shape.normalized : query.shape.normalized;
}

net::FramePtr ack_frame(const Group& group, const Subscription& subscription) {
  std::string schema;
  protocol::append_schema(schema, group.fields());
  return make_frame(protocol::subscription_ack_message(subscription.id(), 0, {}, schema), subscription.format());
}

}  // namespace

Hub::Hub(const platform::Clock& clock, ResultLimits limits)
    : clock_(clock), limits_(limits), thread_([this](const std::stop_token& stop) { work(stop); }) {}

void Hub::set_system_changes(std::unique_ptr<query::SystemChanges> changes) {
  const std::lock_guard lock(mutex_);
  system_changes_ = std::move(changes);
}

void Hub::publish(const storage::ChangeSetPtr& changes) {
  const std::lock_guard lock(queue_mutex_);
  // Whoever subscribes from here on sees this commit in their snapshot: it is taken behind set_watched().
  if (!watched_ && !query::SystemChanges::is_counted(*changes)) return;
  queue_.push_back(changes);
  if (queue_.size() == 1) queue_changed_.notify_one();
}

void Hub::set_watched(bool watched) {
  const std::lock_guard lock(queue_mutex_);
  watched_ = watched;
}

void Hub::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void Hub::work(const std::stop_token& stop) {
  std::deque<storage::ChangeSetPtr> taken;
  while (true) {
    {
      std::unique_lock lock(queue_mutex_);
      if (!queue_changed_.wait(lock, stop, [&] { return !queue_.empty(); })) return;
      taken.swap(queue_);
    }
    deliver(taken);
    taken.clear();
  }
}

template <typename Change>
void Hub::change_groups(const Change& change) {
  std::vector<SubscriptionPtr> ended;
  std::vector<SubscriptionPtr> lagging;
  std::vector<SubscriptionPtr> ready;
  {
    const std::lock_guard lock(mutex_);
    change();
    ended.swap(ended_);
    lagging.swap(lagging_);
    ready.swap(ready_);
  }
  for (const auto& subscription : ended) subscription->ended();
  for (const auto& subscription : lagging) subscription->fell_behind();
  for (const auto& subscription : ready) subscription->ready();
}

template <typename Change>
auto Hub::change_indexed(Group& group, const Change& change) {
  GroupIndex& index = scopes_.find(scope_of(group.query()))->second.index;
  index.remove(&group);
  auto outcome = change();
  index.add(&group);
  return outcome;
}

Result<> Hub::add(const GroupQuery& query, const SubscriptionPtr& subscription, const GroupServices& services) {
  Result<> added;
  change_groups([&] {
    end_lingering();
    added = [&]() -> Result<> {
      const Scope scope = scope_of(query);
      const std::string key = group_key(query);
      // The ALTER TABLE that the query already knows may still be on its way here.
      if (const auto groups = scopes_.find(scope); groups != scopes_.end()) {
        if (const auto known = groups->second.entries.find(key); known != groups->second.entries.end()) {
          alter_group(known->second, query.table);
        }
      }
      Groups& groups = scopes_[scope];
      Entry& entry = groups.entries[key];
      if (entry.group == nullptr) {
        if (const auto made = make_group(entry, query, services); !made) {
          groups.entries.erase(key);
          if (groups.entries.empty()) scopes_.erase(scope);
          if (scopes_.empty()) set_watched(false);
          return made;
        }
        groups.index.add(entry.group.get());
      }
      entry.group->members().push_back(subscription);
      places_.emplace(subscription.get(), entry.group.get());
      set_watched(true);
      return {};
    }();
  });
  return added;
}

Result<> Hub::make_group(Entry& entry, const GroupQuery& query, const GroupServices& services) {
  entry.services = services;
  if (query.shape.kind == duck::LiveKind::kRows) {
    KALAM_TRY(auto predicate, services.bind(query));
    entry.group = std::make_shared<RowGroup>(query, std::move(predicate), services.bind);
    return {};
  }
  entry.group = std::make_shared<ResultGroup>(query, limits_.max_bytes);
  // Commits from here on wait for what is read, which is begun behind this.
  set_watched(true);
  return start_loading(entry);
}

Result<> Hub::start_loading(Entry& entry) {
  entry.group->result()->loading();
  const bool posted = entry.services.post([this, group = std::weak_ptr(entry.group), query = entry.group->query(),
                                           load = entry.services.load] { install(group, load(query)); });
  if (posted) return {};
  return fail(ErrorCode::kUnavailable, "The server is busy or stopping; try again shortly");
}

void Hub::install(const std::weak_ptr<Group>& group, Result<LoadedResult> loaded) {
  change_groups([&] {
    const auto found = group.lock();
    // Without members it is on its way out.
    if (found == nullptr || found->members().empty()) return;
    install_locked(*found->result(), std::move(loaded));
    bound_results();
  });
}

void Hub::install_locked(ResultGroup& group, Result<LoadedResult> loaded) {
  if (!loaded) {
    const bool needs_other_columns = group.is_loaded() && (loaded.error().code == ErrorCode::kInvalidOperation ||
                                                           loaded.error().code == ErrorCode::kInvalidSql);
    return needs_other_columns ? end_altered(group, loaded.error()) : end(group, loaded.error());
  }
  std::vector<GroupMessage> messages;
  const auto installed = change_indexed(group, [&] { return group.install(*std::move(loaded), messages); });
  if (!installed) return end(group, installed.error());
  if (installed->fields_changed) send_fields(group);
  for (auto& message : messages) pending_.push_back({&group, std::move(message)});
  send_pending();
  if (installed->is_first && group.is_loaded()) {
    ready_.insert(ready_.end(), group.members().begin(), group.members().end());
  }
  keep_loaded(group);
}

void Hub::keep_loaded(ResultGroup& group) {
  count_bytes(group);
  if (!group.wants_load()) return;
  if (group.members().empty()) return erase_group(group);
  if (const auto started = start_loading(entry_of(group)); !started) end(group, started.error());
}

void Hub::count_bytes(ResultGroup& group) {
  result_bytes_ -= group.counted_bytes;
  group.counted_bytes = group.bytes();
  result_bytes_ += group.counted_bytes;
}

void Hub::bound_results() {
  while (result_bytes_ > limits_.max_bytes_total) {
    Group* largest = nullptr;
    size_t bytes = 0;
    bool is_used = true;
    for_each_group([&](const Scope&, const Entry& entry) {
      const ResultGroup* const result = entry.group->result();
      if (result == nullptr) return;
      // Those that nobody subscribes to go first.
      const bool with_members = !entry.group->members().empty();
      if (std::pair(!with_members, result->counted_bytes) < std::pair(!is_used, bytes)) return;
      largest = entry.group.get();
      is_used = with_members;
      bytes = result->counted_bytes;
    });
    end(*largest, Error(ErrorCode::kResultTooLarge, "The results of all live queries need more than the " +
                                                        std::to_string(limits_.max_bytes_total) +
                                                        " bytes of live.result_bytes_total"));
  }
}

bool Hub::linger(Group& group) {
  ResultGroup* const result = group.result();
  if (limits_.linger_us == 0 || result == nullptr || !result->is_settled()) return false;
  result->lingers_until_us = clock_.monotonic_us() + limits_.linger_us;
  lingering_.push_back(entry_of(group).group);
  end_lingering();
  return true;
}

void Hub::end_lingering() {
  const int64_t now_us = clock_.monotonic_us();
  while (!lingering_.empty()) {
    const auto group = lingering_.front().lock();
    const bool is_over = group == nullptr || !group->members().empty() || group->result()->lingers_until_us <= now_us;
    if (!is_over && lingering_.size() <= kMaxLingering) return;
    lingering_.pop_front();
    if (group != nullptr && group->members().empty()) erase_group(*group);
  }
}

Group* Hub::find_locked(const Subscription* subscription) {
  const auto place = places_.find(subscription);
  return place == places_.end() ? nullptr : place->second;
}

Hub::Entry& Hub::entry_of(const Group& group) {
  return scopes_.find(scope_of(group.query()))->second.entries.find(group_key(group.query()))->second;
}

Result<std::optional<ResultStart>> Hub::start_result(const SubscriptionPtr& subscription, std::optional<Seq> from) {
  const std::lock_guard lock(mutex_);
  Group* const group = find_locked(subscription.get());
  if (group == nullptr || !group->result()->is_loaded()) return std::nullopt;
  KALAM_TRY(auto start, group->result()->start(from));
  return start;
}

void Hub::knows(const SubscriptionPtr& subscription, const ResultSnapshot& snapshot) {
  const std::lock_guard lock(mutex_);
  if (Group* const group = find_locked(subscription.get())) group->result()->knows(subscription, snapshot);
}

bool Hub::catch_up(const SubscriptionPtr& subscription, size_t max_bytes) {
  bool is_live = true;
  change_groups([&] {
    Group* const found = find_locked(subscription.get());
    if (found == nullptr) return;
    ResultGroup& group = *found->result();
    auto missed = group.catch_up(subscription, max_bytes);
    if (!missed) return end(subscription, "SUBSCRIPTION_FAILED", missed.error().message);
    std::vector<net::FramePtr> frames;
    if (missed->fields_changed) frames.push_back(ack_frame(group, *subscription));
    for (const std::string& message : missed->messages) {
      frames.push_back(make_frame(protocol::change_message(subscription->id(), message), subscription->format()));
    }
    is_live = missed->is_complete;
    if (is_live) {
      subscription->catch_up();
      subscription->go_live(group.seq(), std::move(frames));
    } else {
      for (auto& frame : frames) subscription->send(std::move(frame));
    }
  });
  return is_live;
}

void Hub::remove(const SubscriptionPtr& subscription) {
  subscription->close();
  const std::lock_guard lock(mutex_);
  erase_locked(subscription);
}

void Hub::erase_locked(const SubscriptionPtr& subscription) {
  Group* const group = find_locked(subscription.get());
  if (group == nullptr) return;
  places_.erase(subscription.get());
  std::erase(group->members(), subscription);
  if (ResultGroup* const result = group->result()) result->forget(subscription);
  if (group->members().empty() && !linger(*group)) erase_group(*group);
}

void Hub::erase_group(Group& group) {
  if (ResultGroup* const result = group.result()) result_bytes_ -= result->counted_bytes;
  const auto groups = scopes_.find(scope_of(group.query()));
  groups->second.index.remove(&group);
  groups->second.entries.erase(group_key(group.query()));
  if (groups->second.entries.empty()) scopes_.erase(groups);
  if (scopes_.empty()) set_watched(false);
}

bool Hub::reserve(const UserId& user, uint32_t limit) {
  const std::lock_guard lock(users_mutex_);
  uint32_t& count = subscriptions_of_[user];
  if (limit > 0 && count >= limit) return false;
  ++count;
  return true;
}

void Hub::release(const UserId& user) {
  const std::lock_guard lock(users_mutex_);
  if (--subscriptions_of_[user] == 0) subscriptions_of_.erase(user);
}

uint64_t Hub::watch_user(const UserId& user, catalog::Role role, std::function<void()> end) {
  const std::lock_guard lock(users_mutex_);
  sockets_of_[user].emplace(next_socket_, Socket{role, std::move(end)});
  return next_socket_++;
}

void Hub::forget_socket(const UserId& user, uint64_t socket) {
  const std::lock_guard lock(users_mutex_);
  const auto found = sockets_of_.find(user);
  if (found == sockets_of_.end()) return;
  found->second.erase(socket);
  if (found->second.empty()) sockets_of_.erase(found);
}

void Hub::user_changed(const catalog::User& user) {
  const std::lock_guard lock(users_mutex_);
  const auto found = sockets_of_.find(UserId(user.id));
  if (found == sockets_of_.end()) return;
  for (const auto& [id, socket] : found->second) {
    if (user.deleted_at_us != 0 || user.role != socket.role) socket.end();
  }
}

size_t Hub::size() const {
  const std::lock_guard lock(mutex_);
  return places_.size();
}

std::vector<query::LiveQuery> Hub::list() {
  std::vector<query::LiveQuery> all;
  {
    const std::lock_guard lock(mutex_);
    for_each_group([&](const Scope&, const Entry& entry) {
      const model::TableDefinition& table = *entry.group->query().table;
      for (const auto& member : entry.group->members()) {
        const Seq last = member->last_delivered();
        const SubscriptionFacts& facts = member->facts();
        all.push_back({.id = member->live_id(),
                       .connection_id = member->socket().id,
                       .subscription_id = member->id(),
                       .namespace_id = table.namespace_id,
                       .table = table.name,
                       .user = member->socket().user,
                       .sql = facts.sql,
                       .options = facts.options,
                       .created_at_us = facts.created_at_us,
                       .last_update_us = last > 0 ? seq_time_us(last) : facts.created_at_us,
                       .changes = member->delivered(),
                       .last_message_us = member->socket().last_message_us});
      }
    });
  }
  std::ranges::sort(all, {}, &query::LiveQuery::id);
  return all;
}

Result<> Hub::kill(const std::string& id) {
  std::vector<SubscriptionPtr> found;
  change_groups([&] {
    for_each_group([&](const Scope&, const Entry& entry) {
      std::ranges::copy_if(entry.group->members(), std::back_inserter(found),
                           [&](const SubscriptionPtr& member) { return member->live_id() == id; });
    });
    for (const auto& subscription : found) end(subscription, "KILLED", "This live query was killed");
  });
  if (found.empty()) return fail(ErrorCode::kNotFound, "Live query " + id + " not found");
  return {};
}

void Hub::deliver(const std::deque<storage::ChangeSetPtr>& commits) {
  change_groups([&] {
    end_lingering();
    for (const auto& changes : commits) deliver_locked(changes);
    send_pending();
  });
}

void Hub::deliver_rows(const storage::ChangeSetPtr& changes) {
  std::vector<GroupMessage> messages;
  for (const auto& change : changes->rows) {
    const auto groups = scopes_.find(Scope{change.table->id, change.user.value});
    if (groups == scopes_.end()) continue;
    found_.clear();
    groups->second.index.find(change, found_);
    for (Group* const group : found_) {
      ResultGroup* const result = group->result();
      if (result != nullptr && !result->has_changes()) touched_.push_back(result);
      messages.clear();
      group->change(changes, change, messages);
      for (auto& message : messages) pending_.push_back({group, std::move(message)});
    }
    if (pending_.size() >= kMaxPending) send_pending();
  }
}

void Hub::deliver_locked(const storage::ChangeSetPtr& changes) {
  deliver_rows(changes);
  if (system_changes_ != nullptr && !changes->records.empty()) {
    deliver_rows(system_changes_->apply(*changes, [&](TableId table) {
      return scopes_.contains(Scope{table, std::string()});
    }));
  }
  end_commit();
  if (!changes->table_changes.empty()) send_pending();
  for (const auto& change : changes->table_changes) {
    if (change.schema_version == 0) end_table(change.table);
    if (change.definition != nullptr) alter_table(change.definition);
  }
}

// What a commit has changed in results goes out before the next one changes them: who does not take it knows then what
// was before.
void Hub::end_commit() {
  for (ResultGroup* const group : std::exchange(touched_, {})) {
    std::vector<GroupMessage> messages;
    const auto ended = group->end_commit(messages);
    for (auto& message : messages) pending_.push_back({group, std::move(message)});
    send_pending();
    if (!ended) {
      end(*group, ended.error());
    } else {
      keep_loaded(*group);
    }
  }
  bound_results();
}

// Changes of one group that follow each other go to each member together, so that they leave in one write.
void Hub::send_pending() {
  for (size_t begin = 0; begin < pending_.size();) {
    size_t end = begin + 1;
    while (end < pending_.size() && pending_[end].group == pending_[begin].group) ++end;
    send_run(*pending_[begin].group, std::span(pending_).subspan(begin, end - begin));
    begin = end;
  }
  pending_.clear();
}

void Hub::send_run(Group& group, std::span<const Pending> run) {
  // Members that chose the same id get the very same frames.
  std::vector<ChangeFrames> frames;
  for (const auto& [to, message] : run) {
    if (message.text) frames.emplace_back(**message.text);
  }
  std::vector<Delivery> deliveries;
  for (const auto& member : group.members()) {
    deliveries.clear();
    auto next = frames.begin();
    for (const auto& [to, message] : run) {
      // A predicate that fails on a row (a cast, say) fails for that row only, as SELECT would have failed on it.
      deliveries.push_back(
          {message.seq, message.text ? (next++)->frame_for(*member)
                                     : error_frame(member->id(), "CONVERSION_ERROR",
                                                   "Failed to convert row data: " + message.text.error().message)});
    }
    if (member->deliver(deliveries)) continue;
    fell_behind(member);
    if (ResultGroup* const result = group.result()) result->fell_behind(member);
  }
}

// Changes pass it by from here on; its socket reads them from the tables when it takes more.
void Hub::fell_behind(const SubscriptionPtr& subscription) {
  lagged_.fetch_add(1, std::memory_order_relaxed);
  subscription->send(error_frame(subscription->id(), "LAGGED",
                                 "The client is too far behind; last delivered _seq " +
                                     std::to_string(subscription->last_delivered()) +
                                     ". What it has missed follows when it has taken what waits for it."));
  lagging_.push_back(subscription);
}

void Hub::alter_table(const model::TablePtr& table) {
  std::vector<Entry*> altered;  // ending a subscription may erase its group
  for_each_group([&](const Scope& scope, Entry& entry) {
    if (scope.table == table->id) altered.push_back(&entry);
  });
  for (Entry* const entry : altered) alter_group(*entry, table);
}

void Hub::alter_group(Entry& entry, const model::TablePtr& table) {
  Group& group = *entry.group;
  if (group.query().table->schema_version >= table->schema_version) return;
  const auto changed = change_indexed(group, [&] { return group.alter(table); });
  if (!changed) return end_altered(group, changed.error());
  if (*changed) send_fields(group);
  if (ResultGroup* const result = group.result()) keep_loaded(*result);
}

void Hub::send_fields(Group& group) {
  for (const auto& member : group.members()) {
    std::vector<Delivery> ack{{kNotAChange, ack_frame(group, *member)}};
    if (member->deliver(ack)) continue;
    fell_behind(member);
    if (ResultGroup* const result = group.result()) result->fell_behind(member);
  }
}

void Hub::end_table(TableId table) {
  std::vector<Group*> ended;
  for_each_group([&](const Scope& scope, const Entry& entry) {
    if (scope.table == table) ended.push_back(entry.group.get());
  });
  for (Group* const group : ended) end(*group, "TABLE_DROPPED", "The table of this subscription was dropped");
}

// The query does not fit the table any more.
void Hub::end_altered(Group& group, const Error& error) {
  end(group, "INVALID_SQL", "The table was altered: " + error.message);
}

void Hub::end(Group& group, const Error& error) {
  const auto wire = protocol::to_live_error(error, false);
  end(group, wire.code, wire.message);
}

void Hub::end(Group& group, std::string_view code, const std::string& message) {
  for (const auto& member : group.members()) {
    places_.erase(member.get());
    end(member, code, message);
  }
  erase_group(group);
}

void Hub::end(const SubscriptionPtr& subscription, std::string_view code, const std::string& message) {
  subscription->close(error_frame(subscription->id(), code, message));
  erase_locked(subscription);
  ended_.push_back(subscription);
}

}  // namespace kalamdb::live
