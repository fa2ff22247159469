// The frames of subscriptions, shared where they can be.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "live/subscription.h"

namespace kalamdb::live {

// See protocol::encode_frame().
net::FramePtr make_frame(std::string json, protocol::FrameFormat format);

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
  std::array<net::FramePtr, 4> last_;  // by format
};

}  // namespace kalamdb::live
