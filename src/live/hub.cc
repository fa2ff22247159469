#include "live/hub.h"

#include <algorithm>

#include "base/log.h"
#include "live/frames.h"

namespace kalamdb::live {

namespace {

std::string group_key(const GroupQuery& query) {
  return query.shape.uses_current_user ? query.current_user + '\0' + query.shape.normalized : query.shape.normalized;
}

}  // namespace

Hub::Hub() : thread_([this](const std::stop_token& stop) { work(stop); }) {}

void Hub::publish(const storage::ChangeSetPtr& changes) {
  const std::lock_guard lock(queue_mutex_);
  queue_.push_back(changes);
  if (queue_.size() == 1) queue_changed_.notify_one();
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
    for (const auto& changes : taken) deliver(*changes);
    taken.clear();
  }
}

Result<> Hub::add(const GroupQuery& query, const SubscriptionPtr& subscription, const BindPredicate& bind) {
  const Scope scope{query.table->id, query.scope.value};
  const std::string key = group_key(query);
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Group>& group = scopes_[scope][key];
  if (group == nullptr) {
    auto predicate = bind();
    if (!predicate) {
      scopes_[scope].erase(key);
      return fail(std::move(predicate).error());
    }
    group = std::make_unique<Group>(query, *std::move(predicate));
  }
  group->members().push_back(subscription);
  places_.emplace(subscription.get(), std::pair(scope, key));
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

size_t Hub::subscription_count() const {
  const std::lock_guard lock(mutex_);
  return places_.size();
}

void Hub::deliver(const storage::ChangeSet& changes) {
  const std::lock_guard lock(mutex_);
  for (const auto& change : changes.rows) {
    const auto groups = scopes_.find(Scope{change.table->id, change.user.value});
    if (groups == scopes_.end()) continue;
    for (auto& [key, group] : groups->second) deliver_to(*group, change);
  }
  for (const auto& change : changes.table_changes) {
    if (change.schema_version == 0) end_table(change.table);
  }
  // What fell behind ends here, outside the loops over members.
  std::vector<SubscriptionPtr> lagging;
  lagging.swap(lagging_);
  for (const auto& subscription : lagging) {
    subscription->close();
    subscription->send(error_frame(subscription->id(), "LAGGED",
                                   "The client is too far behind; last delivered _seq " +
                                       std::to_string(subscription->last_delivered()) + ". Resume from there."));
    subscription->close_socket_lagging();
    erase_locked(subscription);
  }
}

void Hub::deliver_to(Group& group, const storage::RowChange& change) {
  auto message = group.message_for(change);
  if (!message) {
    // A predicate that SELECT would fail on (a cast, say) fails for this row only; SELECT's error is the subscriber's.
    for (const auto& member : group.members()) {
      member->deliver({change.seq, error_frame(member->id(), "CONVERSION_ERROR",
                                               "Failed to convert row data: " + message.error().message)});
    }
    return;
  }
  if (!*message) return;
  // Members that chose the same id get the very same frame.
  ChangeFrames frames(**message);
  for (const auto& member : group.members()) {
    if (!member->deliver({change.seq, frames.frame_for(*member)})) lagging_.push_back(member);
  }
}

void Hub::end_table(TableId table) {
  std::vector<SubscriptionPtr> ended;
  for (auto& [scope, groups] : scopes_) {
    if (scope.table != table) continue;
    for (auto& [key, group] : groups) {
      ended.insert(ended.end(), group->members().begin(), group->members().end());
    }
  }
  for (const auto& subscription : ended) {
    subscription->close();
    subscription->send(error_frame(subscription->id(), "TABLE_DROPPED", "The table of this subscription was dropped"));
    erase_locked(subscription);
  }
}

}  // namespace kalamdb::live
