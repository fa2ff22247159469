// The frames of subscriptions: gzip where it pays, and shared where it can be.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "live/subscription.h"

namespace kalamdb::live {

// A text frame, or from 512 bytes on a binary gzip one where that is smaller and `gzip` allows it.
net::FramePtr make_frame(std::string json, bool gzip);

// A message of type `error`: always JSON text.
net::FramePtr error_frame(std::string_view subscription_id, std::string_view code, std::string_view message);

// One change for many subscribers. Frames are made once for each subscription id. Not thread-safe.
class ChangeFrames {
 public:
  // `tail` is the message behind its subscription id; borrowed.
  explicit ChangeFrames(const std::string& tail) : tail_(tail) {}
  net::FramePtr frame_for(const Subscription& subscription);

 private:
  const std::string& tail_;
  std::string last_id_;
  net::FramePtr last_[2];  // plain, gzip
};

}  // namespace kalamdb::live
