#include "live/subscription.h"

#include <utility>

namespace kalamdb::live {

bool Subscription::deliver(std::vector<Delivery>& deliveries) {
  const std::lock_guard lock(mutex_);
  for (Delivery& delivery : deliveries) {
    if (closed_) return true;
    if (!live_) waiting_bytes_ += delivery.frame->payload.size();
    if (waiting_bytes_ + connection_->queued_bytes() > kMaxWaitingBytes) {
      closed_ = true;
      waiting_.clear();
      return false;
    }
    if (live_) {
      send_locked(std::move(delivery));
    } else {
      waiting_.push_back(std::move(delivery));
    }
  }
  return true;
}

void Subscription::send_locked(Delivery delivery) {
  if (delivery.seq != kNotAChange) {
    if (delivery.seq <= boundary_) return;
    last_delivered_.store(delivery.seq, std::memory_order_relaxed);
  }
  connection_->send(std::move(delivery.frame));
}

void Subscription::go_live(Seq boundary, std::vector<net::FramePtr> frames) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  for (auto& frame : frames) connection_->send(std::move(frame));
  boundary_ = boundary;
  for (auto& delivery : waiting_) send_locked(std::move(delivery));
  waiting_.clear();
  waiting_bytes_ = 0;
  live_ = true;
}

void Subscription::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  waiting_.clear();
}

}  // namespace kalamdb::live
