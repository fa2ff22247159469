#include "live/subscription.h"

#include <algorithm>
#include <utility>

namespace kalamdb::live {

bool Subscription::deliver(std::vector<Delivery>& deliveries) {
  const std::lock_guard lock(mutex_);
  for (Delivery& delivery : deliveries) {
    const size_t bytes = delivery.frame->payload.size();
    if (state_ == State::kWaiting && !overflowed_) {
      waiting_bytes_ += bytes;
      overflowed_ = waiting_bytes_ > socket_->max_queued_bytes;
      if (overflowed_) {
        waiting_.clear();
      } else {
        waiting_.push_back(std::move(delivery));
      }
    } else if (state_ == State::kLive) {
      // One change may be larger than the bound.
      const size_t queued = socket_->connection->queued_bytes();
      if (queued > 0 && queued + bytes > socket_->max_queued_bytes) {
        state_ = State::kBehind;
        return false;
      }
      send_locked(std::move(delivery));
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

void Subscription::close() {
  const std::lock_guard lock(mutex_);
  state_ = State::kClosed;
  waiting_.clear();
}

}  // namespace kalamdb::live
