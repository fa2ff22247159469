#include "api/live_subscription.h"

#include <nlohmann/json.hpp>

#include "live/frames.h"
#include "live/snapshot_table.h"
#include "protocol/error_codes.h"
#include "query/dml.h"
#include "query/insert.h"
#include "query/sources.h"

namespace kalamdb::api {

namespace {

// Of what a client has missed, sent before the next is read.
constexpr size_t kCatchUpBytes = 256 << 10;

// As system.live shows them.
std::string options_json(const protocol::Subscribe& message) {
  if (!message.options) return "";
  nlohmann::json json = nlohmann::json::object();
  if (message.options->batch_size) json["batch_size"] = *message.options->batch_size;
  if (message.options->last_rows) json["last_rows"] = *message.options->last_rows;
  if (message.options->from) json["from"] = *message.options->from;
  return json.dump();
}

Result<> check_options(const live::GroupQuery& query, const std::optional<protocol::SubscribeOptions>& options) {
  if (query.shape.kind == duck::LiveKind::kRows || !options || !options->last_rows || options->from) return {};
  return fail(ErrorCode::kInvalidOperation,
              "last_rows is not for queries of system tables or with ORDER BY or aggregates");
}

}  // namespace

void LiveSubscriptions::open(query::Caller caller, protocol::FrameFormat format) {
  caller_ = std::move(caller);
  socket_ = std::make_shared<live::ClientSocket>(platform::random_hex(services_.random, 16), caller_.user, connection_);
  socket_->max_queued_bytes = services_.options.max_queued_bytes;
  socket_->max_queued_bytes_total = services_.options.max_queued_bytes_total;
  note_message();
  format_ = format;
}

void LiveSubscriptions::enqueue(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(task));
    if (running_) return;
    running_ = true;
  }
  if (services_.workers.post([self = shared_from_this()] { self->run_queued(); })) return;
  connection_->close(1013, "The server is busy or stopping; try again shortly");
  // Here and not later: nobody else would take the subscriptions out of the hub. `running_` keeps other threads away.
  end_all();
  const std::lock_guard lock(mutex_);
  queue_.clear();
  running_ = false;
}

void LiveSubscriptions::run_queued() {
  while (true) {
    std::function<void()> task;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty()) {
        running_ = false;
        return;
      }
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    task();
  }
}

void LiveSubscriptions::subscribe(protocol::Subscribe message) {
  enqueue([this, message = std::move(message)]() mutable { do_subscribe(std::move(message)); });
}

void LiveSubscriptions::next_batch(protocol::NextBatch message) {
  enqueue([this, message = std::move(message)] { do_next_batch(message); });
}

void LiveSubscriptions::unsubscribe(std::string id) {
  enqueue([this, id = std::move(id)] { do_unsubscribe(id); });
}

void LiveSubscriptions::close() {
  enqueue([this] { end_all(); });
}

void LiveSubscriptions::end_all() {
  while (!entries_.empty()) do_unsubscribe(std::string(entries_.begin()->first));
}

// One that the server has ended gives back its place and what it reads: a table that is dropped waits for its readers.
void LiveSubscriptions::forget_when_ended(const live::SubscriptionPtr& subscription) {
  subscription->on_ended([weak = weak_from_this(), ended = std::weak_ptr(subscription)] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->enqueue([raw = self.get(), ended] {
      const auto subscription = ended.lock();
      if (subscription == nullptr) return;
      const auto found = raw->entries_.find(subscription->id());
      if (found == raw->entries_.end() || found->second.subscription != subscription) return;
      raw->do_unsubscribe(subscription->id());
    });
  });
}

void LiveSubscriptions::note_behind() {
  any_behind_ = true;
  progress_us_ = services_.clock.monotonic_us();
  if (!is_watched_.exchange(true)) watch_progress();
  enqueue([this] { catch_up_all(); });  // the socket may have taken everything meanwhile
}

void LiveSubscriptions::drained() {
  if (!any_behind_) return;
  progress_us_ = services_.clock.monotonic_us();
  enqueue([this] { catch_up_all(); });
}

// A client that takes nothing for long holds what it reads from: it is sent away.
void LiveSubscriptions::watch_progress() {
  connection_->post_after(services_.options.lag_timeout_ms, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->is_watched_ = false;
    if (!self->any_behind_) return;
    const int64_t idle_us = self->services_.clock.monotonic_us() - self->progress_us_;
    if (idle_us >= 1000 * self->services_.options.lag_timeout_ms) {
      self->connection_->close(1013, "Too far behind; reconnect and resume");
    } else if (!self->is_watched_.exchange(true)) {
      self->watch_progress();
    }
  });
}

void LiveSubscriptions::catch_up_all() {
  any_behind_ = false;
  std::vector<std::string> lost;
  for (auto& [id, entry] : entries_) {
    if (entry.missed == nullptr && (entry.reader != nullptr || !entry.subscription->is_behind())) continue;
    any_behind_ = true;
    if (const auto done = catch_up(entry); !done) {
      refuse(id, done.error());
      lost.push_back(id);
    }
  }
  for (const std::string& id : lost) do_unsubscribe(id);
}

Result<> LiveSubscriptions::catch_up(Entry& entry) {
  while (connection_->queued_bytes() == 0) {
    if (entry.has_result()) {
      if (services_.hub.catch_up(entry.subscription, kCatchUpBytes)) break;
      continue;
    }
    if (entry.missed == nullptr) KALAM_CHECK(begin_catching_up(entry));
    std::vector<live::ChangeTail> changes;
    KALAM_TRY(const bool more, entry.missed->next_changes(changes, kCatchUpBytes));
    std::vector<net::FramePtr> frames;
    append_frames(entry, changes, frames);
    send_rows(entry, *entry.missed, std::move(frames), more);
    if (more) continue;
    entry.missed.reset();
    break;
  }
  return {};
}

Result<> LiveSubscriptions::begin_catching_up(Entry& entry) {
  // Before the table is looked at: an ALTER from here on is told to the subscription itself.
  const Seq cursor = entry.subscription->catch_up();
  KALAM_TRY(auto query, resolve(entry.subscription->facts().sql));
  if (query->table->schema_version != entry.query->table->schema_version) {
    std::string schema;
    protocol::append_schema(schema, live::ChangeEncoder(*query).fields());
    entry.subscription->send(
        live::make_frame(protocol::subscription_ack_message(entry.subscription->id(), 0, {}, schema), format_));
  }
  entry.query = std::move(query);
  entry.missed = std::make_unique<live::SnapshotReader>(services_.queries.services(), caller_, entry.query,
                                                        protocol::SubscribeOptions{.from = cursor});
  return {};
}

bool LiveSubscriptions::reserve() {
  const uint32_t limit = caller_.role == catalog::Role::kUser ? services_.options.max_subscriptions_per_user : 0;
  return services_.hub.reserve(caller_.user, limit);
}

void LiveSubscriptions::release() { services_.hub.release(caller_.user); }

void LiveSubscriptions::refuse(const std::string& id, const Error& error) {
  const auto wire = protocol::to_live_error(error, is_admin(caller_.role));
  connection_->send(live::error_frame(id, wire.code, wire.message));
}

Result<std::shared_ptr<const live::GroupQuery>> LiveSubscriptions::resolve(const std::string& sql) const {
  auto query = std::make_shared<live::GroupQuery>();
  KALAM_TRY(query->statement, duck::Statement::parse(sql));
  KALAM_TRY(query->shape, query->statement->live());
  query::StatementContext context;
  context.caller = caller_;
  KALAM_TRY(query->table,
            query::resolve_table(services_.queries.services(), context, query->shape.table, query::Access::kRead));
  KALAM_CHECK(live::check_projection(*query));
  if (query->shape.kind != duck::LiveKind::kRows && query->table->type == model::TableType::kStream) {
    return fail(ErrorCode::kInvalidSql,
                "Subscription query does not support ORDER BY or aggregates over a STREAM table, "
                "whose rows go by their age");
  }
  if (query->shape.kind == duck::LiveKind::kRows && query->table->type == model::TableType::kSystem) {
    // Records have no `_seq` by which to read what a client has missed: their rows are kept, as those of a result.
    query->shape.kind = duck::LiveKind::kTop;
    query->shape.limit = UINT64_MAX;
  }
  query->scope = query::scope_of(*query->table, caller_);
  query->current_user = caller_.user.value;
  return query;
}

live::GroupServices LiveSubscriptions::group_services() const {
  const auto& services = services_.queries.services();
  const size_t max_bytes = services_.hub.result_limits().max_bytes;
  return {.bind =
              [&services, caller = caller_](const live::GroupQuery& query) {
                return services.engine.bind_predicate(*query.statement, query.table,
                                                      live::query_context(services, caller, query));
              },
          .load = [&services, caller = caller_, max_bytes](
                      const live::GroupQuery& query) { return live::load_result(services, caller, query, max_bytes); },
          .post = [&workers = services_.workers](std::function<void()> task) { return workers.post(std::move(task)); }};
}

void LiveSubscriptions::do_subscribe(protocol::Subscribe message) {
  do_unsubscribe(message.id);  // the same id again replaces the old subscription
  if (entries_.size() >= services_.options.max_subscriptions_per_connection) {
    return refuse(message.id,
                  Error(ErrorCode::kInvalidOperation,
                        "Maximum subscriptions (" + std::to_string(services_.options.max_subscriptions_per_connection) +
                            ") per connection exceeded"));
  }
  auto query = resolve(message.sql);
  if (!query) return refuse(message.id, query.error());
  if (const auto possible = check_options(**query, message.options); !possible) {
    return refuse(message.id, possible.error());
  }
  if (!reserve()) {
    connection_->send(live::error_frame(message.id, "SUBSCRIPTION_LIMIT_EXCEEDED", "Maximum subscriptions reached"));
    return;
  }
  auto entry = start(message, *query);
  for (int attempt = 1; !entry && entry.error().code == ErrorCode::kConflict && attempt < query::kMaxAttempts;
       ++attempt) {
    query = resolve(message.sql);
    entry = query ? start(message, *query) : std::unexpected(query.error());
  }
  if (!entry) {
    release();
    return refuse(message.id, entry.error());
  }
  entries_.emplace(message.id, *std::move(entry));
}

Result<LiveSubscriptions::Entry> LiveSubscriptions::start(const protocol::Subscribe& message,
                                                          std::shared_ptr<const live::GroupQuery> query) {
  Entry entry;
  entry.query = std::move(query);
  entry.options = message.options;
  entry.subscription = std::make_shared<live::Subscription>(
      message.id, socket_, format_,
      live::SubscriptionFacts{message.sql, options_json(message), services_.clock.now_us()});
  forget_when_ended(entry.subscription);
  entry.subscription->on_behind([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->note_behind();
  });
  entry.subscription->on_ready([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self != nullptr) self->enqueue([raw = self.get()] { raw->begin_results(); });
  });
  // Registered before the snapshot is taken: what commits from here on either is in the snapshot or waits behind it.
  KALAM_CHECK(services_.hub.add(*entry.query, entry.subscription, group_services()));
  auto begun = entry.has_result() ? begin_result(entry) : begin_rows(entry);
  // One that the server has ended meanwhile has been told why, and goes as others that it ends.
  if (begun || entry.subscription->is_closed()) return entry;
  services_.hub.remove(entry.subscription);
  return fail(std::move(begun).error());
}

Result<> LiveSubscriptions::begin_rows(Entry& entry) {
  entry.reader = std::make_unique<live::SnapshotReader>(services_.queries.services(), caller_, entry.query,
                                                        entry.options.value_or(protocol::SubscribeOptions{}));
  // A DROP between the look-up and the registration has told nobody of this subscription, and an ALTER neither. Seen
  // from behind the snapshot, so that its rows are of the same definition.
  const auto& table = *entry.query->table;
  KALAM_TRY(const auto now, live::current_table(services_.queries.services(), entry.query->table));
  if (now->schema_version != table.schema_version) {
    return fail(ErrorCode::kConflict, "The table is being altered; subscribe again");
  }
  return send_first(entry, live::ChangeEncoder(*entry.query).fields(), 0);
}

Result<> LiveSubscriptions::begin_result(Entry& entry) {
  const auto options = entry.options.value_or(protocol::SubscribeOptions{});
  KALAM_TRY(auto start, services_.hub.start_result(entry.subscription, options.from));
  entry.waits_for_result = !start;
  if (!start) return {};
  auto reader = std::make_unique<live::ResultReader>(*std::move(start), options);
  const auto& fields = reader->snapshot().form.encoder->fields();
  const uint64_t rows = reader->rows().size();
  entry.reader = std::move(reader);
  return send_first(entry, fields, rows);
}

void LiveSubscriptions::begin_results() {
  std::vector<std::string> failed;
  for (auto& [id, entry] : entries_) {
    if (!entry.waits_for_result) continue;
    if (const auto begun = begin_result(entry); !begun) {
      if (!entry.subscription->is_closed()) refuse(id, begun.error());
      failed.push_back(id);
    }
  }
  for (const std::string& id : failed) do_unsubscribe(id);
}

Result<> LiveSubscriptions::send_first(Entry& entry, const std::vector<protocol::Field>& fields, uint64_t total_rows) {
  const std::string& id = entry.subscription->id();
  std::string schema;
  protocol::append_schema(schema, fields);
  const auto ack = [&](const protocol::BatchControl& control) {
    return live::make_frame(protocol::subscription_ack_message(id, total_rows, control, schema), format_);
  };
  if (!entry.options) {
    std::vector<net::FramePtr> frames{ack({})};
    send_rows(entry, *entry.reader, std::move(frames), /*has_more=*/false);
    return {};
  }
  KALAM_TRY(auto batch, entry.reader->next(std::nullopt));
  auto first = ack(batch.control);
  return send_batch(entry, std::move(batch), std::move(first));
}

Result<> LiveSubscriptions::send_batch(Entry& entry, live::FirstRows::Batch batch, net::FramePtr before) {
  const std::string& id = entry.subscription->id();
  std::vector<net::FramePtr> frames;
  if (before != nullptr) frames.push_back(std::move(before));
  append_frames(entry, batch.removals, frames);
  frames.push_back(live::make_frame(protocol::initial_data_batch_message(id, batch.rows_json, batch.control), format_));
  send_rows(entry, *entry.reader, std::move(frames), batch.control.has_more);
  return {};
}

void LiveSubscriptions::append_frames(const Entry& entry, std::span<const live::ChangeTail> changes,
                                      std::vector<net::FramePtr>& frames) const {
  for (const auto& change : changes) {
    frames.push_back(live::make_frame(protocol::change_message(entry.subscription->id(), change.tail), format_));
  }
}

void LiveSubscriptions::send_rows(Entry& entry, const live::FirstRows& rows, std::vector<net::FramePtr> frames,
                                  bool has_more) {
  if (has_more) {
    for (auto& frame : frames) entry.subscription->send(std::move(frame));
    return;
  }
  const bool is_live = entry.subscription->go_live(rows.boundary(), std::move(frames));
  const auto first = std::move(entry.reader);
  if (is_live) return;
  if (entry.has_result()) {
    services_.hub.knows(entry.subscription, static_cast<const live::ResultReader&>(*first).snapshot());
  }
  note_behind();
}

void LiveSubscriptions::do_next_batch(const protocol::NextBatch& message) {
  const auto refuse_batch = [&](const std::string& reason) {
    connection_->send(live::error_frame(message.subscription_id, "BATCH_FETCH_FAILED", reason));
  };
  const auto found = entries_.find(message.subscription_id);
  if (found == entries_.end()) return refuse_batch("There is no subscription '" + message.subscription_id + "'");
  if (found->second.reader == nullptr) return refuse_batch("All rows of this subscription have been sent");
  auto batch = found->second.reader->next(message.last_seq_id);
  if (!batch) return refuse_batch(protocol::to_live_error(batch.error(), is_admin(caller_.role)).message);
  if (auto sent = send_batch(found->second, *std::move(batch), nullptr); !sent) refuse_batch(sent.error().message);
}

void LiveSubscriptions::do_unsubscribe(const std::string& id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  services_.hub.remove(found->second.subscription);
  entries_.erase(found);
  release();
}

}  // namespace kalamdb::api
