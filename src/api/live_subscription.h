// The subscriptions of one socket: subscribe, next_batch, unsubscribe, each worked on by the worker pool, one at a time
// and in the order in which they came.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "api/api.h"
#include "live/result_reader.h"
#include "net/websocket.h"
#include "protocol/live_messages.h"

namespace kalamdb::api {

// Thread-safe.
class LiveSubscriptions : public std::enable_shared_from_this<LiveSubscriptions> {
 public:
  LiveSubscriptions(const Services& services, std::shared_ptr<net::WebSocketConnection> connection)
      : services_(services), connection_(std::move(connection)) {}

  // A message of the client came.
  void note_message() {
    if (socket_ != nullptr) socket_->last_message_us = services_.clock.now_us();
  }

  // Once, when the socket is authenticated, before the others.
  void open(query::Caller caller, protocol::FrameFormat format);

  void subscribe(protocol::Subscribe message);
  void next_batch(protocol::NextBatch message);
  void unsubscribe(std::string id);
  // The socket has taken all that was queued.
  void drained();
  // The socket has ended: every subscription ends.
  void close();

 private:
  struct Entry {
    live::SubscriptionPtr subscription;
    std::shared_ptr<const live::GroupQuery> query;
    std::optional<protocol::SubscribeOptions> options;
    std::unique_ptr<live::FirstRows> reader;       // while the client reads what there is at first
    std::unique_ptr<live::SnapshotReader> missed;  // while it catches up, at the socket's pace
    bool waits_for_result = false;

    bool has_result() const { return query->shape.kind != duck::LiveKind::kRows; }
  };

  void enqueue(std::function<void()> task);
  void run_queued();
  void do_subscribe(protocol::Subscribe message);
  void do_next_batch(const protocol::NextBatch& message);
  void do_unsubscribe(const std::string& id);
  void end_all();
  void forget_when_ended(const live::SubscriptionPtr& subscription);

  // Some subscription has fallen behind.
  void note_behind();
  void catch_up_all();
  // Goes on with what one that is behind has missed as long as the socket takes it. Errors: it cannot be read any more.
  Result<> catch_up(Entry& entry);
  Result<> begin_catching_up(Entry& entry);
  void watch_progress();

  Result<std::shared_ptr<const live::GroupQuery>> resolve(const std::string& sql) const;
  // Registers one subscription of the query as it stands and sends its first rows, unless it has to wait for its
  // result. Errors: kConflict when the table is altered meanwhile.
  Result<Entry> start(const protocol::Subscribe& message, std::shared_ptr<const live::GroupQuery> query);
  Result<> begin_rows(Entry& entry);
  // Once the result is there.
  Result<> begin_result(Entry& entry);
  void begin_results();
  Result<> send_first(Entry& entry, const std::vector<protocol::Field>& fields, uint64_t total_rows);
  live::GroupServices group_services() const;
  // Sends a batch and, behind the last one, what waited.
  Result<> send_batch(Entry& entry, live::FirstRows::Batch batch, net::FramePtr before);
  void append_frames(const Entry& entry, std::span<const live::ChangeTail> changes,
                     std::vector<net::FramePtr>& frames) const;
  // Of what `rows` has read; behind the last of it the subscription is live, or behind.
  void send_rows(Entry& entry, const live::FirstRows& rows, std::vector<net::FramePtr> frames, bool has_more);
  void refuse(const std::string& id, const Error& error);
  // Reserves a place for one more subscription of the user; false at the limit.
  bool reserve();
  void release();

  const Services& services_;
  const std::shared_ptr<net::WebSocketConnection> connection_;
  query::Caller caller_;
  std::shared_ptr<live::ClientSocket> socket_;
  protocol::FrameFormat format_;

  std::atomic<bool> any_behind_ = false;
  std::atomic<int64_t> progress_us_ = 0;  // when the socket last took what was queued, monotonic
  std::atomic<bool> is_watched_ = false;  // watch_progress() comes again

  std::mutex mutex_;  // of the queue
  std::deque<std::function<void()>> queue_;
  bool running_ = false;

  std::map<std::string, Entry> entries_;  // used by the running task only
};

}  // namespace kalamdb::api
