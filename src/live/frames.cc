#include "live/frames.h"

#include <utility>

#include "protocol/live_messages.h"

namespace kalamdb::live {

net::FramePtr make_frame(std::string json, protocol::FrameFormat format) {
  auto encoded = protocol::encode_frame(std::move(json), format);
  return std::make_shared<const net::Frame>(net::Frame{std::move(encoded.payload), encoded.binary});
}

net::FramePtr error_frame(std::string_view subscription_id, std::string_view code, std::string_view message) {
  return make_frame(protocol::live_error_message(subscription_id, code, message), protocol::kPlainText);
}

net::FramePtr ChangeFrames::frame_for(const Subscription& subscription) {
  if (subscription.id() != last_id_) {
    last_id_ = subscription.id();
    last_.fill(nullptr);
  }
  const protocol::FrameFormat format = subscription.format();
  net::FramePtr& frame = last_[(format.gzip ? 1 : 0) + (format.msgpack ? 2 : 0)];
  if (frame == nullptr) frame = make_frame(protocol::change_message(last_id_, tail_), format);
  return frame;
}

}  // namespace kalamdb::live
