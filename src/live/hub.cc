#include "live/hub.h"

#include <algorithm>
#include <iterator>

#include "base/log.h"
#include "live/frames.h"
#include "protocol/live_messages.h"

namespace kalamdb::live {

namespace {

std::string group_key(const GroupQuery& query) {
  return query.shape.uses_current_user ? query.current_user + '\0' + query.shape.normalized : query.shape.normalized;
}

}  // namespace

Hub::Hub() : thread_([this](const std::stop_token& stop) { work(stop); }) {}

void Hub::publish(const storage::ChangeSetPtr& changes) {
  const std::lock_guard lock(queue_mutex_);
  // Whoever subscribes from here on sees this commit in their snapshot: it is taken behind set_watched().
  if (!watched_) return;
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

Result<> Hub::add(const GroupQuery& query, const SubscriptionPtr& subscription, const BindPredicate& bind) {
  const Scope scope{query.table->id, query.scope.value};
  const std::string key = group_key(query);
  const std::lock_guard lock(mutex_);
  // The ALTER TABLE that the query already knows may still be on its way here.
  if (const auto groups = scopes_.find(scope); groups != scopes_.end()) {
    if (const auto known = groups->second.find(key); known != groups->second.end()) {
      alter_group(*known->second, query.table);
    }
  }
  std::unique_ptr<Group>& group = scopes_[scope][key];
  if (group == nullptr) {
    auto predicate = bind(query);
    if (!predicate) {
      scopes_[scope].erase(key);
      return fail(std::move(predicate).error());
    }
    group = std::make_unique<Group>(query, *std::move(predicate), bind);
  }
  group->members().push_back(subscription);
  places_.emplace(subscription.get(), std::pair(scope, key));
  set_watched(true);
  return {};
}

void Hub::remove(const SubscriptionPtr& subscription) {
  subscription->close();
  const std::lock_guard lock(mutex_);
  erase_locked(subscription);
}

void Hub::erase_locked(const SubscriptionPtr& subscription) {
  const auto place = places_.find(subscription.get());
  if (place == places_.end()) return;
  const auto& [scope, key] = place->second;
  const auto groups = scopes_.find(scope);
  const auto group = groups->second.find(key);
  std::erase(group->second->members(), subscription);
  if (group->second->members().empty()) groups->second.erase(group);
  if (groups->second.empty()) scopes_.erase(groups);
  places_.erase(place);
  if (places_.empty()) set_watched(false);
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
    for_each_group([&](const Scope&, Group& group) {
      const model::TableDefinition& table = *group.query().table;
      for (const auto& member : group.members()) {
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
  std::vector<SubscriptionPtr> ended;
  {
    const std::lock_guard lock(mutex_);
    std::vector<SubscriptionPtr> found;
    for_each_group([&](const Scope&, Group& group) {
      std::ranges::copy_if(group.members(), std::back_inserter(found),
                           [&](const SubscriptionPtr& member) { return member->live_id() == id; });
    });
    if (found.empty()) return fail(ErrorCode::kNotFound, "Live query " + id + " not found");
    end(found, "KILLED", "This live query was killed");
    ended.swap(ended_);
  }
  for (const auto& subscription : ended) subscription->ended();
  return {};
}

void Hub::deliver(const std::deque<storage::ChangeSetPtr>& commits) {
  std::vector<SubscriptionPtr> ended;
  std::vector<SubscriptionPtr> lagging;
  {
    const std::lock_guard lock(mutex_);
    deliver_locked(commits);
    ended.swap(ended_);
    lagging.swap(lagging_);
  }
  for (const auto& subscription : ended) subscription->ended();
  for (const auto& subscription : lagging) subscription->fell_behind();
}

void Hub::deliver_locked(const std::deque<storage::ChangeSetPtr>& commits) {
  for (const auto& changes : commits) {
    for (const auto& change : changes->rows) {
      const auto groups = scopes_.find(Scope{change.table->id, change.user.value});
      if (groups == scopes_.end()) continue;
      for (auto& [key, group] : groups->second) {
        auto message = group->message_for(change);
        if (message && !*message) continue;
        pending_.push_back({group.get(), change.seq, std::move(message)});
      }
      if (pending_.size() >= kMaxPending) send_pending();
    }
    if (!changes->table_changes.empty()) send_pending();
    for (const auto& change : changes->table_changes) {
      if (change.schema_version == 0) end_table(change.table);
      if (change.definition != nullptr) alter_table(change.definition);
    }
  }
  send_pending();
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
  for (const Pending& pending : run) {
    if (pending.message) frames.emplace_back(**pending.message);
  }
  std::vector<Delivery> deliveries;
  for (const auto& member : group.members()) {
    deliveries.clear();
    auto next = frames.begin();
    for (const Pending& pending : run) {
      // A predicate that fails on a row (a cast, say) fails for that row only, as SELECT would have failed on it.
      deliveries.push_back({pending.seq, pending.message ? (next++)->frame_for(*member)
                                                         : error_frame(member->id(), "CONVERSION_ERROR",
                                                                       "Failed to convert row data: " +
                                                                           pending.message.error().message)});
    }
    if (!member->deliver(deliveries)) fell_behind(member);
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
  std::vector<Group*> altered;  // ending a subscription may erase its group
  for_each_group([&](const Scope& scope, Group& group) {
    if (scope.table == table->id) altered.push_back(&group);
  });
  for (Group* group : altered) alter_group(*group, table);
}

void Hub::alter_group(Group& group, const model::TablePtr& table) {
  if (group.query().table->schema_version >= table->schema_version) return;
  const auto changed = group.rebind(table);
  if (!changed) {
    end(std::vector(group.members()), "INVALID_SQL", "The table was altered: " + changed.error().message);
    return;
  }
  if (!*changed) return;
  std::string schema;
  protocol::append_schema(schema, group.encoder().fields());
  for (const auto& member : std::vector(group.members())) {
    std::vector<Delivery> ack{
        {kNotAChange, make_frame(protocol::subscription_ack_message(member->id(), 0, {}, schema), member->format())}};
    if (!member->deliver(ack)) fell_behind(member);
  }
}

void Hub::end_table(TableId table) {
  std::vector<SubscriptionPtr> ended;
  for_each_group([&](const Scope& scope, Group& group) {
    if (scope.table == table) ended.insert(ended.end(), group.members().begin(), group.members().end());
  });
  end(ended, "TABLE_DROPPED", "The table of this subscription was dropped");
}

void Hub::end(const std::vector<SubscriptionPtr>& subscriptions, std::string_view code, const std::string& message) {
  for (const auto& subscription : subscriptions) {
    subscription->close();
    subscription->send(error_frame(subscription->id(), code, message));
    erase_locked(subscription);
    ended_.push_back(subscription);
  }
}

}  // namespace kalamdb::live
