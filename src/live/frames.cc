#include "live/frames.h"

#include <utility>

#include "protocol/live_messages.h"

namespace kalamdb::live {

net::FramePtr make_frame(std::string json, bool gzip) {
  auto encoded = protocol::encode_frame(std::move(json), gzip);
  return std::make_shared<const net::Frame>(net::Frame{std::move(encoded.payload), encoded.binary});
}

net::FramePtr error_frame(std::string_view subscription_id, std::string_view code, std::string_view message) {
  return make_frame(protocol::live_error_message(subscription_id, code, message), false);
}

net::FramePtr ChangeFrames::frame_for(const Subscription& subscription) {
  if (subscription.id() != last_id_) {
    last_id_ = subscription.id();
    last_[0] = last_[1] = nullptr;
  }
  net::FramePtr& frame = last_[subscription.gzip() ? 1 : 0];
  if (frame == nullptr) frame = make_frame(protocol::change_message(last_id_, tail_), subscription.gzip());
  return frame;
}

}  // namespace kalamdb::live
