#include "live/subscription.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

namespace kalamdb::live {

bool Subscription::deliver(std::vector<Delivery>& deliveries) {
  const std::lock_guard lock(mutex_);
  for (size_t begin = 0, end = 0; begin < deliveries.size(); begin = end) {
    size_t bytes = 0;
    do {
      bytes += deliveries[end++].frame->payload.size();
    } while (end < deliveries.size() && deliveries[end].seq == deliveries[begin].seq);
    const std::span together(deliveries.begin() + static_cast<ptrdiff_t>(begin), end - begin);
    if (state_ == State::kWaiting && !overflowed_) {
      waiting_bytes_ += bytes;
      overflowed_ = waiting_bytes_ > socket_->max_queued_bytes;
      if (overflowed_) {
        waiting_.clear();
      } else {
        std::ranges::move(together, std::back_inserter(waiting_));
      }
    } else if (state_ == State::kLive) {
      // One change may be larger than the bound.
      const size_t queued = socket_->connection->queued_bytes();
      if (queued > 0 && (queued + bytes > socket_->max_queued_bytes ||
                         socket_->connection->total_queued_bytes() > socket_->max_queued_bytes_total)) {
        state_ = State::kBehind;
        return false;
      }
      for (Delivery& delivery : together) send_locked(std::move(delivery));
    }
  }
  return true;
}

void Subscription::send_locked(Delivery delivery) {
  if (delivery.seq != kNotAChange) {
    if (delivery.seq <= boundary_) return;
    last_delivered_.store(delivery.seq, std::memory_order_relaxed);
    delivered_.fetch_add(1, std::memory_order_relaxed);
  }
  socket_->connection->send(std::move(delivery.frame));
}

bool Subscription::go_live(Seq boundary, std::vector<net::FramePtr> frames) {
  const std::lock_guard lock(mutex_);
  if (state_ == State::kClosed) return true;
  for (auto& frame : frames) socket_->connection->send(std::move(frame));
  boundary_ = boundary;
  for (auto& delivery : waiting_) send_locked(std::move(delivery));
  waiting_.clear();
  state_ = overflowed_ ? State::kBehind : State::kLive;
  return !overflowed_;
}

bool Subscription::is_behind() {
  const std::lock_guard lock(mutex_);
  return state_ == State::kBehind;
}

Seq Subscription::catch_up() {
  const std::lock_guard lock(mutex_);
  if (state_ == State::kBehind) state_ = State::kWaiting;
  overflowed_ = false;
  waiting_bytes_ = 0;
  return std::max(boundary_, last_delivered());
}

void Subscription::send(net::FramePtr frame) {
  const std::lock_guard lock(mutex_);
  if (state_ != State::kClosed) socket_->connection->send(std::move(frame));
}

bool Subscription::is_closed() {
  const std::lock_guard lock(mutex_);
  return state_ == State::kClosed;
}

void Subscription::close(net::FramePtr last) {
  const std::lock_guard lock(mutex_);
  if (state_ != State::kClosed && last != nullptr) socket_->connection->send(std::move(last));
  state_ = State::kClosed;
  waiting_.clear();
}

}  // namespace kalamdb::live
